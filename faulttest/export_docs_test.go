package faulttest

// DefaultCatalogue is what is injected by default, by kind.
func DefaultCatalogue() map[string][]Entry { return defaultCatalogue() }

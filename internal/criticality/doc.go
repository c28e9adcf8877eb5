// Package criticality finds out which dependencies something cannot do without, by
// having them fail together and one by one, and compares that with a list of what is
// known. What it is that is tried, and how calls are made to fail, is the caller's.
package criticality

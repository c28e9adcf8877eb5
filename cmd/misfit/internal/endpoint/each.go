package endpoint

import "sync"

// Each calls do with the number of every item, at most so many at a time, and
// returns when all are done.
func Each[T any](items []T, most int, do func(i int, item T)) {
	var running sync.WaitGroup
	free := make(chan struct{}, most)
	for i, item := range items {
		free <- struct{}{}
		running.Go(func() {
			defer func() { <-free }()
			do(i, item)
		})
	}
	running.Wait()
}

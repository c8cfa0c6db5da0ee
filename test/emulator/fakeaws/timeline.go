package fakeaws

import (
	"container/heap"
	"sync"
	"time"
)

// A timeline runs functions at their time, one after the other, on the goroutine that calls run.
type timeline struct {
	mu    sync.Mutex
	queue tasks
	next  uint64
	wake  chan struct{}
}

type task struct {
	at  time.Time
	seq uint64 // keeps tasks of the same instant in order
	do  func()
}

func newTimeline() *timeline {
	return &timeline{wake: make(chan struct{}, 1)}
}

// after runs do in d from now. A negative d means never.
func (t *timeline) after(d time.Duration, do func()) {
	if d < 0 {
		return
	}
	t.mu.Lock()
	t.next++
	heap.Push(&t.queue, task{at: time.Now().Add(d), seq: t.next, do: do})
	t.mu.Unlock()
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// run blocks until stop is closed. Tasks not due by then are dropped.
func (t *timeline) run(stop <-chan struct{}) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		due, wait := t.pop()
		if due != nil {
			due()
			continue
		}
		timer.Reset(wait)
		select {
		case <-stop:
			return
		case <-t.wake:
		case <-timer.C:
		}
	}
}

// pop takes the first task that is due, or returns the time until one is.
func (t *timeline) pop() (func(), time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.queue) == 0 {
		return nil, time.Hour
	}
	if wait := time.Until(t.queue[0].at); wait > 0 {
		return nil, wait
	}
	return heap.Pop(&t.queue).(task).do, 0
}

// tasks is a heap ordered by time.
type tasks []task

func (q tasks) Len() int { return len(q) }
func (q tasks) Less(i, j int) bool {
	if q[i].at.Equal(q[j].at) {
		return q[i].seq < q[j].seq
	}
	return q[i].at.Before(q[j].at)
}
func (q tasks) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *tasks) Push(x any)   { *q = append(*q, x.(task)) }
func (q *tasks) Pop() any {
	old := *q
	last := old[len(old)-1]
	*q = old[:len(old)-1]
	return last
}

package chaos

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/test/scenario"
)

// restartAfter is how long a replica that ended stays down, unless a step asks for longer. A kubelet takes longer each time.
const restartAfter = 500 * time.Millisecond

// lostLease is the one reason for which a replica may end by itself. A replica that lost the lease must end.
const lostLease = "the leader lease was lost"

// crashed is the first line of a crash, which nothing excuses.
var crashed = regexp.MustCompile(`(?m)^(panic|fatal error|runtime error): .*`)

// replica is one autoscaler that is started again whenever it ends, as the kubelet does with a container.
type replica struct {
	name  string
	log   string // file of its output
	start func(context.Context) (*scenario.Autoscaler, error)
	fault func(error) // receives an end that should not have been
	// excused reports whether the API server is, or was a moment ago, in no state to run against.
	excused func() bool
	stays   bool // it must not end by itself, not even excused

	mu      sync.Mutex
	process *scenario.Autoscaler // nil while none runs
	until   time.Time            // it stays down, after an end that a step asked for
	started time.Time            // when the process started that runs, or ran last
	ended   bool                 // by us
}

// run keeps the replica running until ctx ends, and ends it then.
func (r *replica) run(ctx context.Context) {
	for ctx.Err() == nil {
		logged := r.logged()
		process, err := r.start(ctx)
		if err != nil {
			if ctx.Err() == nil && !r.excused() && !strings.Contains(r.since(logged), lostLease) {
				r.fault(fmt.Errorf("replica %s did not start: %w: %s", r.name, err, lastLine(r.since(logged))))
			}
			pause(ctx, restartAfter)
			continue
		}
		r.mu.Lock()
		r.process, r.ended, r.started = process, false, time.Now()
		r.mu.Unlock()
		select {
		case <-process.Done():
		case <-ctx.Done():
			process.Kill()
			return
		}
		r.mu.Lock()
		r.process = nil
		down, ended := time.Until(r.until), r.ended
		r.mu.Unlock()
		if crash := crashed.FindString(r.since(logged)); crash != "" {
			r.fault(fmt.Errorf("replica %s crashed: %s", r.name, crash))
		} else if !ended && (r.stays || !r.excused() && !strings.Contains(r.since(logged), lostLease)) {
			r.fault(fmt.Errorf("replica %s ended by itself: %s", r.name, lastLine(r.since(logged))))
		}
		pause(ctx, max(down, restartAfter))
	}
}

// startedAt returns the start of the process that runs, or ran last.
func (r *replica) startedAt() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.started
}

// running is the process, or nil while none runs.
func (r *replica) running() *scenario.Autoscaler {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.process
}

// end ends the process by how, and keeps it down for so long. Without a process, or while it ends already, nothing happens.
func (r *replica) end(down time.Duration, how func(*scenario.Autoscaler) error) error {
	r.mu.Lock()
	process := r.process
	if process == nil || r.ended {
		r.mu.Unlock()
		return nil
	}
	r.ended, r.until = true, time.Now().Add(down)
	r.mu.Unlock()
	if err := process.Resume(); err != nil && process.Running() { // it may be on hold
		return err
	}
	return how(process)
}

// kill kills the process, and keeps it down for so long.
func (r *replica) kill(down time.Duration) error {
	return r.end(down, func(a *scenario.Autoscaler) error { a.Kill(); return nil })
}

// hold stops the process where it stands, and returns a function that lets it go on.
func (r *replica) hold() (resume func() error, err error) {
	process := r.running()
	if process == nil || !process.Running() {
		return func() error { return nil }, nil
	}
	if err := process.Pause(); err != nil && process.Running() {
		return nil, err
	}
	return func() error {
		if err := process.Resume(); err != nil && process.Running() {
			return err
		}
		return nil
	}, nil
}

// logged is the length of the log.
func (r *replica) logged() int64 {
	info, err := os.Stat(r.log)
	if err != nil {
		return 0
	}
	return info.Size()
}

// since is the log beyond its first bytes.
func (r *replica) since(bytes int64) string {
	raw, err := os.ReadFile(r.log)
	if err != nil || int64(len(raw)) < bytes {
		return ""
	}
	return string(raw[bytes:])
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}

// pause waits, but not beyond the end of ctx.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

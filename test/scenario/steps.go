package scenario

import (
	"fmt"
	"strings"
	"sync"
	"time"
)

type step struct {
	words   string
	took    time.Duration
	allowed time.Duration // zero without a limit
}

// steps records a script's commands. A nil *steps records nothing. Safe for concurrent use.
type steps struct {
	name  string
	began time.Time

	mu      sync.Mutex
	took    time.Duration // of the whole script, zero while it runs
	doing   string        // the command under way, empty between commands
	since   time.Time     // when it began
	slowest step          // among those with an allowance
}

// begin records a command. The caller calls done when the command has ended.
func (s *steps) begin(words []string) (done func()) {
	if s == nil {
		return func() {}
	}
	began := step{words: strings.Join(words, " "), allowed: allowance(words)}
	start := time.Now()
	s.mu.Lock()
	s.doing, s.since = began.words, start
	s.mu.Unlock()
	return func() {
		began.took = time.Since(start)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.doing = ""
		if began.allowed > 0 && began.took > s.slowest.took {
			s.slowest = began
		}
	}
}

// allowance is how long a command may take, zero where the script states nothing.
func allowance(words []string) time.Duration {
	if len(words) < 2 || words[0] != "expect" {
		return 0
	}
	within, err := time.ParseDuration(words[1])
	if err != nil {
		return 0
	}
	return within
}

func (s *steps) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.took = time.Since(s.began)
}

// String is one line: the script, how long it took, and its slowest step beside its allowance.
func (s *steps) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.took == 0 && s.doing == "":
		return fmt.Sprintf("%-24s %6.1f s  runs on", s.name, time.Since(s.began).Seconds())
	case s.took == 0:
		return fmt.Sprintf("%-24s %6.1f s  since %.1f s in: %s", s.name, time.Since(s.began).Seconds(), time.Since(s.since).Seconds(), s.doing)
	case s.slowest.allowed == 0:
		return fmt.Sprintf("%-24s %6.1f s", s.name, s.took.Seconds())
	default:
		return fmt.Sprintf("%-24s %6.1f s  %6.1f s of %3.0f s  %s", s.name, s.took.Seconds(), s.slowest.took.Seconds(), s.slowest.allowed.Seconds(), s.slowest.words)
	}
}

package fakeaws

import "time"

// staleStep is how fine the past is kept.
const staleStep = 100 * time.Millisecond

// A past keeps the groups as they were, for readings that are older than the question, as those of a system of replicas can
// be. Each reading is of another age, so that a later one may be older than one before it.
type past struct {
	most     time.Duration // age of a reading; 0 for none but the present
	running  bool
	readings []pastReading // oldest first
}

type pastReading struct {
	at     time.Time
	groups map[string]xmlGroup
}

// SetStaleReads has DescribeAutoScalingGroups answer with readings up to most old, each by chance; 0 ends it. The present
// is read until there is a past. Groups appear and go at once.
func (s *Server) SetStaleReads(most time.Duration) {
	a := s.account
	a.mu.Lock()
	defer a.mu.Unlock()
	a.past.most = most
	a.remember()
}

// remember adds the present to the past, again and again while that is wanted.
func (a *account) remember() {
	p := &a.past
	if p.most <= 0 {
		p.readings = nil
		return
	}
	if p.running {
		return
	}
	p.running = true
	reading := pastReading{at: time.Now(), groups: map[string]xmlGroup{}}
	for name, g := range a.groups {
		reading.groups[name] = a.shape(g)
	}
	p.readings = append(p.readings, reading)
	for len(p.readings) > 1 && time.Since(p.readings[1].at) > p.most {
		p.readings = p.readings[1:]
	}
	a.at(time.Now(), Duration(staleStep), func() {
		p.running = false
		a.remember()
	})
}

// reader returns how one call sees groups: all as they were at the same moment.
func (a *account) reader() func(*group) xmlGroup {
	if len(a.past.readings) == 0 {
		return a.shape
	}
	at := time.Now().Add(-time.Duration(a.random.Int64N(int64(a.past.most) + 1)))
	chosen := a.past.readings[0]
	for _, r := range a.past.readings {
		if r.at.After(at) {
			break
		}
		chosen = r
	}
	return func(g *group) xmlGroup {
		if x, ok := chosen.groups[g.Name]; ok {
			return x
		}
		return a.shape(g)
	}
}

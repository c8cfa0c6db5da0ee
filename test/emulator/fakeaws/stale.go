package fakeaws

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// staleStep is the time between two records of the past. With thousands of groups it is longer: recording may take a tenth of the time.
const staleStep = 100 * time.Millisecond

// staleActions are the readings that can be old. EC2 documents that its API is eventually consistent and that an instance just
// launched may be unknown to DescribeInstances ("Eventual consistency in the Amazon EC2 API", read 2026-11). Auto Scaling documents
// nothing: old readings of groups and activities are a guess on the strict side.
var staleActions = []string{"DescribeAutoScalingGroups", "DescribeScalingActivities", "DescribeInstances"}

// StaleReads says how old readings can be.
type StaleReads struct {
	// Most is the greatest age of a reading. 0 reads the present. The seed gives each reading an age, so a reading may show an earlier
	// time than the reading before it.
	Most Duration
	// Worst makes readings of an action take turns: the first after a write is as old as Most allows, the second shows the
	// present, and so on. So the reading right after a write never shows that write, and time goes back again and again.
	Worst bool
}

// A past keeps earlier states of the account, for readings that lag behind, as a replica's do.
type past struct {
	StaleReads
	running  bool
	readings []moment       // oldest first
	turns    map[string]int // readings since the last write, by action
}

// A moment is the account at one time.
type moment struct {
	at        time.Time
	groups    map[string]xmlGroup
	instances map[string]ec2State // by ID
}

// SetStaleReads makes readings be up to most old, by chance. 0 ends it.
func (s *Server) SetStaleReads(most time.Duration) { s.SetStale(StaleReads{Most: Duration(most)}) }

// SetStale changes how old readings can be. Readings show the present until there is a past. Groups appear and go at once.
func (s *Server) SetStale(reads StaleReads) {
	a := s.account
	a.mu.Lock()
	defer a.mu.Unlock()
	a.past.StaleReads, a.past.turns = reads, nil
	a.remember()
}

// remember adds the present to the past, repeatedly while stale readings are configured.
func (a *account) remember() {
	p := &a.past
	if p.Most <= 0 {
		p.readings = nil
		return
	}
	if p.running {
		return
	}
	p.running = true
	p.readings = append(p.readings, a.present())
	for len(p.readings) > 1 && time.Since(p.readings[1].at) > time.Duration(p.Most) {
		p.readings = p.readings[1:]
	}
	took := time.Since(p.readings[len(p.readings)-1].at)
	a.at(time.Now(), Duration(max(staleStep, 10*took)), func() {
		p.running = false
		a.remember()
	})
}

func (a *account) present() moment {
	now := moment{at: time.Now(), groups: map[string]xmlGroup{}, instances: make(map[string]ec2State, len(a.instances))}
	for name, g := range a.groups {
		now.groups[name] = a.shape(g)
	}
	for id, i := range a.instances {
		now.instances[id] = i.ec2State()
	}
	return now
}

// noteWrite begins a new turn of readings after a write.
func (a *account) noteWrite(action string) {
	if !strings.HasPrefix(action, "Describe") && !strings.HasPrefix(action, "Get") {
		a.past.turns = nil
	}
}

// read picks the moment that one call sees in all its readings. It is nil for the present.
func (a *account) read(action string) *moment {
	p := &a.past
	if len(p.readings) == 0 || !slices.Contains(staleActions, action) {
		return nil
	}
	age := time.Duration(p.Most)
	if p.Worst {
		if p.turns == nil {
			p.turns = map[string]int{}
		}
		p.turns[action]++
		if p.turns[action]%2 == 0 {
			return nil
		}
	} else {
		age = time.Duration(a.random.Int64N(int64(p.Most) + 1))
	}
	at := time.Now().Add(-age)
	chosen := &p.readings[0]
	for n := range p.readings {
		if p.readings[n].at.After(at) {
			break
		}
		chosen = &p.readings[n]
	}
	return chosen
}

// group is the group at the moment.
func (m *moment) group(a *account, g *group) xmlGroup {
	if m != nil {
		if x, ok := m.groups[g.Name]; ok {
			return x
		}
	}
	return a.shape(g)
}

// state is the state of an instance of EC2 at the moment. It is false if the instance was not known yet.
func (m *moment) state(i *instance) (ec2State, bool) {
	if m == nil {
		return i.ec2State(), true
	}
	state, known := m.instances[i.id]
	return state, known
}

// activity is an activity at the moment, or nil if it had not begun, or other activities had replaced it.
func (m *moment) activity(act *activity) *activity {
	switch {
	case !act.replaced.IsZero() && (m == nil || !act.replaced.After(m.at)):
		return nil
	case m == nil:
		return act
	case act.recorded.After(m.at):
		return nil
	case act.ended.After(m.at) && act.before != nil:
		return act.before
	}
	return act
}

// SetClockSkew sets how far AWS's clock is ahead of this machine's, as callers see it: in the Date of every answer, and in the
// times of scaling activities, finished ones included, of scheduled actions, of events and of messages. Below zero it is behind.
func (s *Server) SetClockSkew(d time.Duration) {
	s.account.mu.Lock()
	defer s.account.mu.Unlock()
	s.account.skew = d
}

// date is the Date of an answer given now.
func (a *account) date() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return time.Now().Add(a.skew).UTC().Format(http.TimeFormat)
}

// skewed is an activity as described, its times by AWS's clock.
func (a *account) skewed(act *activity) xmlActivity {
	x := act.shape()
	if a.skew != 0 {
		x.StartTime = timestamp(act.started.Add(a.skew))
		if !act.ended.IsZero() {
			x.EndTime = timestamp(act.ended.Add(a.skew))
		}
	}
	return x
}

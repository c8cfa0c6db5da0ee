package move_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/move"
)

// lowered is a fleet with one node a-<n> of a group for each number of pods. The group is about to be lowered.
func lowered(t *testing.T, to group.Timed, pods ...int) *fleet {
	f := newFleet(t)
	for n, count := range pods {
		f.node(fmt.Sprintf("a-%d", n), nil, strings.Fields(strings.Repeat("web ", count))...)
		f.nodes[n].Instance.Weight = 1
		f.groups["a"].Instances = append(f.groups["a"].Instances, *f.nodes[n].Instance)
	}
	f.groups["a"].DesiredCapacity, f.groups["a"].Timed = len(pods), []group.Timed{to}
	f.groups["a"].Tags = map[string]string{move.TagBudget: "100%"}
	return f
}

func (f *fleet) shrinks(t *testing.T, windows ...string) *move.Machine {
	m := machine(t)
	m.Reasons = []move.Reason{labelled(move.Repair), &move.Shrink{Keeps: func(n *corev1.Node) bool { return f.alone[n.Name] }}, labelled(move.Rotation)}
	var err error
	m.Windows, err = move.ParseWindows(windows)
	require.NoError(t, err)
	return m
}

func TestNodesBeyondAMaximumByTheClockMove(t *testing.T) {
	moving := move.State{Reason: move.Schedule, Step: move.Placing, Since: noon.Add(-time.Minute)}
	for _, tt := range []struct {
		name    string
		pods    []int // on each node
		max     int
		tag     bool
		before  time.Duration
		windows []string
		change  func(f *fleet)
		want    string
	}{
		{name: "the cheapest", pods: []int{2, 0, 1}, max: 2, want: "a-1 placing"},
		{name: "one workload after the other", pods: []int{1, 0, 1}, max: 0, want: "a-0 placing, a-1 placing, a-2 held: workload"},
		{name: "no time is left", pods: []int{1, 0, 1}, max: 0, before: 6 * time.Minute, want: "a-0 placing, a-1 placing, a-2 placing"},
		{name: "a tag has time", pods: []int{1, 0, 1}, max: 0, before: -time.Hour, tag: true, want: "a-0 placing, a-1 placing, a-2 held: workload"},
		{name: "none is beyond it", pods: []int{0, 0}, max: 2},
		{name: "the minimum stays", pods: []int{0, 0}, max: 0, change: func(f *fleet) { f.groups["a"].MinSize = 1 }, want: "a-0 placing"},
		{name: "one that moves already", pods: []int{0, 5}, max: 1, change: func(f *fleet) { state(f.nodes[1].Node, moving) }},
		{name: "one that rotates, too", pods: []int{0, 5}, max: 1, change: func(f *fleet) {
			f.nodes[1].Labels = map[string]string{move.Rotation: ""}
			state(f.nodes[1].Node, move.State{Reason: move.Rotation, Step: move.Placing})
		}},
		{name: "one that leaves", pods: []int{0, 5}, max: 1, change: func(f *fleet) { f.nodes[1].Leaving = true; f.alone["a-1"] = true }, want: "a-1 held: left-alone"},
		{name: "one that has left", pods: []int{0, 5, 0}, max: 1, change: func(f *fleet) {
			f.nodes[2].Instance.Lifecycle, f.groups["a"].Instances[2].Lifecycle = "Terminating", "Terminating"
		}, want: "a-0 placing"},
		{name: "one that is left alone", pods: []int{0, 5}, max: 1, change: func(f *fleet) { f.alone["a-0"] = true }, want: "a-1 placing"},
		{name: "one that somebody has cordoned", pods: []int{0, 5}, max: 1, change: func(f *fleet) { f.nodes[0].Spec.Unschedulable = true }, want: "a-1 placing"},
		{name: "one that waits for its next try", pods: []int{0, 5}, max: 1, change: func(f *fleet) { state(f.nodes[0].Node, moving.Postponed(noon)) }, want: "a-1 placing"},
		{name: "one that waits, and no time is left", pods: []int{5}, max: 0, before: 6 * time.Minute,
			change: func(f *fleet) { state(f.nodes[0].Node, moving.Postponed(noon)) }, want: "a-0 placing"},
		{name: "one that waits beside another, and no time is left", pods: []int{0, 5}, max: 1, before: 6 * time.Minute,
			change: func(f *fleet) { state(f.nodes[0].Node, moving.Postponed(noon)) }, want: "a-1 placing, a-0 held: unsure"},
		{name: "its next try, after others", pods: []int{0, 5, 5}, max: 1, change: func(f *fleet) { state(f.nodes[0].Node, moving.Postponed(noon.Add(-time.Hour))) },
			want: "a-1 placing, a-0 held: unsure, a-2 held: workload"},
		{name: "too heavy a node", pods: []int{0, 5}, max: 1, change: func(f *fleet) { f.nodes[0].Instance.Weight = 2 }, want: "a-1 placing"},
		{name: "pods wait", pods: []int{0, 5}, max: 1, change: func(f *fleet) { f.pending = true }, want: "a-0 placing"},
		{name: "a window for all reasons", pods: []int{0, 5}, max: 1, windows: []string{"deny * * * * * 1h", "allow 0 0 1 1 * 1m"}, want: "a-0 placing"},
		{name: "a window of its own", pods: []int{0, 5}, max: 1, windows: []string{"schedule:deny * * * * * 1h"}, want: "a-0 held: window"},
		{name: "a group's budget", pods: []int{0, 5}, max: 1, change: func(f *fleet) { f.groups["a"].Tags[move.TagBudget] = "schedule:0" }, want: "a-0 held: budget"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			to := group.Timed{By: "the scheduled action x", Max: tt.max, From: noon.Add(10 * time.Minute)}
			if tt.before != 0 {
				to.From = noon.Add(tt.before)
			}
			if tt.tag {
				to.Until = noon.Add(time.Hour)
			}
			f := lowered(t, to, tt.pods...)
			if tt.change != nil {
				tt.change(f)
			}
			d := f.decide(f.shrinks(t, tt.windows...), noon)
			for at := range d.Changes { // of the cause alone
				if s, begun := move.StateOf(d.Changes[at].Node); begun && s.Step == move.Placing {
					d.Changes = append(d.Changes[:at], d.Changes[at+1:]...)
					break
				}
			}
			got := result(d)
			assert.Truef(t, got == tt.want, "got  %s\nwant %s", got, tt.want)
		})
	}
}

// A lower maximum that runs or comes later has time, and AWS's action has none. AWS takes two of the four nodes that are beyond the lowest maximum, and
// none of those that are protected from scale-in, whether it keeps them beyond the desired capacity or not.
func TestLowerMaximumHidesNoActionOfAWS(t *testing.T) {
	action := group.Timed{By: "the scheduled action x", Max: 3, From: noon.Add(6 * time.Minute)}
	tag := group.Timed{By: "its tag", Max: 1, From: noon.Add(-time.Hour), Until: noon.Add(time.Hour)}
	for name, tt := range map[string]struct {
		lower           group.Timed
		protected, kept int
	}{
		"tag":          {lower: tag},
		"later action": {lower: group.Timed{By: "the scheduled action y", Max: 1, From: noon.Add(14 * time.Minute)}},
		"protected":    {lower: tag, protected: 4},
		"kept node":    {lower: tag, protected: 5, kept: 1},
	} {
		f := lowered(t, tt.lower, 0, 1, 2, 3, 4)
		g := f.groups["a"]
		g.Timed, g.DesiredCapacity = append(g.Timed, action), g.DesiredCapacity-tt.kept
		for at := range tt.protected {
			g.Instances[at].Protected = true
		}
		m := f.shrinks(t)
		f.decide(m, noon)
		var all []string
		ends := []string{}
		for _, n := range f.nodes {
			if why, due := m.Reasons[1].Due(n, noon); due {
				all = append(all, n.Name)
				if why.Ends && why.IgnoresWishes {
					ends = append(ends, n.Name)
				}
			}
		}
		assert.Equal(t, []string{"a-0", "a-1", "a-2", "a-3"}, all, name)
		assert.Equal(t, []string{"a-0", "a-1"}[:min(2, 5-tt.protected)], ends, name)
	}
}

// What another loop chooses differs, and the node that has begun stays the one.
func TestChosenNodeStaysChosen(t *testing.T) {
	f := lowered(t, group.Timed{By: "the scheduled action x", Max: 1, From: noon.Add(10 * time.Minute)}, 1, 2)
	m := f.shrinks(t)
	d := f.decide(m, noon)
	require.Truef(t, len(d.Changes) == 1 && d.Changes[0].Node.Name == "a-0", "%s, want a-0 to move", result(d))
	const cause = `the scheduled action x lowers group "a" to 1 at 2026-11-26 12:10 UTC`
	s := d.Changes[0].State
	assert.Truef(t, s.Cause == cause && !s.IgnoresWishes, "state %+v, want the cause %s", s, cause)
	state(f.nodes[0].Node, *d.Changes[0].State)
	f.nodes[1].Pods = func() []*corev1.Pod { return nil }
	if got := result(f.decide(m, noon.Add(time.Minute))); got != "" {
		t.Errorf("%s, want no change", got)
	}
	if d := f.decide(m, noon.Add(4*time.Minute)); len(d.Changes) != 1 || !d.Changes[0].State.IgnoresWishes {
		t.Errorf("%s, want its pods to keep it no more", result(d))
	}
	f.groups["a"].Timed = nil
	got := result(f.decide(m, noon.Add(5*time.Minute)))
	assert.Truef(t, got == "a-0 held: unsure", "%s, want the move to be unsure", got)
}

func TestMachineIsIdleWithoutASurplus(t *testing.T) {
	f := lowered(t, group.Timed{Max: math.MaxInt}, 1, 1)
	m, a := f.shrinks(t), f.groups["a"]
	assert.False(t, m.Idle([]*group.Group{a}), "it is idle with other reasons")
	m.Reasons = m.Reasons[1:2]
	assert.True(t, m.Idle([]*group.Group{a}), "it is not idle without a surplus")
	a.Timed[0].Max = 1
	assert.False(t, m.Idle([]*group.Group{a}), "it is idle with a surplus")
}

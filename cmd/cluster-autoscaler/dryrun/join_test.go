package dryrun

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
)

func TestFirstLoopThatDecidesCounts(t *testing.T) {
	pod := func(uid string, state decision.PodState, search int) decision.Pod {
		return decision.Pod{UID: uid, State: state, Search: search}
	}
	search := func(group string) decision.Search { return decision.Search{Answers: []decision.Answer{{Group: group}}} }
	first := &decision.Report{Groups: []decision.Group{{Name: "a", Desired: 1}}, Searches: []decision.Search{search("a")},
		Pods: []decision.Pod{pod("launches", decision.PodLaunching, 0), pod("left", decision.PodDelayed, -1), pod("twin", decision.PodDelayed, -1), pod("gone", decision.PodDelayed, -1)}}
	second := &decision.Report{Groups: []decision.Group{{Name: "a", Desired: 2}}, Loop: decision.Loop{Number: 2}, Searches: []decision.Search{search("x"), search("b")},
		Pods: []decision.Pod{pod("launches", decision.PodFits, -1), pod("left", decision.PodHelpless, 1), pod("twin", decision.PodHelpless, 1)}}
	want := &decision.Report{Groups: first.Groups, Loop: second.Loop, Searches: []decision.Search{search("a"), search("x"), search("b")},
		Pods: []decision.Pod{pod("launches", decision.PodLaunching, 0), pod("left", decision.PodHelpless, 2), pod("twin", decision.PodHelpless, 2), pod("gone", decision.PodDelayed, -1)}}
	assert.Empty(t, cmp.Diff(want, Join(Join(nil, first), second)), "two loops (-want +got)")
	assert.True(t, len(first.Searches) == 1 && first.Pods[1].State == decision.PodDelayed, "the first loop's report was changed")
}

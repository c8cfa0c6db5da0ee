package pages

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
)

type cause struct {
	decision.Reason
	Key     string // stays while only figures of the message change. The script finds by it the element that it keeps open
	State   decision.PodState
	rank    int // of the state
	Level   level
	Word    string // the state in words
	Count   int
	Since   time.Time // when the first of them became pending
	Pods    list[*decision.Pod]
	Answers list[decision.Answer] // to the first of them
}

// podStates are the states of pods: first the ones that an operator can do something about.
var podStates = []struct {
	state decision.PodState
	level level
	word  string
}{
	{decision.PodHelpless, bad, "no group helps"},
	{decision.PodDelayed, moving, "delayed"},
	{decision.PodLaunching, moving, "node on its way"},
	{decision.PodFits, moving, "has a place"},
	{decision.PodIgnored, calm, "gets no node"},
}

// newCauses groups the pending pods by state and cause, the most urgent and then the largest first.
func newCauses(report *decision.Report) []cause {
	type key struct {
		state   decision.PodState
		code    decision.Code
		message string
	}
	index := map[key]int{}
	var causes []cause
	for _, pod := range pointers(report.Pods) {
		k := key{pod.State, pod.Cause.Code, pod.Cause.Message}
		i, known := index[k]
		if !known {
			i = len(causes)
			index[k] = i
			c := cause{Reason: pod.Cause, State: pod.State, Since: pod.Since}
			for rank, s := range podStates {
				if s.state == pod.State {
					c.rank, c.Level, c.Word = rank, s.level, s.word
				}
			}
			if pod.State == decision.PodHelpless && pod.Group != "" {
				c.Word = "still no node"
			}
			if s := pod.Search; s >= 0 && s < len(report.Searches) {
				c.Answers = first(report.Searches[s].Answers, mostAnswers)
			}
			causes = append(causes, c)
		}
		c := &causes[i]
		c.Count++
		if pod.Since.Before(c.Since) {
			c.Since = pod.Since
		}
		if len(c.Pods.Shown) < mostPods {
			c.Pods.Shown = append(c.Pods.Shown, pod)
		} else {
			c.Pods.More++
		}
	}
	slices.SortStableFunc(causes, func(a, b cause) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(b.Count, a.Count), strings.Compare(a.Message, b.Message))
	})
	seen := map[string]int{}
	for i := range causes[:min(len(causes), mostCauses)] {
		k := bounded(string(causes[i].State)+" "+digits.ReplaceAllString(causes[i].Message, ""), longestName)
		seen[k]++
		causes[i].Key = fmt.Sprintf("%s-%d", k, seen[k])
	}
	return causes
}

var digits = regexp.MustCompile(`\p{Nd}`)

package status

import (
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/autoscaler/cluster-autoscaler/clusterstate/api"
)

// A part is the text of some groups. Most groups do not change from loop to loop, but for the times at which the core looked at them. So
// the text has marks for these times, and is made once per change.
type part struct {
	groups []api.NodeGroupStatus // with marks
	text   string
}

// marks stand for the times of the three conditions of a group.
var marks = [...]metav1.Time{mark(1), mark(2), mark(3)}

func mark(n int) metav1.Time { return metav1.Time{Time: time.Date(1, 1, 1, 0, 0, n, 0, time.UTC)} }

// looked are the times at which the core looked at a group.
func looked(g *api.NodeGroupStatus) [len(marks)]*metav1.Time {
	return [...]*metav1.Time{&g.Health.LastProbeTime, &g.ScaleUp.LastProbeTime, &g.ScaleDown.LastProbeTime}
}

// write returns the text of one or more groups.
func (p *part) write(groups []api.NodeGroupStatus) (string, error) {
	common, marked := looked(&groups[0]), slices.Clone(groups)
	for at := range marked {
		for n, t := range looked(&marked[at]) {
			if t.IsZero() || !t.Equal(common[n]) {
				return marshal(groups)
			}
			*t = marks[n]
		}
	}
	if !slices.Equal(p.groups, marked) {
		text, err := marshal(marked)
		if err != nil {
			return "", err
		}
		*p = part{marked, text}
	}
	var times []string
	for n, t := range common {
		if strings.Count(p.text, stamp(marks[n])) != len(groups) { // the name of a group looks like a mark
			return marshal(groups)
		}
		times = append(times, stamp(marks[n]), stamp(*t))
	}
	return strings.NewReplacer(times...).Replace(p.text), nil
}

// stamp is the time as the API machinery writes it.
func stamp(t metav1.Time) string { return t.UTC().Format(time.RFC3339) }

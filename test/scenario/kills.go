package scenario

import (
	"strings"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// AccessKey is the key with which the autoscaler signs its calls. Events that name their caller end with it.
const AccessKey = "autoscaler"

// UndrainedKills returns the moments at which an instance was terminated undrained because of the autoscaler. Either it named
// the instance, or Auto Scaling chose the instance after the autoscaler had lowered the desired capacity. An operator, a
// schedule and AWS itself may end any instance.
func UndrainedKills(moments []Moment, events []fakeaws.Event) []Moment {
	chosen := map[string]fakeaws.Event{} // the write that killed an instance, by instance
	lowered := map[string]fakeaws.Event{}
	for _, e := range events {
		switch e.Kind {
		case fakeaws.DesiredChanged:
			if e.To < e.From {
				lowered[e.Group] = e
			}
		case fakeaws.ScaleInKill:
			chosen[e.Instance] = lowered[e.Group]
		}
	}
	var kills []Moment
	for _, m := range moments {
		write, scaledIn := chosen[m.Object]
		if m.Kind == KilledUndrained && (!scaledIn || strings.HasSuffix(write.By, " "+AccessKey)) {
			kills = append(kills, m)
		}
	}
	return kills
}

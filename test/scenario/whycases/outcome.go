package whycases

import (
	"testing"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
)

// Outcome is what the autoscaler knows about the object in question after its loops.
type Outcome struct {
	State  string // a decision.PodState or decision.NodeState
	Reason decision.Reason
	Record *decision.Record
	Events []string // since the start, as "Type Reason Message"
}

// events returns what has been published since the last call.
func (a *autoscaler) events() []string {
	var events []string
	for {
		select {
		case event := <-a.recorder.Events:
			events = append(events, event)
		default:
			return events
		}
	}
}

// outcome looks the object in question up in the report.
func (a *autoscaler) outcome(t testing.TB, c *Case) Outcome {
	t.Helper()
	o := Outcome{Record: a.collector.Record, Events: a.events()}
	report := o.Record.Report()
	kind, name := c.Asked()
	if kind == "pod" {
		for _, p := range report.Pods {
			if p.Namespace+"/"+p.Name == name {
				o.State, o.Reason = string(p.State), p.Cause
				return o
			}
		}
	}
	for _, n := range report.Nodes {
		if kind == "node" && n.Name == name {
			o.State, o.Reason = string(n.State), n.Reason
			return o
		}
	}
	t.Fatalf("the report has no %s %q: %+v", kind, name, report)
	return o
}

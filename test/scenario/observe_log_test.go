package scenario

import "testing"

func TestChoiceGivesItsReasons(t *testing.T) {
	const winner = `I1120 09:00:00.000000       1 filter.go:79] "Found the scale-up option with the least waste" ` +
		`nodeGroup="g4dn-spot" score=0.98765 idleCPURatio=1 idleMemoryRatio=0.9753 nodes=3 pods=3 options=1`
	for _, tt := range []struct {
		name  string
		lines []string
		why   string
	}{
		{name: "alone", lines: []string{winner}, why: "3 node(s) for 3 pod(s), waste 0.98 of 1; the only option"},
		{name: "others do not fit", lines: []string{"No pod can fit to basic", "No pod can fit to big", winner},
			why: "3 node(s) for 3 pod(s), waste 0.98 of 1; no pod fits basic, big"},
		{name: "contested", lines: []string{winner + ` runnerUp="g5-spot" runnerUpScore=0.99`},
			why: "3 node(s) for 3 pod(s), waste 0.98 of 1; next best g5-spot at 0.99"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var choices choiceReader
			var group, why string
			for _, line := range tt.lines {
				group, why, _ = choices.read(line)
			}
			if group != "g4dn-spot" || why != tt.why {
				t.Errorf("chose %q because %q, want %q", group, why, tt.why)
			}
		})
	}
}

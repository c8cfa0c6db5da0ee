package whycases

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
)

var update = flag.Bool("update", false, "rewrite want.txt of every case")

// clocks are the times of day in a message.
var clocks = regexp.MustCompile(`\d\d:\d\d:\d\d UTC`)

// text is an outcome as the golden has it, without the time of day.
func text(o Outcome) string {
	s := fmt.Sprintf("%s\nstate: %s\ncode: %s\n", o.Reason.Message, o.State, o.Reason.Code)
	if o.Reason.Remedy != "" {
		s += "remedy: " + o.Reason.Remedy + "\n"
	}
	return clocks.ReplaceAllString(s, "12:00:00 UTC")
}

func TestFirstLineNamesTheCause(t *testing.T) {
	cases, err := All()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			o := c.Run(t)
			got := text(o)
			if *update {
				file := filepath.Join("testdata", c.Name+".txtar")
				before, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, c.withWant(before, got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(c.Files[WantFile]), got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.About, diff)
			}
			event := "Normal NotTriggerScaleUp pod didn't trigger scale-up: " + o.Reason.Message
			if o.State == string(decision.PodHelpless) && !slices.Contains(o.Events, event) {
				t.Errorf("the events %q do not say %q", o.Events, event)
			}
		})
	}
}

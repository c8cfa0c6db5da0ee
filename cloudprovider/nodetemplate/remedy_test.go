package nodetemplate

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestRemedyStatesOnlyWhatTheOwnerMeant(t *testing.T) {
	for _, tt := range []struct {
		key, value string
		want       []string // parts of the remedy
	}{
		{labelPrefix + "team", "ml team", []string{"delete it: aws autoscaling delete-tags "}},
		{labelPrefix + "team/x/y", "a", []string{"delete it: "}},
		{resourcesPrefix + "nvidia.com/gpu", "four", []string{"delete it: "}},
		{optionsPrefix + "scaledownunneededtime", "soon", []string{"delete it: "}},
		{optionsPrefix + "ScaleDownUnneededTime", "5m", []string{`"Value":"5m"`, " && aws autoscaling delete-tags "}},
		{"x-" + labelPrefix + "team", "a", []string{`"Key":"` + labelPrefix + `team","Value":"a"`, " && aws autoscaling delete-tags "}},
		{taintPrefix + "dedicated", "gpu", []string{"state the taint that the nodes have: its key behind taint/, and as the value <value>:<effect>"}},
		{taintPrefix + "dedicated", "a b:NO_EXECUTE", []string{"state the taint that the nodes have: its key behind taint/, and as the value <value>:<effect>"}},
	} {
		_, problems := ParseTags("web", map[string]string{tt.key: tt.value})
		if len(problems) != 1 {
			t.Errorf("%s=%s has the problems %v, want one", tt.key, tt.value, problems)
			continue
		}
		remedy := problems[0].Remedy()
		for _, want := range tt.want {
			assert.Truef(t, strings.Contains(remedy, want), "the remedy of %s=%s is %s, want %s in it", tt.key, tt.value, remedy, want)
		}
		assert.Falsef(t, strings.HasPrefix(tt.key, taintPrefix) && strings.Contains(remedy, "delete"),
			"the remedy of %s=%s deletes the tag: %s", tt.key, tt.value, remedy)
		assert.Falsef(t, strings.Contains(remedy, `"Value":"a"`) && tt.value != "a",
			"the remedy of %s=%s sets a value of an example: %s", tt.key, tt.value, remedy)
	}
}

func TestProblemsRepeatLittle(t *testing.T) {
	long := strings.Repeat("x", 10_000)
	for _, reason := range []Reason{ReasonLabelValue, ReasonUnknownType, ReasonTaintForm} {
		said := Problem{Group: "web", Key: "a", Value: long, Reason: reason, Expected: "a short one"}.String()
		assert.Equal(t, 80, strings.Count(said, "xx")*2, said)
	}
}

package show

import (
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate"
)

func input(t *testing.T, types ...string) nodetemplate.Input {
	t.Helper()
	in := nodetemplate.Input{Group: "g", Zones: []string{"us-west-2a"}, Tags: map[string]string{
		labelTag + "stated": "yes", resourcesTag + "example.com/thing": "2",
	}, UserData: &nodetemplate.UserData{
		Form:   "bootstrap.sh",
		Labels: map[string]string{"team": "a", "stated": "no", "example.com/empty": ""},
		Taints: []corev1.Taint{{Key: "dedicated", Value: "a", Effect: corev1.TaintEffectNoSchedule}, {Key: "bare", Effect: corev1.TaintEffectNoExecute}},
	}}
	for _, name := range types {
		facts, ok := instancetypes.Embedded().Lookup(name)
		if !ok {
			t.Fatalf("no type %q", name)
		}
		in.Members = append(in.Members, nodetemplate.Member{Type: facts})
	}
	return in
}

func TestTagsStateDerivedFactsAndKeepAllocatable(t *testing.T) {
	for _, types := range [][]string{{"m5.large"}, {"g4dn.xlarge", "g4dn.2xlarge"}, {"trn1.32xlarge"}} {
		t.Run(strings.Join(types, ","), func(t *testing.T) {
			in := input(t, types...)
			derived, _ := nodetemplate.Build(in)
			tags, notes := explicitTags(derived)
			if len(notes) > 0 {
				t.Errorf("notes = %q, want none", notes)
			}
			in.Tags = maps.Clone(in.Tags)
			for _, tag := range tags {
				in.Tags[tag.Key] = tag.Value
			}
			in.UserData = nil // nobody needs to read it any longer
			stated, problems := nodetemplate.Build(in)
			if len(problems) > 0 {
				t.Errorf("problems = %v, want none", problems)
			}
			if diff := cmp.Diff(derived.Labels, stated.Labels); diff != "" {
				t.Errorf("labels (-derived +stated):\n%s", diff)
			}
			if diff := cmp.Diff(derived.Taints, stated.Taints); diff != "" {
				t.Errorf("taints (-derived +stated):\n%s", diff)
			}
			if diff := cmp.Diff(derived.Allocatable, stated.Allocatable); diff != "" {
				t.Errorf("allocatable (-derived +stated):\n%s", diff)
			}
			for name, source := range stated.Sources.Allocatable {
				if source.Kind != nodetemplate.SourceTag {
					t.Errorf("%s comes from %+v, want a tag", name, source)
				}
			}
			if more, _ := explicitTags(stated); len(more) > 0 {
				t.Errorf("with the tags in place there is still %v to state", more)
			}
		})
	}
}

func TestWhatNoTagCanStateIsNoted(t *testing.T) {
	in := input(t, "m5.large")
	long := strings.Repeat("a", 60) + "." + strings.Repeat("b", 60) + "/c"
	in.UserData.Labels = map[string]string{long: "x"}
	in.UserData.Taints = []corev1.Taint{{Key: "k", Value: "v", Effect: corev1.TaintEffectNoSchedule}, {Key: "k", Value: "v", Effect: corev1.TaintEffectNoExecute}}
	template, _ := nodetemplate.Build(in)
	tags, notes := explicitTags(template)
	if len(notes) != 2 || !strings.Contains(notes[0], "too long for a tag") || !strings.Contains(notes[1], "of which a tag can state one") {
		t.Errorf("notes = %q, want one on the label and one on the taint", notes)
	}
	if slices.ContainsFunc(tags, func(tag tag) bool { return len(tag.Key) > maxKey }) {
		t.Errorf("tags = %v, want none longer than %d", tags, maxKey)
	}
}

// They change with the image and the launch template, and a tag outlives them.
func TestEKSLabelsAreNoTags(t *testing.T) {
	in := input(t, "m5.large")
	in.UserData.Labels = map[string]string{"eks.amazonaws.com/nodegroup": "n", "eks.amazonaws.com/nodegroup-image": "ami-1", "team": "a"}
	for _, tt := range []struct {
		name string
		tags map[string]string
		want []string
	}{
		{name: "managed by EKS", tags: map[string]string{"eks:nodegroup-name": "n", "eks:cluster-name": "c"}, want: []string{"team"}},
		{name: "by its owner", want: []string{"eks.amazonaws.com/nodegroup", "eks.amazonaws.com/nodegroup-image", "team"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in.Tags = tt.tags
			template, _ := nodetemplate.Build(in)
			tags, _ := explicitTags(template)
			var labels []string
			for _, tag := range tags {
				if key, ok := strings.CutPrefix(tag.Key, labelTag); ok {
					labels = append(labels, key)
				}
			}
			if diff := cmp.Diff(tt.want, labels); diff != "" {
				t.Errorf("labels in tags (-want +got):\n%s", diff)
			}
			if got := template.Labels["eks.amazonaws.com/nodegroup-image"]; got != "ami-1" {
				t.Errorf("the template's label is %q, want it kept", got)
			}
		})
	}
}

// hostile is a possible name in AWS and, by way of tags, a possible value.
const hostile = "it's $(touch /tmp/x) `id` \"q\" ${var} %{if} \\ <&>"

func TestTheCommandIsOneArgumentToAShell(t *testing.T) {
	v := Template{Group: hostile, Region: "us-west-2", explicit: []tag{{Key: labelTag + "a", Value: hostile}, {Key: "k", Value: "v"}}}
	command := v.tagText()
	out, err := exec.Command("sh", "-c", `aws() { printf '%s\0' "$@"; }; `+command).Output()
	if err != nil {
		t.Fatal(err)
	}
	args := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
	want := []string{"autoscaling", "create-or-update-tags", "--region", "us-west-2", "--tags", "[\n" +
		`  {"ResourceId":` + quoted + `,"ResourceType":"auto-scaling-group","Key":"k8s.io/cluster-autoscaler/node-template/label/a","Value":` + quoted + `,"PropagateAtLaunch":false},` + "\n" +
		`  {"ResourceId":` + quoted + `,"ResourceType":"auto-scaling-group","Key":"k","Value":"v","PropagateAtLaunch":false}` + "\n]"}
	if diff := cmp.Diff(want, args); diff != "" {
		t.Errorf("arguments (-want +got):\n%s", diff)
	}
}

const quoted = `"it's $(touch /tmp/x) ` + "`id`" + ` \"q\" ${var} %{if} \\ <&>"`

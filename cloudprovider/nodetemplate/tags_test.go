package nodetemplate

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/asg-autoscaler/asg-autoscaler/test/bench/costlimit"
)

// declared fills in what ParseTags always returns, so that a row holds only what its tags make.
func declared(d Declared) Declared {
	if d.Labels == nil {
		d.Labels = map[string]string{}
	}
	if d.Resources == nil {
		d.Resources = corev1.ResourceList{}
	}
	return d
}

const p = "k8s.io/cluster-autoscaler/node-template/"

// Every form that the stock provider acts on, as its code reads them.
func TestParseTagsReadsWhatTheStockProviderReads(t *testing.T) {
	resources := func(name corev1.ResourceName, quantity string) Declared {
		return Declared{Resources: corev1.ResourceList{name: resource.MustParse(quantity)}}
	}
	taint := func(key, value string, effect corev1.TaintEffect) Declared {
		return Declared{Taints: []corev1.Taint{{Key: key, Value: value, Effect: effect}}}
	}
	for _, tt := range []struct {
		key, value string
		want       Declared
	}{
		{key: p + "label/team", value: "a", want: Declared{Labels: map[string]string{"team": "a"}}},
		{key: p + "label/team", value: "", want: Declared{Labels: map[string]string{"team": ""}}},
		{key: p + "label/kubernetes.io/arch", value: "arm64", want: Declared{Labels: map[string]string{"kubernetes.io/arch": "arm64"}}},
		{key: "eks:nodegroup-name", value: "ng", want: Declared{ManagedNodegroup: "ng"}},

		{key: p + "taint/dedicated", value: "gpu:NoSchedule", want: taint("dedicated", "gpu", "NoSchedule")},
		{key: p + "taint/dedicated", value: "gpu:PreferNoSchedule", want: taint("dedicated", "gpu", "PreferNoSchedule")},
		{key: p + "taint/nvidia.com/gpu", value: ":NoSchedule", want: taint("nvidia.com/gpu", "", "NoSchedule")},

		{key: p + "resources/cpu", value: "4", want: resources("cpu", "4")},
		{key: p + "resources/cpu", value: "3920m", want: resources("cpu", "3920m")},
		{key: p + "resources/cpu", value: "+2", want: resources("cpu", "2")},
		{key: p + "resources/memory", value: "1.3Gi", want: resources("memory", "1.3Gi")},
		{key: p + "resources/memory", value: "1Mi", want: resources("memory", "1Mi")},
		{key: p + "resources/memory", value: "1E10", want: resources("memory", "1E10")},
		{key: p + "resources/memory", value: "1Ei", want: resources("memory", "1Ei")},
		{key: p + "resources/ephemeral-storage", value: "0", want: resources("ephemeral-storage", "0")},
		{key: p + "resources/pods", value: "250", want: resources("pods", "250")},
		{key: p + "resources/hugepages-2Mi", value: "1Gi", want: resources("hugepages-2Mi", "1Gi")},
		{key: p + "resources/nvidia.com/gpu", value: "0", want: resources("nvidia.com/gpu", "0")},
		{key: p + "resources/nvidia.com/mig-1g.5gb", value: "7", want: resources("nvidia.com/mig-1g.5gb", "7")},
		{key: p + "resources/smarter-devices/fuse", value: "1k", want: resources("smarter-devices/fuse", "1k")},

		{key: p + "autoscaling-options/scaledownutilizationthreshold", value: "0.4", want: Declared{Options: Options{ScaleDownUtilizationThreshold: new(0.4)}}},
		{key: p + "autoscaling-options/scaledowngpuutilizationthreshold", value: ".3", want: Declared{Options: Options{ScaleDownGPUUtilizationThreshold: new(0.3)}}},
		{key: p + "autoscaling-options/scaledownunneededtime", value: "1h30m", want: Declared{Options: Options{ScaleDownUnneededTime: new(90 * time.Minute)}}},
		{key: p + "autoscaling-options/scaledownunneededtime", value: "0", want: Declared{Options: Options{ScaleDownUnneededTime: new(time.Duration(0))}}},
		{key: p + "autoscaling-options/scaledownunreadytime", value: "20m", want: Declared{Options: Options{ScaleDownUnreadyTime: new(20 * time.Minute)}}},
		{key: p + "autoscaling-options/ignoredaemonsetsutilization", value: "true", want: Declared{Options: Options{IgnoreDaemonSetsUtilization: new(true)}}},
		{key: p + "autoscaling-options/ignoredaemonsetsutilization", value: "F", want: Declared{Options: Options{IgnoreDaemonSetsUtilization: new(false)}}},

		// The stock provider knows the names of these two, and ignores them.
		{key: p + "autoscaling-options/maxnodeprovisiontime", value: "20m", want: Declared{Options: Options{MaxNodeProvisionTime: new(20 * time.Minute)}}},
		{key: p + "autoscaling-options/maxnodeprovisiontime", value: "1s", want: Declared{Options: Options{MaxNodeProvisionTime: new(time.Second)}}},
		{key: p + "autoscaling-options/maxnodestartuptime", value: "5m", want: Declared{Options: Options{MaxNodeStartupTime: new(5 * time.Minute)}}},

		// Not about the template.
		{key: "k8s.io/cluster-autoscaler/enabled", value: "true"},
		{key: "Name", value: "k8s.io/cluster-autoscaler/node-template/label/x"},
		{key: "geeks:forum", value: "yes"}, // holds "eks:", of which the stock provider makes a label
		{key: "eks:anything", value: "x"},  // and this one too
		{key: "", value: ""},
	} {
		t.Run(tt.key+"="+tt.value, func(t *testing.T) {
			got, problems := ParseTags("g", map[string]string{tt.key: tt.value})
			assert.Empty(t, problems, "problems")
			assert.Empty(t, cmp.Diff(declared(tt.want), got), "ParseTags() differs (-want +got)")
		})
	}
}

func TestMalformedTagsAreLeftOutAndReported(t *testing.T) {
	long := strings.Repeat("a", 64)
	for _, tt := range []struct {
		key, value string
		want       Reason
		example    string
	}{
		{key: p + "taint/dedicated", value: "", want: ReasonTaintForm, example: p + "taint/dedicated=true:NoSchedule"},
		{key: p + "taint/dedicated", value: "gpu:noexecute", want: ReasonTaintEffect, example: p + "taint/dedicated=true:NoSchedule"},
		{key: p + "taint/dedicated", value: "a:b:NoSchedule", want: ReasonTaintEffect, example: p + "taint/dedicated=true:NoSchedule"},
		{key: p + "taint/dedicated", value: "a b:NoSchedule", want: ReasonTaintValue, example: p + "taint/dedicated=true:NoSchedule"},
		{key: p + "taint/", value: "a:NoSchedule", want: ReasonTaintKey, example: p + "taint/dedicated=a:NoSchedule"},

		{key: p + "label/" + long, value: "a", want: ReasonLabelKey, example: p + "label/team=a"},
		{key: p + "label/team", value: "a b", want: ReasonLabelValue, example: p + "label/team=a"},

		{key: p + "resources/gpu", value: "1", want: ReasonResourceName, example: p + "resources/ephemeral-storage=100Gi"},
		{key: p + "resources/cpu", value: "-1", want: ReasonResourceQuantity, example: p + "resources/cpu=4"},
		{key: p + "resources/cpu", value: "0", want: ReasonResourceQuantity, example: p + "resources/cpu=4"},
		{key: p + "resources/memory", value: "16GB", want: ReasonResourceQuantity, example: p + "resources/memory=16Gi"},
		{key: p + "resources/memory", value: "1e99", want: ReasonResourceQuantity, example: p + "resources/memory=16Gi"},
		{key: p + "resources/memory", value: "16", want: ReasonResourceQuantity, example: p + "resources/memory=16Gi"},
		{key: p + "resources/ephemeral-storage", value: "100", want: ReasonResourceQuantity, example: p + "resources/ephemeral-storage=16Gi"},
		{key: p + "resources/pods", value: "0", want: ReasonResourceQuantity, example: p + "resources/pods=110"},
		{key: p + "resources/nvidia.com/gpu", value: "0.5", want: ReasonResourceQuantity, example: p + "resources/nvidia.com/gpu=1"},

		{key: p + "autoscaling-options/scaledownutilizationthreshold", value: "50%", want: ReasonOptionValue, example: p + "autoscaling-options/scaledownutilizationthreshold=0.5"},
		{key: p + "autoscaling-options/scaledownutilizationthreshold", value: "NaN", want: ReasonOptionValue, example: p + "autoscaling-options/scaledownutilizationthreshold=0.5"},
		{key: p + "autoscaling-options/scaledownutilizationthreshold", value: "Inf", want: ReasonOptionValue, example: p + "autoscaling-options/scaledownutilizationthreshold=0.5"},
		{key: p + "autoscaling-options/scaledownunneededtime", value: "30", want: ReasonOptionValue, example: p + "autoscaling-options/scaledownunneededtime=10m"},
		{key: p + "autoscaling-options/scaledownunneededtime", value: "-5m", want: ReasonOptionValue, example: p + "autoscaling-options/scaledownunneededtime=10m"},
		{key: p + "autoscaling-options/maxnodeprovisiontime", value: "0", want: ReasonOptionValue, example: p + "autoscaling-options/maxnodeprovisiontime=10m"},
		{key: p + "autoscaling-options/ignoredaemonsetsutilization", value: "yes", want: ReasonOptionValue, example: p + "autoscaling-options/ignoredaemonsetsutilization=true"},
		{key: p + "autoscaling-options/scaledowndelay", value: "5m", want: ReasonUnknownOption},
		{key: p + "autoscaling-options/ScaleDownUnneededTime", value: "5m", want: ReasonUnknownOption, example: p + "autoscaling-options/scaledownunneededtime=5m"},
		{key: "x" + p + "autoscaling-options/scaledownunneededtime", value: "5m", want: ReasonMisplacedPrefix, example: p + "autoscaling-options/scaledownunneededtime=5m"},

		{key: "eks:nodegroup-name", value: "a b", want: ReasonLabelValue},

		{key: p + "labels/team", value: "a", want: ReasonUnknownKind},
	} {
		t.Run(tt.key+"="+tt.value, func(t *testing.T) {
			got, problems := ParseTags("g", map[string]string{tt.key: tt.value, p + "label/other": "kept"})
			assert.Empty(t, cmp.Diff(declared(Declared{Labels: map[string]string{"other": "kept"}}), got), "ParseTags() differs (-want +got)")
			require.Len(t, problems, 1, "problems")
			p := problems[0]
			assert.NotEmpty(t, p.Expected, "problem %+v", p)
			p.Expected = ""
			assert.Equal(t, Problem{Group: "g", Key: tt.key, Value: tt.value, Reason: tt.want, Example: tt.example}, p, "problem")
			if key, value, ok := strings.Cut(tt.example, "="); ok { // a copied example has to be right
				_, again := ParseTags("g", map[string]string{key: value})
				assert.Empty(t, again, "the example is malformed itself")
			}
		})
	}
}

func TestDoubtfulTagsAreUsedAndReported(t *testing.T) {
	tags := map[string]string{
		p + "autoscaling-options/scaledownutilizationthreshold": "50",
		"old-" + p + "label/team":                               "a",
		"old-" + p + "resources/cpu":                            "2",
		"old-" + p + "taint/dedicated":                          "a:NoSchedule",
		p + "taint/dedicated":                                   "b:NoExecute",
	}
	got, problems := ParseTags("g", tags)
	want := Declared{
		Labels:    map[string]string{"team": "a"},
		Resources: corev1.ResourceList{"cpu": resource.MustParse("2")},
		Taints:    []corev1.Taint{{Key: "dedicated", Value: "b", Effect: "NoExecute"}},
		Options:   Options{ScaleDownUtilizationThreshold: new(50.0)},
	}
	assert.Empty(t, cmp.Diff(want, got), "ParseTags() differs (-want +got)")
	var reported []string
	for _, p := range problems {
		reported = append(reported, fmt.Sprint(p.Key, " ", p.Reason, " ", p.Used))
	}
	wantReported := []string{
		p + "autoscaling-options/scaledownutilizationthreshold option-out-of-range true",
		"old-" + p + "label/team misplaced-prefix true",
		"old-" + p + "resources/cpu misplaced-prefix true",
		"old-" + p + "taint/dedicated misplaced-prefix false", // the proper tag wins
	}
	assert.Empty(t, cmp.Diff(wantReported, reported), "problems differ (-want +got)")
}

// The published tags of a GPU group in China, one of them malformed.
func TestMalformedTaintOfThePublishedGPUGroupIsNamed(t *testing.T) {
	got, problems := ParseTags("g4dn-spot", gpuGroupTags)
	assert.Empty(t, cmp.Diff(declared(Declared{Labels: map[string]string{"nvidia.com/gpu": "true"}}), got), "ParseTags() differs (-want +got)")
	const want = `Auto Scaling group "g4dn-spot": tag "k8s.io/cluster-autoscaler/node-template/taint/dedicated"="nvidia.com/gpu=true" ` +
		`ignored, so that nodes count as free of this taint and may be launched for pods that it keeps away: ` +
		`expected <value>:<effect>, the effect being NoSchedule, PreferNoSchedule or NoExecute, ` +
		`for example "true:NoSchedule"`
	assert.Truef(t, len(problems) == 1 && problems[0].String() == want, "problems = %v\nwant %s", problems, want)
}

var gpuGroupTags = map[string]string{
	"k8s.io/cluster-autoscaler/enabled":                            "true",
	"k8s.io/cluster-autoscaler/eksworkshop":                        "owned",
	"k8s.io/cluster-autoscaler/node-template/label/nvidia.com/gpu": "true",
	"k8s.io/cluster-autoscaler/node-template/taint/dedicated":      "nvidia.com/gpu=true",
	"alpha.eksctl.io/nodegroup-name":                               "g4dn-spot",
	"kubernetes.io/cluster/eksworkshop":                            "owned",
}

func checkTags(t *testing.T, tags map[string]string) {
	t.Helper()
	d, problems := ParseTags("g", tags)
	for k, v := range d.Labels {
		assert.Truef(t, ValidName(k) && ValidValue(v), "label %q=%q", k, v)
	}
	for name, q := range d.Resources {
		assert.Truef(t, q.Sign() >= 0 && q.Cmp(maxQuantity) <= 0, "resource %q=%s", name, q.String())
	}
	for _, p := range problems {
		s := p.String()
		assert.Truef(t, len(s) <= 2000 && utf8.ValidString(s) && !strings.ContainsAny(s, "\n\x00"), "message of %d bytes: %q", len(s), s)
	}
	again, problemsAgain := ParseTags("g", tags)
	assert.Empty(t, cmp.Diff(d, again)+cmp.Diff(problems, problemsAgain), "a second reading differs")
}

func FuzzParseTags(f *testing.F) {
	f.Add(taintPrefix+"dedicated", "nvidia.com/gpu=true")
	f.Add(resourcesPrefix+"memory", "1e2000000000")
	f.Add(optionsPrefix+"scaledownunneededtime", "-1h")
	f.Add("x"+labelPrefix+"a", "b")
	for _, long := range []string{strings.Repeat("a", 20_000), strings.Repeat("a/", 10_000), strings.Repeat("\xff", 20_000), strings.Repeat("1", 20_000)} {
		f.Add(labelPrefix+long, long)
		f.Add(taintPrefix+long, long+":"+long)
		f.Add(resourcesPrefix+"memory", long+"Ei")
		f.Add(optionsPrefix+"scaledownunneededtime", long+"h")
	}
	f.Fuzz(func(t *testing.T, key, value string) {
		costlimit.Check(t, func() { ParseTags("g", map[string]string{key: value}) })
		checkTags(t, map[string]string{key: value, templatePrefix + key: value, fmt.Sprint(key, labelPrefix, key): key})
	})
}

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

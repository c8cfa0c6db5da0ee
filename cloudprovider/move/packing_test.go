package move

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
)

// newHost is a Ready node with a pod for each of the amounts of CPU, of a Deployment each.
func newHost(name, group, cpu string, price float64, pods ...string) Host {
	h := Host{Group: group, Whole: group, Price: price, MayGo: true, Takes: true, Node: &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"group": group}},
		Status: corev1.NodeStatus{Allocatable: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourcePods: resource.MustParse("20")}}}}
	for i, asks := range pods {
		h.Pods = append(h.Pods, HostPod{CPU: ptr.To(resource.MustParse(asks)).MilliValue(), Pod: &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: fmt.Sprint(name, "-", i), UID: types.UID(fmt.Sprint(name, "-", i)), OwnerReferences: []metav1.OwnerReference{
			{Kind: "ReplicaSet", Name: fmt.Sprint(name, "-", i), Controller: ptr.To(true)}}}, Spec: corev1.PodSpec{NodeName: name}}})
	}
	return h
}

func (h Host) with(change func(*corev1.Pod)) Host {
	for _, pod := range h.Pods {
		change(pod.Pod)
	}
	return h
}

func sized(size int, h Host) Host {
	h.Size = size
	return h
}

func estimated(h Host) Host {
	h.Estimated = true
	return h
}

// gpus returns the host with two GPUs. Each of its pods asks for so many of them.
func gpus(asked int64, h Host) Host {
	h.Status.Allocatable["nvidia.com/gpu"] = resource.MustParse("2")
	for i := range h.Pods {
		h.Pods[i].Others = map[corev1.ResourceName]int64{"nvidia.com/gpu": asked}
	}
	return h
}

func shares(h Host) Host {
	h.Devices = true
	return h
}

// found is the best plan in words.
func found(hosts, offers []Host, change func(*Packing)) string {
	p := Packing{Horizon: time.Hour, StartUp: 3 * time.Minute, Spare: map[string]int{"big": 5, "small": 5}, Most: 10}
	if change != nil {
		change(&p)
	}
	plans := Plans(hosts, offers, p)
	if len(plans) == 0 {
		return "none"
	}
	return fmt.Sprintf("%s > %s, saves %.2f", strings.Join(plans[0].Nodes, " "), plans[0].Into, plans[0].Saving)
}

func TestPlans(t *testing.T) {
	small := newHost("", "small", "2", 0.1)
	full := newHost("full", "small", "2", 0.1, "2")
	full.MayGo = false
	dear := newHost("a", "big", "8", 0.4, "1500m")
	roomy, tight, idle := newHost("roomy", "small", "8", 0.1, "2"), newHost("tight", "small", "2", 0.1, "1600m"), newHost("idle", "small", "500m", 0.1)
	roomy.MayGo, tight.MayGo, idle.MayGo = false, false, false
	apart := func(p *corev1.Pod) {
		p.OwnerReferences[0].Name = "same"
		p.Spec.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{TopologyKey: corev1.LabelHostname}}}}
	}
	preferApart := func(p *corev1.Pod) {
		apart(p)
		keep := p.Spec.Affinity.PodAntiAffinity
		for _, term := range keep.RequiredDuringSchedulingIgnoredDuringExecution {
			keep.PreferredDuringSchedulingIgnoredDuringExecution = []corev1.WeightedPodAffinityTerm{{Weight: 1, PodAffinityTerm: term}}
		}
		keep.RequiredDuringSchedulingIgnoredDuringExecution = nil
	}
	apartByWish := []Host{newHost("a", "big", "8", 0.4, "1").with(preferApart), newHost("b", "big", "8", 0.4, "1").with(preferApart)}
	for _, tt := range []struct {
		name          string
		hosts, offers []Host
		change        func(*Packing)
		want          string
	}{
		{name: "the pods fit on another node", hosts: []Host{newHost("a", "big", "8", 0.4, "1"), newHost("b", "big", "8", 0.4, "4")}, want: "a > , saves 0.40"},
		{name: "only a node with GPUs has room", hosts: []Host{dear, gpus(1, newHost("b", "big", "8", 0.4, "1", "1"))}, want: "none"},
		{name: "only a node that shares out GPUs has room", hosts: []Host{dear, shares(roomy)}, want: "none"},
		{name: "another node with GPUs has room", hosts: []Host{gpus(1, newHost("a", "big", "8", 4, "1")), gpus(1, newHost("b", "big", "8", 4, "4"))}, want: "a > , saves 4.00"},
		{name: "a pod without a GPU leaves a node with some", hosts: []Host{gpus(0, newHost("a", "big", "8", 4, "1")), gpus(1, newHost("b", "big", "8", 4, "4"))}, want: "a > , saves 4.00"},
		{name: "a pod with a claim", hosts: []Host{newHost("a", "big", "8", 0.4, "1").with(func(p *corev1.Pod) { p.Spec.ResourceClaims = []corev1.PodResourceClaim{{Name: "gpu"}} }),
			gpus(1, newHost("b", "big", "8", 0.4, "1", "1"))}, want: "a > , saves 0.40"},
		{name: "no other node has room", hosts: []Host{dear, full}, want: "none"},
		{name: "one cheaper", hosts: []Host{dear, full}, offers: []Host{small}, want: "a > small, saves 0.30"},
		{name: "only room needs a new node", hosts: []Host{newHost("a", "big", "8", 0.4, "1500m").with(func(p *corev1.Pod) { p.Spec.NodeName = "" }), full}, offers: []Host{small}, want: "none"},
		{name: "the cheapest of two", hosts: []Host{dear}, offers: []Host{newHost("", "medium", "4", 0.2), small}, want: "a > small, saves 0.30"},
		{name: "the smallest of equal ones", hosts: []Host{dear, full}, offers: []Host{sized(3, newHost("", "a", "2", 0.1)), sized(1, newHost("", "b", "2", 0.1)), sized(1, newHost("", "c", "2", 0.1))},
			want: "a > b, saves 0.30"},
		{name: "the cheapest has GPUs", hosts: []Host{dear, full}, offers: []Host{gpus(0, newHost("", "gpu", "4", 0.1)), newHost("", "other", "2", 0.2)}, want: "a > other, saves 0.20"},
		{name: "the cheaper one is too small", hosts: []Host{newHost("a", "big", "8", 0.4, "3")}, offers: []Host{small}, want: "none"},
		{name: "four nodes for one", hosts: []Host{newHost("a", "small", "2", 0.1, "1500m"), newHost("b", "small", "2", 0.1, "1500m"), newHost("c", "small", "2", 0.1, "1500m"),
			newHost("d", "small", "2", 0.1, "1500m")}, offers: []Host{newHost("", "big", "8", 0.15)}, want: "a b c d > big, saves 0.25"},
		{name: "the saving is too small for the pods", hosts: []Host{newHost("a", "big", "8", 0.4, "1500m"), full}, offers: []Host{newHost("", "small", "2", 0.3)}, want: "none"},
		{name: "a longer horizon", hosts: []Host{newHost("a", "big", "8", 0.4, "1500m"), full}, offers: []Host{newHost("", "small", "2", 0.3)},
			change: func(p *Packing) { p.Horizon = 4 * time.Hour }, want: "a > small, saves 0.10"},
		{name: "less than a twentieth", hosts: []Host{newHost("a", "big", "8", 0.4, "1500m")}, offers: []Host{newHost("", "small", "2", 0.385)},
			change: func(p *Packing) { p.Horizon = 1000 * time.Hour }, want: "none"},
		{name: "the group is at its minimum", hosts: []Host{dear, full}, offers: []Host{small}, change: func(p *Packing) { p.Spare["big"] = 0 }, want: "none"},
		{name: "a price is not known", hosts: []Host{newHost("a", "big", "8", 0, "1500m"), full}, offers: []Host{small}, want: "none"},
		{name: "an offer without a price", hosts: []Host{dear}, offers: []Host{newHost("", "small", "2", 0)}, want: "none"},
		{name: "the next node of its own group", hosts: []Host{dear, full}, offers: []Host{newHost("", "big", "2", 0.1)}, want: "none"},
		{name: "estimates save more", hosts: []Host{dear}, offers: []Host{estimated(newHost("", "small", "2", 0.33))}, change: func(p *Packing) { p.Horizon = 1000 * time.Hour }, want: "none"},
		{name: "enough for estimates", hosts: []Host{dear}, offers: []Host{estimated(newHost("", "small", "2", 0.31))}, change: func(p *Packing) { p.Horizon = 1000 * time.Hour }, want: "a > small, saves 0.09"},
		{name: "refused", hosts: []Host{dear}, offers: []Host{small}, change: func(p *Packing) { p.Refused = map[string]bool{"a>small": true} }, want: "none"},
		{name: "the cheapest is refused", hosts: []Host{dear, full}, offers: []Host{small, newHost("", "other", "2", 0.1)},
			change: func(p *Packing) { p.Refused = map[string]bool{"a>other": true} }, want: "a > small, saves 0.30"},
		{name: "the room of others is refused", hosts: []Host{dear, roomy}, offers: []Host{small}, change: func(p *Packing) { p.Refused = map[string]bool{"a>": true} }, want: "a > small, saves 0.30"},
		{name: "a tight fit in one order alone", hosts: []Host{newHost("a", "big", "8", 0.4, "400m", "1500m"), tight}, offers: []Host{newHost("", "small", "1830m", 0.1)}, want: "none"},
		{name: "a larger node has room for any order", hosts: []Host{newHost("a", "big", "8", 0.4, "400m", "1500m"), tight},
			offers: []Host{newHost("", "small", "1830m", 0.1), newHost("", "other", "2", 0.2)}, want: "a > other, saves 0.20"},
		{name: "room for any order", hosts: []Host{newHost("a", "big", "8", 0.4, "400m", "1500m"), tight}, offers: []Host{small}, want: "a > small, saves 0.30"},
		{name: "a third node takes the smaller pod", hosts: []Host{newHost("a", "big", "8", 0.4, "400m", "1500m"), tight, idle}, offers: []Host{newHost("", "small", "1830m", 0.1)},
			want: "a > small, saves 0.30"},
		{name: "an empty node is the core's", hosts: []Host{newHost("a", "big", "8", 0.4), newHost("b", "big", "8", 0.4, "1"), full}, want: "b > , saves 0.40"},
		{name: "pods keep apart", hosts: []Host{newHost("a", "big", "8", 0.4, "1").with(apart), newHost("b", "big", "8", 0.4, "1").with(apart)}, want: "none"},
		{name: "pods prefer to keep apart", hosts: apartByWish, change: func(p *Packing) { p.KeepSpread = true }, want: "none"},
		{name: "a wish that does not count", hosts: apartByWish, want: "a > , saves 0.40"},
		{name: "pods want the label of another group", hosts: []Host{newHost("a", "big", "8", 0.4, "1500m").with(func(p *corev1.Pod) { p.Spec.NodeSelector = map[string]string{"group": "big"} })}, offers: []Host{small}, want: "none"},
		{name: "pods prefer their group", hosts: []Host{newHost("a", "big", "8", 0.4, "1500m").with(func(p *corev1.Pod) {
			p.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{PreferredDuringSchedulingIgnoredDuringExecution: []corev1.PreferredSchedulingTerm{{Weight: 1,
				Preference: corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "group", Operator: corev1.NodeSelectorOpIn, Values: []string{"big"}}}}}}}}
		})}, offers: []Host{small}, want: "none"},
	} {
		assert.Equalf(t, tt.want, found(tt.hosts, tt.offers, tt.change), "%s: got", tt.name)
	}
	tainted := small
	tainted.Node = small.Node.DeepCopy()
	tainted.Spec.Taints = []corev1.Taint{{Key: "team", Effect: corev1.TaintEffectNoSchedule}}
	assert.Equal(t, "none", found([]Host{newHost("a", "big", "8", 0.4, "1500m")}, []Host{tainted}, nil), "with a taint")
}

// The larger pod gets the room that is there, and the other one the new node.
func TestPlanSaysWhichPodsTheNewNodeGets(t *testing.T) {
	full := newHost("full", "big", "8", 0.4, "6400m")
	full.MayGo = false
	plans := Plans([]Host{newHost("a", "big", "8", 0.4, "1", "1500m"), full}, []Host{newHost("", "small", "2", 0.1)}, Packing{Horizon: time.Hour, Spare: map[string]int{"big": 1}, Most: 1})
	require.Truef(t, len(plans) == 1 && slices.Equal(plans[0].Pods, []types.UID{"a-1", "a-0"}) && plans[0].New == 1,
		"got %+v, want the larger pod first, and one for the new node", plans)
	pod := func(uid types.UID) *corev1.Pod { return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: uid}} }
	sorted := []*corev1.Pod{pod("a-0"), pod("unknown"), pod("a-1")}
	plans[0].Sort(sorted)
	assert.True(t, sorted[0].UID == "a-1" && sorted[1].UID == "unknown" && sorted[2].UID == "a-0" && plans[0].IsNew(pod("a-0")) && !plans[0].IsNew(pod("a-1")) && !plans[0].IsNew(pod("unknown")),
		"want the larger pod, then pods that the plan does not know, then those for the new node")
}

// A soft taint keeps no pod away, so nodes with one and without go together.
func TestSoftTaintsPartNoNodes(t *testing.T) {
	var hosts []Host
	for _, name := range []string{"a", "b", "c", "d"} {
		hosts = append(hosts, newHost(name, "small", "2", 0.1, "1500m"))
	}
	hosts[1].Spec.Taints = []corev1.Taint{{Key: "soft", Value: "1", Effect: corev1.TaintEffectPreferNoSchedule}}
	hosts[2].Spec.Taints = []corev1.Taint{{Key: "soft", Value: "2", Effect: corev1.TaintEffectPreferNoSchedule}}
	assert.Equal(t, "a b c d > big, saves 0.25", found(hosts, []Host{newHost("", "big", "8", 0.15)}, nil), "got, want all of them for one")
}

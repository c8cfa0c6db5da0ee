package leastcost

import (
	"fmt"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apiv1 "k8s.io/api/core/v1"
	resourceapi "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/autoscaler/cluster-autoscaler/expander"
	drasnapshot "k8s.io/autoscaler/cluster-autoscaler/simulator/dynamicresources/snapshot"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
)

func overNodes(pods []*apiv1.Pod) []*apiv1.Pod {
	return each(spread(apiv1.DoNotSchedule, pods), func(_ int, pod *apiv1.Pod) {
		pod.Spec.TopologySpreadConstraints[0].TopologyKey = apiv1.LabelHostname
	})
}

// claimingDevices gives each pod a claim for so many devices, and adds it to the claims.
func claimingDevices(claims map[drasnapshot.ResourceClaimId]*resourceapi.ResourceClaim, count int, pods []*apiv1.Pod) []*apiv1.Pod {
	return each(claiming(pods), func(_ int, pod *apiv1.Pod) {
		pod.Annotations = map[string]string{"devices": fmt.Sprint(count)}
		claim := &resourceapi.ResourceClaim{ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name, UID: types.UID("claim-" + pod.Name),
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "Pod", Name: pod.Name, UID: pod.UID, Controller: new(true)}}}}
		claim.Spec.Devices.Requests = []resourceapi.DeviceRequest{{Name: "gpu", Exactly: &resourceapi.ExactDeviceRequest{
			AllocationMode: resourceapi.DeviceAllocationModeExactCount, Count: int64(count)}}}
		claims[drasnapshot.GetClaimId(claim)] = claim
		pod.Status.ResourceClaimStatuses = []apiv1.PodResourceClaimStatus{{Name: "gpu", ResourceClaimName: &claim.Name}}
	})
}

// The core fills its nodes no further than each of these limits allows. Nor does the plan.
func TestPlansKeepLimitsPerNode(t *testing.T) {
	daemon := replicas("agent", 1, "1", "1Gi")[0]
	known := map[drasnapshot.ResourceClaimId]*resourceapi.ResourceClaim{}
	single, quadruple := claimingDevices(known, 1, replicas("single", 8, "100m", "100Mi")), claimingDevices(known, 4, replicas("quadruple", 2, "100m", "100Mi"))
	web, busy := replicas("web", 60, "1", "1Gi"), replicas("busy", 20, "3900m", "1Gi")
	spreading, disks := overNodes(replicas("spreading", 10, "10m", "10Mi")), attaching(1, replicas("disk", 60, "5m", "1Mi"))
	loose := each(overNodes(replicas("loose", 10, "10m", "10Mi")), func(_ int, pod *apiv1.Pod) { pod.Spec.TopologySpreadConstraints[0].MaxSkew = 5 })
	withDaemon := framework.NewNodeInfo(template("4", "16Gi").Node(), nil, framework.NewPodInfo(daemon, nil))
	one := func(name string) func(*apiv1.Pod) int {
		return func(pod *apiv1.Pod) int {
			if pod.Labels["app"] == name {
				return 1
			}
			return 0
		}
	}
	for _, tt := range []struct {
		name    string
		nodes   int // of the core's option
		pods    [][]*apiv1.Pod
		info    *framework.NodeInfo
		weigh   func(*apiv1.Pod) int
		most    int // on one node
		planned int // nodes
	}{
		{"DaemonSets take their part", 20, [][]*apiv1.Pod{web}, withDaemon, one("web"), 3, 20},
		{"claims of several devices", 4, [][]*apiv1.Pod{single, quadruple}, promising(template("96", "1Ti"), 4, 0), func(pod *apiv1.Pod) int {
			count, _ := strconv.Atoi(pod.Annotations["devices"])
			return count
		}, 4, 4},
		{"volumes beside pods that fill the nodes", 5, [][]*apiv1.Pod{busy, disks}, promising(template("16", "64Gi"), 0, 25), one("disk"), 25, 5},
		{"spread beside pods that fill the nodes", 21, [][]*apiv1.Pod{web[:45], spreading}, template("4", "16Gi"), one("spreading"), 1, 14},
		{"spread as the core packs it on fewer nodes", 2, [][]*apiv1.Pod{spreading}, template("4", "16Gi"), one("spreading"), 5, 2},
		{"spread as far as the skew allows", 10, [][]*apiv1.Pod{loose}, template("4", "16Gi"), one("loose"), 5, 2},
		{"ports of the node", 10, [][]*apiv1.Pod{each(replicas("proxy", 10, "1", "1Gi"), port(80))}, template("4", "16Gi"), one("proxy"), 1, 10},
		{"pods that keep off each other", 10, [][]*apiv1.Pod{avoiding(apiv1.LabelHostname, "app", replicas("quorum", 10, "1", "1Gi"))}, template("4", "16Gi"), one("quorum"), 1, 10},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFilter(flat{"a": 1}, nil)
			f.devices = func() *drasnapshot.Snapshot { return drasnapshot.NewSnapshot(known, nil, nil, nil) }
			d := f.decide([]expander.Option{option("a", tt.nodes, tt.pods...)}, map[string]*framework.NodeInfo{"a": tt.info})
			best := d.choice.options(d.candidates)
			require.Truef(t, len(best) == 1 && best[0].NodeCount == tt.planned && len(firstNodes(d)) == tt.planned,
				"planned %v on %d nodes, want %d", summary(best), len(firstNodes(d)), tt.planned)
			for _, pods := range planNodes(d) {
				count := 0
				for _, pod := range best[0].Pods {
					if slices.Contains(pods, pod.UID) {
						count += tt.weigh(pod)
					}
				}
				assert.Truef(t, count <= tt.most, "a node of %d pods has %d, want %d at the most", len(pods), count, tt.most)
			}
		})
	}
}

// Preferences and the lists of groups at their limits make several classes of a workload's pods.
func TestLimitPerNodeHoldsForAllPodsOfAWorkload(t *testing.T) {
	web := overNodes(replicas("web", 12, "100m", "100Mi"))
	anyway := each(web, func(_ int, pod *apiv1.Pod) {
		constraints := &pod.Spec.TopologySpreadConstraints
		*constraints = append(*constraints, spreadAnyway([]*apiv1.Pod{pod})[0].Spec.TopologySpreadConstraints...)
	})
	resized := each(web, func(i int, pod *apiv1.Pod) {
		pod.Spec.Containers[0].Resources.Requests = requests(fmt.Sprintf("%dm", 100+i), "100Mi")
	})
	for _, tt := range []struct {
		name    string
		options []expander.Option
		want    map[string]int // nodes
	}{
		{"spread over groups anyway", []expander.Option{option("on-demand", 12, anyway), option("spot", 12, anyway)}, map[string]int{"on-demand": 6, "spot": 6}},
		{"a group near its limit", []expander.Option{option("on-demand", 12, web), option("spot", 4, web[:4])}, map[string]int{"on-demand": 12}},
		{"requests differ", []expander.Option{option("on-demand", 12, resized)}, map[string]int{"on-demand": 12}},
		{"requests differ on two nodes of the core", []expander.Option{option("on-demand", 2, resized)}, map[string]int{"on-demand": 2}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFilter(flat{"on-demand": 1, "spot": 1}, nil)
			f.Preferences.Percent = 5
			got, _ := bill(f, tt.options, map[string]*framework.NodeInfo{"on-demand": bought("on-demand"), "spot": bought("spot")})
			assert.Equal(t, tt.want, got, "planned nodes by group")
		})
	}
}

// near makes pods need one of an owner on their node, or in their zone.
func near(topologyKey, owner string, pods []*apiv1.Pod) []*apiv1.Pod {
	return each(pods, func(_ int, pod *apiv1.Pod) {
		pod.Spec.Affinity = &apiv1.Affinity{PodAffinity: &apiv1.PodAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []apiv1.PodAffinityTerm{
			{LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": owner}}, TopologyKey: topologyKey}}}}
	})
}

// A plan could put pods on several nodes that the scheduler lets run on one alone.
func TestPodsThatMustBeNearEachOtherAreNotDivided(t *testing.T) {
	some := func(owner string, count int) []*apiv1.Pod { return replicas(owner, count, "1500m", "1Gi") }
	for _, tt := range []struct {
		name  string
		pods  []*apiv1.Pod // beside many others
		whole bool
	}{
		{"no such pod", some("zeta", 4), false},
		{"on one node", near(apiv1.LabelHostname, "zeta", some("zeta", 4)), true},
		{"on one node, before the others by name", near(apiv1.LabelHostname, "alpha", some("alpha", 4)), true},
		{"in one zone", near(apiv1.LabelTopologyZone, "zeta", some("zeta", 4)), true},
		{"near the others", near(apiv1.LabelHostname, "web", some("zeta", 1)), true},
		{"one near itself, and another near that one", near(apiv1.LabelHostname, "one", slices.Concat(some("one", 1), some("two", 1))), true},
		{"only one near itself", near(apiv1.LabelHostname, "zeta", some("zeta", 1)), false},
		{"near pods that run", near(apiv1.LabelTopologyZone, "cache", some("zeta", 4)), false},
	} {
		f := newFilter(flat{"a": 1}, nil)
		options := []expander.Option{option("a", 7, replicas("web", 40, "1", "1Gi"), tt.pods)}
		best := f.BestOptions(options, map[string]*framework.NodeInfo{"a": template("7900m", "64Gi")})
		chosen, later := f.Plan()
		assert.Truef(t, len(best) == 1 && len(best[0].Pods) == 40+len(tt.pods) && tt.whole == (len(chosen) == 0) && len(later) == 0,
			"%s: chose %v, planned %v, want a whole option %t", tt.name, summary(best), chosen, tt.whole)
	}
}

// The core fills large nodes further than small ones. Four pods that only a third group takes do not change that.
func TestPodsNearRunningOnesFillEachNodeAsTheCoreDoes(t *testing.T) {
	web := near(apiv1.LabelTopologyZone, "cache", replicas("web", 60, "1200m", "2Gi"))
	options, infos, prices := offered([]offer{
		{"small", 60, template("2", "4Gi"), 1, web}, {"large", 5, template("16", "32Gi"), 8, web},
		{"gpu", 4, template("4", "16Gi", "1"), 6, replicas("gpu", 4, "1", "1Gi", "1")},
	})
	nodes, _ := bill(newFilter(prices, nil), options, infos)
	assert.Equal(t, map[string]int{"large": 5, "gpu": 4}, nodes, "nodes")
}

// Pods that must be near each other do not have all pods go to the group that takes the most of them.
func TestDearGroupThatTakesMorePodsGetsTheFewThatNeedIt(t *testing.T) {
	web, gpu := replicas("web", 40, "1", "1Gi"), replicas("gpu", 1, "1", "1Gi")
	gpu[0].Spec.NodeSelector = map[string]string{"gpu": "true"}
	pair := near(apiv1.LabelHostname, "pair", replicas("pair", 2, "1", "1Gi"))
	nodes := map[string]*framework.NodeInfo{"cheap": template("8", "64Gi"), "small": template("2", "16Gi"), "dear": template("8", "64Gi")}
	f := newFilter(flat{"small": 0.01, "cheap": 0.4, "dear": 1.2}, nil)
	var got []string
	for pending := slices.Concat(web, pair, gpu); len(pending) > 0; {
		fit := slices.DeleteFunc(slices.Clone(pending), func(pod *apiv1.Pod) bool { return pod == gpu[0] })
		options := []expander.Option{option("cheap", 6, fit), option("dear", 6, pending), option("small", 1, pair[:1])} // which are at their limits
		best := f.BestOptions(options, nodes)[0]
		got = append(got, best.NodeGroup.Id())
		pending = slices.DeleteFunc(pending, func(pod *apiv1.Pod) bool { return slices.Contains(best.Pods, pod) })
	}
	assert.Equal(t, []string{"cheap", "dear"}, got, "groups chosen one after the other")
}

// The core lists no pod for a group whose DaemonSets keep off it, nor one that keeps off them. An equal pod that the group takes does
// not stand for it.
func TestPodsKeepOffDaemons(t *testing.T) {
	agent := replicas("agent", 1, "100m", "100Mi")
	for _, tt := range []struct {
		name   string
		daemon *apiv1.Pod
		cut    []*apiv1.Pod
	}{
		{"the daemon keeps off the pods", avoiding(apiv1.LabelHostname, "quiet", agent)[0], each(replicas("cut", 2, "1", "1Gi"), func(_ int, pod *apiv1.Pod) { pod.Labels["quiet"] = "true" })},
		{"the pods keep off the daemon", each(agent, func(_ int, pod *apiv1.Pod) { pod.Labels["noisy"] = "true" })[0], avoiding(apiv1.LabelHostname, "noisy", replicas("cut", 2, "1", "1Gi"))},
	} {
		listed := replicas("listed", 2, "1", "1Gi")
		options, templates, prices := offered([]offer{{"dear", 4, template("2", "4Gi"), 0.2, slices.Concat(listed, tt.cut)},
			{"cheap", 2, framework.NewNodeInfo(template("3", "4Gi").Node(), nil, framework.NewPodInfo(tt.daemon, nil)), 0.1, listed}})
		cheap := newFilter(prices, nil).Explain(options, templates)[0]
		assert.Equalf(t, len(listed), cheap.PlannedPods, "%s: pods are planned for the group with the daemon, want those that it lists", tt.name)
	}
}

// The core lists no pod for a group in a zone where a pod keeps it off. An equal pod with other labels does not stand for it.
func TestPodsKeepOffZonesOfOthers(t *testing.T) {
	quiet := each(replicas("quiet", 2, "1", "1Gi"), func(_ int, pod *apiv1.Pod) { pod.Labels["quiet"] = "true" })
	for _, tt := range []struct {
		name             string
		running, pending []*apiv1.Pod
		want             int // pods for the group that does not list the quiet ones
	}{
		{"nobody keeps off", nil, nil, 4},
		{"off its zone", avoiding(apiv1.LabelTopologyZone, "quiet", replicas("noisy", 1, "1", "1Gi")), nil, 2},
		{"off its node", avoiding(apiv1.LabelHostname, "quiet", replicas("noisy", 1, "1", "1Gi")), nil, 4},
		{"others off its zone", avoiding(apiv1.LabelTopologyZone, "loud", replicas("noisy", 1, "1", "1Gi")), nil, 4},
		{"a pending pod off its zone", nil, avoiding(apiv1.LabelTopologyZone, "quiet", replicas("noisy", 1, "1", "1Gi")), 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			listed := replicas("listed", 2, "1", "1Gi")
			options := []expander.Option{option("cheap", 3, listed, tt.pending), option("dear", 5, listed, tt.pending, quiet)}
			f := newFilter(flat{"cheap": 0.1, "dear": 0.2}, nil)
			f.Preferences.Running = func() ([]*framework.NodeInfo, error) {
				node := framework.NewNodeInfo(template("4", "8Gi").Node(), nil)
				for _, pod := range tt.running {
					node.AddPod(framework.NewPodInfo(pod, nil))
				}
				return []*framework.NodeInfo{node}, nil
			}
			_, pods := bill(f, options, map[string]*framework.NodeInfo{"cheap": template("2", "4Gi"), "dear": template("2", "4Gi")})
			assert.Equal(t, tt.want, pods["cheap"], "pods planned for the group")
		})
	}
}

func TestClaimedDevices(t *testing.T) {
	exactly := func(count int64, admin bool) resourceapi.DeviceRequest {
		return resourceapi.DeviceRequest{Exactly: &resourceapi.ExactDeviceRequest{Count: count, AdminAccess: &admin}}
	}
	for _, tt := range []struct {
		name     string
		requests []resourceapi.DeviceRequest
		want     int64
	}{
		{"several of one kind", []resourceapi.DeviceRequest{exactly(3, false)}, 3},
		{"two kinds", []resourceapi.DeviceRequest{exactly(3, false), exactly(1, false)}, 4},
		{"all of a node", []resourceapi.DeviceRequest{exactly(0, false)}, 1},
		{"administrators take none away", []resourceapi.DeviceRequest{exactly(3, true), exactly(1, false)}, 1},
		{"the first alternative", []resourceapi.DeviceRequest{{FirstAvailable: []resourceapi.DeviceSubRequest{{Count: 2}, {Count: 8}}}}, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			known := map[drasnapshot.ResourceClaimId]*resourceapi.ResourceClaim{}
			pod := claimingDevices(known, 1, replicas("one", 1))[0]
			for _, claim := range known {
				claim.Spec.Devices.Requests = tt.requests
			}
			assert.Equal(t, tt.want, claimed(pod, drasnapshot.NewSnapshot(known, nil, nil, nil)), "devices")
		})
	}
}

// The small pods that the dear group alone takes do not draw the web pods there.
func TestPodsNearEachOtherGoWhereAllPodsAreWorthTheirNodes(t *testing.T) {
	web, small := replicas("web", 120, "3500m", "4Gi"), replicas("small", 500, "100m", "64Mi")
	rest := slices.Concat(web, near(apiv1.LabelHostname, "pair", replicas("pair", 2, "250m", "256Mi")))
	options, infos, prices := offered([]offer{
		{"spot", 121, template("3920m", "6900Mi"), 0.0625, rest},
		{"od", 122, template("3920m", "6900Mi"), 0.1785, slices.Concat(rest, small)},
	})
	assert.Equal(t, []string{"spot: 121 for 122"}, summary(newFilter(prices, nil).BestOptions(options, infos)))
}

func TestWorkloadsThatKeepApartShareNodesBeyondTheRulesLookedAt(t *testing.T) {
	var amd, arm []*apiv1.Pod
	apart := func(owner string) []*apiv1.Pod {
		pods := replicas(owner, 3, "250m", "512Mi")
		return avoiding(apiv1.LabelHostname, owner, each(pods, func(_ int, pod *apiv1.Pod) { pod.Labels[owner] = "" }))
	}
	for i := range maxRules * 3 / 4 {
		amd, arm = append(amd, apart(fmt.Sprint("a-", i))...), append(arm, apart(fmt.Sprint("b-", i))...)
	}
	arm = each(arm, func(_ int, pod *apiv1.Pod) { pod.Spec.NodeSelector = map[string]string{apiv1.LabelArchStable: "arm64"} })
	options, infos, prices := offered([]offer{
		{"amd", 4, template("32", "120Gi"), 1.6, amd}, {"arm", 4, template("32", "120Gi"), 0.5, arm},
		{"arm-small", 55, template("2", "7Gi"), 0.08, arm},
	})
	nodes, _ := bill(newFilter(prices, nil), options, infos)
	assert.Equal(t, map[string]int{"amd": 3, "arm": 3}, nodes)
}

package whycases

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// trouble is something that keeps a group from helping. Waiting does not mend it, unless it passes.
type trouble struct {
	name   string
	code   decision.Code
	says   string // of the group, in the place of %s
	remedy string // a part
	passes bool
	read   bool // from the group, so that the group need not try to launch
	// begin makes the trouble after the first reading, in a group of the name.
	begin func(t *testing.T, a *autoscaler, group string)
}

// gpuGroup is a group whose first node is full, or has no GPU.
type gpuGroup struct {
	name        string
	most, nodes int
	withoutGPU  bool
}

// troubles are in the order in which causes are named.
var troubles = []trouble{
	{name: "maximum", code: decision.CodeMaxSize, says: "group %q has its maximum size of 1", remedy: "--max-size 2", read: true,
		begin: func(t *testing.T, a *autoscaler, group string) {
			require.NoError(t, a.world.AWS.SetLimits(group, 0, 1))
		}},
	{name: "denied", code: decision.CodeDenied, says: "AWS denied", remedy: "allow autoscaling:SetDesiredCapacity: add ",
		begin: func(t *testing.T, a *autoscaler, group string) {
			for _, action := range []string{"LaunchInstances", "SetDesiredCapacity"} {
				a.world.AWS.Inject(fakeaws.Fault{Action: action, Group: group, Code: "AccessDenied"})
			}
			_ = a.world.Grow(group, 1)
		}},
	{name: "suspended process", code: decision.CodeDegraded, says: "group %q can launch nothing: its Launch process is suspended", remedy: "resume-processes", read: true,
		begin: func(t *testing.T, a *autoscaler, group string) {
			require.NoError(t, a.world.AWS.Suspend(group, "Launch"))
			a.world.Eventually(func() string {
				_ = a.world.Cache.Refresh(t.Context())
				if !a.world.View().Group(group).Blocked() { // what the group would launch is looked up beside the readings
					return "the suspension is not known"
				}
				return ""
			})
		}},
	{name: "missing device", code: decision.CodeAccelerator, says: "group %q: its nodes came up without nvidia.com/gpu", remedy: "kubectl get daemonsets", read: true,
		begin: func(_ *testing.T, a *autoscaler, group string) { // as after its second node without one
			a.world.SetMissing(group, []string{"nvidia.com/gpu", "vpc.amazonaws.com/efa"}, "gpu-0", time.Now().Add(time.Hour))
		}},
	{name: "degraded", code: decision.CodeConfiguration, says: "AWS refuses what the group would launch", remedy: "correct the group's launch template",
		begin: func(_ *testing.T, a *autoscaler, group string) {
			a.world.AWS.AddShortage(fakeaws.Shortage{Group: group, Code: "Client.InternalError", Message: "Client error on launch"})
			_ = a.world.Grow(group, 1)
		}},
	{name: "cool-down", code: decision.CodeCoolDown, says: "AWS has no capacity for g4dn.xlarge", remedy: "wait", passes: true,
		begin: func(t *testing.T, a *autoscaler, group string) {
			a.world.AWS.AddShortage(fakeaws.Shortage{Group: group})
			_ = a.world.Grow(group, 1)
		}},
}

// Two groups share a pool, and each has one trouble: a retry of the one renews the cool-down of both. Or one group has both troubles. The
// cause that waiting does not mend comes first.
func TestLastingCauseComesFirst(t *testing.T) {
	for i, first := range troubles {
		for _, second := range troubles[i+1:] {
			for _, names := range [][2]string{{"a", "b"}, {"b", "a"}, {"a", "a"}} {
				t.Run(fmt.Sprintf("%s of %s and %s of %s", first.name, names[0], second.name, names[1]), func(t *testing.T) {
					testPair(t, first, second, names[0], names[1])
				})
			}
		}
	}
}

func testPair(t *testing.T, first, second trouble, one, other string) {
	groups := map[string]*gpuGroup{one: {name: one, most: 5}, other: {name: other, most: 5}}
	if first.code == decision.CodeMaxSize {
		groups[one].nodes = 1
	}
	a := pairOf(groups).start(t)
	loops := func() decision.Pod {
		a.world.Reread()
		for range 3 {
			a.loop(t)
		}
		return waitingPod(t, a)
	}
	if one == other && first.read { // a group with the first trouble tries nothing
		second.begin(t, a, other)
		if pod := loops(); pod.Cause.Code != second.code {
			t.Errorf("cause %+v before the other trouble, want %s", pod.Cause, second.code)
		}
	}
	first.begin(t, a, one)
	if one != other || !first.read {
		second.begin(t, a, other)
	}
	pod := loops()
	said := func(x trouble, group string) string {
		if strings.Contains(x.says, "%") {
			return fmt.Sprintf(x.says, group)
		}
		return x.says
	}
	if one == other {
		if code := pod.Cause.Code; code != first.code && (code != second.code || second.passes) || pod.Cause.Remedy == "" {
			t.Errorf("cause %+v, want one that lasts", pod.Cause)
		}
	} else {
		before, after := strings.Index(pod.Cause.Message, said(first, one)), strings.Index(pod.Cause.Message, said(second, other))
		assert.Truef(t, pod.Cause.Code == first.code && before >= 0 && after >= before && strings.Contains(pod.Cause.Remedy, first.remedy),
			"cause %+v, want first %q and then %q", pod.Cause, said(first, one), said(second, other))
	}
	fault := a.world.AWS.Deny("DescribeAutoScalingGroups")
	for range 2 {
		_ = a.world.Cache.Refresh(t.Context())
	}
	a.loop(t)
	a.world.AWS.ClearFaults(fault)
	again := waitingPod(t, a)
	assert.Truef(t, again.Cause == pod.Cause, "cause by old facts %+v, want %+v", again.Cause, pod.Cause)
	s := look(t, a.collector.Record, "default", "waiting")
	for name, text := range map[string]string{"page": s.headline, "top": s.top, "explain": s.explain} {
		if age := strings.Index(text, "These facts are "); age < 0 || !strings.Contains(text, "old: AWS denies") || strings.Contains(text[:age], `group "`) {
			t.Errorf("%s does not begin with the age of its facts:\n%s", name, text)
		}
	}
}

// The device plugin never publishes on the first node. The pod and the group say so while the second one starts.
func TestGPUThatNeverAppears(t *testing.T) {
	a := pairOf(map[string]*gpuGroup{"a": {name: "a", most: 5, nodes: 1, withoutGPU: true}}).start(t)
	for range 3 {
		a.loop(t)
	}
	const says = `group "a": its nodes came up without nvidia.com/gpu (the last one was a-0), and the next one is on its way`
	if pod := waitingPod(t, a); pod.State != decision.PodHelpless || pod.Cause.Code != decision.CodeAccelerator || pod.Cause.Message != says {
		t.Errorf("pod %+v, want it to name the missing GPU", pod)
	}
	if g := a.collector.Record.Report().Groups[0]; g.State != decision.GroupDegraded || g.Reason.Code != decision.CodeAccelerator {
		t.Errorf("group %+v, want it degraded for the missing GPU", g)
	}
	s := look(t, a.collector.Record, "default", "waiting")
	assert.Truef(t, s.headline == "1 pod waits: "+says && strings.Contains(s.page, "kubectl get daemonsets --all-namespaces") && strings.Contains(s.page, "still no node"),
		"the page begins with %q:\n%s", s.headline, s.page)
	assert.Truef(t, strings.HasPrefix(s.explain, says+"\n") && strings.Contains(s.explain, "kubectl get daemonsets --all-namespaces") && strings.Contains(s.top, "came up without nvidia.com/gpu"),
		"explain and top say:\n%s\n%s", s.explain, s.top)
}

func waitingPod(t *testing.T, a *autoscaler) decision.Pod {
	t.Helper()
	for _, p := range a.collector.Record.Report().Pods {
		if p.Name == "waiting" {
			return p
		}
	}
	t.Fatal("no pod waits")
	return decision.Pod{}
}

// pairOf is a case with the groups, their nodes, and a pod that waits for a GPU.
func pairOf(groups map[string]*gpuGroup) *Case {
	c := &Case{Name: "pair", Files: map[string][]byte{}}
	var list, nodes, pods []string
	for _, g := range groups {
		if g.nodes > 0 {
			gpus := 1
			if g.withoutGPU {
				gpus = 0
			}
			nodes = append(nodes, fmt.Sprintf(gpuNode, g.name, gpus))
			if gpus > 0 {
				pods = append(pods, fmt.Sprintf(gpuPod, "running-"+g.name, "nodeName: "+g.name+"-0, ", "Running"))
			}
		}
		list = append(list, fmt.Sprintf(gpuGroupOf, g.name, g.most, g.nodes))
	}
	pods = append(pods, fmt.Sprintf(gpuPod, "waiting", "", "Pending"))
	c.Files[AccountFile] = []byte("launchTemplates: [{name: g4dn.xlarge, versions: [{imageId: ami-0abc, instanceType: g4dn.xlarge}]}]\n" +
		"autoScalingGroups:\n" + strings.Join(list, ""))
	c.Files[NodesFile] = []byte("apiVersion: v1\nkind: NodeList\nitems:\n" + strings.Join(nodes, ""))
	c.Files[PodsFile] = []byte("apiVersion: v1\nkind: PodList\nitems:\n" + strings.Join(pods, ""))
	return c
}

const (
	gpuGroupOf = `- {name: %s, min: 0, max: %d, desired: %d, zones: [cn-northwest-1a], launchTemplate: {name: g4dn.xlarge, version: "1"},
   tags: {k8s.io/cluster-autoscaler/enabled: "true"}}
`
	gpuNode = `- metadata: {name: %[1]s-0, creationTimestamp: "2026-01-01T00:00:00Z",
    labels: {kubernetes.io/hostname: %[1]s-0, topology.kubernetes.io/zone: cn-northwest-1a, node.kubernetes.io/instance-type: g4dn.xlarge}}
  spec: {providerID: aws:///cn-northwest-1a/i-%[1]s-0}
  status: {capacity: {cpu: 3920m, memory: 14Gi, pods: "29", nvidia.com/gpu: "%[2]d"}, allocatable: {cpu: 3920m, memory: 14Gi, pods: "29", nvidia.com/gpu: "%[2]d"},
    conditions: [{type: Ready, status: "True", lastTransitionTime: "2026-01-01T00:01:00Z"}]}
`
	gpuPod = `- metadata: {name: %s, namespace: default}
  spec: {%scontainers: [{name: main, resources: {requests: {nvidia.com/gpu: "1"}, limits: {nvidia.com/gpu: "1"}}}]}
  status: {phase: %s}
`
)

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

// The process Launch is suspended before AWS launches the node that was asked for. So no pod waits for that node.
func TestNodeThatASuspendedGroupOwesIsNoPlace(t *testing.T) {
	c := pairOf(map[string]*gpuGroup{"a": {name: "a", most: 2}})
	a := c.start(t)
	require.NoError(t, a.world.AWS.Do(fakeaws.Deed{Kind: fakeaws.SuspendProcesses, Group: "a", Processes: []string{"Launch"}}))
	require.NoError(t, a.world.AWS.SetDesired("a", 1))
	const says = `group "a" can launch nothing: its Launch process is suspended`
	a.world.Eventually(func() string {
		_ = a.world.Cache.Refresh(t.Context())
		a.loop(t)
		if pod := waitingPod(t, a); pod.State != decision.PodHelpless || pod.Group != "" || !strings.HasPrefix(pod.Cause.Message, says) {
			return fmt.Sprintf("pod %+v, want it to name the process", pod)
		}
		return ""
	})
	s := look(t, a.collector.Record, "default", "waiting")
	assert.Truef(t, strings.HasPrefix(s.headline, "1 pod waits: "+says) && strings.HasPrefix(s.explain, says) && strings.Contains(s.explain, "aws autoscaling resume-processes"),
		"the page begins with %q, explain says:\n%s", s.headline, s.explain)
	assert.Contains(t, s.page, "no group helps")
}

// An instance runs and its kubelet never registers.
func TestInstanceThatDoesNotJoin(t *testing.T) {
	a := pairOf(map[string]*gpuGroup{"a": {name: "a", most: 1}}).start(t)
	a.loop(t)
	a.world.Eventually(func() string {
		_ = a.world.Cache.Refresh(t.Context())
		if a.loop(t); len(a.collector.Record.Report().Nodes) != 1 {
			return "want an instance"
		}
		return ""
	})
	if pod := waitingPod(t, a); pod.State != decision.PodLaunching {
		t.Errorf("pod %+v, want it to wait for the instance", pod)
	}
	a.next = a.next.Add(3 * time.Minute)
	a.loop(t)
	r := a.collector.Record.Report()
	node, pod := r.Nodes[0], waitingPod(t, a)
	const there, gone = "look at its console output: ", "EC2 keeps the console output of such instances for at least an hour after their end: "
	says, remedy := "instance "+node.InstanceID+` of group "a" has been seen without a node since `, "aws ec2 get-console-output --region cn-northwest-1 --instance-id "+
		node.InstanceID+" --latest --output text\nusual causes: a wrong cluster name or API endpoint in its user data, a node role that the cluster does not map, "+
		"a security group or route that keeps it from the API server, a limit below the time that such nodes need to boot"
	assert.Truef(t, pod.State == decision.PodHelpless && strings.HasPrefix(pod.Cause.Message, says) && pod.Cause.Remedy == there+remedy && node.Reason == pod.Cause && node.State == decision.NodeStarting,
		"pod %+v and node %+v, want both to name the instance", pod, node)
	s := look(t, a.collector.Record, "default", "waiting")
	assert.Truef(t, strings.HasPrefix(s.headline, "1 pod waits: "+says) && strings.HasPrefix(s.explain, says),
		"the page begins with %q, explain says:\n%s", s.headline, s.explain)
	a.next = a.next.Add(15 * time.Minute)
	a.loop(t)
	a.world.Eventually(func() string {
		_ = a.world.Cache.Refresh(t.Context())
		a.loop(t)
		for _, e := range a.collector.Record.Report().Timeline {
			if e.Kind == decision.ScaleDown && e.Node == node.InstanceID && e.Group == "a" && strings.Contains(e.Reason.Message, "given up, seen without a node since") {
				return ""
			}
		}
		return fmt.Sprintf("decisions %+v, want the end of the instance", a.collector.Record.Report().Timeline)
	})
	pod = waitingPod(t, a)
	const came = `group "a" cannot grow now: 1 instance came up and registered no node within 15m (--max-node-provision-time) (next try at `
	assert.Truef(t, pod.State == decision.PodHelpless && strings.HasPrefix(pod.Cause.Message, came) && pod.Cause.Remedy == gone+strings.Replace(remedy, " --latest", "", 1),
		"pod %+v, want it to say that no node registered", pod)
}

// IAM lacks the permission to launch at once. Pods run all the same.
func TestDeniedLaunchAtOnceIsAWarning(t *testing.T) {
	a := pairOf(map[string]*gpuGroup{"a": {name: "a", most: 1}}).start(t)
	a.world.AWS.Deny("LaunchInstances")
	for range 2 {
		a.loop(t)
		_ = a.world.Cache.Refresh(t.Context())
		a.world.Reread()
	}
	s := look(t, a.collector.Record, "default", "waiting")
	assert.Truef(t, strings.Contains(s.page, "1 to look at") && strings.Contains(s.page, `{"Effect":"Allow","Action":"autoscaling:LaunchInstances","Resource":"*"}`),
		"the page does not show the missing statement as a warning:\n%s", s.page)
}

// AWS accepts the launch, and each instance dies. The pod waits for none of them, and its cause stays while AWS tries again.
func TestInstancesThatDieAreNoPlace(t *testing.T) {
	a := pairOf(map[string]*gpuGroup{"a": {name: "a", most: 1}}).start(t)
	a.world.AWS.AddShortage(fakeaws.Shortage{Group: "a", Dies: fakeaws.Duration(50 * time.Millisecond), Code: "Client.InvalidKMSKey.InvalidState",
		Message: "Client.InvalidKMSKey.InvalidState: The KMS key provided is in an incorrect state"})
	a.loop(t)
	a.world.Eventually(func() string {
		_ = a.world.Cache.Refresh(t.Context())
		a.loop(t)
		if pod := waitingPod(t, a); pod.State != decision.PodHelpless || pod.Cause.Code != decision.CodeConfiguration || !strings.Contains(pod.Cause.Remedy, "launch template") {
			return fmt.Sprintf("pod %+v, want it to name the failure", pod)
		}
		return ""
	})
	for range 20 {
		_ = a.world.Cache.Refresh(t.Context())
		a.loop(t)
		if pod := waitingPod(t, a); pod.State != decision.PodHelpless || pod.Cause.Code != decision.CodeConfiguration {
			t.Fatalf("pod %+v, want it to name the failure while AWS tries again", pod)
		}
	}
	if s := look(t, a.collector.Record, "default", "waiting"); !strings.HasPrefix(s.headline, "1 pod waits: ") || !strings.Contains(s.headline, "or when its launch template changes") {
		t.Errorf("the page begins with %q:\n%s", s.headline, s.explain)
	}
	a.world.AWS.ClearShortages() // AWS's next try succeeds
	a.world.Eventually(func() string {
		_ = a.world.Cache.Refresh(t.Context())
		a.loop(t)
		if g := a.collector.Record.Report().Groups[0]; len(g.CoolDowns) > 0 {
			return fmt.Sprintf("group %+v, want an end of the cool-down", g)
		}
		return ""
	})
}

// A node is Ready and its device plugin publishes nothing yet.
func TestNodeThatLacksItsGPUSaysSo(t *testing.T) {
	c := pairOf(map[string]*gpuGroup{"a": {name: "a", most: 5, nodes: 1, withoutGPU: true}})
	for old, young := range map[string]time.Duration{"2026-01-01T00:00:00Z": 40 * time.Second, "2026-01-01T00:01:00Z": 30 * time.Second} {
		c.Files[NodesFile] = []byte(strings.ReplaceAll(string(c.Files[NodesFile]), old, time.Now().Add(-young).UTC().Format(time.RFC3339)))
	}
	a := c.start(t)
	for range 2 {
		a.loop(t)
	}
	node := a.collector.Record.Report().Nodes[0]
	if node.State != decision.NodeStarting || !strings.HasPrefix(node.Reason.Message, "it has been Ready since ") || !strings.HasSuffix(node.Reason.Message, " without nvidia.com/gpu") ||
		!strings.HasSuffix(node.Reason.Remedy, "kubectl get pods --all-namespaces --field-selector spec.nodeName=a-0") {
		t.Errorf("node %+v, want it to name what it lacks", node)
	}
}

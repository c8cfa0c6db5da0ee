package chaos

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/move"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

func TestMovingPlansKillLeadersInEachStep(t *testing.T) {
	amid, after, out, reboots := map[string]int{}, map[string]int{}, map[string]int{}, map[string]int{}
	for seed := range uint64(100) {
		p := NewMovingPlan(seed + 1)
		assert.Emptyf(t, cmp.Diff(p, NewMovingPlan(seed+1)), "seed %d (-first +second)", seed)
		assert.Truef(t, slices.IsSortedFunc(p.Steps, func(a, b Step) int { return int(a.At - b.At) }),
			"seed %d: steps are not in order:\n%s", p.Seed, p)
		for _, s := range p.Steps {
			assert.Truef(t, s.At+s.For <= p.length(), "seed %d: not within %s: %s", p.Seed, p.length(), s)
			if s.Kind == KillInMove {
				amid[s.Target]++
			}
		}
		for _, step := range p.Moving.Kills {
			after[step]++
		}
		out[p.Moving.Out]++
		if p.Faults()[BrokenNode] > 0 {
			reboots[p.Moving.Reboot]++
		}
		assert.Truef(t, p.Faults()[NewTemplate] >= 2, "seed %d has %d new templates", p.Seed, p.Faults()[NewTemplate])
	}
	for _, step := range append(slices.Clone(moveSteps), atClosed, atRestart) {
		assert.Truef(t, amid[step] != 0 && after[step] != 0,
			"of 100 seeds, %d kill the leader at %q amid faults, %d after them", amid[step], step, after[step])
	}
	for _, step := range rebootSteps {
		assert.NotZerof(t, after[step], "of 100 seeds, those that kill the leader at %q of a reboot", step)
	}
	assert.Truef(t, reboots[heals] >= 5 && reboots[fails] >= 5 && reboots[""] >= 10, "reboots of broken nodes: %v", reboots)
	assert.Truef(t, out[webPods] != 0 && out[gpuPods] != 0 && out[""] != 0, "pools without capacity: %v", out)
}

func TestAccountOfMovingPlanHasItsVersions(t *testing.T) {
	config := account(NewMovingPlan(1))
	for _, template := range config.LaunchTemplates {
		assert.Lenf(t, template.Versions, versions, "%q has versions", template.Name)
	}
	aws, err := fakeaws.Start(t.Context(), config)
	require.NoError(t, err)
	defer aws.Close()
	r := &run{aws: aws, account: config, moves: newRotation()}
	r.newTemplate(webPods, versions)
	assert.Len(t, r.moves.edited, 3, "edited, want the three groups of web")
}

func TestStepOfAMoveIsReadFromItsWrite(t *testing.T) {
	write := func(s move.State, taints ...string) []byte {
		node := corev1.Node{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{move.Annotation: s.Text()}}}
		for _, key := range taints {
			node.Spec.Taints = append(node.Spec.Taints, corev1.Taint{Key: key})
		}
		body, err := json.Marshal(node)
		require.NoError(t, err)
		return body
	}
	placing := move.State{Reason: move.Rotation, Step: move.Placing}
	launched, closed, restarted := placing, placing, placing
	launched.Replacement, closed.Closed, restarted.Restarted = "web", true, time.Now()
	for _, tt := range []struct {
		name string
		body []byte
		want []string
	}{
		{"a node that does not move", []byte(`{"spec":{"taints":[{"key":"` + toBeDeletedTaint + `"}]}}`), nil},
		{"a move that waits", write(move.State{Reason: move.Rotation, Step: move.Waiting}), nil},
		{"a move that begins", write(placing), []string{atPlacing}},
		{"a launch", write(launched), []string{atLaunched}},
		{"a closed node", write(closed, move.Taint), []string{atPlacing, atClosed}},
		{"a restart", write(restarted, move.Taint), []string{atPlacing, atRestart}},
		{"a drain", write(launched, toBeDeletedTaint), []string{atTainted}},
		{"a reboot that begins", write(move.State{Reason: move.Repair, Step: move.Rebooting}), []string{atRebooting}},
		{"the drain of a reboot", write(move.State{Reason: move.Repair, Step: move.Rebooting}, interruptionTaint), []string{atCordon}},
		{"a node that is back from its reboot", write(move.State{Reason: move.Repair, Step: move.Rebooted}), []string{atRebooted}},
	} {
		var got []string
		for _, step := range []string{atPlacing, atLaunched, atClosed, atRestart, atTainted, atRebooting, atCordon, atRebooted} {
			if inMove(step, tt.body) {
				got = append(got, step)
			}
		}
		assert.Emptyf(t, cmp.Diff(tt.want, got), "%s (-want +got)", tt.name)
	}
}

func TestOnlyBrokenNodesAreRebootedOnce(t *testing.T) {
	node := corev1.Node{ObjectMeta: metav1.ObjectMeta{UID: "u", Annotations: map[string]string{move.Annotation: move.State{Reason: move.Repair, Step: move.Placing}.Text()}}}
	for _, tt := range []struct {
		name    string
		broken  string
		healed  string
		reboots int
		drained bool
		want    int
	}{
		{name: "broken, rebooted and replaced", broken: "boot", reboots: 1, drained: true},
		{name: "rebooted twice", broken: "boot", reboots: 2, want: 1},
		{name: "rebooted although it works", reboots: 1, want: 1},
		{name: "replaced although its reboot has healed it", healed: "n", drained: true, want: 1},
	} {
		r := &run{moves: newRotation()}
		r.moves.broken["u"], r.moves.healed["u"] = tt.broken, tt.healed
		for range tt.reboots {
			r.judgeReboot(node)
		}
		if tt.drained {
			r.judgeRepair(node)
		}
		assert.Lenf(t, r.violations, tt.want, "%s: violations", tt.name)
	}
}

func TestRebootHealsBrokenNode(t *testing.T) {
	node := corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n", UID: "u"}}
	node.Status.NodeInfo.BootID = "first"
	node.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}, {Type: brokenCondition, Status: corev1.ConditionFalse}}
	for boot, want := range map[string]corev1.ConditionStatus{"first": corev1.ConditionFalse, "second": corev1.ConditionTrue} {
		r := &run{client: fake.NewClientset(&node), moves: newRotation()}
		r.moves.broken["u"] = "first"
		node.Status.NodeInfo.BootID = boot
		_, err := r.client.CoreV1().Nodes().Update(t.Context(), &node, metav1.UpdateOptions{})
		require.NoError(t, err)
		require.NoError(t, r.heal(t.Context(), r.client))
		got, err := r.client.CoreV1().Nodes().Get(t.Context(), "n", metav1.GetOptions{})
		require.NoError(t, err)
		assert.Equalf(t, want, got.Status.Conditions[1].Status, "the condition after the %s boot", boot)
	}
}

func milli(n int64) resource.Quantity { return *resource.NewMilliQuantity(n, resource.DecimalSI) }

func TestPodsOfADrainedNodeNeedPlaces(t *testing.T) {
	node := func(name string, change func(*corev1.Node)) corev1.Node {
		n := corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{poolLabel: webPods}}}
		n.Status.Allocatable = corev1.ResourceList{corev1.ResourceCPU: milli(1900)}
		n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
		if change != nil {
			change(&n)
		}
		return n
	}
	pod := func(name, app, on string, cpu int64) corev1.Pod {
		p := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"app": app}}}
		p.Spec.NodeName = on
		p.Spec.Containers = []corev1.Container{{Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: milli(cpu)}}}}
		return p
	}
	for _, tt := range []struct {
		name  string
		other func(*corev1.Node)
		pods  []corev1.Pod
		want  string
	}{
		{name: "room", pods: []corev1.Pod{pod("a", webPods, "old", 800)}},
		{name: "other pods have it", pods: []corev1.Pod{pod("a", webPods, "old", 800), pod("b", webPods, "new", 800), pod("c", webPods, "new", 800)}, want: "a"},
		{name: "a pod that waits needs it", pods: []corev1.Pod{pod("a", webPods, "old", 800), pod("b", webPods, "", 800), pod("c", webPods, "new", 800)}, want: "a"},
		{name: "a pod that waits for more may wait", pods: []corev1.Pod{pod("a", webPods, "old", 800), pod("b", webPods, "", 1800), pod("c", webPods, "new", 800)}},
		{name: "not Ready", other: func(n *corev1.Node) { n.Status.Conditions[0].Status = corev1.ConditionFalse }, pods: []corev1.Pod{pod("a", webPods, "old", 800)}, want: "a"},
		{name: "tainted", other: func(n *corev1.Node) {
			n.Spec.Taints = []corev1.Taint{{Key: move.Taint, Effect: corev1.TaintEffectNoSchedule}}
		},
			pods: []corev1.Pod{pod("a", webPods, "old", 800)}, want: "a"},
		{name: "a DaemonSet's pod stays", pods: []corev1.Pod{pod("a", agent, "old", 50), pod("b", agent, "new", 1900)}},
		{name: "a node each", pods: []corev1.Pod{pod("a", apartPods, "old", 400), pod("b", apartPods, "new", 400)}, want: "a"},
	} {
		old := node("old", nil)
		got := placeless(old, map[string]corev1.Node{"old": old, "new": node("new", tt.other)}, tt.pods)
		assert.Truef(t, (got == "") == (tt.want == "") && (strings.HasPrefix(got, "["+tt.want) || got == ""),
			"%s: %q, want %q", tt.name, got, tt.want)
	}
}

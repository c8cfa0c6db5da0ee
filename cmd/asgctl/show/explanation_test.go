package show

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
)

var now = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func named(namespace, name string) func(*decision.Pod) bool {
	return func(pod *decision.Pod) bool { return pod.Namespace == namespace && pod.Name == name }
}

func owned(namespace, owner string) func(*decision.Pod) bool {
	return func(pod *decision.Pod) bool { return pod.Namespace == namespace && pod.Owner == owner }
}

func reason(message, remedy string) decision.Reason {
	return decision.Reason{Message: message, Remedy: remedy}
}

// report has two causes among four pods, and a search that no pod of the shop has.
func report() *decision.Report {
	full := reason("no group has room: web has its maximum of 3", "raise the maximum of web:\naws autoscaling update-auto-scaling-group --max-size 4")
	pod := func(name string, state decision.PodState, cause decision.Reason, search int) decision.Pod {
		return decision.Pod{Namespace: "shop", Name: name, Owner: "Deployment/web", Since: now.Add(-5 * time.Minute), State: state, Cause: cause, Search: search}
	}
	chosen := pod("c", decision.PodLaunching, reason("a node of group spot was asked for", ""), 2)
	chosen.Group = "spot"
	return &decision.Report{At: now,
		Pods: []decision.Pod{{Namespace: "other", Name: "a", State: decision.PodFits, Cause: reason("it fits", ""), Search: 0},
			pod("a", decision.PodHelpless, full, 1), pod("b", decision.PodHelpless, full, 1), chosen},
		Searches: []decision.Search{{Answers: []decision.Answer{{Group: "unseen"}}},
			{Answers: []decision.Answer{{Group: "web", Verdict: decision.Skipped, Reason: full},
				{Group: "arm-1", Verdict: decision.Rejected, Reason: reason("node selector", "")}, {Group: "arm-2", Verdict: decision.Rejected, Reason: reason("node selector", "")},
				{Group: "arm-3", Verdict: decision.Rejected, Reason: reason("node selector", "")}, {Group: "arm-4", Verdict: decision.Rejected, Reason: reason("taint", "")}}},
			{Answers: []decision.Answer{{Group: "spot", Verdict: decision.Chosen, Nodes: 1, Pods: 3, Expander: "0.03 USD/h"},
				{Group: "web", Verdict: decision.Fits, Nodes: 2, Pods: 3, Expander: "0.19 USD/h"}}}},
		Nodes: []decision.Node{{Name: "ip-1", InstanceID: "i-1", Group: "web", Zone: "us-east-1a", InstanceType: "m5.large", State: decision.NodeBlocked,
			Since: now.Add(-3 * time.Hour), Reason: reason("pod shop/db-0 keeps it: it has local storage", "kubectl annotate pod -n shop db-0 x=y"),
			Pod: "shop/db-0", Utilization: 0.354, RemovalAt: now.Add(4 * time.Minute)},
			{Name: "ip-2", InstanceID: "i-2", Group: "web", Zone: "us-east-1a", State: decision.NodeStarting, Reason: reason("it starts", ""), Utilization: -1}}}
}

func everyPod(*decision.Pod) bool { return true }

func TestAnswerAboutPod(t *testing.T) {
	for name, want := range map[string]string{
		"a": `no group has room: web has its maximum of 3

Pod shop/a of Deployment/web, state helpless for 5m.

GROUP                     VERDICT    WHY             NODES   PODS   EXPANDER
web                       skipped    as said above   -       -      -
arm-1, arm-2 and 1 more   rejected   node selector   -       -      -
arm-4                     rejected   taint           -       -      -

Next:
  raise the maximum of web:
  aws autoscaling update-auto-scaling-group --max-size 4
`,
		"c": `a node of group spot was asked for

Pod shop/c of Deployment/web, state launching in spot for 5m.

GROUP   VERDICT   WHY   NODES   PODS   EXPANDER
spot    chosen    -     1       3      0.03 USD/h
web     fits      -     2       3      0.19 USD/h
`,
	} {
		answer := PodsOf(report(), Running, "", named("shop", name))
		assert.Emptyf(t, cmp.Diff(want, answer.Text()), "pod %s (-want +got)", name)
	}
	if other := PodsOf(report(), Running, "", named("other", "b")); len(other.Pods) > 0 {
		t.Error("a pod of another namespace is found")
	}
}

func TestAnswerAboutOwner(t *testing.T) {
	answer := PodsOf(report(), Running, Owner("deploy", "web"), owned("shop", Owner("deploy", "web")))
	want := `no group has room: web has its maximum of 3

Waiting pods of Deployment/web: 3. Without a node: 2.

PODS   STATE       FIRST    CAUSE
2      helpless    shop/a   no group has room: web has its maximum of 3
1      launching   shop/c   a node of group spot was asked for

Next:
  raise the maximum of web:
  aws autoscaling update-auto-scaling-group --max-size 4
  asgctl explain pod -n shop a
`
	assert.Empty(t, cmp.Diff(want, answer.Text()), "(-want +got)")
	if n := answer.Unserved(); n != 2 {
		t.Errorf("%d pods get no node, want 2", n)
	}
	if text := PodsOf(report(), Running, "Deployment/none", owned("shop", "Deployment/none")).Text(); text != "no pod of Deployment/none waits for a node\n" {
		t.Errorf("an owner without waiting pods: %q", text)
	}
}

func TestSearchesAreThoseOfThePods(t *testing.T) {
	text, err := json.Marshal(PodsOf(report(), DryRun, "Deployment/web", owned("shop", "Deployment/web")))
	require.NoError(t, err)
	var got Pods
	require.NoError(t, json.Unmarshal(text, &got))
	assert.Truef(t, got.Version == "v1" && got.Source == DryRun && len(got.Searches) == 2 && !strings.Contains(string(text), "unseen"),
		"version %q, source %q, searches %+v", got.Version, got.Source, got.Searches)
	for _, pod := range got.Pods {
		want := map[string]string{"a": "web", "b": "web", "c": "spot"}[pod.Name]
		assert.Equalf(t, want, got.Searches[pod.Search].Answers[0].Group, "pod %s has the answers first", pod.Name)
	}
	if all := PodsOf(report(), Running, "the cluster", everyPod); len(all.Pods) != 4 || len(all.Searches) != 3 {
		t.Errorf("all: %d pods and %d searches, want 4 and 3", len(all.Pods), len(all.Searches))
	}
}

func TestAnswerAboutNode(t *testing.T) {
	for name, want := range map[string]string{
		"ip-1": `pod shop/db-0 keeps it: it has local storage (blocked for 3h)

NODE          ip-1
group         web
instance      i-1 m5.large in us-east-1a
utilization   35 %
kept by pod   shop/db-0
removal       in 4m, at 12:04:00 UTC

Next:
  kubectl annotate pod -n shop db-0 x=y
`,
		"i-2": `it starts (starting)

NODE       ip-2
group      web
instance   i-2 in us-east-1a
`,
	} {
		answer, found := NodeOf(report(), Running, name)
		require.Truef(t, found, "node %s is not found", name)
		assert.Emptyf(t, cmp.Diff(want, answer.Text()), "node %s (-want +got)", name)
	}
	if _, found := NodeOf(report(), Running, "ip-9"); found {
		t.Error("an unknown node is found")
	}
}

func TestConsoleOfANodeThatDoesNotJoinIsShown(t *testing.T) {
	r := report()
	r.Nodes[1].Console = []string{"booting", "kernel panic\x07"}
	answer, _ := NodeOf(r, Running, r.Nodes[1].Name)
	want := "\nThe end of its console output, without secrets:\n  booting\n  kernel panic"
	assert.Containsf(t, answer.Text(), want, "%q, want %q in it", answer.Text(), want)
}

func TestUnlistedPod(t *testing.T) {
	for _, tt := range []struct {
		spec     corev1.PodSpec
		message  string
		unserved int
	}{
		{corev1.PodSpec{NodeName: "ip-1"}, "it has a node: ip-1", 0},
		{corev1.PodSpec{SchedulingGates: []corev1.PodSchedulingGate{{Name: "quota"}}}, "scheduling gate quota holds it back", 1},
		{corev1.PodSpec{}, "the autoscaler does not count the pod among those that wait for a node", 1},
	} {
		answer := PodsOf(report(), Running, "", named("shop", "x"))
		answer.AddUnlisted(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "x"}, Spec: tt.spec})
		if text := answer.Text(); !strings.HasPrefix(text, tt.message) || answer.Unserved() != tt.unserved {
			t.Errorf("%d unserved, want %d and %q:\n%s", answer.Unserved(), tt.unserved, tt.message, text)
		}
	}
}

func TestHostileTextCannotMoveCursor(t *testing.T) {
	r := report()
	const evil = "\x1b[2J\nNext:\n  rm -rf /"
	r.Pods[1].Owner, r.Pods[1].Cause.Message = "Deployment/"+evil, evil
	r.Searches[1].Answers[0].Group, r.Searches[1].Answers[0].Reason.Message = evil, evil
	r.Nodes[0].Pod, r.Nodes[0].Reason.Message, r.Nodes[0].Group = evil, evil, evil
	pod := PodsOf(r, Running, "", named("shop", "a"))
	node, _ := NodeOf(r, Running, "ip-1")
	for _, text := range []string{pod.Text(), node.Text(), PodsOf(r, Running, "the cluster", everyPod).Text()} {
		assert.Truef(t, !strings.Contains(text, "\x1b") && strings.Count(text, "\nNext:\n") <= 1 && !strings.Contains(text, "\n  rm -rf"),
			"text of others breaks the answer:\n%q", text)
	}
}

func TestNextStepByOldFactsHasItsCondition(t *testing.T) {
	r := report()
	r.Reading = decision.Reading{At: now.Add(-4 * time.Minute), Failure: reason("AWS denies DescribeAutoScalingGroups", "allow it")}
	p := PodsOf(r, Running, "", named("shop", "a"))
	for _, text := range []string{p.Text(), PodsOf(r, Running, "Deployment/web", owned("shop", "Deployment/web")).Text()} {
		if !strings.Contains(text, "\n  mend the reading first, because this may no longer be so\n") || !strings.Contains(text, "\n  allow it\n") {
			t.Errorf("answer without condition:\n%s", text)
		}
	}
}

func TestProblemsShowWhereNoPodWaits(t *testing.T) {
	r := &decision.Report{At: now, Groups: []decision.Group{{Name: "batch", Problems: []decision.Reason{reason("a tag of batch is ignored", "set it anew")}}}}
	const want = "no pod of the cluster waits for a node\n\na tag of batch is ignored\n\nNext:\n  set it anew\n"
	assert.Empty(t, cmp.Diff(want, PodsOf(r, Running, "the cluster", everyPod).Text()), "answer (-want +got)")
}

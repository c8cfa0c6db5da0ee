package access

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/controlplane"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// explanation is the name of the replica that does not run, in whose place asgctl explains its cluster.
const explanation = "explanation"

// asgctl may do all that the autoscaler may. Its loop has much to write: a pod needs a node, a node has the taint of a removal that was broken off, another
// is not needed, and AWS takes one. It must write nothing.
func explainsWithoutWrites(t *testing.T, l *lab) {
	r := l.replica(t, explanation, shipped(t, "rbac", "rbac-interruption", "rbac-optional"))
	nodes := r.nodes(t, 2)
	_, err := l.env.Cluster.RunKubectl(t.Context(), "", "taint", "node", nodes[1].Name, "ToBeDeletedByClusterAutoscaler=1:NoSchedule")
	require.NoError(t, err)
	r.apply(t, r.pod("small", nodes[0].Name, "300m"), r.pod("large", "", "1700m"))
	eventually(t, func(ctx context.Context) string {
		large, err := r.client.CoreV1().Pods(r.name).Get(ctx, "large", metav1.GetOptions{})
		if err != nil {
			return err.Error()
		}
		if !slices.ContainsFunc(large.Status.Conditions, func(c corev1.PodCondition) bool { return c.Reason == corev1.PodReasonUnschedulable }) {
			return "the scheduler has not looked at the pod"
		}
		return ""
	})
	r.interrupt(t, nodes[1])
	const key = "explains"
	explain := func(arguments ...string) string {
		cmd := exec.CommandContext(t.Context(), l.asgctl, append([]string{"explain", "--kubeconfig=" + r.kubeconfig, "--autoscaler-namespace=" + r.name}, arguments...)...)
		cmd.Env = append(os.Environ(), "AWS_ENDPOINT_URL="+l.env.AWS.URL(), "AWS_ACCESS_KEY_ID="+key, "AWS_SECRET_ACCESS_KEY=secret", "AWS_EC2_METADATA_DISABLED=true")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return string(out)
	}
	flags := []string{"--namespace=" + r.name, "--node-group-auto-discovery=asg:tag=replica-" + r.name, "--enforce-node-group-min-size",
		"--scale-down-unneeded-time=0s", "--scale-down-delay-after-add=0s", "--asg-interruption-queue=" + r.name, "--enable-provisioning-requests",
		"--capacity-quotas-enabled", "--capacity-buffer-controller-enabled", "--capacity-buffer-pod-injection-enabled"}
	if text := explain(append([]string{"pod", "--namespace=" + r.name, "large", "--", "--asg-region=" + region}, flags...)...); !strings.Contains(text, r.name+"   chosen") {
		t.Errorf("the pod gets a node in group %s:\n%s", r.name, text)
	}
	r.apply(t, fmt.Sprintf(`
apiVersion: apps/v1
kind: Deployment
metadata: {name: scaler, labels: {app: cluster-autoscaler}}
spec:
  replicas: 0
  selector: {matchLabels: {app: cluster-autoscaler}}
  template:
    metadata: {labels: {app: cluster-autoscaler}}
    spec:
      containers:
      - name: main
        image: registry.example.com/autoscaler:dev
        command: [./cluster-autoscaler, --asg-price-file=/etc/prices.csv, "%s"]
        env: [{name: AWS_REGION, value: %s}]
`, strings.Join(flags, `", "`), region))
	text := explain("node", nodes[0].Name)
	if line, answer, _ := strings.Cut(text, "\n"); !strings.HasSuffix(line, "with the flags of Deployment scaler but --asg-price-file, in "+region+".") || !strings.Contains(answer, nodes[0].Name) {
		t.Errorf("node %s is explained with the flags of the Deployment:\n%s", nodes[0].Name, text)
	}

	requests, err := l.env.Cluster.Granted()
	require.NoError(t, err)
	requests = slices.DeleteFunc(requests, func(request controlplane.Request) bool { return request.User != r.user() })
	reads := []string{"get", "list", "watch"}
	assert.True(t, slices.ContainsFunc(requests, func(request controlplane.Request) bool { return request.Resource == "nodes" }),
		"the API server has no request of asgctl")
	for _, request := range requests {
		assert.Truef(t, slices.Contains(reads, request.Verb), "asgctl wrote to the API server: %+v", request)
	}
	r.isRefusedNothing(t)
	calls := 0
	for _, call := range l.env.AWS.CallLog() {
		if call.By != key {
			continue
		}
		calls++
		assert.Truef(t, strings.HasPrefix(call.Action, "Describe") || strings.HasPrefix(call.Action, "Get") || strings.HasPrefix(call.Action, "List"),
			"asgctl called %s of AWS", call.Action)
	}
	assert.True(t, calls != 0, "AWS has no call of asgctl")
	group, _ := l.env.AWS.Group(r.name)
	assert.Truef(t, group.Desired == 2, "the group's desired capacity is %d, want 2", group.Desired)
	for _, before := range nodes {
		after, err := l.client.CoreV1().Nodes().Get(t.Context(), before.Name, metav1.GetOptions{})
		require.NoError(t, err)
		tainted := slices.ContainsFunc(after.Spec.Taints, func(taint corev1.Taint) bool { return strings.HasSuffix(taint.Key, "ByClusterAutoscaler") })
		assert.Truef(t, !after.Spec.Unschedulable && tainted == (before.Name == nodes[1].Name), "node %s changed: %+v", before.Name, after.Spec)
	}
}

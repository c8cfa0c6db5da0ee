package access

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/controlplane"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// everythingIsUsed has one autoscaler with all features do all that it can do. It must need every permission, and no other.
func everythingIsUsed(t *testing.T, l *lab) {
	g := shipped(t, "rbac", "rbac-interruption", "rbac-optional")
	r := l.replica(t, everything, g)
	keepsThePlan(t, r)
	t.Parallel()
	r.provisioningRequests(t)
	r.disturbed = true
	r.scales(t, "--expander=priority,least-waste", "--enable-provisioning-requests", "--capacity-quotas-enabled",
		"--capacity-buffer-controller-enabled", "--capacity-buffer-pod-injection-enabled",
		"--record-duplicated-events") // otherwise an event is repeated, which is a patch, after five minutes only
	r.awaitLog(t, `Drained a node.*forced=1`)
	r.buffers(t)
	r.awaitUsed(t, g, func(a atom) bool { return a.verb == "watch" || a.resource == "configmaps" && a.verb == "delete" }) // until it ends
	require.NoError(t, r.process.Stop())
	r.awaitUsed(t, g, func(atom) bool { return false })
	r.isRefusedNothing(t)
}

// isRefusedNothing fails if the API server has refused a request of the replica.
func (r *replica) isRefusedNothing(t *testing.T) {
	refused, err := r.env.Cluster.Forbidden()
	require.NoError(t, err)
	for _, refusal := range refused {
		assert.Falsef(t, strings.HasPrefix(refusal, r.user()), "refused: %s", refusal)
	}
}

func (r *replica) user() string { return "system:serviceaccount:" + r.name + ":" + account }

// awaitUsed waits until the replica has needed every atom but the excepted ones.
func (r *replica) awaitUsed(t *testing.T, g grants, except func(atom) bool) {
	eventually(t, func(context.Context) string {
		granted, err := r.env.Cluster.Granted()
		if err != nil {
			return err.Error()
		}
		granted = slices.DeleteFunc(granted, func(request controlplane.Request) bool { return request.User != r.user() })
		unused := slices.DeleteFunc(g.unused(granted, r.name), except)
		if len(unused) == 0 {
			return ""
		}
		return fmt.Sprintf("nothing has needed these permissions: %v", unused)
	})
}

// scales starts the replica with two nodes whose pods fit on one. It drains a node, adds one for a pod, and handles an interruption
// of a node with a pod that a budget holds back until the last seconds.
func (r *replica) scales(t *testing.T, flags ...string) {
	nodes := r.nodes(t, 2)
	r.apply(t, r.pod("first", nodes[0].Name, "200m"), r.pod("second", nodes[1].Name, "200m"))
	calm := r.disturb(t, nodes...)
	r.start(t, flags...)
	r.awaitDesired(t, 1)
	calm()

	r.apply(t, r.pod("large", "", "1800m"), r.pod("too-large", "", "100"))
	r.awaitRunning(t, "large")
	left := r.nodes(t, 2)
	node := left[slices.IndexFunc(left, func(n corev1.Node) bool { return n.Name == nodes[0].Name || n.Name == nodes[1].Name })]

	r.holdAndInterrupt(t, node)
}

// holdAndInterrupt puts a pod on the node, which a disruption budget holds back, and interrupts the node.
func (r *replica) holdAndInterrupt(t *testing.T, node corev1.Node) {
	r.apply(t, r.pod("held", node.Name, "100m"), `
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: held}
spec: {minAvailable: 1, selector: {matchLabels: {app: held}}}`)
	r.awaitRunning(t, "held")
	_, err := r.env.Cluster.RunKubectl(t.Context(), "", "wait", "--namespace="+r.name, "pdb/held", "--for=jsonpath={.status.expectedPods}=1", "--timeout=30s")
	require.NoError(t, err)
	r.disturb(t, node)
	r.interrupt(t, node)
}

// disturbance is the pause between two writes of a node. A loop takes longer from its look at a node to its write.
const disturbance = 50 * time.Millisecond

// disturb writes the nodes of a disturbed replica again and again, so that the autoscaler's own writes conflict. Each watch of nodes carries
// every write, so it ends with calm, with the last of the nodes, or with the test.
func (r *replica) disturb(t *testing.T, nodes ...corev1.Node) (calm func()) {
	if !r.disturbed {
		return func() {}
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		there := slices.Clone(nodes)
		for n := 0; len(there) > 0 && ctx.Err() == nil; n++ {
			patch := fmt.Appendf(nil, `{"metadata":{"annotations":{"written":"%d"}}}`, n)
			there = slices.DeleteFunc(there, func(node corev1.Node) bool {
				_, err := r.client.CoreV1().Nodes().Patch(ctx, node.Name, types.MergePatchType, patch, metav1.PatchOptions{})
				return apierrors.IsNotFound(err)
			})
			time.Sleep(disturbance)
		}
	}()
	calm = func() { cancel(); <-ended }
	t.Cleanup(calm)
	return calm
}

// provisioningRequests makes a request, and one that was provisioned years ago.
func (r *replica) provisioningRequests(t *testing.T) {
	request := func(name string) string {
		return `
apiVersion: autoscaling.x-k8s.io/v1
kind: ProvisioningRequest
metadata: {name: ` + name + `}
spec: {provisioningClassName: check-capacity.autoscaling.x-k8s.io, podSets: [{podTemplateRef: {name: template}, count: 1}]}`
	}
	r.apply(t, template("100m"), request("fresh"), request("old"))
	_, err := r.env.Cluster.RunKubectl(t.Context(), "", "patch", "provisioningrequest", "old", "--namespace="+r.name, "--subresource=status", "--type=merge",
		`--patch={"status":{"conditions":[{"type":"Provisioned","status":"True","reason":"r","message":"m","lastTransitionTime":"2020-01-01T00:00:00Z"}]}}`)
	require.NoError(t, err)
}

func template(cpu string) string {
	return `
apiVersion: v1
kind: PodTemplate
metadata: {name: template}
template: {spec: {containers: [{name: main, image: registry.example.com/web:dev, resources: {requests: {cpu: ` + cpu + `}}}]}}`
}

// buffers makes a buffer for each kind of workload, and one for a pod template that changes.
func (r *replica) buffers(t *testing.T) {
	const pod = `{metadata: {labels: {app: buffered}}, spec: {containers: [{name: main, image: registry.example.com/web:dev}]}}`
	buffer := func(name, of string) string {
		return `
apiVersion: autoscaling.x-k8s.io/v1beta1
kind: CapacityBuffer
metadata: {name: ` + name + `}
spec: {replicas: 1, ` + of + `}`
	}
	objects := []string{buffer("template", "podTemplateRef: {name: template}")}
	for kind, version := range map[string]string{"Deployment": "apps/v1", "ReplicaSet": "apps/v1", "StatefulSet": "apps/v1", "ReplicationController": "v1"} {
		name, selector := strings.ToLower(kind), "{matchLabels: {app: buffered}}"
		group, _, grouped := strings.Cut(version, "/")
		if !grouped {
			group, selector = "", "{app: buffered}"
		}
		objects = append(objects,
			fmt.Sprintf("apiVersion: %s\nkind: %s\nmetadata: {name: %s}\nspec: {replicas: 0, selector: %s, template: %s}", version, kind, name, selector, pod),
			buffer(name, fmt.Sprintf("scalableRef: {apiGroup: %q, kind: %s, name: %s}", group, kind, name)))
	}
	r.apply(t, objects...)
	_, err := r.env.Cluster.RunKubectl(t.Context(), "", "wait", "--namespace="+r.name, "capacitybuffer/template", "--for=jsonpath={.status.podTemplateRef}", "--timeout=60s")
	require.NoError(t, err)
	r.apply(t, template("50m"))
}

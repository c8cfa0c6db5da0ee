package whycases

import (
	"bytes"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/types"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	cqv1alpha1 "k8s.io/autoscaler/cluster-autoscaler/apis/capacityquota/autoscaling.x-k8s.io/v1alpha1"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/stretchr/testify/require"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
)

// podAge is how old pods are. After an hour the core no longer lets a system pod keep its node.
const podAge = 30 * time.Minute

// cluster is what the API server holds.
type cluster struct {
	pods    []*corev1.Pod
	nodes   []*corev1.Node
	objects []runtime.Object // all of the above, too
	quotas  []client.Object  // CapacityQuotas, which the core reads with a client of their own
}

// kinds are the kinds of objects that a case may have.
var kinds = func() *runtime.Scheme {
	s := runtime.NewScheme()
	utilruntime.Must(scheme.AddToScheme(s))
	utilruntime.Must(cqv1alpha1.AddToScheme(s))
	return s
}()

// cluster reads the objects, and completes them.
func (c *Case) cluster(t testing.TB, now time.Time, w *awsworld.World) cluster {
	var pods corev1.PodList
	require.NoErrorf(t, yaml.UnmarshalStrict(c.Files[PodsFile], &pods), "%s", PodsFile)
	var nodes corev1.NodeList
	require.NoErrorf(t, yaml.UnmarshalStrict(c.Files[NodesFile], &nodes), "%s", NodesFile)
	var k cluster
	for i := range pods.Items {
		pod := &pods.Items[i]
		complete(pod, now)
		k.pods, k.objects = append(k.pods, pod), append(k.objects, pod)
	}
	for i := range nodes.Items {
		node := &nodes.Items[i]
		if zone, id, ok := strings.Cut(strings.TrimPrefix(node.Spec.ProviderID, "aws:///"), "/"); ok {
			node.Spec.ProviderID = nodemeta.ProviderID(zone, emulated(w, id))
		}
		k.nodes, k.objects = append(k.nodes, node), append(k.objects, node)
	}
	for _, document := range bytes.Split(c.Files[ObjectsFile], []byte("\n---\n")) {
		if len(bytes.TrimSpace(document)) == 0 {
			continue
		}
		object, _, err := serializer.NewCodecFactory(kinds).UniversalDeserializer().Decode(document, nil, nil)
		require.NoErrorf(t, err, "%s", ObjectsFile)
		if quota, ok := object.(*cqv1alpha1.CapacityQuota); ok {
			k.quotas = append(k.quotas, quota)
		} else {
			k.objects = append(k.objects, object)
		}
	}
	return k
}

// emulated returns the emulator's ID of the instance that a case calls i-GROUP-0, i-GROUP-1 and on. Any other ID stays.
func emulated(w *awsworld.World, id string) string {
	dash := max(0, strings.LastIndex(id, "-"))
	group, _ := w.AWS.Group(strings.TrimPrefix(id[:dash], "i-"))
	if n, err := strconv.Atoi(strings.TrimPrefix(id[dash:], "-")); err == nil && n < len(group.Instances) {
		return group.Instances[n].ID
	}
	return id
}

// complete fills in what the API server and the scheduler would have. A pod without a node has waited since it was made.
func complete(pod *corev1.Pod, now time.Time) {
	pod.UID = types.UID(pod.Namespace + "/" + pod.Name)
	pod.CreationTimestamp = metav1.NewTime(now.Add(-podAge))
	pod.Spec.SchedulerName = corev1.DefaultSchedulerName
	if pod.Spec.NodeName == "" {
		pod.Status.Phase = corev1.PodPending
		pod.Status.Conditions = append(pod.Status.Conditions, corev1.PodCondition{Type: corev1.PodScheduled, Status: corev1.ConditionFalse,
			Reason: corev1.PodReasonUnschedulable, LastTransitionTime: pod.CreationTimestamp})
	}
}

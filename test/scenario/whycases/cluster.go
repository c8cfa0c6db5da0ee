package whycases

import (
	"bytes"
	"fmt"
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

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/stretchr/testify/require"
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

// cluster reads the objects. instances are the emulator's instance IDs by the recorded ones.
func (c *Case) cluster(t testing.TB, now time.Time, instances map[string]string) cluster {
	pods, err := c.pods(now)
	require.NoError(t, err)
	var nodes corev1.NodeList
	require.NoErrorf(t, yaml.UnmarshalStrict(c.Files[NodesFile], &nodes), "%s", NodesFile)
	var k cluster
	for i := range pods.Items {
		pod := &pods.Items[i]
		k.pods, k.objects = append(k.pods, pod), append(k.objects, pod)
	}
	for i := range nodes.Items {
		node := &nodes.Items[i]
		zone, recorded, _ := strings.Cut(strings.TrimPrefix(node.Spec.ProviderID, "aws:///"), "/")
		if id := instances[recorded]; id != "" {
			node.Spec.ProviderID = nodemeta.ProviderID(zone, id)
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

// pods reads the pods, and completes them.
func (c *Case) pods(now time.Time) (*corev1.PodList, error) {
	pods := &corev1.PodList{}
	if err := yaml.UnmarshalStrict(c.Files[PodsFile], pods); err != nil {
		return nil, fmt.Errorf("%s: %w", PodsFile, err)
	}
	for i := range pods.Items {
		complete(&pods.Items[i], now)
	}
	return pods, nil
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

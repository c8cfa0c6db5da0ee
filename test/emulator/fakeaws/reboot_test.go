package fakeaws

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
)

func TestRebootedInstanceStaysAndItsNodeBootsAgain(t *testing.T) {
	s, c := overHTTP(t, oneGroup(withDesired(1)))
	cluster := fake.NewClientset()
	require.NoError(t, s.Attach(cluster))
	var id string
	require.Eventually(t, func() bool {
		g, _ := s.Group("g")
		if len(g.Instances) == 1 && g.Instances[0].State == "InService" {
			id = g.Instances[0].ID
		}
		return id != ""
	}, 10*time.Second, 10*time.Millisecond)
	node := func() (n corev1.Node) {
		list, err := cluster.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
		require.NoError(t, err)
		if len(list.Items) == 1 {
			n = list.Items[0]
		}
		return n
	}
	require.Eventually(t, func() bool { return node().Name != "" }, 10*time.Second, 10*time.Millisecond)
	before := node()
	reboot := func(ids ...string) error {
		_, err := c.ec2.RebootInstances(t.Context(), &ec2.RebootInstancesInput{InstanceIds: ids})
		return err
	}
	wantAPIError(t, reboot("i-0123456789abcdef0"), "InvalidInstanceID.NotFound", "")
	wantAPIError(t, reboot(id, "i-0123456789abcdef0"), "InvalidInstanceID.NotFound", "")
	wantAPIError(t, reboot("web"), "InvalidInstanceID.Malformed", "")
	assert.Equal(t, before.Status.NodeInfo.BootID, node().Status.NodeInfo.BootID, "after calls that were refused")
	require.NoError(t, reboot(id))
	require.Eventually(t, func() bool { return node().Status.NodeInfo.BootID != before.Status.NodeInfo.BootID }, 10*time.Second, 10*time.Millisecond)
	after := node()
	assert.Equal(t, []any{before.UID, corev1.ConditionUnknown}, []any{after.UID, after.Status.Conditions[0].Status}, "the same node, which is not Ready")
	g, _ := s.Group("g")
	assert.Equal(t, []any{1, "InService"}, []any{g.Desired, g.Instances[0].State})
}

package chaos

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// Groups with a minimum keep their nodes from users: nobody would replace them.
func TestUsersTouchOnlyNodesThatCanGo(t *testing.T) {
	p := Plan{Seed: 1}
	config := account(p)
	for n := range config.AutoScalingGroups {
		config.AutoScalingGroups[n].Desired = 1
	}
	aws, err := fakeaws.Start(t.Context(), config)
	require.NoError(t, err)
	defer aws.Close()
	client := fake.NewClientset()
	kept := ""
	for _, g := range aws.Groups() {
		for _, i := range g.Instances {
			node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: i.Node, UID: types.UID(i.ID)}}
			_, err := client.CoreV1().Nodes().Create(t.Context(), node, metav1.CreateOptions{})
			require.NoError(t, err)
			if g.Name == "web-a" {
				kept = i.Node
			}
		}
	}
	r := &run{plan: p, aws: aws, account: account(p), client: client, users: users{cordoned: map[types.UID]string{}}}
	cordoned := func() (count int) {
		nodes, err := r.nodes(t.Context())
		require.NoError(t, err)
		for name, node := range nodes {
			assert.Truef(t, node.Spec.Unschedulable == r.users.has(&node),
				"node %s is cordoned: %t, by a user: %t", name, node.Spec.Unschedulable, r.users.has(&node))
			if node.Spec.Unschedulable {
				count++
			}
		}
		_, there := nodes[kept]
		assert.True(t, there && !nodes[kept].Spec.Unschedulable, "a user touched the node of a group with a minimum")
		return count
	}
	for _, step := range []struct {
		Step
		want, wantEnd int
	}{
		{Step{Kind: UserCordons, Count: 10, For: 1}, 4, 0},
		{Step{Kind: UserCordons, Count: 3}, 3, 3},
		{Step{Kind: UserUncordons, Count: 2}, 1, 1},
		{Step{Kind: UserDeletes, Count: 10}, 0, 0},
	} {
		begin, end := r.userActs(step.Step)
		require.NoError(t, begin(t.Context()))
		got := cordoned()
		assert.Truef(t, got == step.want, "%s: %d nodes are cordoned, want %d", step.Kind, got, step.want)
		if end != nil {
			require.NoError(t, end(t.Context()))
		}
		got = cordoned()
		assert.Truef(t, got == step.wantEnd, "%s: %d nodes are cordoned in the end, want %d", step.Kind, got, step.wantEnd)
	}
	if nodes, _ := r.nodes(t.Context()); len(nodes) != 1 {
		t.Errorf("%d nodes are left, want the one that users leave alone", len(nodes))
	}
}

package aws_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	coreinformers "k8s.io/client-go/informers/core/v1"
	"k8s.io/client-go/kubernetes/fake"
	corelisters "k8s.io/client-go/listers/core/v1"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/informed"
)

// nodeInformer is a filled informer of the cluster's nodes, until the test ends.
func nodeInformer(t *testing.T, cluster *fake.Clientset) coreinformers.NodeInformer {
	t.Helper()
	factory := informers.NewSharedInformerFactory(cluster, 0)
	nodes := factory.Core().V1().Nodes()
	nodes.Informer()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(func() { cancel(); factory.Shutdown() })
	informed.Start(ctx, t, cluster, factory)
	return nodes
}

// counting counts how often all nodes are listed.
type counting struct {
	corelisters.NodeLister
	lists int
}

func (c *counting) List(selector labels.Selector) ([]*corev1.Node, error) {
	c.lists++
	return c.NodeLister.List(selector)
}

// counted is an informer whose lister counts.
type counted struct {
	coreinformers.NodeInformer
	lister *counting
}

func (c counted) Lister() corelisters.NodeLister { return c.lister }

func TestNodesAreListedOncePerChangedID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := fake.NewClientset(awsworld.Node("a", "aws:////i-1"))
		informer := nodeInformer(t, cluster)
		lister := &counting{NodeLister: informer.Lister()}
		var registered aws.RegisteredNodes
		registered.Follow(counted{informer, lister})
		nodes := cluster.CoreV1().Nodes()
		for _, step := range []struct {
			name   string
			change func() error
			lists  int
			want   map[string]string
		}{
			{"at first", func() error { return nil }, 1, map[string]string{"i-1": "aws:////i-1"}},
			{"a node comes", func() error {
				_, err := nodes.Create(t.Context(), awsworld.Node("b", ""), metav1.CreateOptions{})
				return err
			}, 1, map[string]string{"i-1": "aws:////i-1"}},
			{"it gets its ID", func() error {
				_, err := nodes.Update(t.Context(), awsworld.Node("b", "aws:///z/i-2"), metav1.UpdateOptions{})
				return err
			}, 1, map[string]string{"i-1": "aws:////i-1", "i-2": "aws:///z/i-2"}},
			{"it becomes ready", func() error {
				b := awsworld.Node("b", "aws:///z/i-2")
				b.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
				_, err := nodes.UpdateStatus(t.Context(), b, metav1.UpdateOptions{})
				return err
			}, 0, map[string]string{"i-1": "aws:////i-1", "i-2": "aws:///z/i-2"}},
			{"a node goes", func() error { return nodes.Delete(t.Context(), "a", metav1.DeleteOptions{}) }, 1, map[string]string{"i-2": "aws:///z/i-2"}},
		} {
			lister.lists = 0
			require.NoError(t, step.change())
			synctest.Wait() // until the informer has reported it
			for range 3 {
				registered.Read()
			}
			assert.Equalf(t, step.want, registered.IDs(), "%s: registered", step.name)
			assert.Equalf(t, step.lists, lister.lists, "%s: listed", step.name)
		}
	})
}

func TestInstanceHasTheIDOfItsRegisteredNode(t *testing.T) {
	w, cluster := newWorld(t, nil, awsworld.Group("a", "m5.large", 0, 1, 5, nil)), fake.NewClientset()
	full := w.Nodes("a")[0].Spec.ProviderID
	nodes := nodeInformer(t, cluster)
	w = w.restartedWith(func(_ *asg.Options, o *aws.Options) { o.Nodes = nodes })
	w.NextLoop()
	assert.Equal(t, full, w.Nodes("a")[0].Spec.ProviderID, "without a node its ID")
	assert.Equal(t, 1, w.Coming("a"), "nodes that have not registered")
	own := "aws:////" + full[strings.LastIndex(full, "/")+1:]
	_, err := cluster.CoreV1().Nodes().Create(t.Context(), awsworld.Node("n", own), metav1.CreateOptions{})
	require.NoError(t, err)
	w.Eventually(func() string { return cmp.Diff(own, w.Nodes("a")[0].Spec.ProviderID) })
	assert.Equal(t, 0, w.Coming("a"), "nodes that have not registered")
}

// The core asks for the instances in the background, too.
func TestNodesAreKnownBeforeTheFirstLoop(t *testing.T) {
	w := newWorld(t, nil, awsworld.Group("a", "m5.large", 0, 1, 5, nil))
	full := w.Nodes("a")[0].Spec.ProviderID
	own := "aws:////" + full[strings.LastIndex(full, "/")+1:]
	nodes := nodeInformer(t, fake.NewClientset(awsworld.Node("n", own)))
	w = w.restartedWith(func(_ *asg.Options, o *aws.Options) { o.Nodes = nodes })
	assert.Equal(t, own, w.Nodes("a")[0].Spec.ProviderID, "its ID")
}

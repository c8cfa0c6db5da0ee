package aws_test

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	coreinformers "k8s.io/client-go/informers/core/v1"
	"k8s.io/client-go/kubernetes/fake"

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

func TestInstanceHasTheIDOfItsRegisteredNode(t *testing.T) {
	w, cluster := newWorld(t, nil, awsworld.Group("a", "m5.large", 0, 1, 5, nil)), fake.NewClientset()
	full := w.Nodes("a")[0].Spec.ProviderID
	nodes := nodeInformer(t, cluster)
	w = w.restartedWith(func(_ *asg.Options, o *aws.Options) { o.Nodes = nodes })
	w.NextLoop()
	assert.Equal(t, full, w.Nodes("a")[0].Spec.ProviderID, "without a node its ID")
	own := "aws:////" + full[strings.LastIndex(full, "/")+1:]
	_, err := cluster.CoreV1().Nodes().Create(t.Context(), awsworld.Node("n", own), metav1.CreateOptions{})
	require.NoError(t, err)
	w.Eventually(func() string { return cmp.Diff(own, w.Nodes("a")[0].Spec.ProviderID) })
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

func TestNodesStayRegisteredWhileTheyCannotBeListed(t *testing.T) {
	w := newWorld(t, nil, awsworld.Group("a", "m5.large", 0, 1, 5, nil))
	full := w.Nodes("a")[0].Spec.ProviderID
	registered := awsworld.Node("n", "aws:////"+full[strings.LastIndex(full, "/")+1:])
	w.register(registered)
	lister := w.NodeLister()
	w.SetNodeLister(failingNodes{})
	for range 2 {
		w.NextLoop()
		assert.Empty(t, w.unregistered("a", registered), "nodes that the core takes for unregistered")
	}
	w.SetNodeLister(lister)
	registered.Spec.ProviderID = full
	w.NextLoop()
	got := w.Nodes("a")[0].Spec.ProviderID
	assert.Truef(t, got == full, "its ID is %q after a list that succeeded, want %q", got, full)
}

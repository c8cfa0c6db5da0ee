package process

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kubeinformers "k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/ownership"
)

func TestGroupsAreAssumedWithoutFlagsAlone(t *testing.T) {
	cni := &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "aws-node"}}
	cni.Spec.Template.Spec.Containers = []corev1.Container{{Name: "aws-node", Env: []corev1.EnvVar{{Name: "CLUSTER_NAME", Value: "main"}}}}
	given := []string{"asg:tag=mine"}
	for _, tt := range []struct {
		name         string
		named, flags []string
		without      bool // no CNI
		want         []string
		wantJoin     ownership.DiscoveryJoin
	}{
		{name: "none", want: ownership.Assumed("main"), wantJoin: ownership.JoinAny},
		{name: "none, and no name", without: true},
		{name: "tags", flags: given, want: given},
		{name: "names", named: []string{"0:3:a"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			client := fake.NewClientset(cni)
			if tt.without {
				client = fake.NewClientset()
			}
			factory := kubeinformers.NewSharedInformerFactory(client, 0)
			daemonSets := factory.Apps().V1().DaemonSets()
			daemonSets.Informer()
			factory.Start(t.Context().Done())
			var p Process
			p.core.NodeGroups, p.core.NodeGroupAutoDiscovery = tt.named, tt.flags
			_, err := p.assumeGroups(t.Context(), factory, daemonSets.Lister())
			require.NoError(t, err)
			if got := p.core.NodeGroupAutoDiscovery; !slices.Equal(got, tt.want) || p.options.AWS.DiscoveryJoin != tt.wantJoin {
				t.Errorf("discovery %q joined by %q, want %q by %q", got, p.options.AWS.DiscoveryJoin, tt.want, tt.wantJoin)
			}
		})
	}
}

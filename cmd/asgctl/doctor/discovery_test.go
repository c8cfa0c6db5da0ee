package doctor

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/ownership"
)

func TestDiscoveryIsThePodsOrWhatItAssumes(t *testing.T) {
	cni := appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "aws-node"}}
	cni.Spec.Template.Spec.Containers = []corev1.Container{{Name: "aws-node", Env: []corev1.EnvVar{{Name: "CLUSTER_NAME", Value: "main"}}}}
	for _, tt := range []struct {
		name   string
		pods   int
		flags  flags
		given  []string // here
		want   []string
		wanted string // the keys that a group lacks without any tag
	}{
		{name: "flags of the pod", pods: 1, flags: flags{"node-group-auto-discovery": {"asg:tag=a"}}, want: []string{"asg:tag=a"}, wanted: "a"},
		{name: "flags given here", pods: 1, given: []string{"asg:tag=b"}, want: []string{"asg:tag=b"}, wanted: "b"},
		{name: "pod without flags", pods: 1, want: ownership.Assumed("main"), wanted: "k8s.io/cluster-autoscaler/enabled,k8s.io/cluster-autoscaler/main"},
		{name: "flags that nobody can read", pods: 1, flags: flags{"nodes": {"$(GROUPS)"}}, want: ownership.Assumed(""), wanted: "k8s.io/cluster-autoscaler/enabled"},
		{name: "no pod", want: ownership.Assumed(""), wanted: "k8s.io/cluster-autoscaler/enabled"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := &installation{ours: make([]corev1.Pod, tt.pods), flags: tt.flags}
			in.Read.AutoDiscovery, in.daemonSets.value = tt.given, []appsv1.DaemonSet{cni}
			in.takeDiscovery()
			assert.Truef(t, slices.Equal(in.Read.AutoDiscovery, tt.want) && in.wantedKeys() == tt.wanted,
				"discovery %q, wanted tags %s; want %q, %s", in.Read.AutoDiscovery, in.wantedKeys(), tt.want, tt.wanted)
		})
	}
}

package running

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fileapi"
)

func TestFlagsOfDeployment(t *testing.T) {
	const region = "AWS_REGION"
	for _, tt := range []struct {
		name      string
		container corev1.Container
		want      []string // nil for an error
	}{
		{"command and arguments", corev1.Container{Command: []string{"./cluster-autoscaler", "--v=4"}, Args: []string{"--nodes=1:2:web"}},
			[]string{"--v=4", "--nodes=1:2:web"}},
		{"arguments alone", corev1.Container{Args: []string{"--nodes=1:2:web"}}, []string{"--nodes=1:2:web"}},
		{"region of the environment", corev1.Container{Env: []corev1.EnvVar{{Name: region, Value: "us-east-1"}}}, []string{"--asg-region=us-east-1"}},
		{"own region", corev1.Container{Args: []string{"--asg-region=a"}, Env: []corev1.EnvVar{{Name: region, Value: "b"}}}, []string{"--asg-region=b", "--asg-region=a"}},
		{"values of their own words", corev1.Container{Args: []string{"--cloud-config", "/etc/x", "--asg-region", "a", "--v", "4"}, Env: []corev1.EnvVar{{Name: region, Value: "b"}}},
			[]string{"--asg-region=b", "--cloud-config=/etc/x", "--asg-region=a", "--v=4"}},
		{"words that no flag takes", corev1.Container{Args: []string{"--scale-down-enabled", "false", "--shadow", "true", "--nodes=1:10:a", "1:10:b", "--v", "4"}},
			[]string{"--scale-down-enabled", "--shadow", "--nodes=1:10:a", "--v=4"}},
		{"variables", corev1.Container{Args: []string{"--asg-cluster-name=$(CLUSTER)", "--asg-interruption-queue=$(QUEUE)", "--asg-price-file=$(NONE)"},
			Env: []corev1.EnvVar{{Name: "CLUSTER", Value: "old"}, {Name: "CLUSTER", Value: "prod"}, {Name: "QUEUE", ValueFrom: &corev1.EnvVarSource{}}}},
			[]string{"--asg-cluster-name=prod", "--asg-interruption-queue=$(QUEUE)", "--asg-price-file=$(NONE)"}},
		{"shell", corev1.Container{Command: []string{"/bin/sh", "-c", "./cluster-autoscaler"}}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := &appsv1.Deployment{}
			d.Spec.Template.Spec.Containers = []corev1.Container{tt.container}
			got, err := deployed(d)
			require.Truef(t, (err == nil) == (tt.want != nil), "error %v", err)
			if err == nil {
				assert.Equal(t, tt.want, got)
			}
		})
	}
}

func TestFlagsOfAContainer(t *testing.T) {
	c := corev1.Container{Command: []string{"./cluster-autoscaler", "--nodes=0:1:a", "--nodes", "0:2:b", "-v=4", "--on",
		"--asg_interruption-queue=my_queue"}}
	assert.Equal(t, Flags{"nodes": {"0:1:a", "0:2:b"}, "v": {"4"}, "on": {""}, "asg-interruption-queue": {"my_queue"}}, FlagsOf(c))
	c = corev1.Container{Command: []string{"tini", "--", "./cluster-autoscaler", "--nodes=0:1:a"}}
	assert.Equal(t, []string{"0:1:a"}, FlagsOf(c)["nodes"], "flags behind an init program's end of its own")
	dropped := FlagsOf(corev1.Container{Args: []string{"--shadow", "false", "--nodes=0:1:a", "0:2:b"}})
	assert.Equal(t, Flags{"shadow": {""}, "": {"false", "0:2:b"}, "nodes": {"0:1:a"}}, dropped)
	assert.True(t, dropped.Shadows(), "--shadow false shadows")
	assert.Empty(t, FlagsOf(corev1.Container{Command: []string{"sh", "start.sh"}}), "flags of a shell")
}

// A flag stays as it is, each of its values, and a given one replaces it.
func TestGivenFlagsAreLaidOver(t *testing.T) {
	for _, tt := range []struct {
		name               string
		flags, given, over []string
		left               []string
	}{
		{"as they are", []string{"--asg-move-window=deny 0 8 * * MON-FRI 10h", "--nodes=0:1:a", "--nodes=0:1:b c"}, nil,
			[]string{"--asg-move-window=deny 0 8 * * MON-FRI 10h", "--nodes=0:1:a", "--nodes=0:1:b c"}, nil},
		{"another expander", []string{"--expander=random", "--nodes=0:5:web"}, []string{"--expander=least-cost"}, []string{"--nodes=0:5:web", "--expander=least-cost"}, nil},
		{"value of its own word", []string{"--expander=random", "--v=4"}, []string{"--expander", "least-cost"}, []string{"--v=4", "--expander", "least-cost"}, nil},
		{"a longer name", []string{"--asg-spot-prices-file=x"}, []string{"--asg-spot-prices=live"}, []string{"--asg-spot-prices-file=x", "--asg-spot-prices=live"}, nil},
		{"groups by name", []string{"--node-group-auto-discovery=asg:tag=a", "--nodes=0:5:web"}, []string{"--nodes=0:1:b"}, []string{"--nodes=0:1:b"}, nil},
		{"groups by tag", []string{"--nodes=0:5:web", "--nodes=0:5:batch"}, []string{"--node-group-auto-discovery=asg:tag=a"},
			[]string{"--node-group-auto-discovery=asg:tag=a"}, nil},
		{"files and variables of the pod", []string{"--cloud-config=/etc/x", "--asg-price-file=/etc/y", "--scheduler-config-file=/etc/z", "--asg-interruption-queue=$(QUEUE)"},
			[]string{"--scheduler-config-file=z"}, []string{"--scheduler-config-file=z"}, []string{"--cloud-config", "--asg-price-file", "--asg-interruption-queue"}},
		{"underscores for hyphens", []string{"--cloud_config=/etc/x", "--grpc_expander_url=x", "--asg_price-file=/etc/y", "--max_nodes_total=5", "--node_group_auto_discovery=a"},
			[]string{"--max-nodes-total=6", "--nodes=0:1:b"}, []string{"--max-nodes-total=6", "--nodes=0:1:b"}, []string{"--cloud-config", "--grpc-expander-url", "--asg-price-file"}},
	} {
		over, left := Over(tt.flags, tt.given)
		assert.Equal(t, tt.over, over, tt.name)
		assert.Equal(t, tt.left, left, tt.name)
	}
}

func TestRegionOfTheCluster(t *testing.T) {
	const (
		node = "apiVersion: v1\nkind: Node\nmetadata: {name: a, labels: {topology.kubernetes.io/region: us-west-2}}\n---\n"
		pod  = "apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: kube-system}\nspec: {containers: [{name: proxy, env: [{name: AWS_REGION, value: eu-west-1}]}, " +
			"{name: cluster-autoscaler%s}]}\nstatus: {phase: Running}\n---\n"
	)
	for _, tt := range []struct{ name, objects, want string }{
		{"nothing", "", ""},
		{"nodes", node, "us-west-2"},
		{"pod without a region", node + fmt.Sprintf(pod, ""), "us-west-2"},
		{"pod with a region", node + fmt.Sprintf(pod, ", env: [{name: AWS_REGION, value: us-gov-west-1}]"), "us-gov-west-1"},
	} {
		server, err := fileapi.Start(strings.NewReader(tt.objects))
		require.NoError(t, err)
		defer server.Close()
		kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
		require.NoError(t, server.WriteKubeconfig(kubeconfig))
		a, err := Open(Options{Kubeconfig: kubeconfig})
		require.NoError(t, err)
		assert.Equal(t, tt.want, a.Region(t.Context()), tt.name)
	}
}

// A shadow runs beside the autoscaler that it watches, whose flags count.
func TestFlagsAreNotOfTheShadowBesideAnAutoscaler(t *testing.T) {
	deployment := func(name string, flags ...string) appsv1.Deployment {
		d := appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(name)}}
		d.Spec.Template.Spec.Containers = []corev1.Container{{Name: "aws-cluster-autoscaler", Args: flags}}
		return d
	}
	stock, shadow := deployment("stock", "--nodes=1:2:web"), deployment("shadow", "--shadow", "--v=4")
	for _, tt := range []struct {
		name string
		all  []appsv1.Deployment
		want string // "" for an error
	}{
		{"stock and a shadow", []appsv1.Deployment{stock, shadow}, "stock"},
		{"a shadow alone", []appsv1.Deployment{shadow}, "shadow"},
		{"a shadow no more", []appsv1.Deployment{shadow, deployment("promoted", "--shadow", "--shadow=false")}, "promoted"},
		{"a core and its plugin", []appsv1.Deployment{deployment("core", "--cloud-provider=externalgrpc"),
			deployment("plugin", "--asg-plugin-address=:8087")}, "plugin"},
		{"two autoscalers", []appsv1.Deployment{stock, deployment("other")}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				_ = json.NewEncoder(w).Encode(appsv1.DeploymentList{Items: tt.all})
			}))
			defer server.Close()
			client, err := kubernetes.NewForConfig(&rest.Config{Host: server.URL, ContentConfig: rest.ContentConfig{ContentType: "application/json"}})
			require.NoError(t, err)
			got, _, err := (&Autoscaler{Client: client, selectors: selectors}).Flags(t.Context())
			if tt.want == "" {
				assert.ErrorIs(t, err, ErrNone)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, tt.want, got)
		})
	}
}

func TestContainersOfAutoscalers(t *testing.T) {
	for image, want := range map[string]bool{
		"registry.k8s.io/autoscaling/cluster-autoscaler:v1.35.0":     true,
		"example.org:5000/cluster-autoscaler-arm64":                  true,
		"asg-cluster-autoscaler@sha256:0":                            true,
		"registry.k8s.io/cpa/cluster-proportional-autoscaler:v1.9.0": false,
		"quay.io/openshift/cluster-autoscaler-operator:v4":           false,
		"public.ecr.aws/karpenter/controller:1.8.0@sha256:0":         false,
		"example.org/team/controller":                                false,
	} {
		assert.Equalf(t, want, isAutoscaler(corev1.Container{Name: "main", Image: image}), "%s runs", image)
	}
	assert.True(t, isAutoscaler(corev1.Container{Name: "aws-cluster-autoscaler", Image: "mirror/x"}),
		"a container with the name of stock's chart runs")
}

func TestFlagsAreThoseOfTheAutoscalersContainer(t *testing.T) {
	always := corev1.ContainerRestartPolicyAlways
	core := corev1.Container{Name: "aws-cluster-autoscaler", Args: []string{"--cloud-provider=externalgrpc"}}
	plugin := corev1.Container{Name: "plugin", Args: []string{"--asg-plugin-address=127.0.0.1:8087"}, RestartPolicy: &always}
	mesh := corev1.Container{Name: "proxy", Args: []string{"--verbose"}}
	for _, tt := range []struct {
		pod  corev1.PodSpec
		want []string
	}{
		{corev1.PodSpec{Containers: []corev1.Container{mesh, core}}, core.Args},
		{corev1.PodSpec{Containers: []corev1.Container{core}, InitContainers: []corev1.Container{mesh, plugin}}, plugin.Args},
		{corev1.PodSpec{Containers: []corev1.Container{mesh}}, mesh.Args},
	} {
		d := &appsv1.Deployment{}
		d.Spec.Template.Spec = tt.pod
		got, err := deployed(d)
		require.NoError(t, err)
		assert.Equal(t, tt.want, got)
	}
}

package chart

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/controlplane"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// stockValues are an operator's values for the stock chart. Our chart gets them unchanged.
const stockValues = `
autoDiscovery: {clusterName: main}
awsRegion: eu-central-1
awsAccessKeyID: id
awsSecretAccessKey: secret
extraArgs: {expander: priority, balance-similar-node-groups: true, skip-nodes-with-local-storage: false}
expanderPriorities: {10: [".*"]}
podLabels: {team: blue}
rbac: {serviceAccount: {annotations: {eks.amazonaws.com/role-arn: "arn:aws:iam::1:role/r"}}}
`

func TestAgainstARealAPIServer(t *testing.T) {
	cluster := controlplane.StartFor(t, controlplane.Options{WithoutKWOK: true})
	for _, version := range helmVersions {
		t.Run("stock is upgraded in place/"+version, func(t *testing.T) { upgradeAndUninstall(t, cluster, version) })
	}
	t.Run("definitions", func(t *testing.T) { installDefinitions(t, cluster) })
}

// upgradeAndUninstall turns a release of the stock chart into ours, back, into ours again, and uninstalls it.
func upgradeAndUninstall(t *testing.T, cluster *controlplane.Cluster, version string) {
	r := release{cluster: cluster, version: version, namespace: "scaler-" + version, name: "release-" + version}
	// The strictest of the Pod Security Standards admits our pods.
	_, err := cluster.Client().CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: r.namespace, Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"},
	}}, metav1.CreateOptions{})
	require.NoError(t, err)
	values := writeValues(t, stockValues)
	r.helm(t, "install", r.name, mustStockChart(t), "--values", values)
	stock := r.deployment(t)

	_, err = r.try(t, "upgrade", r.name, chartDir, "--reset-then-reuse-values")
	assert.ErrorContains(t, err, "image.repository", "upgrade without an image")
	_, err = r.try(t, "upgrade", r.name, chartDir, "--reuse-values", "--values", image)
	assert.ErrorContains(t, err, "--reset-then-reuse-values", "upgrade --reuse-values, which has none of our values")
	r.helm(t, "upgrade", r.name, chartDir, "--reset-then-reuse-values", "--values", image)
	ours := r.deployment(t)
	assert.Equal(t, stock.UID, ours.UID, "the Deployment is another one")
	assert.EqualValues(t, 2, *ours.Spec.Replicas, "replicas")
	got, want := ours.Spec.Template.Spec.Containers[0].Image, "registry.example.com/cluster-autoscaler:pushed"
	assert.Equal(t, want, got, "image")
	for _, flag := range stock.Spec.Template.Spec.Containers[0].Command {
		assert.Truef(t, slices.Contains(ours.Spec.Template.Spec.Containers[0].Command, flag), "flag %s of the stock release is lost", flag)
	}
	r.awaitPod(t, ours.Spec.Template.Spec.Containers[0].Image)

	r.helm(t, "rollback", r.name, "1")
	if got, want := r.deployment(t).Spec.Template.Spec.Containers[0].Image, stock.Spec.Template.Spec.Containers[0].Image; got != want {
		t.Errorf("after the rollback the image is %s, want %s", got, want)
	}
	r.helm(t, "upgrade", r.name, chartDir, "--values", image, "--values", values)
	assert.Len(t, r.objects(t), 10, "the release has the objects, want one of each kind")
	r.helm(t, "uninstall", r.name, "--wait")
	assert.Empty(t, r.objects(t), "the release has left")
}

// A release is one installation of a chart.
type release struct {
	cluster                  *controlplane.Cluster
	version, namespace, name string
}

func (r release) try(t *testing.T, args ...string) (string, error) {
	return helm(t, r.version, append(args, "--namespace", r.namespace, "--kubeconfig", r.cluster.Kubeconfig())...)
}

func (r release) helm(t *testing.T, args ...string) {
	_, err := r.try(t, args...)
	require.NoError(t, err)
}

func (r release) deployment(t *testing.T) *appsv1.Deployment {
	d, err := r.cluster.Client().AppsV1().Deployments(r.namespace).Get(t.Context(), r.name+"-aws-cluster-autoscaler", metav1.GetOptions{})
	require.NoError(t, err)
	return d
}

// awaitPod waits until the API server has admitted a pod with the image. Nothing runs it.
func (r release) awaitPod(t *testing.T, image string) {
	err := wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		pods, err := r.cluster.Client().CoreV1().Pods(r.namespace).List(ctx, metav1.ListOptions{LabelSelector: "team=blue"})
		if err != nil {
			return false, err
		}
		return slices.ContainsFunc(pods.Items, func(pod corev1.Pod) bool { return pod.Spec.Containers[0].Image == image }), nil
	})
	require.NoErrorf(t, err, "no pod of %s is admitted", image)
}

// objects names the objects of the release, in all namespaces and outside. Pods and ReplicaSets are the Deployment's.
func (r release) objects(t *testing.T) []string {
	const kinds = "deployments,poddisruptionbudgets,services,serviceaccounts,secrets,configmaps,roles,rolebindings,clusterroles,clusterrolebindings"
	out, err := r.cluster.RunKubectl(t.Context(), "", "get", kinds, "--all-namespaces", "--selector=app.kubernetes.io/instance="+r.name,
		"--output=name")
	require.NoError(t, err)
	return strings.Fields(out)
}

package chart

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/utils/ptr"

	"github.com/asg-autoscaler/asg-autoscaler/manifests"
)

// shippedPlugin are the objects of manifests/deploy/plugin.yaml, and the pods of its Deployment.
func shippedPlugin(t *testing.T) ([]object, corev1.PodSpec) {
	t.Helper()
	raw, err := manifests.FS.ReadFile("deploy/plugin.yaml")
	require.NoError(t, err)
	shipped := objects(t, string(raw))
	return shipped, podOf(t, shipped)
}

func podOf(t *testing.T, rendered []object) corev1.PodSpec {
	t.Helper()
	var d appsv1.Deployment
	find(t, rendered, "Deployment", &d)
	return d.Spec.Template.Spec
}

// flagsBut are the flags of a command that others lacks, sorted.
func flagsBut(command, others []string) []string {
	flags := slices.DeleteFunc(slices.Clone(command), func(flag string) bool { return slices.Contains(others, flag) })
	slices.Sort(flags)
	return flags
}

// The stock chart, with the values of the example, runs the two containers of manifests/deploy/plugin.yaml.
func TestStockChartRunsThePluginBesideTheCore(t *testing.T) {
	values, err := os.ReadFile(chartDir + "/examples/stock-plugin-sidecar.yaml")
	require.NoError(t, err)
	rendered, err := render(t, mustStockChart(t), string(values))
	require.NoError(t, err)
	shipped, want := shippedPlugin(t)
	got := podOf(t, rendered)

	sidecar := want.Containers[0]
	sidecar.RestartPolicy = ptr.To(corev1.ContainerRestartPolicyAlways)
	assert.Empty(t, cmp.Diff([]corev1.Container{sidecar}, got.InitContainers), "plugin (-plugin.yaml +stock chart)")
	wantCore, gotCore := want.Containers[1], got.Containers[0]
	assert.Empty(t, flagsBut(wantCore.Command, gotCore.Command), "the core lacks the flags")
	chartsOwn := []string{"--logtostderr=true", "--namespace=" + namespace} // their defaults
	assert.Empty(t, flagsBut(gotCore.Command, append(chartsOwn, wantCore.Command...)), "the core has the further flags")
	assert.Empty(t, cmp.Diff(wantCore.VolumeMounts, gotCore.VolumeMounts), "mounts of the core (-plugin.yaml +stock chart)")
	assert.Empty(t, cmp.Diff(want.Volumes, got.Volumes), "volumes (-plugin.yaml +stock chart)")
	var wantConfig, gotConfig corev1.ConfigMap
	find(t, shipped, "ConfigMap", &wantConfig)
	find(t, rendered, "ConfigMap", &gotConfig)
	const key = "cloud-config"
	diff := cmp.Diff(strings.TrimSpace(wantConfig.Data[key]), strings.TrimSpace(gotConfig.Data[key]))
	assert.Truef(t, diff == "" && gotConfig.Name == wantConfig.Name, "cloud config %s (-plugin.yaml +stock chart):\n%s", gotConfig.Name, diff)
	for file, kind := range map[string]string{"deploy/rbac-plugin.yaml": "Role", "deploy/rbac-interruption.yaml": "ClusterRole"} {
		raw, err := manifests.FS.ReadFile(file)
		require.NoError(t, err)
		granted, needed := rules(t, rendered, kind), rules(t, objects(t, string(raw)), kind)
		assert.NotEmptyf(t, needed, "rules of %s", file)
		for _, rule := range needed {
			assert.Truef(t, slices.Contains(granted, rule), "the %s lacks %q", kind, rule)
		}
	}
}

// The plugin as a Deployment of its own has the certificates and the port of the one beside the core, and its Service leads to that port.
func TestPluginRunsAlone(t *testing.T) {
	rendered := renderFile(t, renderings["plugin"])
	_, beside := shippedPlugin(t)
	var want []string
	for _, flag := range beside.Containers[0].Command {
		if strings.HasPrefix(flag, "--asg-plugin-") {
			want = append(want, strings.Replace(flag, "127.0.0.1", "", 1))
		}
	}
	var d appsv1.Deployment
	find(t, rendered, "Deployment", &d)
	pod := d.Spec.Template.Spec
	missing := flagsBut(want, pod.Containers[0].Command)
	assert.Truef(t, len(missing) == 0 && len(want) != 0, "%q lacks %q", pod.Containers[0].Command, missing)
	assert.Empty(t, cmp.Diff(beside.Containers[0].VolumeMounts, pod.Containers[0].VolumeMounts), "mounts (-beside the core +alone)")
	assert.Truef(t, slices.ContainsFunc(beside.Volumes, func(volume corev1.Volume) bool { return cmp.Equal(volume, pod.Volumes[0]) }),
		"volume %+v is none of plugin.yaml", pod.Volumes[0])
	services := slices.DeleteFunc(ofKind(rendered, "Service"), func(o object) bool { return at(o, "metadata.name") != "cluster-autoscaler-plugin" })
	var service corev1.Service
	find(t, services, "Service", &service)
	for key, value := range service.Spec.Selector {
		got := d.Spec.Template.Labels[key]
		assert.Truef(t, got == value, "the Service selects %s=%s, and the pods have %q", key, value, got)
	}
	if address := fmt.Sprintf("--asg-plugin-address=:%d", service.Spec.Ports[0].Port); len(service.Spec.Selector) == 0 || !slices.Contains(want, address) {
		t.Errorf("the Service leads to %s of %v, want one of %q", address, service.Spec.Selector, want)
	}
	var policy networkingv1.NetworkPolicy
	find(t, rendered, "NetworkPolicy", &policy)
	for key, value := range policy.Spec.PodSelector.MatchLabels {
		got := d.Spec.Template.Labels[key]
		assert.Truef(t, got == value, "the NetworkPolicy selects %s=%s, and the pods have %q", key, value, got)
	}
	for _, rule := range policy.Spec.Ingress {
		port, limited := rule.Ports[0].Port.IntVal, len(rule.From) == 1 && rule.From[0].PodSelector != nil
		assert.Truef(t, (port == service.Spec.Ports[0].Port) == limited,
			"port %d is open to %+v, want the plugin's for the core alone, and the other one for all", port, rule.From)
	}
	assert.Truef(t, len(policy.Spec.PodSelector.MatchLabels) != 0 && len(policy.Spec.Ingress) == 2,
		"the NetworkPolicy is %+v, want one for two ports of the plugin's pods", policy.Spec)
}

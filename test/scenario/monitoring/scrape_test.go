package monitoring

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// A plugin and the core that it answers share a pod, and each has a port with metrics.
func TestEveryPortOfTheShippedPodsIsScraped(t *testing.T) {
	autoscaler, plugin := shippedPod(t, shipped), shippedPod(t, "plugin")
	autoscaler.Status.PodIP, plugin.Status.PodIP = "10.0.0.1", "fd00::2"
	mesh := corev1.ContainerPort{Name: "http-envoy", ContainerPort: 15090}
	autoscaler.Spec.Containers = append(autoscaler.Spec.Containers, corev1.Container{Name: "mesh", Ports: []corev1.ContainerPort{mesh}})
	config, err := yaml.Marshal(scraping(t, list(t, *autoscaler, *plugin)))
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "prometheus.yaml")
	require.NoError(t, os.WriteFile(path, config, 0o600))
	promtool := exec.CommandContext(t.Context(), program(t, "promtool"), "check", "service-discovery", "--timeout=3s", path, "cluster-autoscaler")
	out, err := promtool.Output()
	require.NoErrorf(t, err, "%s", out)
	var targets []struct{ Labels map[string]string }
	require.NoError(t, json.Unmarshal(out, &targets))
	var got []string
	for _, target := range targets {
		got = append(got, target.Labels["instance"])
	}
	slices.Sort(got)
	assert.Equal(t, []string{"10.0.0.1:8085", "[fd00::2]:8085", "[fd00::2]:8086"}, slices.Compact(got), "targets of scrape.yaml")

	service, monitor, _ := strings.Cut(read(t, "manifests/monitoring/servicemonitor.yaml"), "\n---\n")
	for _, container := range plugin.Spec.Containers {
		name := container.Ports[0].Name
		assert.Contains(t, service, "\n  - name: "+name, "the Service")
		assert.Contains(t, monitor, "\n  - port: "+name, "the ServiceMonitor")
		assert.Contains(t, read(t, "manifests/monitoring/podmonitor.yaml"), "\n  - port: "+name, "the PodMonitor")
	}
}

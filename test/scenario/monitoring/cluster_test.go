package monitoring

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/yaml"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asg-autoscaler/asg-autoscaler/manifests"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/loopback"
	"github.com/asg-autoscaler/asg-autoscaler/test/scenario"
)

const (
	region = "cn-northwest-1"
	queue  = "interruptions"
	// shipped is the manifest whose Deployment runs.
	shipped = "s0-gpu-spot-china"
)

// group returns a group of the cluster of S0, whose nodes have the label team=<name>.
func group(name, template string, desired, most int, tags map[string]string) fakeaws.AutoScalingGroup {
	all := map[string]string{"k8s.io/cluster-autoscaler/enabled": "true", "k8s.io/cluster-autoscaler/eksworkshop": "owned",
		"k8s.io/cluster-autoscaler/node-template/label/team": name}
	for key, value := range tags {
		all[key] = value
	}
	return fakeaws.AutoScalingGroup{Name: name, Desired: desired, Max: most, Zones: []string{region + "a"}, Tags: all,
		LaunchTemplate: &fakeaws.LaunchTemplateRef{Name: template}, NodeConfig: fakeaws.NodeConfig{NodeLabels: map[string]string{"team": name}}}
}

// startCluster starts a control plane and an account with three groups: web has capacity, short has none, and full has its maximum and
// a malformed tag.
func startCluster(t *testing.T) *scenario.Env {
	require.NoError(t, scenario.LookAtSources(root))
	dir := t.TempDir()
	binary, err := scenario.BuildAutoscaler(t.Context(), dir)
	require.NoError(t, err)
	env, err := scenario.Start(t.Context(), scenario.Options{Dir: dir, Binary: binary, Progress: os.Stderr})
	require.NoError(t, err)
	t.Cleanup(func() {
		log, err := env.Log()
		assert.NoError(t, err)
		assert.Empty(t, scenario.OwnRaces(log), "data races")
		if t.Failed() {
			lines := strings.Split(log, "\n")
			t.Logf("the end of the log:\n%s", strings.Join(lines[max(0, len(lines)-60):], "\n"))
		}
		assert.NoError(t, env.Close())
	})
	template := func(name, instanceType string, spot bool) fakeaws.LaunchTemplate {
		return fakeaws.LaunchTemplate{Name: name, Versions: []fakeaws.LaunchTemplateVersion{{InstanceType: instanceType, ImageID: "ami-1", Spot: spot}}}
	}
	require.NoError(t, env.StartAWS(t.Context(), fakeaws.Config{Region: region, Delays: fakeaws.Delays{Register: fakeaws.Duration(time.Second)},
		Queues:          []fakeaws.Queue{{Name: queue, Events: []string{"EC2 Spot Instance Interruption Warning"}}},
		LaunchTemplates: []fakeaws.LaunchTemplate{template("spot", "m5.large", true), template("xlarge", "m5.xlarge", false), template("2xlarge", "m5.2xlarge", false)},
		AutoScalingGroups: []fakeaws.AutoScalingGroup{
			group("web", "spot", 0, 5, nil),
			group("short", "xlarge", 0, 5, nil),
			group("full", "2xlarge", 1, 1, map[string]string{"k8s.io/cluster-autoscaler/node-template/taint/dedicated": "malformed"}),
		}}))
	env.AWS.AddShortage(fakeaws.Shortage{Group: "short"})
	env.AWS.Inject(fakeaws.Fault{Action: "ReceiveMessage", Code: "AccessDenied", Times: 1})
	return env
}

// startAutoscaler runs the program as the Deployment of S0 does, with quick scale-downs, a queue, a price file and metrics of groups. It
// listens on the Deployment's port, on a loopback address of its own, and the API server gets the Deployment's pod with that address.
func startAutoscaler(t *testing.T, env *scenario.Env) {
	t.Helper()
	pod := shippedPod(t, shipped)
	port := pod.Annotations["prometheus.io/port"]
	ip := unusedIP(t)
	prices := filepath.Join(t.TempDir(), "prices.csv")
	require.NoError(t, os.WriteFile(prices, []byte("# region: "+region+"\n# currency: CNY\n# date: 2026-11-01\n# source: x\n# discount: all 8%\n"), 0o600))
	require.NoError(t, env.StartAutoscaler(t.Context(), shipped, "--address="+net.JoinHostPort(ip, port),
		"--asg-interruption-queue="+queue, "--asg-price-file="+prices, "--scan-interval=1s", "--scale-down-unneeded-time=1s",
		"--scale-down-delay-after-add=1s", "--unremovable-node-recheck-timeout=1s", "--node-delete-delay-after-taint=0s"))

	pods := env.Cluster.Client().CoreV1().Pods(pod.Namespace)
	made, err := pods.Create(t.Context(), pod, metav1.CreateOptions{})
	require.NoError(t, err)
	made.Status.Phase, made.Status.PodIP, made.Status.PodIPs = corev1.PodRunning, ip, []corev1.PodIP{{IP: ip}}
	_, err = pods.UpdateStatus(t.Context(), made, metav1.UpdateOptions{})
	require.NoError(t, err)
}

// shippedPod returns a pod of the manifest's Deployment. No scheduler sees it.
func shippedPod(t *testing.T, manifest string) *corev1.Pod {
	t.Helper()
	raw, err := manifests.FS.ReadFile("deploy/" + manifest + ".yaml")
	require.NoError(t, err)
	for _, document := range strings.Split(string(raw), "\n---\n") {
		var d appsv1.Deployment
		require.NoError(t, yaml.Unmarshal([]byte(document), &d))
		if d.Kind == "Deployment" {
			pod := &corev1.Pod{ObjectMeta: d.Spec.Template.ObjectMeta, Spec: d.Spec.Template.Spec}
			pod.Name, pod.Namespace, pod.Spec.SchedulerName = d.Name+"-0", d.Namespace, "none"
			return pod
		}
	}
	t.Fatal("no Deployment")
	return nil
}

// unusedIP returns an address of the loopback interface that is unlikely to be in use: a free port makes its middle.
func unusedIP(t *testing.T) string {
	address, err := loopback.FreeAddress()
	require.NoError(t, err)
	_, port, err := net.SplitHostPort(address)
	require.NoError(t, err)
	var number int
	_, err = fmt.Sscan(port, &number)
	require.NoError(t, err)
	return fmt.Sprintf("127.%d.%d.1", number>>8, number&0xff)
}

// deployment is a Deployment whose pods need a node of the group for themselves each.
func deployment(name, group string, replicas int, cpu string) string {
	return fmt.Sprintf(`
apiVersion: apps/v1
kind: Deployment
metadata: {name: %[1]s, namespace: default}
spec:
  replicas: %[3]d
  selector: {matchLabels: {app: %[1]s}}
  template:
    metadata: {labels: {app: %[1]s}}
    spec:
      nodeSelector: {team: %[2]s}
      terminationGracePeriodSeconds: 1
      containers: [{name: main, image: registry.example.com/web:dev, resources: {requests: {cpu: %[4]s}}}]
`, name, group, replicas, cpu)
}

// awaitRunning waits until so many pods of the app run.
func awaitRunning(t *testing.T, env *scenario.Env, app string, want int) []corev1.Pod {
	t.Helper()
	var running []corev1.Pod
	err := wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, patience, true, func(ctx context.Context) (bool, error) {
		pods, err := env.Cluster.Client().CoreV1().Pods("default").List(ctx, metav1.ListOptions{LabelSelector: "app=" + app})
		if err != nil {
			return false, nil
		}
		running = running[:0]
		for _, pod := range pods.Items {
			if pod.Status.Phase == corev1.PodRunning && pod.DeletionTimestamp == nil {
				running = append(running, pod)
			}
		}
		return len(running) == want, nil
	})
	require.NoErrorf(t, err, "%d pods of %s run, want %d", len(running), app, want)
	return running
}

// interrupt has EC2 announce that it takes the instance of the pod's node.
func interrupt(t *testing.T, env *scenario.Env, pod corev1.Pod) {
	node, err := env.Cluster.Client().CoreV1().Nodes().Get(t.Context(), pod.Spec.NodeName, metav1.GetOptions{})
	require.NoError(t, err)
	require.NoError(t, env.AWS.Interrupt(path.Base(node.Spec.ProviderID), 40*time.Second))
}

func discover(t *testing.T, env *scenario.Env) string {
	pods, err := env.Cluster.Client().CoreV1().Pods("").List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	return list(t, pods.Items...)
}

// list writes the pods into a file, as the discovery of Prometheus describes pods (kubernetes_sd_config, role pod, Prometheus 2.42): a
// target for each port, with the labels that the shipped configuration uses.
func list(t *testing.T, pods ...corev1.Pod) string {
	type target struct {
		Targets []string          `json:"targets"`
		Labels  map[string]string `json:"labels"`
	}
	targets := []target{}
	unnamed := regexp.MustCompile("[^a-zA-Z0-9_]")
	for _, pod := range pods {
		for _, container := range slices.Concat(pod.Spec.Containers, pod.Spec.InitContainers) {
			for _, port := range container.Ports {
				labels := map[string]string{"__meta_kubernetes_namespace": pod.Namespace, "__meta_kubernetes_pod_name": pod.Name,
					"__meta_kubernetes_pod_phase": string(pod.Status.Phase), "__meta_kubernetes_pod_ip": pod.Status.PodIP,
					"__meta_kubernetes_pod_container_port_name": port.Name, "__meta_kubernetes_pod_container_port_number": fmt.Sprint(port.ContainerPort)}
				for key, value := range pod.Annotations {
					labels["__meta_kubernetes_pod_annotation_"+unnamed.ReplaceAllString(key, "_")] = value
				}
				address := net.JoinHostPort(pod.Status.PodIP, fmt.Sprint(port.ContainerPort))
				targets = append(targets, target{Targets: []string{address}, Labels: labels})
			}
		}
	}
	content, err := json.Marshal(targets)
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "pods.json")
	require.NoError(t, os.WriteFile(path, content, 0o600))
	return path
}

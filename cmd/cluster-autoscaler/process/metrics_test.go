package process

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/autoscaler/cluster-autoscaler/config"
	"k8s.io/autoscaler/cluster-autoscaler/debuggingsnapshot"
	"k8s.io/autoscaler/cluster-autoscaler/metrics"
	"k8s.io/autoscaler/cluster-autoscaler/simulator"
	"k8s.io/autoscaler/cluster-autoscaler/utils/errors"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/component-base/metrics/legacyregistry"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsclients"
)

// testdata/stock_metrics.txt holds name, type and labels of every metric of the stock binary, built with the tag aws. Its
// /metrics shows most of them when per-group metrics are on. The others appear with their first observation, and come from its
// source.
func TestEveryStockMetricIsServedWithItsLabels(t *testing.T) {
	observeOnce(t)
	served := serveMetrics(t)
	golden, err := os.ReadFile("testdata/stock_metrics.txt")
	require.NoError(t, err)
	for _, line := range strings.Split(strings.TrimSpace(string(golden)), "\n") {
		name, _, _ := strings.Cut(line, " ")
		family := served[name]
		if family == nil {
			t.Errorf("missing: %s", line)
			continue
		}
		assert.Equal(t, line, describeFamily(family))
	}
}

// describeFamily is the family's line in the golden: name, type, and its labels sorted, or a dash.
func describeFamily(family *dto.MetricFamily) string {
	var labels []string
	for _, metric := range family.Metric {
		for _, label := range metric.Label {
			if !slices.Contains(labels, label.GetName()) {
				labels = append(labels, label.GetName())
			}
		}
	}
	slices.Sort(labels)
	if len(labels) == 0 {
		labels = []string{"-"}
	}
	return fmt.Sprintf("%s %s %s", family.GetName(), strings.ToLower(family.GetType().String()), strings.Join(labels, ","))
}

func serveMetrics(t *testing.T) map[string]*dto.MetricFamily {
	t.Helper()
	health := metrics.NewHealthCheck(time.Minute, time.Minute)
	snapshotter := debuggingsnapshot.NewDebuggingSnapshotter(false)
	server := httptest.NewServer(endpoints(config.AutoscalingOptions{}, health, health, snapshotter, nil))
	defer server.Close()
	response, err := http.Get(server.URL + "/metrics")
	require.NoError(t, err)
	defer response.Body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(response.Body)
	require.NoError(t, err)
	return families
}

var observed sync.Once

// observeOnce is observeEverything once a process: the core registers its metrics once.
func observeOnce(t *testing.T) {
	t.Helper()
	observed.Do(func() { observeEverything(t) })
}

// observeEverything makes each metric have something to show: one with labels appears only then.
func observeEverything(t *testing.T) {
	t.Helper()
	const gpu, gpuName = "nvidia.com/gpu", "nvidia-tesla-t4"
	metrics.RegisterAll(true)
	metrics.InitMetrics()
	metrics.UpdateDuration(metrics.Main, time.Second)
	metrics.UpdateLastTime(metrics.Main, time.Now())
	metrics.UpdateNodesCount(1, 0, 0, 0, 0, 0)
	metrics.UpdateNodeGroupsCount(1, 0)
	metrics.UpdateUnschedulablePodsCount(1, 0)
	metrics.UpdateCPULimitsCores(0, 1)
	metrics.UpdateMemoryLimitsBytes(0, 1)
	metrics.UpdateNodeGroupMin("group", 0)
	metrics.UpdateNodeGroupMax("group", 1)
	metrics.UpdateNodeGroupTargetSize(map[string]int{"group": 1})
	metrics.UpdateNodeGroupHealthStatus("group", true)
	metrics.UpdateNodeGroupBackOffStatus("group", map[string]bool{"reason": true})
	metrics.RegisterError(errors.NewAutoscalerError(errors.InternalError, "x"))
	metrics.RegisterScaleUp(1, gpu, gpuName)
	metrics.RegisterFailedScaleUp(metrics.Timeout, gpu, gpuName)
	metrics.RegisterScaleDown(1, gpu, gpuName, metrics.Empty)
	metrics.DefaultMetrics.RegisterFailedNodeCreations(metrics.Timeout, 1)
	metrics.RegisterEvictions(1, metrics.PodEvictionSucceed)
	metrics.UpdateUnremovableNodesCount(map[simulator.UnremovableReason]int{simulator.NoReason: 1})
	metrics.RegisterNodeGroupCreation()
	metrics.RegisterNodeGroupDeletion()
	metrics.ObserveNodeTaintsCount("type", 1)
	metrics.ObserveBinpackingHeterogeneity("m5.large", "2", "1", 1)
	metrics.UpdateScaleDownNodeRemovalLatency(true, time.Second)
	callKubernetes(t)
	callAWS(t)
}

// callKubernetes makes a request to an API server.
func callKubernetes(t *testing.T) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"kind": "NodeList", "apiVersion": "v1"}`))
	}))
	defer server.Close()
	client, err := kubernetes.NewForConfig(&rest.Config{Host: server.URL})
	require.NoError(t, err)
	_, err = client.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
}

// callAWS makes a request to an AWS that refuses it.
func callAWS(t *testing.T) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(2 * time.Millisecond) // the SDK does not expect answers within the first millisecond
		w.WriteHeader(http.StatusForbidden)
	}))
	defer server.Close()
	awsclients.Point(t, server.URL)
	clients, err := awsclient.New(t.Context(), awsclient.Options{Registerer: legacyregistry.Registerer()})
	require.NoError(t, err)
	_, err = clients.AutoScaling.DescribeAutoScalingGroups(t.Context(), &autoscaling.DescribeAutoScalingGroupsInput{})
	require.Error(t, err, "an AWS that refuses everything described groups")
}

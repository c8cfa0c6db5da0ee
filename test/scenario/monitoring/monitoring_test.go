package monitoring

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Two Prometheus, with and without native histograms, watch a scale-up, a launch without capacity, an interruption and a scale-down.
func TestPrometheus(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a control plane")
	}
	env := startCluster(t)
	startAutoscaler(t, env)
	pods := discover(t, env)
	native, classic := startPrometheus(t, pods, "--enable-feature=native-histograms"), startPrometheus(t, pods)
	both := []*prometheus{native, classic}
	for _, p := range both {
		p.await(t, positive(`up{job="cluster-autoscaler",namespace="kube-system",pod="cluster-autoscaler-0"}`))
	}

	apply := func(objects ...string) {
		t.Helper()
		_, err := env.Cluster.RunKubectl(t.Context(), strings.Join(objects, "\n---\n"), "apply", "-f", "-")
		require.NoError(t, err)
	}
	apply(deployment("web", "web", 2, "1500m"), deployment("short", "short", 1, "1500m"), deployment("full", "full", 3, "5"))
	running := awaitRunning(t, env, "web", 2)
	interrupt(t, env, running[0])
	for _, p := range both {
		p.await(t, positive(`asg_autoscaler_interruption_messages_handled_total{type="spot-interruption"}`))
	}
	awaitRunning(t, env, "web", 2)
	_, err := env.Cluster.RunKubectl(t.Context(), "", "delete", "deployment", "web")
	require.NoError(t, err)

	t.Run("operators see the cluster", func(t *testing.T) { operatorsSee(t, classic) })
	for _, p := range both {
		t.Run("every expression has a series", func(t *testing.T) { p.await(t, expressions(t)...) })
	}
	t.Run("community dashboards have their series", func(t *testing.T) { classic.await(t, community(t)...) })
	t.Run("native histograms", func(t *testing.T) {
		for _, name := range []string{"asg_autoscaler_pending_to_call_duration_seconds", "asg_autoscaler_pending_to_ready_duration_seconds"} {
			native.await(t, want{name, func(s sample) bool { return len(s.Histogram) == 2 }}, positive(fmt.Sprintf("histogram_count(%s)", name)))
			classic.await(t, positive(name+`_bucket{le="+Inf"}`))
		}
	})
}

// operatorsSee wants what an operator asks for: scale-ups, scale-downs, failures by reason, sizes, pending pods, AWS calls,
// interruptions and spend.
func operatorsSee(t *testing.T, p *prometheus) {
	p.await(t,
		positive(`cluster_autoscaler_scaled_up_nodes_total >= 2`),
		positive(`sum(cluster_autoscaler_scaled_down_nodes_total)`),
		positive(`cluster_autoscaler_failed_scale_ups_total{reason!=""}`),
		positive(`cluster_autoscaler_node_group_max_count{node_group="web"} == 5`),
		positive(`cluster_autoscaler_node_group_target_count{node_group="full"} == 1`),
		positive(`cluster_autoscaler_nodes_count{state="ready"}`),
		positive(`cluster_autoscaler_unschedulable_pods_count`),
		positive(`asg_autoscaler_pending_pods{reason="max-size"}`),
		positive(`sum(asg_autoscaler_cool_downs{reason!=""})`),
		positive(`asg_autoscaler_node_group_nodes{node_group="full",state="ready"}`),
		positive(`asg_autoscaler_launches_total{mode="LaunchInstances",outcome="success"}`),
		positive(`asg_autoscaler_decisions_total{kind="scale-up"}`),
		positive(`asg_autoscaler_decisions_total{kind="scale-down"}`),
		positive(`asg_autoscaler_decisions_total{kind="interruption"}`),
		positive(`asg_autoscaler_decisions_total{kind="launch-failed",reason="no-capacity"}`),
		positive(`cluster_autoscaler_aws_request_duration_seconds_count{endpoint="DescribeAutoScalingGroupsPages",status="success"}`),
		positive(`cluster_autoscaler_aws_request_duration_seconds_count{endpoint="ReceiveMessage",status="AccessDenied"}`),
		positive(`asg_autoscaler_interruption_messages_handled_total{outcome="drained"}`),
		positive(`asg_autoscaler_interruption_pods_evicted_total`),
		positive(`asg_autoscaler_spend_per_hour{node_group="full",currency="CNY"}`),
		positive(`cluster_autoscaler:spend_per_hour:sum{currency="CNY"}`),
	)
}

// community returns the series and labels that testdata/community.txt lists.
func community(t *testing.T) []want {
	var wants []want
	for line := range strings.Lines(read(t, "test/scenario/monitoring/testdata/community.txt")) {
		if selector := strings.TrimSpace(line); selector != "" && !strings.HasPrefix(selector, "#") {
			wants = append(wants, number(selector))
		}
	}
	return wants
}

package simulate

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/asg-autoscaler/asg-autoscaler/test/bench/cost/mix"
)

// The plan of least-cost ignores where the scheduler lets pods run next to others. It must still end soon, with every pod
// placed: each raise is a round of the autoscaler.
func TestDependentPodsFindNodesInFewRaises(t *testing.T) {
	spread := func(topology string, alike *metav1.LabelSelector) corev1.PodSpec {
		return corev1.PodSpec{TopologySpreadConstraints: []corev1.TopologySpreadConstraint{
			{MaxSkew: 1, TopologyKey: topology, WhenUnsatisfiable: corev1.DoNotSchedule, LabelSelector: alike}}}
	}
	together := func(alike *metav1.LabelSelector) corev1.PodSpec {
		return corev1.PodSpec{Affinity: &corev1.Affinity{PodAffinity: &corev1.PodAffinity{
			RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{TopologyKey: corev1.LabelTopologyZone, LabelSelector: alike}}}}}
	}
	exclusive := &metav1.LabelSelector{MatchLabels: map[string]string{"exclusive": "true"}}
	apart := corev1.PodSpec{Affinity: &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{
		RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{TopologyKey: corev1.LabelHostname, LabelSelector: exclusive}}}}}
	var text strings.Builder
	text.WriteString("groups:\n")
	for _, zone := range []string{"a", "b", "c"} {
		for _, instanceType := range []string{"m5.large", "m5.2xlarge", "c5.xlarge"} {
			fmt.Fprintf(&text, "- {name: %s-%s, type: %[2]s, zone: us-east-1%[1]s, max: 20}\n", zone, instanceType)
		}
	}
	text.WriteString("pods:\n")
	for i := range 10 {
		fmt.Fprintf(&text, "- {name: w%d, count: 10, cpu: %dm, memory: %dMi}\n", i, 300+50*i, 500+200*i)
	}
	for _, tt := range []struct {
		name string
		spec func(alike *metav1.LabelSelector) corev1.PodSpec
	}{
		{"spread over zones", func(alike *metav1.LabelSelector) corev1.PodSpec { return spread(corev1.LabelTopologyZone, alike) }},
		{"spread over nodes", func(alike *metav1.LabelSelector) corev1.PodSpec { return spread(corev1.LabelHostname, alike) }},
		{"in one zone together", together},
		{"no two of any owner on a node", func(*metav1.LabelSelector) corev1.PodSpec { return apart }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, err := mix.Parse([]byte(text.String()))
			require.NoError(t, err)
			for i, pod := range m.Pods {
				if i%10 >= 4 {
					continue // the others of each owner run anywhere
				}
				pod.Labels = map[string]string{"exclusive": "true", "constrained": pod.Labels["app"]}
				of := tt.spec(&metav1.LabelSelector{MatchLabels: map[string]string{"constrained": pod.Labels["constrained"]}})
				pod.Spec.Affinity, pod.Spec.TopologySpreadConstraints = of.Affinity, of.TopologySpreadConstraints
			}
			got, err := Run(t.Context(), m, "least-cost")
			require.NoError(t, err)
			assert.Truef(t, got.Unplaced == 0 && got.Raises <= 6,
				"%d pods unplaced after %d raises, want none after 6 at the most", got.Unplaced, got.Raises)
		})
	}
}

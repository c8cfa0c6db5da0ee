package decisions_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/autoscaler/cluster-autoscaler/utils/taints"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/move"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// pass runs a loop and has the moves' time pass after it. Pods that were evicted come back on a node without a pod, nodes whose instances are gone leave,
// and new instances join.
func (w *world) pass(took time.Duration, pods map[string]*corev1.Pod) {
	w.T.Helper()
	w.once()
	w.clock.Step(took)
	w.Reread()
	nodes, indexer := w.factory.Core().V1().Nodes().Lister(), w.factory.Core().V1().Nodes().Informer().GetIndexer()
	state, _ := w.AWS.Group("small")
	there := map[string]bool{}
	for _, i := range state.Instances {
		if i.State != "InService" {
			continue
		}
		there[i.ID] = true
		if _, err := nodes.Get(i.ID); err == nil {
			continue
		}
		n := awsworld.M5Large(i.ID, "aws:///"+i.Zone+"/"+i.ID, nil)
		n.UID, n.CreationTimestamp = types.UID(i.ID), metav1.Now()
		n.Labels = map[string]string{corev1.LabelHostname: i.ID, corev1.LabelTopologyZone: i.Zone}
		w.join(n)
	}
	free := maps.Clone(there)
	for _, name := range strings.Fields(w.evicted()) {
		if p := pods[name]; p != nil && (!there[p.Spec.NodeName] || w.drained(p.Spec.NodeName)) {
			p.Spec.NodeName = ""
		}
	}
	for _, p := range pods {
		delete(free, p.Spec.NodeName)
	}
	for _, p := range pods {
		for node := range free {
			if p.Spec.NodeName == "" && !w.drained(node) {
				delete(free, node)
				p.Spec.NodeName = node
			}
		}
		w.put(p.DeepCopy())
	}
	for _, object := range indexer.List() {
		if n := object.(*corev1.Node); !there[n.Name] {
			_ = indexer.Delete(n)
			_ = w.client.CoreV1().Nodes().Delete(w.T.Context(), n.Name, metav1.DeleteOptions{})
		}
	}
}

// drained reports whether the core drains the node.
func (w *world) drained(node string) bool {
	n, err := w.client.CoreV1().Nodes().Get(w.T.Context(), node, metav1.GetOptions{})
	return err != nil || taints.HasToBeDeletedTaint(n)
}

// Nodes are replaced once for one change of their group, and before and after it nothing moves for a day. Pods that are spread over zones
// stay there, although their nodes have room for more.
func TestClusterAtRestMakesNoMoveInADay(t *testing.T) {
	t.Run("full nodes", func(t *testing.T) { restsForADay(t, "") })
	for _, spread := range []corev1.UnsatisfiableConstraintAction{corev1.DoNotSchedule, corev1.ScheduleAnyway} {
		t.Run(string(spread), func(t *testing.T) { restsForADay(t, spread) })
	}
}

func restsForADay(t *testing.T, spread corev1.UnsatisfiableConstraintAction) {
	rules, err := move.ParseRepairRules(nil)
	require.NoError(t, err)
	repair := &move.NodeRepair{Rules: rules, Types: instancetypes.Embedded}
	m := &move.Machine{Reasons: []move.Reason{repair, move.Rotate{}, &move.Consolidate{On: true}},
		Budgets: parseBudgets(t, "100%"), Proof: 5 * time.Minute, MaxWait: time.Hour, AtOnce: 2}
	zones, cpu := "a", "1500m"
	if spread != "" {
		zones, cpu = "abc", "500m"
	}
	w := newMovingWorld(t, awsworld.NewAWS(t, func(c *fakeaws.Config) {
		c.Delays.Synchronous = fakeaws.Duration(20 * time.Millisecond)
		for n := range c.LaunchTemplates {
			c.LaunchTemplates[n].Versions = append(c.LaunchTemplates[n].Versions, c.LaunchTemplates[n].Versions[0])
		}
	}, awsworld.Zoned(awsworld.Group("small", "m5.large", 0, 3, 5, nil), zones)), options(), m)
	w.ready("small")
	pods := map[string]*corev1.Pod{}
	for i := range 3 {
		p := running(fmt.Sprint("pod-", i), fmt.Sprint("set-", i), cpu, "")
		if spread != "" {
			spreadOver(p, corev1.LabelTopologyZone, spread)
		}
		pods[p.Name] = p
	}
	launched := func() (list []string) {
		state, _ := w.AWS.Group("small")
		for _, i := range state.Instances {
			list = append(list, i.ID)
		}
		return list
	}
	aDay := func() {
		t.Helper()
		before := launched()
		for range 24 * 12 {
			w.pass(5*time.Minute, pods)
			require.NoError(t, w.failed)
			for _, n := range w.record.Report().Nodes {
				require.Truef(t, n.Move == nil, "node %s moves: %+v", n.Name, n.Move)
			}
		}
		require.Empty(t, cmp.Diff(before, launched()), "instances before and after a day at rest (-want +got)")
	}
	w.pass(time.Minute, pods)
	aDay()
	if spread != "" {
		return
	}
	old := launched()
	require.NoError(t, w.AWS.EditGroup("small", fakeaws.GroupEdit{LaunchTemplate: &fakeaws.LaunchTemplateRef{Name: "m5.large", Version: "2"}}))
	for loops := 0; slices.ContainsFunc(launched(), func(id string) bool { return slices.Contains(old, id) }); loops++ {
		w.pass(time.Minute, pods)
		require.Truef(t, loops != 300, "after %d loops %v are left of %v", loops, launched(), old)
	}
	w.pass(time.Minute, pods)
	aDay()
	got := w.evicted()
	assert.Lenf(t, strings.Fields(got), 3, "evicted %q, want each pod once", got)
}

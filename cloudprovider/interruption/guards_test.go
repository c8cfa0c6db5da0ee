package interruption_test

import (
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption"
	"github.com/asg-autoscaler/asg-autoscaler/test/podserver"
)

// boundLate has a pod be bound to the node of the instance a moment after the first look that finds the node empty.
func (w *world) boundLate(instance, name string) {
	w.t.Helper()
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, UID: types.UID(name)},
		Spec: corev1.PodSpec{NodeName: w.nodes()[instance].Name}, Status: corev1.PodStatus{Phase: corev1.PodRunning}}
	bind := sync.OnceFunc(func() {
		time.AfterFunc(100*time.Millisecond, func() {
			if err := w.cluster.Tracker().Create(podserver.Pods, pod, "default"); err != nil {
				w.t.Error(err)
			}
		})
	})
	w.pods.RefuseList = func() error { bind(); return nil }
}

func drainOnRebalance(o *interruption.Options) { o.Rebalance = interruption.Drain }

func TestPlannedDrainKeepsTheInstanceOfAPodThatCameLateAndStays(t *testing.T) {
	w := newWorld(t, group(0, 2, 5))
	w.silent()
	kept := w.inService()[0]
	w.refused.Store(true)
	w.mark(kept, "cordon,label", time.Now().Add(13*time.Second), "interruption", "rebalance-recommendation")
	w.boundLate(kept, "late")
	w.running(drainOnRebalance)
	w.wait("back in use, or ended", func() bool {
		return w.terminations() > 0 || w.nodes()[kept].Annotations["asg-autoscaler/interruption"] == ""
	})
	if w.terminations() != 0 {
		t.Error("the instance was ended under its pod")
	}
}

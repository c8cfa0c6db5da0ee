package drain_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption/drain"
)

// cluster is an API server whose pods take their grace to end, and whose budgets can refuse.
type cluster struct {
	*fake.Clientset
	refuse    func(pod string) bool // by a budget
	mayDelete bool
	evictions map[string]int
}

func newCluster(objects ...runtime.Object) *cluster {
	c := &cluster{Clientset: fake.NewClientset(objects...), refuse: func(string) bool { return false },
		mayDelete: true, evictions: map[string]int{}}
	c.PrependReactor("create", "pods", func(action clienttesting.Action) (bool, runtime.Object, error) {
		if action.GetSubresource() != "eviction" {
			return false, nil, nil
		}
		name := action.(clienttesting.CreateAction).GetObject().(*policyv1.Eviction).Name
		c.evictions[name]++
		if c.refuse(name) {
			return true, nil, apierrors.NewTooManyRequests("Cannot evict pod as it would violate the pod's disruption budget.", 0)
		}
		return true, nil, c.end(action.GetNamespace(), name, nil)
	})
	c.PrependReactor("delete", "pods", func(action clienttesting.Action) (bool, runtime.Object, error) {
		d := action.(clienttesting.DeleteActionImpl)
		if !c.mayDelete {
			return true, nil, apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, d.Name, errors.New("no"))
		}
		return true, nil, c.end(d.Namespace, d.Name, d.DeleteOptions.GracePeriodSeconds)
	})
	c.PrependReactor("list", "pods", func(action clienttesting.Action) (bool, runtime.Object, error) {
		all, err := c.Tracker().List(action.GetResource(), schema.GroupVersionKind{Version: "v1", Kind: "Pod"}, action.GetNamespace())
		if err != nil {
			return true, nil, err
		}
		list := &corev1.PodList{}
		for _, pod := range all.(*corev1.PodList).Items {
			if action.(clienttesting.ListAction).GetListRestrictions().Fields.Matches(fields.Set{"spec.nodeName": pod.Spec.NodeName}) {
				list.Items = append(list.Items, pod)
			}
		}
		return true, list, nil
	})
	return c
}

var pods = corev1.SchemeGroupVersion.WithResource("pods")

// end has a pod end after its grace, or the one given.
func (c *cluster) end(namespace, name string, grace *int64) error {
	object, err := c.Tracker().Get(pods, namespace, name)
	if err != nil {
		return err
	}
	pod := object.(*corev1.Pod).DeepCopy()
	if grace == nil {
		grace = pod.Spec.TerminationGracePeriodSeconds
	}
	after := max(0, time.Duration(*grace)*time.Second-100*time.Millisecond) // so that no look at the pods coincides
	pod.DeletionTimestamp = &metav1.Time{Time: time.Now().Add(after)}
	if err := c.Tracker().Update(pods, pod, namespace); err != nil {
		return err
	}
	time.AfterFunc(after, func() { _ = c.Tracker().Delete(pods, namespace, name) })
	return nil
}

func pod(name string, change ...func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, UID: types.UID(name)},
		Spec:       corev1.PodSpec{NodeName: "node", TerminationGracePeriodSeconds: ptr.To[int64](10)},
		Status:     corev1.PodStatus{Phase: corev1.PodRunning},
	}
	for _, c := range change {
		c(p)
	}
	return p
}

func grace(seconds int64) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.Spec.TerminationGracePeriodSeconds = &seconds }
}

func ofDaemonSet(p *corev1.Pod) {
	p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "DaemonSet", Name: "agents", Controller: ptr.To(true)}}
}

var agents = &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "agents"}}

// journey is how a drain went.
type journey struct {
	drain.Result
	Took  time.Duration
	Moved []string
}

func drained(t *testing.T, c *cluster, plan drain.Plan) journey {
	t.Helper()
	var moved []string
	d := &drain.Drainer{Client: c, Clock: clock.RealClock{}, Moved: func(pod *corev1.Pod, forced bool) {
		moved = append(moved, fmt.Sprintf("%s forced=%v", pod.Name, forced))
	}}
	began := time.Now()
	result, err := d.Drain(t.Context(), "node", func() drain.Plan { return plan })
	if err != nil {
		t.Fatal(err)
	}
	return journey{Result: result, Took: time.Since(began).Round(time.Second), Moved: moved}
}

func in(d time.Duration) time.Time { return time.Now().Add(d) }

func TestDrain(t *testing.T) {
	for _, tt := range []struct {
		name    string
		objects []runtime.Object
		world   func(*cluster)
		plan    func() drain.Plan
		want    journey
	}{
		{name: "an empty node is done at once", want: journey{}},
		{name: "pods of DaemonSets, static and finished ones stay", objects: []runtime.Object{agents, pod("agent", ofDaemonSet),
			pod("static", func(p *corev1.Pod) { p.Annotations = map[string]string{corev1.MirrorPodAnnotationKey: "x"} }),
			pod("job", func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded }),
			pod("elsewhere", func(p *corev1.Pod) { p.Spec.NodeName = "other" })},
			want: journey{}},
		{name: "a pod has its grace", objects: []runtime.Object{pod("a", grace(25))},
			plan: func() drain.Plan { return drain.Plan{Force: in(110 * time.Second), Deadline: in(2 * time.Minute)} },
			want: journey{Result: drain.Result{Evicted: 1}, Took: 25 * time.Second, Moved: []string{"a forced=false"}}},
		{name: "a pod without a controller is moved, too, and its emptyDir lost", objects: []runtime.Object{
			pod("a", func(p *corev1.Pod) {
				p.Spec.Volumes = []corev1.Volume{{VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
			})},
			want: journey{Result: drain.Result{Evicted: 1}, Took: 10 * time.Second, Moved: []string{"a forced=false"}}},
		{name: "a budget that refuses is asked until it lets go", objects: []runtime.Object{pod("a", grace(0))},
			world: func(c *cluster) {
				free := in(20 * time.Second)
				c.refuse = func(string) bool { return time.Now().Before(free) }
			},
			plan: func() drain.Plan { return drain.Plan{Force: in(110 * time.Second), Deadline: in(2 * time.Minute)} },
			want: journey{Result: drain.Result{Evicted: 1}, Took: 22 * time.Second, Moved: []string{"a forced=false"}}},
		{name: "what a budget holds to the last is deleted with the grace that is left", objects: []runtime.Object{pod("a", grace(60))},
			world: func(c *cluster) { c.refuse = func(string) bool { return true } },
			plan:  func() drain.Plan { return drain.Plan{Force: in(110 * time.Second), Deadline: in(2 * time.Minute)} },
			want:  journey{Result: drain.Result{Forced: 1}, Took: 2 * time.Minute, Moved: []string{"a forced=true"}}},
		{name: "or left, if so asked", objects: []runtime.Object{pod("a")},
			world: func(c *cluster) { c.refuse = func(string) bool { return true } },
			plan:  func() drain.Plan { return drain.Plan{Deadline: in(2 * time.Minute)} },
			want:  journey{Result: drain.Result{Lost: 1}, Took: 2 * time.Minute}},
		{name: "or where pods may not be deleted", objects: []runtime.Object{pod("a")},
			world: func(c *cluster) { c.mayDelete, c.refuse = false, func(string) bool { return true } },
			plan:  func() drain.Plan { return drain.Plan{Force: in(110 * time.Second), Deadline: in(2 * time.Minute)} },
			want:  journey{Result: drain.Result{Lost: 1}, Took: 2 * time.Minute}},
		{name: "a grace longer than the time is not cut short", objects: []runtime.Object{pod("a", grace(600))},
			plan: func() drain.Plan { return drain.Plan{Force: in(110 * time.Second), Deadline: in(2 * time.Minute)} },
			want: journey{Result: drain.Result{Lost: 1}, Took: 2 * time.Minute, Moved: []string{"a forced=false"}}},
		{name: "what somebody else drains is only waited for", objects: []runtime.Object{pod("a")},
			world: func(c *cluster) {
				time.AfterFunc(6900*time.Millisecond, func() { _ = c.Tracker().Delete(pods, "default", "a") })
			},
			plan: func() drain.Plan { return drain.Plan{Deadline: in(2 * time.Minute), HandsOff: true} },
			want: journey{Took: 7 * time.Second}},
		{name: "a pod that was bound while the node was cordoned is found", objects: []runtime.Object{pod("a")},
			world: func(c *cluster) { time.AfterFunc(5*time.Second, func() { _ = c.Tracker().Add(pod("b")) }) },
			want:  journey{Result: drain.Result{Evicted: 2}, Took: 20 * time.Second, Moved: []string{"a forced=false", "b forced=false"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCluster(tt.objects...)
				if tt.world != nil {
					tt.world(c)
				}
				plan := drain.Plan{}
				if tt.plan != nil {
					plan = tt.plan()
				}
				if diff := cmp.Diff(tt.want, drained(t, c, plan)); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

func TestABudgetIsAskedLessAndLessOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(pod("a"), pod("b", grace(5)))
		c.refuse = func(name string) bool { return name == "a" }
		drained(t, c, drain.Plan{Deadline: in(30 * time.Second)})
		if asked := c.evictions["a"]; asked < 8 || asked > 16 {
			t.Errorf("asked %d times in 30 seconds", asked)
		}
		if c.evictions["b"] != 1 {
			t.Errorf("asked a pod on its way %d times", c.evictions["b"])
		}
	})
}

func TestADrainWhoseContextEndsStopsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(pod("a"))
		c.refuse = func(string) bool { return true }
		ctx, cancel := context.WithTimeout(t.Context(), 3300*time.Millisecond)
		defer cancel()
		d := &drain.Drainer{Client: c, Clock: clock.RealClock{}}
		began := time.Now()
		_, err := d.Drain(ctx, "node", func() drain.Plan { return drain.Plan{} })
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != 3300*time.Millisecond {
			t.Errorf("ended after %v with %v", time.Since(began), err)
		}
	})
}

func TestAPlanThatChangesIsFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(pod("a"))
		c.refuse = func(string) bool { return true }
		began := time.Now()
		d := &drain.Drainer{Client: c, Clock: clock.RealClock{}}
		result, err := d.Drain(t.Context(), "node", func() drain.Plan {
			if time.Since(began) < 10*time.Second {
				return drain.Plan{} // no haste: a recommendation
			}
			return drain.Plan{Deadline: began.Add(20 * time.Second)} // the warning has come
		})
		if err != nil || result.Lost != 1 || time.Since(began) != 20*time.Second {
			t.Errorf("%+v after %v, error %v", result, time.Since(began), err)
		}
	})
}

package nomination

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/plan"
)

// world is a cluster whose nodes are in the group that is their label.
type world struct {
	*testing.T
	*Nominator
	cluster *fake.Clientset
	metrics *prometheus.Registry
	run     func() // starts the Nominator
	end     func() // ends it
}

// inWorld runs the test in a cluster with the objects and a running Nominator, with time of its own.
func inWorld(t *testing.T, permitted bool, objects []runtime.Object, test func(*world)) {
	t.Helper()
	beforeRun(t, permitted, objects, func(w *world) {
		w.run()
		test(w)
	})
}

// beforeRun is inWorld with a Nominator that the test starts.
func beforeRun(t *testing.T, permitted bool, objects []runtime.Object, test func(*world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{T: t, cluster: fake.NewClientset(objects...), metrics: prometheus.NewRegistry()}
		w.cluster.PrependReactor("create", "selfsubjectaccessreviews", func(clienttesting.Action) (bool, runtime.Object, error) {
			return true, &authorizationv1.SelfSubjectAccessReview{Status: authorizationv1.SubjectAccessReviewStatus{Allowed: permitted}}, nil
		})
		factory := informers.NewSharedInformerFactory(w.cluster, 0)
		var err error
		w.Nominator, err = New(Options{Plan: plan.New(clock.RealClock{}), Client: w.cluster, Nodes: factory.Core().V1().Nodes().Informer(),
			Pods: factory.Core().V1().Pods().Informer(), Group: func(n *corev1.Node) string { return n.Labels["group"] },
			Events: record.NewFakeRecorder(100), ReadyTime: readyTime, Registerer: w.metrics, Clock: clock.RealClock{}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		factory.Start(ctx.Done())
		factory.WaitForCacheSync(ctx.Done())
		ended := make(chan error)
		w.run = func() {
			go func() { ended <- w.Nominator.Run(ctx) }()
			synctest.Wait()
		}
		w.end = sync.OnceFunc(func() {
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
		test(w)
		w.end()
		factory.Shutdown()
	})
}

// pod adds a pod that waits.
func (w *world) pod(name string) *corev1.Pod {
	w.Helper()
	pod := waiting("", func(p *corev1.Pod) { p.Name, p.UID, p.ResourceVersion = name, types.UID(name), "1" })
	if _, err := w.cluster.CoreV1().Pods(pod.Namespace).Create(w.Context(), pod, metav1.CreateOptions{}); err != nil {
		w.Fatal(err)
	}
	synctest.Wait()
	return pod
}

// node has a node of the group register now, and waits until its pods may be nominated.
func (w *world) node(name, group string, change ...func(*corev1.Node)) {
	w.Helper()
	node := starting(name, change...)
	node.CreationTimestamp, node.Labels = metav1.Now(), map[string]string{"group": group}
	if _, err := w.cluster.CoreV1().Nodes().Create(w.Context(), node, metav1.CreateOptions{}); err != nil {
		w.Fatal(err)
	}
	time.Sleep(holdPause)
	w.settle()
}

// firstOfTwo has pods a and b wait for a node each, and the node of a register, which is node-1. Pod a is as change makes it.
func (w *world) firstOfTwo(change ...func(*corev1.Pod)) {
	w.Helper()
	a, b := w.pod("a"), w.pod("b")
	for _, c := range change {
		w.changePod("a", c)
	}
	w.Asked("small", [][]*corev1.Pod{{a}, {b}})
	w.node("node-1", "small")
}

// settle lets time pass, longer than kube-scheduler must be calm.
func (w *world) settle() {
	time.Sleep(2 * calm)
	synctest.Wait()
}

// wantHeld compares the nodes that are held.
func (w *world) wantHeld(want ...string) {
	w.Helper()
	nodes, err := w.cluster.CoreV1().Nodes().List(w.Context(), metav1.ListOptions{})
	if err != nil {
		w.Fatal(err)
	}
	var got []string
	for _, node := range nodes.Items {
		if Held(&node) {
			got = append(got, node.Name)
		} else if node.Spec.Unschedulable || len(node.Annotations) > 0 {
			w.Errorf("node %s is not put back: %+v", node.Name, node)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		w.Errorf("held nodes (-want +got):\n%s", diff)
	}
}

func (w *world) changeNode(name string, changes ...func(*corev1.Node)) {
	w.Helper()
	node, err := w.cluster.CoreV1().Nodes().Get(w.Context(), name, metav1.GetOptions{})
	if err != nil {
		w.Fatal(err)
	}
	for _, change := range changes {
		change(node)
	}
	if _, err := w.cluster.CoreV1().Nodes().Update(w.Context(), node, metav1.UpdateOptions{}); err != nil {
		w.Fatal(err)
	}
	synctest.Wait()
}

func (w *world) changePod(name string, change func(*corev1.Pod)) {
	w.Helper()
	pod, err := w.cluster.CoreV1().Pods("default").Get(w.Context(), name, metav1.GetOptions{})
	if err != nil {
		w.Fatal(err)
	}
	change(pod)
	pod.ResourceVersion += "1" // as the API server does
	if _, err := w.cluster.CoreV1().Pods("default").Update(w.Context(), pod, metav1.UpdateOptions{}); err != nil {
		w.Fatal(err)
	}
	synctest.Wait()
}

// removed is what kube-scheduler does with a nomination when it tries the pod in vain.
func removed(p *corev1.Pod) { p.Status.NominatedNodeName = "" }

// wantNominated compares the nominations with name=node, or name= for none.
func (w *world) wantNominated(want ...string) {
	w.Helper()
	pods, err := w.cluster.CoreV1().Pods("default").List(w.Context(), metav1.ListOptions{})
	if err != nil {
		w.Fatal(err)
	}
	var got []string
	for _, pod := range pods.Items {
		got = append(got, pod.Name+"="+pod.Status.NominatedNodeName)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		w.Errorf("nominations (-want +got):\n%s", diff)
	}
}

// wantResults compares the results that the metric has counted.
func (w *world) wantResults(want map[string]float64) {
	w.Helper()
	families, err := w.metrics.Gather()
	if err != nil {
		w.Fatal(err)
	}
	got := map[string]float64{}
	for _, metric := range families[0].Metric {
		if value := metric.Counter.GetValue(); value > 0 {
			got[metric.Label[0].GetValue()] = value
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		w.Errorf("results (-want +got):\n%s", diff)
	}
	if len(want) > 0 && (len(w.targets) > 0 || len(w.on) > 0) {
		w.Errorf("%d pods are still followed", len(w.targets))
	}
}

func TestPodsGetTheirNodes(t *testing.T) {
	inWorld(t, true, nil, func(w *world) {
		a, b, c := w.pod("a"), w.pod("b"), w.pod("c")
		w.Asked("small", [][]*corev1.Pod{{a, b}, {c}})
		w.node("node-0", "large")
		w.node("node-1", "small")
		w.node("node-2", "small")
		w.wantHeld("node-1", "node-2")
		w.wantNominated("a=", "b=", "c=")
		w.changeNode("node-1", isReady)
		w.settle()
		w.wantHeld("node-2")
		w.wantNominated("a=node-1", "b=node-1", "c=")
		w.changeNode("node-2", isReady)
		w.settle()
		w.wantHeld()
		w.wantNominated("a=node-1", "b=node-1", "c=node-2")

		w.changePod("a", boundTo("node-1"))
		w.changePod("b", boundTo("node-2"))
		w.changePod("c", boundTo("node-2"))
		w.wantResults(map[string]float64{"kept": 2, "elsewhere": 1})
		if events := len(w.Events.(*record.FakeRecorder).Events); events != 2 {
			t.Errorf("%d events, want one for each pod that got its node", events)
		}
	})
}

// A node that registers alone is not held. kube-scheduler tries the pod before the node is Ready.
func TestOneNode(t *testing.T) {
	inWorld(t, true, nil, func(w *world) {
		w.Asked("small", [][]*corev1.Pod{{w.pod("a")}})
		w.node("node-1", "small")
		w.wantHeld()
		w.wantNominated("a=node-1")
		w.changePod("a", removed)
		w.wantNominated("a=")
		w.settle()
		w.wantNominated("a=node-1")
		w.changePod("a", removed)
		w.changeNode("node-1", isReady)
		w.wantNominated("a=node-1")
	})
}

// Each of few nodes is open once the pods of the one before it have their place.
func TestHeldNodesAreReleasedInTurn(t *testing.T) {
	inWorld(t, true, nil, func(w *world) {
		w.firstOfTwo()
		w.node("node-2", "small")
		w.changeNode("node-1", isReady)
		time.Sleep(2*nodeHold - time.Millisecond)
		synctest.Wait()
		w.wantHeld("node-1", "node-2")
		w.changeNode("node-2", isReady)
		w.settle()
		w.wantHeld("node-2")
		w.wantNominated("a=node-1", "b=")
		w.changePod("a", boundTo("node-1"))
		w.settle()
		w.wantHeld()
		w.wantNominated("a=node-1", "b=node-2")
	})
}

func TestNodesWithMorePodsAreReleasedFirst(t *testing.T) {
	inWorld(t, true, nil, func(w *world) {
		w.Asked("small", [][]*corev1.Pod{{w.pod("a")}, {w.pod("b"), w.pod("c")}})
		w.node("node-1", "small")
		w.node("node-2", "small")
		w.changeNode("node-1", isReady)
		w.changeNode("node-2", isReady)
		w.settle()
		w.wantHeld("node-1")
		w.wantNominated("a=", "b=node-2", "c=node-2")
	})
}

// kube-scheduler may not place a pod at all.
func TestNextTurnComesAfterAWhile(t *testing.T) {
	inWorld(t, true, nil, func(w *world) {
		w.firstOfTwo()
		w.node("node-2", "small")
		w.changeNode("node-1", isReady)
		w.changeNode("node-2", isReady)
		w.settle()
		w.wantHeld("node-2")
		time.Sleep(placeTime)
		w.settle()
		w.wantHeld()
	})
}

func TestHeldNodeAwaitsItsDevice(t *testing.T) {
	inWorld(t, true, nil, func(w *world) {
		w.firstOfTwo(wantsGPU)
		w.changeNode("node-1", isReady)
		time.Sleep(deviceTime / 2)
		synctest.Wait()
		w.wantHeld("node-1")
		w.changeNode("node-1", func(n *corev1.Node) { n.Status.Allocatable["nvidia.com/gpu"] = resource.MustParse("1") })
		w.settle()
		w.wantHeld()
		w.wantNominated("a=node-1", "b=")
	})
}

func TestHeldNodeWithoutItsDeviceIsReleased(t *testing.T) {
	inWorld(t, true, nil, func(w *world) {
		w.firstOfTwo(wantsGPU)
		w.changeNode("node-1", isReady)
		time.Sleep(deviceTime + holdLook)
		w.settle()
		w.wantHeld()
	})
}

func TestSomebodyUncordons(t *testing.T) {
	inWorld(t, true, nil, func(w *world) {
		w.firstOfTwo()
		w.changeNode("node-1", isReady, func(n *corev1.Node) { n.Spec.Unschedulable, n.Annotations = false, nil })
		w.settle()
		w.wantHeld()
		w.wantNominated("a=node-1", "b=")
	})
}

func TestNodesAreReleasedAtTheEnd(t *testing.T) {
	inWorld(t, true, nil, func(w *world) {
		w.firstOfTwo()
		w.wantHeld("node-1")
		w.end()
		w.wantHeld()
	})
}

func TestReleaseIsTriedAgain(t *testing.T) {
	inWorld(t, true, nil, func(w *world) {
		w.firstOfTwo()
		var answers atomic.Bool
		w.cluster.PrependReactor("update", "nodes", func(a clienttesting.Action) (bool, runtime.Object, error) {
			node, ok := a.(clienttesting.UpdateAction).GetObject().(*corev1.Node)
			return !answers.Load() && ok && !node.Spec.Unschedulable, nil, errors.New("the API server is away")
		})
		w.changeNode("node-1", isReady)
		w.wantHeld("node-1")
		answers.Store(true)
		time.Sleep(2 * releasePause)
		synctest.Wait()
		w.wantHeld()
	})
}

func TestHeldNodesOfAnEarlierLeader(t *testing.T) {
	for _, permitted := range []bool{true, false} {
		held := starting("node-1", func(n *corev1.Node) {
			n.Annotations, n.Spec.Unschedulable = map[string]string{AnnotationHeld: "2026-11-01T00:00:00Z"}, true
			n.Spec.Taints = append(n.Spec.Taints, corev1.Taint{Key: corev1.TaintNodeUnschedulable, Effect: corev1.TaintEffectNoSchedule})
		})
		inWorld(t, permitted, []runtime.Object{held}, func(w *world) { w.wantHeld() })
	}
}

// kube-scheduler puts a pod on the node of a pod of the same owner. They are alike, so they exchange their places.
// A worker may look at a node before the nodes of an earlier leader are released.
func TestNodesThatRegisterAtTheStartAreHeld(t *testing.T) {
	beforeRun(t, true, nil, func(w *world) {
		w.firstOfTwo()
		w.lookAtNode(w.Context(), key{node: "node-1"})
		w.run()
		time.Sleep(holdPause)
		w.settle()
		w.wantHeld("node-1")
	})
}

func TestPodsOfOneOwnerExchangePlaces(t *testing.T) {
	inWorld(t, true, nil, func(w *world) {
		a, b, c := w.pod("a"), w.pod("b"), w.pod("c")
		for _, name := range []string{"a", "c"} {
			w.changePod(name, func(p *corev1.Pod) {
				p.OwnerReferences = []metav1.OwnerReference{{Kind: "ReplicaSet", Name: "web", UID: "web", Controller: new(true)}}
			})
		}
		w.Asked("small", [][]*corev1.Pod{{a}, {b, c}})
		w.node("node-1", "small")
		w.node("node-2", "small")
		w.changePod("a", boundTo("node-2"))
		w.changeNode("node-1", isReady)
		w.changeNode("node-2", isReady)
		w.settle()
		w.wantNominated("a=", "b=", "c=node-1")
		w.changePod("c", boundTo("node-1"))
		w.settle()
		w.wantNominated("a=", "b=node-2", "c=node-1")
	})
}

// Pods a and b are planned for nodes of which each has room for two. Others take the room of a.
func TestPodWithoutRoomIsPlannedAnew(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*corev1.Pod)
		full   bool
	}{
		"other pods":               {func(*corev1.Pod) {}, true},
		"pods that it may preempt": {func(p *corev1.Pod) { p.Spec.Priority = new(int32(-1)) }, false},
		"completed pods":           {func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded }, false},
		"pods that ask for less memory": {func(p *corev1.Pod) {
			p.Spec.Containers[0].Resources.Requests = corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("1Gi")}
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, true, nil, func(w *world) {
				w.firstOfTwo()
				w.changeNode("node-1", isReady)
				w.settle()
				for _, name := range []string{"other-1", "other-2"} {
					w.pod(name)
					w.changePod(name, func(p *corev1.Pod) { boundTo("node-1")(p); tt.change(p) })
				}
				time.Sleep(roomTime + 2*roomLook)
				w.settle()
				if tt.full {
					w.wantNominated("a=", "b=", "other-1=", "other-2=")
					w.wantResults(map[string]float64{"refused": 1})
				} else {
					w.wantNominated("a=node-1", "b=", "other-1=", "other-2=")
				}
			})
		})
	}
}

func TestNodeRegistersBeforeItsPlan(t *testing.T) {
	inWorld(t, true, nil, func(w *world) {
		w.node("ready", "small")
		w.changeNode("ready", isReady)
		w.node("starting", "small")
		w.node("later", "")
		a, b := w.pod("a"), w.pod("b")
		w.Asked("small", [][]*corev1.Pod{{a}, {b}})
		w.settle()
		time.Sleep(holdPause)
		w.settle()
		w.wantHeld("starting")
		w.changeNode("later", func(n *corev1.Node) { n.Labels["group"] = "small" }) // a reading of the groups has its instance
		time.Sleep(2 * groupPause)
		w.wantHeld("later", "starting")
		w.changeNode("later", isReady)
		w.changeNode("starting", isReady)
		w.settle()
		w.wantNominated("a=", "b=later")
		w.changePod("b", boundTo("later"))
		w.settle()
		w.wantNominated("a=starting", "b=later")
	})
}

// A slow API server opens nodes ever later, and kube-scheduler tries the waiting pods ever again.
func TestNodesAreOpenWhileAPIServerIsSlow(t *testing.T) {
	inWorld(t, true, nil, func(w *world) {
		slow := true
		w.cluster.PrependReactor("update", "nodes", func(clienttesting.Action) (bool, runtime.Object, error) {
			if slow {
				time.Sleep(slowWrite)
			}
			return false, nil, nil
		})
		a, b, c := w.pod("a"), w.pod("b"), w.pod("c")
		w.Asked("small", [][]*corev1.Pod{{a}, {b}, {c}})
		w.node("node-1", "small")
		time.Sleep(slowWrite)
		slow = false
		w.wantHeld("node-1")
		w.node("node-2", "small")
		w.changeNode("node-1", isReady)
		w.settle()
		w.wantHeld()
		w.wantNominated("a=", "b=", "c=")

		time.Sleep(busyTime)
		w.node("node-3", "small")
		w.wantHeld("node-3")
		w.wantNominated("a=node-1", "b=node-2", "c=")
	})
}

func TestPlanChanges(t *testing.T) {
	inWorld(t, true, nil, func(w *world) {
		a := w.pod("a")
		w.Asked("small", [][]*corev1.Pod{{a}})
		w.node("node-1", "small")
		w.wantNominated("a=node-1")
		w.Asked("large", [][]*corev1.Pod{{a}})
		synctest.Wait()
		w.wantNominated("a=")
		w.wantResults(map[string]float64{"withdrawn": 1})
		w.node("node-2", "large")
		w.wantNominated("a=node-2")
	})
}

func TestWithoutPermission(t *testing.T) {
	inWorld(t, false, nil, func(w *world) {
		a, b := w.pod("a"), w.pod("b")
		w.Asked("small", [][]*corev1.Pod{{a, b}})
		w.node("node-1", "small")
		w.wantNominated("a=", "b=")
		w.wantResults(map[string]float64{"forbidden": 2})
	})
}

// The leader before has nominated, and the node goes.
func TestNominationOfAnEarlierLeader(t *testing.T) {
	labelled := func(n *corev1.Node) {
		n.Labels = map[string]string{"group": "small"}
		n.CreationTimestamp = metav1.NewTime(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)) // when time begins in the test
	}
	preempting := waiting("ready", func(p *corev1.Pod) { p.Name, p.UID = "preempting", "2" })
	objects := []runtime.Object{waiting("node-1"), preempting, starting("node-1", labelled), starting("ready", labelled, isReady)}
	inWorld(t, true, objects, func(w *world) {
		w.wantNominated("preempting=ready", "web=node-1")
		for _, name := range []string{"node-1", "ready"} {
			if err := w.cluster.CoreV1().Nodes().Delete(w.Context(), name, metav1.DeleteOptions{}); err != nil {
				w.Fatal(err)
			}
		}
		synctest.Wait()
		w.wantNominated("preempting=ready", "web=")
		w.wantResults(map[string]float64{"withdrawn": 1})
	})
}

func TestPermissionIsAskedForUntilAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster, asked := fake.NewClientset(), 0
		cluster.PrependReactor("create", "selfsubjectaccessreviews", func(clienttesting.Action) (bool, runtime.Object, error) {
			if asked++; asked < 3 {
				return true, nil, errors.New("the API server is away")
			}
			return true, &authorizationv1.SelfSubjectAccessReview{}, nil
		})
		n := &Nominator{Options: Options{Client: cluster, Clock: clock.RealClock{}}}
		if n.ask(t.Context()) || asked != 3 || n.denied.IsZero() {
			t.Errorf("asked %d times, denied at %v. Want three times, the last of which denies", asked, n.denied)
		}
	})
}

package nomination

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
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
}

// inWorld runs the test in a cluster with the objects and a running Nominator, with time of its own.
func inWorld(t *testing.T, permitted bool, objects []runtime.Object, test func(*world)) {
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
		go func() { ended <- w.Nominator.Run(ctx) }()
		synctest.Wait()
		test(w)
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		factory.Shutdown()
	})
}

// pod adds a pod that waits.
func (w *world) pod(name string) *corev1.Pod {
	w.Helper()
	pod := waiting("", func(p *corev1.Pod) { p.Name, p.UID = name, types.UID(name) })
	if _, err := w.cluster.CoreV1().Pods(pod.Namespace).Create(w.Context(), pod, metav1.CreateOptions{}); err != nil {
		w.Fatal(err)
	}
	synctest.Wait()
	return pod
}

// node has a node of the group register now.
func (w *world) node(name, group string, change ...func(*corev1.Node)) {
	w.Helper()
	node := starting(name, change...)
	node.CreationTimestamp, node.Labels = metav1.Now(), map[string]string{"group": group}
	if _, err := w.cluster.CoreV1().Nodes().Create(w.Context(), node, metav1.CreateOptions{}); err != nil {
		w.Fatal(err)
	}
	synctest.Wait()
}

func (w *world) changeNode(name string, change func(*corev1.Node)) {
	w.Helper()
	node, err := w.cluster.CoreV1().Nodes().Get(w.Context(), name, metav1.GetOptions{})
	if err != nil {
		w.Fatal(err)
	}
	change(node)
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
		w.wantNominated("a=node-1", "b=node-1", "c=")
		w.node("node-2", "small")
		w.wantNominated("a=node-1", "b=node-1", "c=node-2")

		w.changePod("a", removed)
		time.Sleep(time.Second)
		w.wantNominated("a=node-1", "b=node-1", "c=node-2")
		w.changePod("b", removed)
		w.changeNode("node-1", isReady)
		w.wantNominated("a=node-1", "b=node-1", "c=node-2")

		w.changePod("a", boundTo("node-1"))
		w.changePod("b", boundTo("node-2"))
		w.changePod("c", boundTo("node-2"))
		w.wantNominated("a=node-1", "b=", "c=node-2") // the API server removes the nomination of a bound pod
		w.wantResults(map[string]float64{"kept": 2, "elsewhere": 1})
		if events := len(w.Events.(*record.FakeRecorder).Events); events != 3 {
			t.Errorf("%d events, want one for each pod", events)
		}
	})
}

func TestNodeRegistersBeforeItsPlan(t *testing.T) {
	inWorld(t, true, nil, func(w *world) {
		a, b := w.pod("a"), w.pod("b")
		w.node("ready", "small")
		w.changeNode("ready", isReady)
		w.node("starting", "small")
		w.node("later", "")
		w.Asked("small", [][]*corev1.Pod{{a}, {b}})
		synctest.Wait()
		w.wantNominated("a=starting", "b=")
		w.changeNode("later", func(n *corev1.Node) { n.Labels["group"] = "small" }) // a reading of the groups has its instance
		time.Sleep(2 * groupPause)
		w.wantNominated("a=starting", "b=later")
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

func TestNodeThatCannotTakeThePodYet(t *testing.T) {
	inWorld(t, true, nil, func(w *world) {
		a := w.pod("a")
		w.Asked("small", [][]*corev1.Pod{{a}})
		w.node("node-1", "small")
		nominated := waiting("node-1", func(p *corev1.Pod) { p.Name, p.UID = a.Name, a.UID })
		if !w.Awaits(nominated) || w.Awaits(a) || w.Awaits(waiting("node-2", func(p *corev1.Pod) { p.UID = a.UID })) {
			t.Error("a pod awaits its node if it is nominated for that node by us")
		}
		w.changeNode("node-1", isReady)
		if w.Awaits(nominated) {
			t.Error("a pod awaits a node that can take it")
		}
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

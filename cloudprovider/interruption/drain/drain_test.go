package drain_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
	"k8s.io/klog/v2/textlogger"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption/drain"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/informed"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/podserver"
)

// cluster is an API server whose pods take their grace to end, and a cache of them that is up to date until it is frozen.
type cluster struct {
	*podserver.Server
	pods         cache.SharedIndexInformer
	stop         func()
	moved, stuck []string
	ahead        time.Duration // how far the drainer's clock is ahead of the API server's
}

// aheadClock is ahead of the real one. Its timers are not.
type aheadClock struct {
	clock.RealClock
	ahead time.Duration
}

func (c aheadClock) Now() time.Time { return time.Now().Add(c.ahead) }

func (c aheadClock) Since(t time.Time) time.Duration { return c.Now().Sub(t) }

func newCluster(t *testing.T, pods ...*corev1.Pod) *cluster {
	client := fake.NewSimpleClientset()
	factory := informers.NewSharedInformerFactory(client, 0)
	c := &cluster{pods: factory.Core().V1().Pods().Informer(),
		Server: &podserver.Server{Tracker: client.Tracker(), Grace: func(seconds int64) time.Duration {
			return max(0, time.Duration(seconds)*time.Second-100*time.Millisecond) // so that no look at the pods coincides
		}}}
	require.NoError(t, c.pods.AddIndexers(nodemeta.PodsByNode))
	for _, pod := range pods {
		c.add(t, pod)
	}
	ctx, cancel := context.WithCancel(t.Context())
	c.stop = func() { cancel(); factory.Shutdown() }
	t.Cleanup(c.stop)
	informed.Start(ctx, t, client, factory)
	return c
}

func (c *cluster) add(t *testing.T, pod *corev1.Pod) {
	require.NoError(t, c.Tracker.Create(podserver.Pods, pod, pod.Namespace))
}

func (c *cluster) remove(name string) { _ = c.Tracker.Delete(podserver.Pods, "default", name) }

// times counts the requests of one kind about one pod.
func (c *cluster) times(verb, pod string) int {
	n := 0
	for _, call := range c.Calls() {
		if call.Verb == verb && call.Pod == pod {
			n++
		}
	}
	return n
}

func on(nodes ...string) func() []string { return func() []string { return nodes } }

func (c *cluster) drainer() *drain.Drainer {
	return &drain.Drainer{Client: c.Client(), Pods: c.pods.GetIndexer(), Clock: aheadClock{ahead: c.ahead},
		Moved: func(pod *corev1.Pod, forced, held bool) {
			text := fmt.Sprintf("%s forced=%v", pod.Name, forced)
			if forced && held {
				text += " against its budget"
			}
			c.moved = append(c.moved, text)
		},
		Stuck: func(pod *corev1.Pod, err error) { c.stuck = append(c.stuck, pod.Name) },
	}
}

// budget refuses to let the named pods be evicted, or all.
func budget(names ...string) func(*http.Request, podserver.Call) error {
	return refuse(held(0), names...)
}

// held is the API server's answer where a budget holds a pod back.
func held(retryAfter int) error {
	err := apierrors.NewTooManyRequests("Cannot evict pod as it would violate the pod's disruption budget.", retryAfter)
	err.ErrStatus.Details.Causes = append(err.ErrStatus.Details.Causes, metav1.StatusCause{Type: policyv1.DisruptionBudgetCause})
	return err
}

// refuse has evictions of the named pods, or all, answered with the error.
func refuse(err error, names ...string) func(*http.Request, podserver.Call) error {
	return func(_ *http.Request, call podserver.Call) error {
		if call.Verb != "evict" {
			return nil
		}
		for _, name := range names {
			if name == call.Pod {
				return err
			}
		}
		if len(names) > 0 {
			return nil
		}
		return err
	}
}

// budgetFor is a budget that refuses for so long.
func budgetFor(d time.Duration) func(*http.Request, podserver.Call) error {
	lets := in(d)
	return func(r *http.Request, call podserver.Call) error {
		if time.Now().Before(lets) {
			return budget()(r, call)
		}
		return nil
	}
}

func forbidDeletions(otherwise func(*http.Request, podserver.Call) error) func(*http.Request, podserver.Call) error {
	return func(r *http.Request, call podserver.Call) error {
		if call.Verb == "delete" {
			return apierrors.NewForbidden(podserver.Pods.GroupResource(), call.Pod, errors.New(`User "us" cannot delete resource "pods"`))
		}
		return otherwise(r, call)
	}
}

// hang never answers, like a server that is stuck.
func hang(r *http.Request) error {
	<-r.Context().Done()
	return r.Context().Err()
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

func anyPod(*corev1.Pod) bool { return true }

func grace(seconds int64) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.Spec.TerminationGracePeriodSeconds = &seconds }
}

func ofDaemonSet(p *corev1.Pod) {
	p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "DaemonSet", Name: "agents", Controller: ptr.To(true)}}
}

// journey is the course of a drain.
type journey struct {
	drain.Result
	Took         time.Duration
	Moved, Stuck []string
}

func (c *cluster) drained(t *testing.T, plan drain.Plan) journey {
	began := time.Now()
	result, err := c.drainer().Drain(t.Context(), on("node"), func() drain.Plan { return plan })
	require.NoError(t, err)
	return journey{Result: result, Took: time.Since(began).Round(time.Second), Moved: c.moved, Stuck: c.stuck}
}

func in(d time.Duration) time.Time { return time.Now().Add(d) }

// warned is the plan after a spot interruption warning.
func warned() drain.Plan {
	return drain.Plan{Force: in(110 * time.Second), Deadline: in(2 * time.Minute)}
}

func TestDrain(t *testing.T) {
	for _, tt := range []struct {
		name  string
		pods  []*corev1.Pod
		world func(*testing.T, *cluster)
		plan  func() drain.Plan
		want  journey
	}{
		{name: "an empty node is done at once", want: journey{}},
		{name: "pods of DaemonSets, static and finished ones stay", pods: []*corev1.Pod{pod("agent", ofDaemonSet),
			pod("static", func(p *corev1.Pod) { p.Annotations = map[string]string{corev1.MirrorPodAnnotationKey: "x"} }),
			pod("job", func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded }),
			pod("elsewhere", func(p *corev1.Pod) { p.Spec.NodeName = "other" })},
			want: journey{}},
		{name: "a pod has its grace", pods: []*corev1.Pod{pod("a", grace(25))}, plan: warned,
			want: journey{Result: drain.Result{Evicted: 1}, Took: 25 * time.Second, Moved: []string{"a forced=false"}}},
		{name: "a pod has its grace by a clock that is ahead", pods: []*corev1.Pod{pod("a", grace(25))},
			world: func(_ *testing.T, c *cluster) { c.ahead = 5 * time.Minute },
			plan:  func() drain.Plan { return drain.Plan{Deadline: in(7 * time.Minute)} },
			want:  journey{Result: drain.Result{Evicted: 1}, Took: 25 * time.Second, Moved: []string{"a forced=false"}}},
		{name: "a pod without a controller loses its emptyDir", pods: []*corev1.Pod{
			pod("a", func(p *corev1.Pod) {
				p.Spec.Volumes = []corev1.Volume{{VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
			})},
			want: journey{Result: drain.Result{Evicted: 1}, Took: 10 * time.Second, Moved: []string{"a forced=false"}}},
		{name: "a budget is asked until it lets go", pods: []*corev1.Pod{pod("a", grace(0))},
			world: func(_ *testing.T, c *cluster) { c.Refuse = budgetFor(20 * time.Second) }, plan: warned,
			want: journey{Result: drain.Result{Evicted: 1}, Took: 22 * time.Second, Moved: []string{"a forced=false"}}},
		{name: "a pod held to the last gets the grace that is left", pods: []*corev1.Pod{pod("a", grace(60))},
			world: func(_ *testing.T, c *cluster) { c.Refuse = budget() }, plan: warned,
			want: journey{Result: drain.Result{Forced: 1}, Took: 2 * time.Minute, Moved: []string{"a forced=true against its budget"}}},
		{name: "a forced pod gets no more than its own grace", pods: []*corev1.Pod{pod("a", grace(4))},
			world: func(_ *testing.T, c *cluster) { c.Refuse = budget() }, plan: warned,
			want: journey{Result: drain.Result{Forced: 1}, Took: 114 * time.Second, Moved: []string{"a forced=true against its budget"}}},
		{name: "without force a pod is lost", pods: []*corev1.Pod{pod("a")},
			world: func(_ *testing.T, c *cluster) { c.Refuse = budget() },
			plan:  func() drain.Plan { return drain.Plan{Deadline: in(2 * time.Minute)} },
			want:  journey{Result: drain.Result{Lost: 1}, Took: 2 * time.Minute}},
		{name: "without the right to delete a pod is lost", pods: []*corev1.Pod{pod("a")},
			world: func(_ *testing.T, c *cluster) { c.Refuse = forbidDeletions(budget()) }, plan: warned,
			want: journey{Result: drain.Result{Lost: 1}, Took: 2 * time.Minute, Stuck: []string{"a"}}},
		{name: "without the right to delete evictions go on", pods: []*corev1.Pod{pod("a", grace(0))},
			world: func(_ *testing.T, c *cluster) { c.Refuse = forbidDeletions(budgetFor(112 * time.Second)) }, plan: warned,
			want: journey{Result: drain.Result{Evicted: 1}, Took: 116 * time.Second, Moved: []string{"a forced=false"}, Stuck: []string{"a"}}},
		{name: "a pod that cannot be evicted is reported once, and forced", pods: []*corev1.Pod{pod("a", grace(5))},
			world: func(_ *testing.T, c *cluster) {
				c.Refuse = refuse(errors.New("This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."))
			},
			plan: warned,
			want: journey{Result: drain.Result{Forced: 1}, Took: 115 * time.Second, Moved: []string{"a forced=true"}, Stuck: []string{"a"}}},
		{name: "an API server with too many requests is no budget", pods: []*corev1.Pod{pod("a", grace(5))},
			world: func(_ *testing.T, c *cluster) {
				c.Refuse = refuse(apierrors.NewTooManyRequestsError("too many requests, please try again later"))
			},
			plan: warned,
			want: journey{Result: drain.Result{Forced: 1}, Took: 115 * time.Second, Moved: []string{"a forced=true"}, Stuck: []string{"a"}}},
		{name: "webhooks that hang delay the eviction", pods: []*corev1.Pod{pod("a", grace(5))},
			world: func(_ *testing.T, c *cluster) {
				c.Refuse = func(r *http.Request, _ podserver.Call) error {
					select {
					case <-r.Context().Done():
					case <-time.After(20 * time.Second): // two of them, one after the other
					}
					return r.Context().Err()
				}
			},
			plan: warned,
			want: journey{Result: drain.Result{Evicted: 1}, Took: 25 * time.Second, Moved: []string{"a forced=false"}}},
		{name: "a pod that the cache lacks is moved",
			world: func(t *testing.T, c *cluster) { c.stop(); c.add(t, pod("late", grace(5))) }, plan: warned,
			want: journey{Result: drain.Result{Evicted: 1}, Took: 5 * time.Second, Moved: []string{"late forced=false"}}},
		{name: "a pod that only the cache has is gone", pods: []*corev1.Pod{pod("gone")},
			world: func(_ *testing.T, c *cluster) { c.stop(); c.remove("gone") }, plan: warned,
			want: journey{Took: time.Second}},
		{name: "a list that fails shows no empty node",
			world: func(t *testing.T, c *cluster) {
				c.stop()
				c.add(t, pod("a", grace(5)))
				until := in(20500 * time.Millisecond)
				c.RefuseList = func() error {
					if time.Now().Before(until) {
						return errors.New("etcd has no leader")
					}
					return nil
				}
			},
			plan: warned,
			want: journey{Result: drain.Result{Evicted: 1}, Took: 26 * time.Second, Moved: []string{"a forced=false"}}},
		{name: "a list that fails to the end shows no empty node",
			world: func(_ *testing.T, c *cluster) {
				c.RefuseList = func() error { return errors.New("etcd has no leader") }
			}, plan: warned,
			want: journey{Result: drain.Result{Unseen: true}, Took: 2 * time.Minute}},
		{name: "a grace longer than the time is not cut short", pods: []*corev1.Pod{pod("a", grace(600))}, plan: warned,
			want: journey{Result: drain.Result{Lost: 1}, Took: 2 * time.Minute, Moved: []string{"a forced=false"}}},
		{name: "another drain is only waited for", pods: []*corev1.Pod{pod("a")},
			world: func(_ *testing.T, c *cluster) { time.AfterFunc(6900*time.Millisecond, func() { c.remove("a") }) },
			plan:  func() drain.Plan { return drain.Plan{Deadline: in(2 * time.Minute), HandsOff: anyPod} },
			want:  journey{Took: 7 * time.Second}},
		{name: "another drain that takes too long is helped", pods: []*corev1.Pod{pod("a", grace(5))},
			plan: func() drain.Plan { p := warned(); p.HandsOff = anyPod; return p },
			want: journey{Result: drain.Result{Forced: 1}, Took: 115 * time.Second, Moved: []string{"a forced=true"}}},
		{name: "a pod bound during the cordon is found", pods: []*corev1.Pod{pod("a")},
			world: func(t *testing.T, c *cluster) { time.AfterFunc(4500*time.Millisecond, func() { c.add(t, pod("b")) }) },
			want:  journey{Result: drain.Result{Evicted: 2}, Took: 15 * time.Second, Moved: []string{"a forced=false", "b forced=false"}}},
		{name: "a pod that finishes holds nothing up", pods: []*corev1.Pod{pod("a")},
			world: func(t *testing.T, c *cluster) {
				c.Refuse = budget()
				time.AfterFunc(9500*time.Millisecond, func() {
					assert.NoError(t, c.Tracker.Update(podserver.Pods, pod("a", func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed }), "default"))
				})
			},
			plan: warned,
			want: journey{Took: 10 * time.Second}},
		{name: "a pod that has long been terminating holds nothing up",
			world: func(t *testing.T, c *cluster) {
				c.add(t, pod("a", func(p *corev1.Pod) { p.DeletionTimestamp = &metav1.Time{Time: in(-2 * time.Minute)} }))
			},
			plan: warned, want: journey{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCluster(t, tt.pods...)
				if tt.world != nil {
					tt.world(t, c)
				}
				plan := drain.Plan{}
				if tt.plan != nil {
					plan = tt.plan()
				}
				assert.Empty(t, cmp.Diff(tt.want, c.drained(t, plan)))
			})
		})
	}
}

// requests notes the requests that it passes on.
type requests struct {
	http.RoundTripper
	mu   sync.Mutex
	made []string // guarded by mu
}

func (r *requests) RoundTrip(request *http.Request) (*http.Response, error) {
	r.mu.Lock()
	r.made = append(r.made, request.Method+" "+request.URL.Path)
	r.mu.Unlock()
	return r.RoundTripper.RoundTrip(request)
}

// A hundred nodes may be drained at once, and each is looked at every half second.
func TestLooksMakeNoCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, pod("a", grace(25)), pod("agent", ofDaemonSet), pod("other", ofDaemonSet))
		made := &requests{RoundTripper: c}
		d := c.drainer()
		d.Client = kubernetes.NewForConfigOrDie(&rest.Config{Host: "http://podserver", Transport: made, QPS: -1})
		_, err := d.Drain(t.Context(), on("node"), warned)
		require.NoError(t, err)
		want := []string{"POST /api/v1/namespaces/default/pods/a/eviction", "GET /api/v1/pods"} // the last look is the API server's
		assert.Empty(t, cmp.Diff(want, made.made), "requests (-want +got)")
	})
}

// A budget whose status lags behind its spec answers 429 with Retry-After until it can be computed. client-go's own eviction
// waits and asks ten times more inside one call.
func TestRetryAfterDelaysNoOtherPod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pods := []*corev1.Pod{pod("held", grace(5))}
		for n := range 30 {
			pods = append(pods, pod(fmt.Sprint("free-", n), grace(5)))
		}
		c := newCluster(t, pods...)
		c.Refuse = refuse(held(10), "held")
		began := time.Now()
		left := make(chan time.Duration, 1)
		time.AfterFunc(8*time.Second, func() {
			all, _ := c.Tracker.List(podserver.Pods, corev1.SchemeGroupVersion.WithKind("Pod"), "")
			if n := len(all.(*corev1.PodList).Items); n == 1 {
				left <- time.Since(began)
			}
		})
		got := c.drained(t, drain.Plan{Force: in(30 * time.Second), Deadline: in(40 * time.Second)})
		assert.Truef(t, got.Evicted == 30 && got.Forced == 1 && got.Lost == 0 && got.Took == 35*time.Second && len(left) == 1,
			"%+v after %v, the free pods gone in time: %v", got.Result, got.Took, len(left) == 1)
		n := c.times("evict", "held")
		assert.Truef(t, n >= 8 && n <= 16 && len(c.stuck) == 0, "asked for the held pod %d times in 30 seconds, stuck %v", n, c.stuck)
	})
}

func TestUnansweredEvictionsDelayNeitherForceNorDeadline(t *testing.T) {
	for _, tt := range []struct {
		name, verbs string
		want        drain.Result
		took        time.Duration
	}{
		{"evictions hang", "evict", drain.Result{Forced: 25}, 105 * time.Second},
		{"deletions hang as well", "evict delete", drain.Result{Lost: 25}, 110 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var pods []*corev1.Pod
				for n := range 25 {
					pods = append(pods, pod(fmt.Sprint("pod-", n), grace(5)))
				}
				c := newCluster(t, pods...)
				c.Refuse = func(r *http.Request, call podserver.Call) error {
					if call.Verb == "evict" || tt.verbs != "evict" {
						return hang(r)
					}
					return nil
				}
				got := c.drained(t, drain.Plan{Force: in(100 * time.Second), Deadline: in(110 * time.Second)})
				diff := cmp.Diff(tt.want, got.Result)
				assert.Truef(t, diff == "" && got.Took == tt.took, "after %v, want %v: %s", got.Took, tt.took, diff)
				assert.Len(t, c.stuck, 25, "pods were reported stuck, want each once")
			})
		})
	}
}

// Each call that breaks holds up one pod, and gives its place back: there are more such calls than places.
func TestPanicDelaysOnePodAlone(t *testing.T) {
	for verb, force := range map[string]time.Duration{"evict": 50 * time.Second, "delete": 0} {
		synctest.Test(t, func(t *testing.T) {
			c := newCluster(t, pod("a", grace(0)), pod("b", grace(0)))
			c.Refuse = func(_ *http.Request, call podserver.Call) error {
				if call.Pod == "a" && call.Verb == verb && c.times(verb, "a") <= 12 {
					panic("a fault")
				}
				return nil
			}
			if got := c.drained(t, drain.Plan{Force: in(force), Deadline: in(time.Minute)}); got.Lost != 0 || c.times(verb, "a") != 13 || c.times(verb, "b") != 1 {
				t.Errorf("%+v after %v: %v, want both pods moved", got.Result, got.Took, c.Calls())
			}
		})
	}
}

func TestHangingEvictionDelaysNoOtherPod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var pods []*corev1.Pod
		for n := range 60 {
			pods = append(pods, pod(fmt.Sprint("pod-", n), grace(1)))
		}
		c := newCluster(t, pods...)
		c.Refuse = func(r *http.Request, call podserver.Call) error {
			if call.Pod == "pod-0" && call.Verb == "evict" {
				return hang(r)
			}
			return nil
		}
		var last time.Time
		d := c.drainer()
		d.Moved = func(pod *corev1.Pod, forced, _ bool) {
			if !forced {
				last = time.Now()
			}
		}
		began := time.Now()
		if _, err := d.Drain(t.Context(), on("node"), func() drain.Plan {
			return drain.Plan{Force: began.Add(30 * time.Second), Deadline: began.Add(40 * time.Second)}
		}); err != nil {
			t.Fatal(err)
		}
		took := last.Sub(began)
		assert.Truef(t, took <= time.Second, "the last of the other pods was evicted after %v", took)
	})
}

func TestConcurrentEvictionsPerNamespaceAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const nodes = 40
		var pods []*corev1.Pod
		for n := range nodes {
			on := func(p *corev1.Pod) { p.Spec.NodeName = fmt.Sprint("node-", n) }
			pods = append(pods, pod(fmt.Sprint("pod-", n), on, grace(1)))
		}
		c := newCluster(t, pods...)
		var now, most atomic.Int32
		c.Refuse = func(_ *http.Request, call podserver.Call) error {
			if call.Verb == "evict" {
				most.Store(max(most.Load(), now.Add(1)))
				time.Sleep(100 * time.Millisecond)
				now.Add(-1)
			}
			return nil
		}
		d := c.drainer()
		d.Moved = func(*corev1.Pod, bool, bool) {}
		var drains sync.WaitGroup
		var evicted atomic.Int32
		for n := range nodes {
			drains.Go(func() {
				result, err := d.Drain(t.Context(), on(fmt.Sprint("node-", n)), func() drain.Plan { return drain.Plan{Deadline: in(time.Minute)} })
				assert.NoError(t, err)
				evicted.Add(int32(result.Evicted))
			})
		}
		drains.Wait()
		assert.Truef(t, evicted.Load() == nodes && most.Load() >= 2 && most.Load() <= 8,
			"%d pods evicted, up to %d at once; want %d, several at once and at most 8", evicted.Load(), most.Load(), nodes)
	})
}

// jitter is up to half a second, by the pod: the watch of the emulator bears no hundred changes at a moment.
func jitter(pod string) time.Duration {
	sum := fnv.New32()
	_, _ = sum.Write([]byte(pod))
	return time.Duration(sum.Sum32()%500) * time.Millisecond
}

// All pods are in one namespace, and no budget holds any.
func TestEvictionsOfOneControllerDelayNoOthers(t *testing.T) {
	const nodes, each, controllers = 40, 20, 10
	for _, tt := range []struct {
		name   string
		hangs  bool // the evictions of the first controller's pods
		forced int
	}{
		{name: "every eviction takes two seconds"},
		{name: "one controller's evictions hang", hangs: true, forced: nodes * each / controllers},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var pods []*corev1.Pod
				for n := range nodes * each {
					of := types.UID(fmt.Sprint("set-", n/nodes%controllers))
					pods = append(pods, pod(fmt.Sprint(of, "-", n), grace(1), func(p *corev1.Pod) {
						p.Spec.NodeName = fmt.Sprint("node-", n%nodes)
						p.OwnerReferences = []metav1.OwnerReference{{Kind: "ReplicaSet", Name: string(of), UID: of, Controller: ptr.To(true)}}
					}))
				}
				c := newCluster(t, pods...)
				var now, most atomic.Int32
				c.Refuse = func(r *http.Request, call podserver.Call) error {
					switch {
					case call.Verb != "evict":
					case tt.hangs && strings.HasPrefix(call.Pod, "set-0-"):
						return hang(r)
					default:
						most.Store(max(most.Load(), now.Add(1)))
						time.Sleep(2*time.Second + jitter(call.Pod))
						now.Add(-1)
					}
					return nil
				}
				d, plan := c.drainer(), warned()
				var forced, held atomic.Int32
				d.Moved = func(pod *corev1.Pod, force, byBudget bool) {
					if force {
						assert.Truef(t, tt.hangs && strings.HasPrefix(pod.Name, "set-0-"), "%s was deleted by force", pod.Name)
						forced.Add(1)
					}
					if byBudget {
						held.Add(1)
					}
				}
				d.Stuck = func(*corev1.Pod, error) {}
				var drains sync.WaitGroup
				for n := range nodes {
					drains.Go(func() {
						result, err := d.Drain(t.Context(), on(fmt.Sprint("node-", n)), func() drain.Plan { return plan })
						assert.Truef(t, err == nil && result.Lost == 0, "%+v, error %v", result, err)
					})
				}
				drains.Wait()
				assert.Truef(t, int(forced.Load()) == tt.forced && held.Load() == 0, "%d deletions by force, want %d; %d said to be held by a budget",
					forced.Load(), tt.forced, held.Load())
				assert.LessOrEqual(t, most.Load(), int32(8*controllers), "evictions at once")
			})
		})
	}
}

// One drain may wait for weeks, while others evict the pods of ever new Jobs.
func TestControllersThatAreGoneTakeNoMemory(t *testing.T) {
	d, seen := &drain.Drainer{}, map[chan struct{}]bool{}
	for n := range 20_000 {
		for _, tokens := range d.EvictionSlots(pod("a", func(p *corev1.Pod) {
			p.OwnerReferences = []metav1.OwnerReference{{Kind: "Job", UID: types.UID(fmt.Sprint(n)), Controller: ptr.To(true)}}
		})) {
			seen[tokens] = true
		}
	}
	assert.Less(t, len(seen), 5000, "channels of 20,000 controllers")
}

func TestConcurrentEvictionsInAllAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var pods []*corev1.Pod
		for n := range 400 {
			pods = append(pods, pod(fmt.Sprint("pod-", n), grace(1), func(p *corev1.Pod) {
				p.OwnerReferences = []metav1.OwnerReference{{Kind: "ReplicaSet", UID: types.UID(fmt.Sprint(n)), Controller: ptr.To(true)}}
			}))
		}
		c := newCluster(t, pods...)
		var now, most atomic.Int32
		c.Refuse = func(_ *http.Request, call podserver.Call) error {
			most.Store(max(most.Load(), now.Add(1)))
			time.Sleep(time.Second + jitter(call.Pod))
			now.Add(-1)
			return nil
		}
		got := c.drained(t, warned())
		assert.Truef(t, got.Evicted == len(pods) && most.Load() >= 100 && most.Load() <= 200,
			"%d pods evicted, up to %d at once; want %d, and 100 to 200 at once", got.Evicted, most.Load(), len(pods))
	})
}

// A StatefulSet's next pod has the name of the last one. The cache here shows the old pod for ever.
func TestPodWithTheSameNameIsSpared(t *testing.T) {
	for _, forced := range []bool{false, true} {
		t.Run(fmt.Sprintf("forced %v", forced), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCluster(t, pod("db-0"))
				c.stop()
				c.remove("db-0")
				c.add(t, pod("db-0", func(p *corev1.Pod) { p.UID, p.Spec.NodeName = "next", "other" }))
				plan := drain.Plan{Deadline: in(20 * time.Second)}
				if forced {
					plan.Force = in(0)
				}
				assert.Equal(t, journey{Took: time.Second}, c.drained(t, plan))
				object, err := c.Tracker.Get(podserver.Pods, "default", "db-0")
				assert.Truef(t, err == nil && object.(*corev1.Pod).DeletionTimestamp == nil && len(object.(*corev1.Pod).Status.Conditions) == 0,
					"the pod of the same name on another node was ended or marked, error %v", err)
				assert.True(t, len(c.Calls()) != 0, "nothing was asked: the test proves nothing")
			})
		})
	}
}

// The API server gives up after ten seconds in which others changed the budget. Another pod stays on the node, so that nobody lists its pods.
func TestPodIsAskedAgainAfterAContendedBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, pod("a", grace(5)), pod("held", grace(5)))
		c.Refuse = func(r *http.Request, call podserver.Call) error {
			if call.Pod == "a" && c.times("evict", "a") == 1 {
				return apierrors.NewConflict(policyv1.Resource("poddisruptionbudgets"), "budget", errors.New("the object has been modified"))
			}
			return budget("held")(r, call)
		}
		assert.Equal(t, drain.Result{Evicted: 1, Lost: 1}, c.drained(t, drain.Plan{Deadline: in(30 * time.Second)}).Result)
	})
}

// Evictions are answered after the look that asked for them.
func TestDrainOfQuickPodsEndsSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, pod("a", grace(0)), pod("b", grace(0)))
		began := time.Now()
		_, err := c.drainer().Drain(t.Context(), on("node"), warned)
		require.NoError(t, err)
		took := time.Since(began)
		assert.Truef(t, took <= 500*time.Millisecond, "the drain took %v, want half a second", took)
	})
}

func TestWebhookThatGuardsOnePodLeavesOthersToForce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, pod("guarded", grace(1)), pod("other", grace(1)))
		c.Refuse = func(r *http.Request, call podserver.Call) error {
			switch {
			case call.Verb != "delete":
				return budget()(r, call)
			case call.Pod == "guarded":
				return &apierrors.StatusError{ErrStatus: metav1.Status{Status: metav1.StatusFailure, Code: http.StatusForbidden,
					Reason: metav1.StatusReasonForbidden, Message: `admission webhook "guard" denied the request: no`}}
			case c.times("delete", "other") == 1:
				return apierrors.NewTooManyRequestsError("too many requests, please try again later")
			}
			return nil
		}
		assert.Equal(t, drain.Result{Forced: 1, Lost: 1}, c.drained(t, warned()).Result)
	})
}

// By this condition a Job's podFailurePolicy ignores the pod. An eviction gives it, a deletion does not.
var disruption = corev1.PodCondition{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: "DeletionByInterruption",
	Message: "Node node is about to go and the pod could not be evicted"}

// condition returns what the pod says about its disruption.
func (c *cluster) condition(t *testing.T, name string) (found corev1.PodCondition) {
	object, err := c.Tracker.Get(podserver.Pods, "default", name)
	require.NoError(t, err)
	for _, is := range object.(*corev1.Pod).Status.Conditions {
		if is.Type == corev1.DisruptionTarget {
			found = is
		}
	}
	return found
}

func TestForcedPodIsMarkedFirst(t *testing.T) {
	evicted := corev1.PodCondition{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: "EvictionByEvictionAPI"}
	stale := corev1.PodCondition{Type: corev1.DisruptionTarget, Status: corev1.ConditionFalse}
	for _, tt := range []struct {
		name    string
		has     []corev1.PodCondition
		want    corev1.PodCondition
		patches int
	}{
		{"a pod", nil, disruption, 1},
		{"ReplicaSet", nil, corev1.PodCondition{}, 0},
		{"Job", nil, disruption, 1},
		{"a pod that stayed after an eviction", []corev1.PodCondition{stale, {Type: corev1.PodReady, Status: corev1.ConditionTrue}}, disruption, 1},
		{"a pod whose eviction was half done", []corev1.PodCondition{evicted}, evicted, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCluster(t, pod("a", grace(60), func(p *corev1.Pod) {
					p.Status.Conditions = tt.has
					p.OwnerReferences = []metav1.OwnerReference{{Kind: tt.name, Name: "of", UID: "of", Controller: ptr.To(true)}}
				}))
				var atDeletion corev1.PodCondition
				c.Refuse = func(r *http.Request, call podserver.Call) error {
					switch call.Verb {
					case "patch":
						time.Sleep(900 * time.Millisecond)
						return nil
					case "delete":
						atDeletion = c.condition(t, "a")
						assert.Equal(t, int64(10-tt.patches), call.Grace, "the grace that is left")
					}
					return budget()(r, call)
				}
				forced := in(110 * time.Second)
				assert.Equal(t, 1, c.drained(t, warned()).Forced, "deleted pods")
				if tt.patches > 0 {
					assert.WithinDuration(t, forced, atDeletion.LastTransitionTime.Time, time.Second, "the time of the mark")
				}
				atDeletion.LastTransitionTime = metav1.Time{}
				assert.Empty(t, cmp.Diff(tt.want, atDeletion), "the condition at the deletion")
				assert.Equal(t, tt.patches, c.times("patch", "a"), "patches")
			})
		})
	}
}

// Each drain asks anew: the permission may have been granted meanwhile. Ten pods are asked for at once.
func TestPodsThatCannotBeMarkedAreDeletedAllTheSame(t *testing.T) {
	for _, tt := range []struct {
		name    string
		refuse  func(*http.Request) error
		patches int           // of 25 pods
		delay   time.Duration // of the last deletion
	}{
		{"without the permission", func(*http.Request) error {
			time.Sleep(10 * time.Millisecond)
			return apierrors.NewForbidden(podserver.Pods.GroupResource(), "a", errors.New(`User "us" cannot patch resource "pods/status"`))
		}, 10, 10 * time.Millisecond},
		{"unanswered", hang, 10, time.Second},
		{"a webhook guards them", func(*http.Request) error {
			return &apierrors.StatusError{ErrStatus: metav1.Status{Status: metav1.StatusFailure, Code: http.StatusForbidden,
				Reason: metav1.StatusReasonForbidden, Message: `admission webhook "guard" denied the request: no`}}
		}, 25, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCluster(t)
				c.Refuse = func(r *http.Request, call podserver.Call) error {
					if call.Verb == "patch" {
						return tt.refuse(r)
					}
					return budget()(r, call)
				}
				d := c.drainer()
				for _, round := range []string{"first", "second"} {
					for n := range 25 {
						c.add(t, pod(fmt.Sprint(round, "-", n), grace(5)))
					}
					before, force := len(c.Calls()), in(100*time.Second)
					plan := drain.Plan{Force: force, Deadline: in(110 * time.Second)}
					var log bytes.Buffer
					ctx := klog.NewContext(t.Context(), textlogger.NewLogger(textlogger.NewConfig(textlogger.Output(&log))))
					result, err := d.Drain(ctx, on("node"), func() drain.Plan { return plan })
					require.NoError(t, err)
					assert.Equal(t, drain.Result{Forced: 25}, result, "the %s drain", round)
					patches, last := 0, time.Time{}
					for _, call := range c.Calls()[before:] {
						switch call.Verb {
						case "patch":
							patches++
						case "delete":
							last = call.At
							assert.Equal(t, int64(5), call.Grace, "the grace of pod %s", call.Pod)
						}
					}
					assert.Equal(t, tt.patches < 25, strings.Count(log.String(), "grant patch on pods/status") == 1, "the log says so once:\n%s", log.String())
					assert.Equal(t, tt.patches, patches, "patches of the %s drain", round)
					assert.Equal(t, tt.delay, last.Sub(force), "delay of the last deletion in the %s drain", round)
				}
			})
		})
	}
}

func TestDrainStopsWithItsContext(t *testing.T) {
	for _, hanging := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			c := newCluster(t, pod("a"))
			c.Refuse = budget()
			if hanging {
				c.Refuse = func(r *http.Request, _ podserver.Call) error { return hang(r) }
			}
			ctx, cancel := context.WithTimeout(t.Context(), 3300*time.Millisecond)
			defer cancel()
			began := time.Now()
			_, err := c.drainer().Drain(ctx, on("node"), func() drain.Plan { return drain.Plan{} })
			assert.Truef(t, errors.Is(err, context.DeadlineExceeded) && time.Since(began) == 3300*time.Millisecond,
				"ended after %v with %v", time.Since(began), err)
		})
	}
}

func TestPodsAreAskedOnceUntilTheyAnswer(t *testing.T) {
	for _, forced := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			ending := pod("ending", grace(20), func(p *corev1.Pod) { p.DeletionTimestamp = &metav1.Time{Time: in(0)} })
			c := newCluster(t, ending, pod("slow", grace(20)))
			c.Refuse = func(_ *http.Request, call podserver.Call) error { time.Sleep(8 * time.Second); return nil }
			plan := drain.Plan{Deadline: in(15 * time.Second)}
			if forced {
				plan.Force = in(0)
			}
			c.drained(t, plan)
			asked := slices.DeleteFunc(c.Calls(), func(call podserver.Call) bool { return call.Verb == "patch" })
			assert.Lenf(t, asked, 1, "forced %v: times asked, want the slow pod once, and the one that ends already not at all", forced)
		})
	}
}

// The cache here does not show that the pod is on its way.
func TestPodOnItsWayKeepsItsGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, pod("a", grace(60)))
		c.stop()
		c.Refuse = budgetFor(8 * time.Second)
		c.drained(t, drain.Plan{Force: in(10 * time.Second), Deadline: in(12 * time.Second)})
		assert.Truef(t, c.times("delete", "a") == 0 && len(c.moved) == 1,
			"moved %v, deleted %d times, want one eviction alone", c.moved, c.times("delete", "a"))
	})
}

func TestOtherNodesOfTheNameAreLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, pod("a"))
		c.Refuse = budget()
		goes := in(10 * time.Second)
		result, err := c.drainer().Drain(t.Context(), func() []string {
			if time.Now().Before(goes) {
				return []string{"node"}
			}
			return nil
		}, warned)
		assert.Truef(t, err == nil && result.Lost == 0 && result.Evicted == 0 && !time.Now().After(goes.Add(time.Second)),
			"%+v %v after the node was gone, error %v", result, time.Since(goes), err)
	})
}

func TestNodeMayChangeDuringSlowList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		c.stop()
		c.add(t, pod("a"))
		c.RefuseList = func() error { time.Sleep(5 * time.Second); return nil }
		goes := in(2 * time.Second)
		_, err := c.drainer().Drain(t.Context(), func() []string {
			if time.Now().Before(goes) {
				return []string{"node"}
			}
			return nil
		}, warned)
		assert.Truef(t, err == nil && len(c.Calls()) == 0, "asked %v, error %v, want a pod of the next node left alone", c.Calls(), err)
	})
}

// Three pods land on the node together, and a budget holds two of them. They are no next ones of each other. The next one of theirs stays if it
// tolerates the cordon, and the node was cordoned when the others came.
func TestPodsThatComeTogetherAreMoved(t *testing.T) {
	for _, tt := range []struct {
		name                string
		tolerates, cordoned bool
		moved               int
	}{
		{name: "they tolerate the cordon", tolerates: true, cordoned: true, moved: 4},
		{name: "they do not", cordoned: true, moved: 5},
		{name: "they came before the cordon", tolerates: true, moved: 5},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				owned := func(p *corev1.Pod) {
					p.OwnerReferences = []metav1.OwnerReference{{Kind: "ReplicaSet", Name: "web", UID: "web", Controller: ptr.To(true)}}
				}
				c := newCluster(t, pod("a", owned))
				late := &drain.Latecomers{Tolerates: func(*corev1.Pod) bool { return tt.tolerates }}
				began, holds := time.Now(), budget("c", "d")
				c.Refuse = func(r *http.Request, call podserver.Call) error {
					if time.Since(began) > 45*time.Second {
						return nil
					}
					return holds(r, call)
				}
				plan := func() drain.Plan {
					late.Cordoned = tt.cordoned || time.Since(began) > 40*time.Second
					return drain.Plan{Deadline: began.Add(2 * time.Minute), Latecomers: late}
				}
				go func() {
					time.Sleep(5 * time.Second)
					for _, name := range []string{"b", "c", "d"} {
						c.add(t, pod(name, owned))
					}
					time.Sleep(30 * time.Second)
					c.add(t, pod("e", owned))
				}()
				result, err := c.drainer().Drain(t.Context(), on("node"), plan)
				require.NoError(t, err)
				assert.Truef(t, result.Evicted == tt.moved && result.Lost == 0, "%+v, want %d evictions", result, tt.moved)
				assert.Equal(t, tt.moved-4, c.times("evict", "e"), "evictions of the pod that came last")
			})
		})
	}
}

func TestDrainFollowsChangedPlan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, pod("a"))
		c.Refuse = budget()
		began := time.Now()
		result, err := c.drainer().Drain(t.Context(), on("node"), func() drain.Plan {
			if time.Since(began) < 10*time.Second {
				return drain.Plan{} // no haste: a recommendation
			}
			return drain.Plan{Deadline: began.Add(20 * time.Second)} // the warning has come
		})
		assert.Truef(t, err == nil && result.Lost == 1 && time.Since(began) == 20*time.Second,
			"%+v after %v, error %v", result, time.Since(began), err)
	})
}

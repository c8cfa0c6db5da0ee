package interruption_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/ownership"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption/queue"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

var (
	seeds     = flag.Int("interruption.seeds", 4, "how many seeds the tests at any moment go through")
	firstSeed = flag.Int("interruption.seed", 1, "the first of them")
)

// mortal is a queue that ignores a handler once that was stopped.
type mortal struct {
	queue.API
	dead atomic.Bool
}

var errStopped = errors.New("stopped")

func (m *mortal) DeleteMessageBatch(ctx context.Context, in *sqs.DeleteMessageBatchInput, o ...func(*sqs.Options)) (*sqs.DeleteMessageBatchOutput, error) {
	if m.dead.Load() {
		return nil, errStopped
	}
	return m.API.DeleteMessageBatch(ctx, in, o...)
}

func (m *mortal) ChangeMessageVisibilityBatch(ctx context.Context, in *sqs.ChangeMessageVisibilityBatchInput,
	o ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityBatchOutput, error) {
	if m.dead.Load() {
		return nil, errStopped
	}
	return m.API.ChangeMessageVisibilityBatch(ctx, in, o...)
}

// TestHandlerStoppedAtAnyMoment stops the handler up to three times while several instances are interrupted, their messages
// duplicated and shuffled, their pods held back by a budget for a while. A stopped handler finishes its calls, but no message.
// In the end every message is gone, every interrupted instance was terminated exactly once, and no other node is left cordoned.
//
//	go test -run AtAnyMoment -timeout 1h ./cloudprovider/interruption -interruption.seeds 50
func TestHandlerStoppedAtAnyMoment(t *testing.T) {
	eachSeed(t, func(w *world) (stop func()) {
		life := &mortal{API: w.clients.SQS}
		end := w.running(func(o *interruption.Options) { o.SQS = life })
		return func() {
			life.dead.Store(true)
			end()
		}
	})
}

// TestProcessKilledAtAnyMoment is TestHandlerStoppedAtAnyMoment with kill -9 of a process that handles the interruptions. No
// call under way is finished, and no goroutine ends.
func TestProcessKilledAtAnyMoment(t *testing.T) {
	eachSeed(t, func(w *world) (kill func()) {
		victim := exec.Command(os.Args[0], "-test.run=^TestPlayVictim$")
		victim.Env = append(os.Environ(), victimVariable+"="+w.serveAPI(), "AWS_ENDPOINT_URL="+w.aws.URL())
		victim.Stderr = os.Stderr
		said, err := victim.StdoutPipe()
		require.NoError(w.t, err)
		require.NoError(w.t, victim.Start())
		kill = sync.OnceFunc(func() {
			assert.NoError(w.t, victim.Process.Kill(), "the process ended before it was killed")
			_ = victim.Wait()
		})
		w.t.Cleanup(kill)
		if line, err := bufio.NewReader(said).ReadString('\n'); line != victimReady {
			w.t.Fatalf("the process said %q (%v), want %q", line, err, victimReady)
		}
		return kill
	})
}

// eachSeed goes through the seeds. live handles the interruptions until it is stopped. A message that was being handled then
// comes again after half a minute.
func eachSeed(t *testing.T, live func(*world) (stop func())) {
	if testing.Short() {
		t.Skip("waits for messages to come again")
	}
	worlds := make([]*world, *seeds)
	for n := range worlds { // one after the other: each sets the environment for its clients
		worlds[n] = newWorld(t, scalingGroup(2, 6, 12))
	}
	t.Run("seeds", func(t *testing.T) {
		for n, w := range worlds {
			seed := uint64(*firstSeed + n)
			t.Run(fmt.Sprint(seed), func(t *testing.T) {
				t.Parallel()
				w.t = t
				w.die(seed, live)
			})
		}
	})
}

// die runs one seed.
func (w *world) die(seed uint64, live func(*world) (stop func())) {
	t, random := w.t, rand.New(rand.NewPCG(seed, 0))
	require.NoError(t, w.aws.SetQueue(fakeaws.Queue{Name: queueName, Events: []string{"*"}, Duplicates: 30, Shuffles: 50}))
	ids := w.inService()
	for _, id := range ids {
		for p := range random.IntN(4) {
			w.run(id, fmt.Sprint(id, "-", p))
		}
	}
	random.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	warned := ids[:1+random.IntN(4)]
	w.refused.Store(random.IntN(2) == 0)
	time.AfterFunc(time.Duration(random.IntN(4000))*time.Millisecond, func() { w.refused.Store(false) })
	for _, id := range warned {
		require.NoError(t, w.aws.Interrupt(id, 0))
	}
	for range 1 + random.IntN(3) {
		stop := live(w)
		time.Sleep(time.Duration(random.IntN(2500)) * time.Millisecond)
		stop()
	}
	live(w)
	for _, id := range warned {
		w.within(90*time.Second, "instance "+id+" gone", func() bool { // half a minute, if a dead process began its termination
			g, _ := w.aws.Group("spot")
			return !slices.ContainsFunc(g.Instances, func(i fakeaws.InstanceState) bool { return i.ID == id })
		})
	}
	w.within(90*time.Second, "an empty queue", func() bool { q := w.aws.Queues()[0]; return q.Visible+q.InFlight+q.Delayed == 0 })
	want := 6 - len(warned)
	assert.Equalf(t, want, w.desired(), "seed %d: desired after %d interruptions of 6", seed, len(warned))
	for id, node := range w.nodes() {
		assert.Falsef(t, node.Spec.Unschedulable || slices.Contains(warned, id),
			"seed %d: node of %s is left, cordoned %v", seed, id, node.Spec.Unschedulable)
	}
	launched := 0
	for _, e := range w.aws.Events() {
		if e.Kind == fakeaws.Launched {
			launched++
		}
	}
	assert.Equalf(t, 6, launched, "seed %d: instances were launched, want the first 6", seed)
}

// victimVariable is the address of the cluster in which the test binary handles interruptions until it is killed.
const victimVariable = "TEST_INTERRUPTION_VICTIM"

// victimReady is the line it prints once it handles them.
const victimReady = "ready to be killed\n"

func TestPlayVictim(t *testing.T) {
	address := os.Getenv(victimVariable)
	if address == "" {
		t.Skip("only in a process that is to be killed")
	}
	time.AfterFunc(3*time.Minute, func() { os.Exit(1) }) // a parent that was killed itself kills nobody
	cluster := kubernetes.NewForConfigOrDie(&rest.Config{Host: address, QPS: 200, Burst: 400})
	clients, err := awsclient.New(t.Context(), awsclient.Options{Region: "us-west-2"})
	require.NoError(t, err)
	groups := asg.NewCache(asg.Options{
		AutoScaling: clients.AutoScaling, Launches: launchspec.APIs{EC2: clients.EC2, EKS: clients.EKS},
		Discovery:       ownership.Discovery{Filters: []ownership.TagFilter{{{Key: tag}}}},
		RefreshInterval: 200 * time.Millisecond, MotionInterval: 100 * time.Millisecond, Clock: clock.RealClock{},
		LaunchMode: asg.LaunchDesiredCapacity,
	})
	require.NoError(t, groups.Start(t.Context()))
	factory, wake := informers.NewSharedInformerFactory(cluster, 0), make(chan struct{}, 1)
	h, err := interruption.New(interruption.Options{
		Groups: groups, Hooks: clients.AutoScaling, SQS: clients.SQS, Queue: queueName, Cordons: cluster, Client: cluster,
		Nodes: factory.Core().V1().Nodes().Informer(), Pods: factory.Core().V1().Pods().Informer(),
		Events: record.NewFakeRecorder(10_000), Registerer: prometheus.NewRegistry(), Clock: clock.RealClock{},
		AtDeadline: interruption.Force, Draining: func(string, string, string) {},
		Wake: func() {
			select {
			case wake <- struct{}{}:
			default:
			}
		},
	})
	require.NoError(t, err)
	h.LeaveToOthers(10 * time.Second)
	factory.Start(t.Context().Done())
	factory.WaitForCacheSync(t.Context().Done())
	go func() { _ = groups.Run(t.Context()) }()
	go func() {
		for range wake {
			(&world{}).decide(h)
		}
	}()
	fmt.Print(victimReady)
	_ = h.Run(t.Context())
}

// serveAPI serves the world's cluster over HTTP, as far as an interruption handler needs it, and returns its address.
func (w *world) serveAPI() string {
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if drains(r) {
			w.pass(rw, r)
			return
		}
		if err := w.answer(rw, r); err != nil {
			status := metav1.Status{Status: metav1.StatusFailure, Code: http.StatusInternalServerError, Message: err.Error()}
			if api := apierrors.APIStatus(nil); errors.As(err, &api) {
				status = api.Status()
			}
			status.TypeMeta = metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}
			rw.Header().Set("Content-Type", "application/json")
			rw.WriteHeader(int(status.Code))
			_ = json.NewEncoder(rw).Encode(status)
		}
	}))
	w.t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	return server.URL
}

// drains reports whether a drain makes such a request: the pods of one node, an eviction, a deletion.
func drains(r *http.Request) bool {
	return strings.Contains(r.URL.Path, "/pods") && (r.Method != http.MethodGet || r.URL.Query().Get("watch") == "" && r.URL.Query().Get("fieldSelector") != "")
}

// pass lets the world's pod server answer.
func (w *world) pass(rw http.ResponseWriter, r *http.Request) {
	answer, err := w.pods.RoundTrip(r)
	if err != nil {
		http.Error(rw, err.Error(), http.StatusInternalServerError)
		return
	}
	defer answer.Body.Close()
	rw.Header().Set("Content-Type", "application/json")
	rw.WriteHeader(answer.StatusCode)
	_, _ = io.Copy(rw, answer.Body)
}

// answer applies the request to the cluster of the test's own clients, with their reactors.
func (w *world) answer(rw http.ResponseWriter, r *http.Request) error {
	at, namespace, name, subresource, err := target(r.URL.Path)
	if err != nil {
		return err
	}
	query := r.URL.Query()
	options := metav1.ListOptions{FieldSelector: query.Get("fieldSelector"), LabelSelector: query.Get("labelSelector")}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	list := clienttesting.NewListActionWithOptions(at, kindOf(at), namespace, options)
	var action clienttesting.Action
	switch {
	case query.Get("watch") != "":
		return w.stream(rw, r, at, list)
	case r.Method == http.MethodGet && name == "":
		action = list
	case r.Method == http.MethodGet:
		action = clienttesting.NewGetSubresourceAction(at, namespace, subresource, name)
	case r.Method == http.MethodDelete:
		action = clienttesting.NewDeleteAction(at, namespace, name)
	case r.Method == http.MethodPatch:
		action = clienttesting.NewPatchSubresourceAction(at, namespace, name, types.PatchType(r.Header.Get("Content-Type")), body, subresource)
	default:
		object, _, err := scheme.Codecs.UniversalDeserializer().Decode(body, nil, nil)
		if err != nil {
			return err
		}
		action = clienttesting.NewUpdateSubresourceAction(at, subresource, namespace, object)
		if r.Method == http.MethodPost {
			action = clienttesting.NewCreateSubresourceAction(at, name, subresource, namespace, object)
		}
	}
	object, err := w.cluster.Invokes(action, nil)
	if err != nil {
		return err
	}
	if object == nil {
		object = &metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusSuccess}
	}
	rw.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(rw).Encode(typed(object))
}

// target splits the path of a request.
func target(path string) (at schema.GroupVersionResource, namespace, name, subresource string, err error) {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	switch {
	case len(parts) > 2 && parts[0] == "api":
		at.Version, parts = parts[1], parts[2:]
	case len(parts) > 3 && parts[0] == "apis":
		at.Group, at.Version, parts = parts[1], parts[2], parts[3:]
	default:
		return at, "", "", "", apierrors.NewNotFound(schema.GroupResource{}, path)
	}
	if parts[0] == "namespaces" && len(parts) > 2 {
		namespace, parts = parts[1], parts[2:]
	}
	parts = append(parts, "", "")
	at.Resource = parts[0]
	return at, namespace, parts[1], parts[2], nil
}

// kindOf is the kind of a resource: nodes, pods, DaemonSets.
func kindOf(at schema.GroupVersionResource) schema.GroupVersionKind {
	for kind := range scheme.Scheme.KnownTypes(at.GroupVersion()) {
		if plural, _ := meta.UnsafeGuessKindToResource(at.GroupVersion().WithKind(kind)); plural == at {
			return at.GroupVersion().WithKind(kind)
		}
	}
	return at.GroupVersion().WithKind("")
}

// stream sends all objects, and then every change until the client goes.
func (w *world) stream(rw http.ResponseWriter, r *http.Request, at schema.GroupVersionResource, list clienttesting.Action) error {
	changes, err := w.cluster.InvokesWatch(clienttesting.NewWatchAction(at, "", metav1.ListOptions{}))
	if err != nil {
		return err
	}
	defer changes.Stop()
	all, err := w.cluster.Invokes(list, nil)
	if err != nil {
		return err
	}
	rw.Header().Set("Content-Type", "application/json")
	send := func(event watch.EventType, object runtime.Object) error {
		if err := json.NewEncoder(rw).Encode(map[string]any{"type": event, "object": typed(object)}); err != nil {
			return err
		}
		rw.(http.Flusher).Flush()
		return nil
	}
	if err := meta.EachListItem(all, func(object runtime.Object) error { return send(watch.Added, object) }); err != nil {
		return nil
	}
	if r.URL.Query().Get("sendInitialEvents") == "true" {
		bookmark, err := scheme.Scheme.New(kindOf(at))
		if err != nil {
			return nil
		}
		known := bookmark.(metav1.Object)
		known.SetResourceVersion("1")
		known.SetAnnotations(map[string]string{metav1.InitialEventsAnnotationKey: "true"})
		if send(watch.Bookmark, bookmark) != nil {
			return nil
		}
	}
	for {
		select {
		case <-r.Context().Done():
			return nil
		case change, open := <-changes.ResultChan():
			if !open || send(change.Type, change.Object) != nil {
				return nil
			}
		}
	}
}

// typed is the object with its kind, which clients leave out of the objects they keep.
func typed(object runtime.Object) runtime.Object {
	object = object.DeepCopyObject()
	if kinds, _, err := scheme.Scheme.ObjectKinds(object); err == nil {
		object.GetObjectKind().SetGroupVersionKind(kinds[0])
	}
	return object
}

package scenario

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

const (
	gpuResource       = "nvidia.com/gpu"
	toBeDeletedTaint  = "ToBeDeletedByClusterAutoscaler"
	interruptionTaint = "asg-autoscaler.github.io/interruption"
)

// clusterObserver turns changes of pods and nodes in the API server into Moments. Its handlers run on the informers'
// goroutines. The mutex guards their shared state.
type clusterObserver struct {
	timeline *Timeline

	mu    sync.Mutex
	pods  map[string]*corev1.Pod  // by namespace/name
	nodes map[string]*corev1.Node // by name
	added map[string]bool         // moments already added, by kind and object
}

// observeCluster adds a Moment for each change of a pod or node until ctx ends. It returns once the first lists are in.
func observeCluster(ctx context.Context, client kubernetes.Interface, timeline *Timeline) (*clusterObserver, error) {
	o := &clusterObserver{
		timeline: timeline,
		pods:     map[string]*corev1.Pod{},
		nodes:    map[string]*corev1.Node{},
		added:    map[string]bool{},
	}
	factory := informers.NewSharedInformerFactory(client, 0)
	handlers := map[cache.SharedIndexInformer]cache.ResourceEventHandlerFuncs{
		factory.Core().V1().Pods().Informer():  handle(o.podSeen, o.podGone),
		factory.Core().V1().Nodes().Informer(): handle(o.nodeSeen, o.nodeGone),
	}
	for informer, handler := range handlers {
		if _, err := informer.AddEventHandler(handler); err != nil {
			return nil, fmt.Errorf("observe the cluster: %w", err)
		}
	}
	factory.Start(ctx.Done())
	for kind, synced := range factory.WaitForCacheSync(ctx.Done()) {
		if !synced {
			return nil, fmt.Errorf("observe the cluster: list of %v not read: %w", kind, ctx.Err())
		}
	}
	return o, nil
}

// handle adapts two typed functions to an informer's handler: seen for added and updated objects, gone for deleted ones.
func handle[T any](seen, gone func(T)) cache.ResourceEventHandlerFuncs {
	return cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { seen(object.(T)) },
		UpdateFunc: func(_, object any) { seen(object.(T)) },
		DeleteFunc: func(object any) {
			if lost, ok := object.(cache.DeletedFinalStateUnknown); ok {
				object = lost.Obj
			}
			gone(object.(T))
		},
	}
}

// once adds the moment unless one of its kind was added for the key before.
func (o *clusterObserver) once(key string, kind Kind, object, detail string) {
	if id := string(kind) + " " + key; !o.added[id] {
		o.added[id] = true
		o.timeline.Add(Moment{At: time.Now(), Kind: kind, Object: object, Detail: detail})
	}
}

func (o *clusterObserver) podSeen(pod *corev1.Pod) {
	o.mu.Lock()
	defer o.mu.Unlock()
	name := pod.Namespace + "/" + pod.Name
	o.pods[name] = pod
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodScheduled && condition.Reason == corev1.PodReasonUnschedulable {
			reason, _, _ := strings.Cut(condition.Message, ". ")
			o.once(string(pod.UID), PodPending, name, reason)
		}
	}
	if pod.Status.Phase == corev1.PodRunning {
		o.once(string(pod.UID), PodRunning, name, "on "+pod.Spec.NodeName)
	}
}

func (o *clusterObserver) podGone(pod *corev1.Pod) {
	o.mu.Lock()
	defer o.mu.Unlock()
	name := pod.Namespace + "/" + pod.Name
	delete(o.pods, name)
	o.once(string(pod.UID), PodGone, name, "")
	if node := o.nodes[pod.Spec.NodeName]; node != nil {
		o.drained(node)
	}
}

func (o *clusterObserver) nodeSeen(node *corev1.Node) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.nodes[node.Name] = node
	key := string(node.UID)
	o.once(key, NodeRegistered, node.Name, node.Labels[corev1.LabelInstanceTypeStable])
	if nodemeta.Ready(node) {
		o.once(key, NodeReady, node.Name, "")
	}
	if gpus := node.Status.Allocatable[gpuResource]; gpus.Cmp(resource.Quantity{}) > 0 {
		o.once(key, GPUPublished, node.Name, gpuResource+": "+gpus.String())
	}
	if tainted(node) {
		o.once(key, NodeTainted, node.Name, toBeDeletedTaint)
		o.drained(node)
	}
}

func (o *clusterObserver) nodeGone(node *corev1.Node) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.nodes, node.Name)
	o.once(string(node.UID), NodeGone, node.Name, "")
}

// drained adds a Moment, once, when the node is marked for removal and empty. The caller holds the mutex.
func (o *clusterObserver) drained(node *corev1.Node) {
	if tainted(node) && len(o.podsOn(node.Name)) == 0 {
		o.once(string(node.UID), NodeDrained, node.Name, "")
	}
}

// podsOn lists the pods, as "namespace/name", that a removal of the node would cut off. The caller holds the mutex.
func (o *clusterObserver) podsOn(node string) []string {
	var names []string
	for name, pod := range o.pods {
		if pod.Spec.NodeName == node && cutOff(pod) {
			names = append(names, name)
		}
	}
	return names
}

// tainted reports whether the node is marked for removal: by the core, or for an interruption.
func tainted(node *corev1.Node) bool {
	for _, taint := range node.Spec.Taints {
		if taint.Key == toBeDeletedTaint || taint.Key == interruptionTaint {
			return true
		}
	}
	return false
}

// hasSuffixSegment reports whether a provider ID ends in the instance ID as a whole segment.
func hasSuffixSegment(providerID, instanceID string) bool {
	n := len(providerID) - len(instanceID)
	return n > 0 && providerID[n-1] == '/' && providerID[n:] == instanceID
}

// observeAWS adds a Moment for each change of a group or instance. When AWS is asked to terminate an instance, it judges by the node that look
// returns whether the instance is drained.
func observeAWS(server *fakeaws.Server, timeline *Timeline, look func(instanceID string) NodeLook) {
	server.Listen(func(event fakeaws.Event) {
		if event.Kind == fakeaws.TerminateRequested {
			if reason := look(event.Instance).Undrained(); reason != "" {
				timeline.Add(Moment{At: event.Time, Kind: KilledUndrained, Object: event.Instance, Detail: reason})
			}
		}
		if m, known := momentOf(event); known {
			timeline.Add(m)
		}
	})
}

// momentOf returns the Moment of an event. It returns false for an event that the timeline leaves out.
func momentOf(event fakeaws.Event) (Moment, bool) {
	m := Moment{At: event.Time, Object: event.Instance}
	switch event.Kind {
	case fakeaws.DesiredChanged:
		m.Kind = DesiredRaised
		if event.To < event.From {
			m.Kind = DesiredLowered
		}
		m.Object, m.Detail = event.Group, fmt.Sprintf("%d → %d", event.From, event.To)
	case fakeaws.Launched:
		m.Kind, m.Detail = InstanceLaunched, fmt.Sprintf("%s %s in %s", event.CapacityType, event.InstanceType, event.Zone)
	case fakeaws.LaunchFailed:
		m.Kind, m.Object, m.Detail = LaunchFailed, event.Group, event.Message
	case fakeaws.TerminateRequested:
		m.Kind, m.Detail = TerminateRequested, event.Group
	case fakeaws.ScaleInKill:
		m.Kind, m.Detail = KilledUndrained, "chosen by Auto Scaling, since desired fell below the instances that run"
	case fakeaws.Terminated:
		m.Kind, m.Detail = InstanceTerminated, event.Group
	default:
		return Moment{}, false
	}
	return m, true
}

// logPoll is the pause between two reads of the autoscaler's log. It is short, so that a choice is recorded before its consequences.
const logPoll = 5 * time.Millisecond

var (
	noFit  = regexp.MustCompile(`No pod can fit to (\S+)`)
	chosen = regexp.MustCompile(`"Chose a scale-up option" nodeGroup="([^"]*)" nodes=(\d+) pods=(\d+) options=\d+ why=(".*")`)
)

// observeLog adds a Moment for each choice of a group in the log, with the reasons given, until ctx ends. Only the autoscaler
// itself knows why a group was chosen.
func observeLog(ctx context.Context, path string, timeline *Timeline) {
	file, err := os.Open(path)
	if err != nil {
		return // an autoscaler without a log has no choices to read
	}
	defer file.Close()
	reader := bufio.NewReader(file)
	var choices choiceReader
	for partial := ""; ; {
		line, err := reader.ReadString('\n')
		partial += line
		if err == nil {
			if group, why, found := choices.read(partial); found {
				timeline.Add(Moment{At: time.Now(), Kind: GroupChosen, Object: group, Detail: why})
			}
			partial = ""
			continue
		}
		if err != io.EOF {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(logPoll):
		}
	}
}

// choiceReader puts together a choice from the lines of one loop: first the groups that fit no pod, then the winner.
type choiceReader struct{ unfit []string }

// read takes the next line and reports whether it completes a choice.
func (r *choiceReader) read(line string) (group, why string, found bool) {
	if match := noFit.FindStringSubmatch(line); match != nil {
		r.unfit = append(r.unfit, match[1])
		return "", "", false
	}
	match := chosen.FindStringSubmatch(line)
	if match == nil {
		return "", "", false
	}
	why, err := strconv.Unquote(match[4])
	if err != nil {
		return "", "", false
	}
	why = fmt.Sprintf("%s node(s) for %s pod(s): %s", match[2], match[3], why)
	if len(r.unfit) > 0 {
		why += "; no pod fits " + strings.Join(r.unfit, ", ")
	}
	r.unfit = nil
	return match[1], why, true
}

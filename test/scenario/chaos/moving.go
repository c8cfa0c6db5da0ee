package chaos

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption/event"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/move"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
	"github.com/asg-autoscaler/asg-autoscaler/test/scenario"
)

// Moving says how the autoscaler of a plan replaces nodes. Its groups get new launch template versions, a node breaks, and the leader dies while nodes
// move. Once every fault is over they get another version, and the moves to it are judged.
type Moving struct {
	Consolidate bool     `json:"consolidate,omitempty"` // nodes are replaced by cheaper or fewer ones, too
	Wide        bool     `json:"wide,omitempty"`        // half of the nodes of a group may move at once, and two drains run
	Restarts    bool     `json:"restarts,omitempty"`    // the GPU pods ask for a restart of their Deployment
	Out         string   `json:"out,omitempty"`         // the groups of this pool have no capacity when the last version comes
	Reboot      string   `json:"reboot,omitempty"`      // a broken node is rebooted first, which heals it or fails. Once the faults are over another one breaks
	Kills       []string `json:"kills,omitempty"`       // the steps of moves to the last version, and of reboots, at which the leader dies
}

// Values of Moving.Reboot.
const (
	heals = "heals"
	fails = "fails"
)

// The kinds of Step that only plans with moves have.
const (
	NewTemplate Kind = "new template" // the groups of the pool Target get the launch template version Count
	BrokenNode  Kind = "broken node"  // a condition of the Pick-th node says that it does not work, for ever or until a reboot heals it
	KillInMove  Kind = "kill in move" // the leader is killed at the step Target of a move, and is back after Down
)

// Steps of a move at which a leader dies.
const (
	atPlacing  = "placing"  // it writes that the node is to be replaced
	atLaunched = "launched" // it writes that a node was asked for
	atClosed   = "closed"   // it taints the node, so that a restart brings no new pod to it
	atRestart  = "restart"  // it writes that it has restarted Deployments
	atTainted  = "tainted"  // it taints the node for its drain
	atDrain    = "drain"    // it evicts a pod
	atEnd      = "end"      // AWS has begun to end the instance
)

// Steps of a reboot at which a leader dies.
const (
	atRebooting = "rebooting"    // it writes that the node is to be rebooted
	atCordon    = "reboot drain" // it taints the node for the drain before that
	atReboot    = "reboot"       // EC2 has begun to reboot the instance
	atRebooted  = "rebooted"     // it writes that the node is back
)

var (
	moveSteps   = []string{atPlacing, atLaunched, atTainted, atDrain, atEnd}
	rebootSteps = []string{atRebooting, atCordon, atReboot, atRebooted}
)

const (
	// A plan with moves has its faults over a time that is longer by lateness, and each lasts longer by slowness, because nodes come before they move.
	lateness, slowness = 3.5, 1.5
	// versions of each launch template. The last one comes when the faults are over.
	versions = 4
	// brokenCondition is a condition of the default repair rules.
	brokenCondition = "KernelReady"
	// All nodes must be replaced within moveTime and the plan's Allowance: one after the other in each group, with kills.
	moveTime = 4 * time.Minute
	// A broken node must be healed or gone within repairTime more: its rule waits a minute before the reboot, and another one before the replacement,
	// and a new leader waits for two.
	repairTime = 4 * time.Minute
	// A pool is without capacity for outFor amid a rotation.
	outFor = 20 * time.Second
	// Nothing may begin for stillFor once all moves have ended.
	stillFor = 20 * time.Second
	// resumeEvery is the pause between two resumptions of the moves that wait for their next try, which takes five minutes and more.
	resumeEvery = 10 * time.Second
)

// NewMovingPlan makes the plan of a seed in which nodes are replaced.
func NewMovingPlan(seed uint64) Plan {
	p := NewPlan(seed, false)
	r := rand.New(rand.NewPCG(seed, 0x303e5))
	d := &draft{Rand: r}
	p.Moving = &Moving{Wide: r.IntN(2) == 0}
	for n := range p.Steps {
		s := &p.Steps[n]
		s.At, s.For = longer(s.At, lateness), longer(s.For, slowness)
		s.For = min(s.For, p.length()-s.At)
	}
	if r.IntN(3) == 0 {
		p.Moving.Out = pick(r, []string{webPods, gpuPods})
	}
	steps := slices.Clone(moveSteps)
	if p.Moving.Restarts = r.IntN(2) == 0; p.Moving.Restarts {
		steps = append(steps, atClosed, atRestart)
	}
	r.Shuffle(len(steps), func(i, j int) { steps[i], steps[j] = steps[j], steps[i] })
	p.Moving.Kills = slices.Clone(steps[:1+r.IntN(3)])
	end := p.length().Seconds()
	p.Steps = append(p.Steps,
		Step{At: d.seconds(6, 12), Kind: NewTemplate, Target: webPods, Count: 2},
		Step{At: d.seconds(6, 20), Kind: NewTemplate, Target: gpuPods, Count: 2})
	if r.IntN(2) == 0 { // before the first rotation is over
		p.Steps = append(p.Steps, Step{At: d.seconds(14, end-1), Kind: NewTemplate, Target: webPods, Count: 3})
	}
	if r.IntN(2) == 0 {
		p.Steps = append(p.Steps, Step{At: d.seconds(8, end-1), Kind: BrokenNode, Pick: r.IntN(10)})
	}
	for range 1 + r.IntN(3) {
		at := d.seconds(6, end-1)
		p.Steps = append(p.Steps, Step{At: at, For: p.length() - at, Kind: KillInMove, Target: pick(r, steps), Worst: r.IntN(2) == 0, Down: d.seconds(0.1, 3)})
	}
	p.Moving.Consolidate = r.IntN(2) == 0
	if p.Faults()[BrokenNode] > 0 && r.IntN(2) == 0 {
		steps := slices.Clone(rebootSteps)
		r.Shuffle(len(steps), func(i, j int) { steps[i], steps[j] = steps[j], steps[i] })
		p.Moving.Reboot, p.Moving.Kills = pick(r, []string{heals, fails}), append(p.Moving.Kills, steps[:1+r.IntN(2)]...)
	}
	slices.SortStableFunc(p.Steps, func(a, b Step) int { return cmp.Compare(a.At, b.At) })
	return p
}

func longer(d time.Duration, by float64) time.Duration {
	return time.Duration(float64(d) * by).Round(time.Millisecond)
}

// flags switch moves on.
func (m *Moving) flags() []string {
	if m == nil {
		return nil
	}
	action := move.RepairActionReplace
	if m.Reboot != "" {
		action = move.RepairActionReboot
	}
	all := []string{"--asg-rotate", "--asg-repair", "--asg-repair-rule=" + brokenCondition + "=" + string(action) + ",1m", "--asg-move-proof=2s", "--asg-move-max-wait=30s", "--asg-move-budget=50%"}
	if m.Wide {
		all = append(all, "--max-drain-parallelism=2")
	}
	if m.Consolidate {
		all = append(all, "--asg-consolidate=on")
	}
	return all
}

// shape gives the groups of an account and its launch templates their versions.
func (m *Moving) shape(config *fakeaws.Config) {
	if m == nil {
		return
	}
	for n := range config.LaunchTemplates {
		t := &config.LaunchTemplates[n]
		for len(t.Versions) < versions {
			t.Versions = append(t.Versions, t.Versions[0])
		}
	}
	for n := range config.AutoScalingGroups {
		g := &config.AutoScalingGroups[n]
		if m.Wide {
			g.Tags[move.TagBudget] = "50%"
		}
		g.LaunchTemplate, g.MixedInstancesPolicy = ofVersion(*g, 1)
	}
}

// ofVersion returns what a group launches from, in another version.
func ofVersion(g fakeaws.AutoScalingGroup, version int) (*fakeaws.LaunchTemplateRef, *fakeaws.MixedInstancesPolicy) {
	if g.MixedInstancesPolicy != nil {
		policy := *g.MixedInstancesPolicy
		policy.LaunchTemplate.Version = fmt.Sprint(version)
		return nil, &policy
	}
	return &fakeaws.LaunchTemplateRef{Name: g.LaunchTemplate.Name, Version: fmt.Sprint(version)}, nil
}

// restarts has the GPU pods ask for a restart, or no more. The autoscaler gets the permission that this takes.
func restarts(ctx context.Context, env *scenario.Env, client kubernetes.Interface, ask bool) error {
	value := "null"
	if ask {
		value = `"true"`
		if _, err := env.Cluster.RunKubectl(ctx, restartRole, "apply", "-f", "-"); err != nil {
			return err
		}
	}
	patch := fmt.Appendf(nil, `{"spec":{"template":{"metadata":{"annotations":{%q:%s}}}}}`, move.RestartToMove, value)
	_, err := client.AppsV1().Deployments(namespace).Patch(ctx, gpuPods, types.StrategicMergePatchType, patch, metav1.PatchOptions{})
	if err != nil {
		return fmt.Errorf("have the pods of %q ask for a restart: %t: %w", gpuPods, ask, err)
	}
	return nil
}

const restartRole = `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: restart-to-move}
rules: [{apiGroups: [apps], resources: [deployments], verbs: [patch]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: restart-to-move}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: restart-to-move}
subjects: [{kind: ServiceAccount, name: ` + serviceAccount + `, namespace: ` + systemNamespace + `}]
`

// rotation holds the facts that a run with moves remembers.
type rotation struct {
	mu       sync.Mutex
	edited   map[string]time.Time         // when the groups got their version, by name
	broken   map[types.UID]string         // nodes that do not work, with their boot IDs of then
	healed   map[types.UID]string         // names of nodes that did not, and work since their reboot
	rebooted map[types.UID]bool           // nodes that have been rebooted, since a user resumed their move
	killAt   map[fakeaws.EventKind]func() // kill the leader as AWS begins to end, or to reboot, the instance of a node that moves, once
	strict   bool                         // nothing disturbs the autoscaler any more but its own death
	drained  map[types.UID]bool           // nodes whose drain for a move has begun
	notes    []string                     // for a reader
	resumed  int
}

func newRotation() rotation {
	return rotation{edited: map[string]time.Time{}, broken: map[types.UID]string{}, healed: map[types.UID]string{}, rebooted: map[types.UID]bool{},
		killAt: map[fakeaws.EventKind]func(){}, drained: map[types.UID]bool{}}
}

func (r *run) note(format string, args ...any) {
	r.moves.mu.Lock()
	defer r.moves.mu.Unlock()
	r.moves.notes = append(r.moves.notes, fmt.Sprintf("%6.1f ", time.Since(r.began).Seconds())+fmt.Sprintf(format, args...))
}

// newTemplate gives the groups of a pool a launch template version. Groups that are gone at the moment keep theirs.
func (r *run) newTemplate(pool string, version int) {
	for _, g := range r.account.AutoScalingGroups {
		if g.NodeLabels[poolLabel] != pool {
			continue
		}
		edit := fakeaws.GroupEdit{}
		edit.LaunchTemplate, edit.MixedInstancesPolicy = ofVersion(g, version)
		if err := r.aws.EditGroup(g.Name, edit); err == nil {
			r.moves.mu.Lock()
			r.moves.edited[g.Name] = time.Now()
			r.moves.mu.Unlock()
		}
	}
}

// breakNode has a condition of a node say that it does not work.
func (r *run) breakNode(ctx context.Context, n int) error {
	nodes, err := r.nodes(ctx)
	if err != nil {
		return err
	}
	for _, name := range some(r.touchable(nodes), n, 1) {
		if err := r.setWorks(ctx, name, "False"); err != nil {
			return err
		}
		r.moves.mu.Lock()
		r.moves.broken[nodes[name].UID] = nodes[name].Status.NodeInfo.BootID
		r.moves.mu.Unlock()
		r.note("node %s is broken", name)
	}
	return nil
}

// setWorks has the condition of a node say whether it works, as a node monitoring agent does.
func (r *run) setWorks(ctx context.Context, node string, status corev1.ConditionStatus) error {
	now, _ := metav1.Now().MarshalJSON()
	patch := fmt.Appendf(nil, `{"status":{"conditions":[{"type":%q,"status":%q,"reason":"Chaos","lastTransitionTime":%s}]}}`, brokenCondition, status, now)
	_, err := r.client.CoreV1().Nodes().Patch(ctx, node, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("set condition %s of node %q to %s: %w", brokenCondition, node, status, err)
	}
	return nil
}

// heal has broken nodes work that are back from a reboot.
func (r *run) heal(ctx context.Context, _ kubernetes.Interface) error {
	nodes, err := r.nodes(ctx)
	if err != nil {
		return err
	}
	r.moves.mu.Lock()
	maps.DeleteFunc(nodes, func(_ string, n corev1.Node) bool {
		boot := r.moves.broken[n.UID]
		return boot == "" || boot == n.Status.NodeInfo.BootID || !nodemeta.Ready(&n)
	})
	r.moves.mu.Unlock()
	for name, n := range nodes {
		if err := r.setWorks(ctx, name, "True"); err != nil {
			return err
		}
		r.moves.mu.Lock()
		delete(r.moves.broken, n.UID)
		r.moves.healed[n.UID] = name
		r.moves.mu.Unlock()
		r.note("node %s is healed", name)
	}
	return nil
}

// killInMove has the leader die at a step of the next move that gets there: before its write is carried out, or after it.
func (r *run) killInMove(id, step string, after bool, down time.Duration) {
	if kind := map[string]fakeaws.EventKind{atEnd: fakeaws.TerminateRequested, atReboot: fakeaws.Rebooted}[step]; kind != "" {
		r.moves.mu.Lock()
		defer r.moves.mu.Unlock()
		r.moves.killAt[kind] = func() { r.killLeader(down) }
		return
	}
	fault := APIFault{Writes: nodeWrites, Move: step, Kill: 1, Late: after}
	if step == atDrain {
		fault = APIFault{Writes: podWrites, Path: "/eviction", Kill: 1, Late: after}
	}
	r.front.injectKill(id, fault, func() {
		r.note("the leader dies at %q, after the write: %t", step, after)
		r.killLeader(down)
	})
}

// inMove reports whether a write of a node is of this step of its move.
func inMove(step string, body []byte) bool {
	has := func(text string) bool { return bytes.Contains(body, []byte(text)) }
	rebooting := has(string(move.Rebooting))
	switch {
	case !has(move.Annotation):
		return false
	case step == atRebooting, step == atCordon:
		return rebooting && has(interruptionTaint) == (step == atCordon)
	case step == atRebooted:
		return has(string(move.Rebooted))
	case !has(string(move.Placing)):
		return false
	}
	switch step {
	case atPlacing:
		return !has("replacement") && !has(toBeDeletedTaint)
	case atLaunched:
		return has("replacement") && !has(toBeDeletedTaint)
	case atClosed:
		return has("closed") && !has("restarted") && !has(toBeDeletedTaint)
	case atRestart:
		return has("restarted") && !has(toBeDeletedTaint)
	}
	return has(toBeDeletedTaint)
}

// wrote judges a write of the autoscaler before the API server carries it out.
func (r *run) wrote(req *http.Request, body []byte) {
	ctx, cancel := context.WithTimeout(context.Background(), liveLook)
	defer cancel()
	parts := strings.Split(strings.TrimPrefix(req.URL.Path, "/api/v1/"), "/")
	switch {
	case req.Method == http.MethodPut && len(parts) == 2 && inMove(atTainted, body):
		r.judgePlaces(ctx, parts[1])
	case req.Method == http.MethodDelete && len(parts) == 4:
		r.judgeDelete(ctx, parts[1], parts[3])
	}
}

// judgeDelete judges the deletion of a pod, which asks no budget. Only an interruption by AWS may do so.
func (r *run) judgeDelete(ctx context.Context, namespace, name string) {
	pod, err := r.client.CoreV1().Pods(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil || pod.Spec.NodeName == "" {
		return
	}
	node, err := r.client.CoreV1().Nodes().Get(ctx, pod.Spec.NodeName, metav1.GetOptions{})
	if err != nil || tainted(node, interruptionTaint) && !reboots(node) {
		return
	}
	r.violated("pod %s on node %s was deleted and not evicted, so no budget was asked", name, node.Name)
}

func tainted(node *corev1.Node, key string) bool {
	return slices.ContainsFunc(node.Spec.Taints, func(t corev1.Taint) bool { return t.Key == key })
}

// reboots reports whether a node is drained for a reboot, or waits for its end.
func reboots(node *corev1.Node) bool {
	return slices.ContainsFunc(node.Spec.Taints, func(t corev1.Taint) bool { return t.Key == interruptionTaint && t.Value == string(event.Reboot) })
}

// judgePlaces judges the drain of a node that moves, as it begins: the pods of its pool that need a place have one on other Ready nodes. Before the
// faults are over the autoscaler may not know the cluster as it is, so that is noted only.
func (r *run) judgePlaces(ctx context.Context, name string) {
	nodes, err := r.nodes(ctx)
	if err != nil {
		return
	}
	list, err := r.client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return
	}
	node, there := nodes[name]
	if !there || tainted(&node, toBeDeletedTaint) {
		return
	}
	r.moves.mu.Lock()
	again := r.moves.drained[node.UID]
	r.moves.drained[node.UID] = true
	r.moves.mu.Unlock()
	r.note("the drain of node %s begins: %s", name, node.Annotations[move.Annotation])
	r.judgeRepair(node)
	missing := placeless(node, nodes, list.Items)
	if again && !strings.Contains(missing, strconv.Quote(name)) { // a new leader drains an empty node again, maybe beside another one
		return
	}
	if missing != "" {
		r.moves.mu.Lock()
		strict := r.moves.strict
		r.moves.mu.Unlock()
		if r.note("no place: %s", missing); strict {
			r.violated("no place: node %s was drained for a move, and %s", name, missing)
		}
	}
}

// judgeRepair judges the drain of a node that is to be replaced: a repair leaves a node alone that its reboot has healed.
func (r *run) judgeRepair(node corev1.Node) {
	r.moves.mu.Lock()
	defer r.moves.mu.Unlock()
	if s, _ := move.StateOf(&node); s.Reason == move.Repair && r.moves.healed[node.UID] != "" {
		r.violated("node %s works since its reboot, and is replaced for its repair", node.Name)
	}
}

// judgeReboot judges a reboot as it begins: the node does not work, and has not been rebooted since it broke.
func (r *run) judgeReboot(node corev1.Node) {
	r.moves.mu.Lock()
	defer r.moves.mu.Unlock()
	switch {
	case r.moves.broken[node.UID] == "":
		r.violated("node %s was rebooted, although it works", node.Name)
	case r.moves.rebooted[node.UID]:
		r.violated("node %s was rebooted again, although that had not healed it", node.Name)
	}
	r.moves.rebooted[node.UID] = true
}

// placeless says which pods of a node, and of others that are drained, have no place on other Ready nodes of the node's pool, "" for none. Pods that
// wait take places first, and may go on waiting.
func placeless(node corev1.Node, nodes map[string]corev1.Node, pods []corev1.Pod) string {
	type place struct {
		name  string
		free  corev1.ResourceList
		apart bool
	}
	var places []*place
	for _, n := range nodes {
		bad := slices.ContainsFunc(n.Spec.Taints, func(t corev1.Taint) bool { return t.Effect != corev1.TaintEffectPreferNoSchedule })
		if n.Name == node.Name || n.Labels[poolLabel] != node.Labels[poolLabel] || bad || n.Spec.Unschedulable || !nodemeta.Ready(&n) {
			continue
		}
		places = append(places, &place{name: n.Name, free: n.Status.Allocatable.DeepCopy()})
	}
	slices.SortFunc(places, func(a, b *place) int { return strings.Compare(a.name, b.name) })
	take := func(p *place, pod corev1.Pod) {
		for _, c := range pod.Spec.Containers {
			for name, q := range c.Resources.Requests {
				left := p.free[name]
				left.Sub(q)
				p.free[name] = left
			}
		}
		p.apart = p.apart || pod.Labels["app"] == apartPods
	}
	fits := func(p *place, pod corev1.Pod) bool {
		if p.apart && pod.Labels["app"] == apartPods {
			return false
		}
		for _, c := range pod.Spec.Containers {
			for name, q := range c.Resources.Requests {
				if left := p.free[name]; left.Cmp(q) < 0 {
					return false
				}
			}
		}
		return true
	}
	var homeless []corev1.Pod
	for _, pod := range pods {
		app := pod.Labels["app"]
		if pod.DeletionTimestamp != nil || pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
			continue
		}
		if at := slices.IndexFunc(places, func(p *place) bool { return p.name == pod.Spec.NodeName }); at >= 0 {
			take(places[at], pod)
			continue
		}
		on, known := nodes[pod.Spec.NodeName]
		leaves := pod.Spec.NodeName == "" || pod.Spec.NodeName == node.Name || known && (tainted(&on, toBeDeletedTaint) || tainted(&on, interruptionTaint))
		if leaves && app != agent && app != wholePods && poolOf(app) == node.Labels[poolLabel] {
			homeless = append(homeless, pod)
		}
	}
	slices.SortFunc(homeless, func(a, b corev1.Pod) int { // those that wait first, and among them the largest
		if (a.Spec.NodeName == "") != (b.Spec.NodeName == "") {
			return strings.Compare(a.Spec.NodeName, b.Spec.NodeName)
		}
		x, y := a.Spec.Containers[0].Resources.Requests.Cpu(), b.Spec.Containers[0].Resources.Requests.Cpu()
		return y.Cmp(*x)
	})
	var missing []string
	for _, pod := range homeless {
		at := slices.IndexFunc(places, func(p *place) bool { return fits(p, pod) })
		switch {
		case at >= 0:
			take(places[at], pod)
		case pod.Spec.NodeName != "":
			missing = append(missing, fmt.Sprintf("%s (of node %q)", pod.Name, pod.Spec.NodeName))
		}
	}
	if len(missing) == 0 {
		return ""
	}
	return fmt.Sprintf("%v have no place on %d other Ready nodes of %q", missing, len(places), node.Labels[poolLabel])
}

// ended judges reboots, and kills the leader, if it is to die as AWS begins to end or to reboot the instance of a node that moves.
func (r *run) ended(ctx context.Context, e fakeaws.Event) {
	r.moves.mu.Lock()
	kill := r.moves.killAt[e.Kind]
	r.moves.mu.Unlock()
	if kill == nil && e.Kind != fakeaws.Rebooted || !ours(e.By) {
		return
	}
	nodes, err := r.nodes(ctx)
	if err != nil {
		return
	}
	for _, n := range nodes {
		if _, moves := move.StateOf(&n); !moves || !strings.HasSuffix(n.Spec.ProviderID, "/"+e.Instance) {
			continue
		}
		if e.Kind == fakeaws.Rebooted {
			r.note("node %s is rebooted", n.Name)
			r.judgeReboot(n)
		}
		if kill != nil {
			r.note("the leader dies at %q of node %s", e.Kind, n.Name)
			r.moves.mu.Lock()
			delete(r.moves.killAt, e.Kind)
			r.moves.mu.Unlock()
			kill()
		}
		return
	}
}

// rotate has every node replaced once more, now that nothing disturbs the autoscaler but its own death, and judges that the moves end and no further one
// begins.
func (r *run) rotate(ctx context.Context) error {
	if r.plan.Moving == nil {
		return nil
	}
	if err := r.openNodes(ctx); err != nil {
		return err
	}
	r.moves.mu.Lock()
	r.moves.strict, r.moves.killAt = true, map[fakeaws.EventKind]func(){}
	r.moves.mu.Unlock()
	const outID = "pool out"
	if out := r.plan.Moving.Out; out != "" {
		for _, g := range r.account.AutoScalingGroups {
			if g.NodeLabels[poolLabel] == out {
				r.aws.AddShortage(fakeaws.Shortage{ID: outID + g.Name, Group: g.Name})
			}
		}
	}
	r.newTemplate(webPods, versions)
	r.newTemplate(gpuPods, versions)
	for n, step := range r.plan.Moving.Kills {
		id := fmt.Sprintf("kill-%d", n)
		r.killInMove(id, step, n%2 == 0, time.Second)
		defer r.front.clear(id)
	}
	r.note("the last version")
	if r.plan.Moving.Out != "" {
		pause(ctx, outFor)
		for _, g := range r.account.AutoScalingGroups {
			r.aws.ClearShortages(outID + g.Name)
		}
		r.startAnew() // which forgets that there was no capacity
		r.note("capacity is back")
	}
	stalls := r.wrongs.Stalls
	if _, err := r.reach(ctx, r.plan.Allowance()+moveTime, "not every node is replaced", r.moved); err != nil || r.wrongs.Stalls > stalls {
		return err
	}
	r.note("all nodes are replaced")
	if err := r.still(ctx); err != nil || r.plan.Moving.Reboot == "" {
		return err
	}
	return r.repair(ctx)
}

// repair has one more node break, and judges that it is healed and stays, or is gone. Nodes that are empty stay meanwhile.
func (r *run) repair(ctx context.Context) error {
	unneeded := (moveTime + repairTime).String() // longer than both take
	for _, g := range r.account.AutoScalingGroups {
		r.tag(g.Name, map[string]*string{templateTag + "autoscaling-options/scaledownunneededtime": &unneeded})
		defer r.restoreTags(g.Name)
	}
	r.moves.mu.Lock()
	clear(r.moves.healed)
	r.moves.mu.Unlock()
	if err := r.breakNode(ctx, int(r.plan.Seed%10)); err != nil {
		return err
	}
	stalls := r.wrongs.Stalls
	_, err := r.reach(ctx, r.plan.Allowance()+moveTime+repairTime, "the broken node is neither healed nor gone", r.moved)
	if err != nil || r.wrongs.Stalls > stalls {
		return err
	}
	if err := r.judgeHealed(ctx); err != nil {
		return err
	}
	return r.still(ctx)
}

// judgeHealed judges whether the nodes are still there that a reboot has healed. A consolidation may end them.
func (r *run) judgeHealed(ctx context.Context) error {
	nodes, err := r.nodes(ctx)
	if err != nil || r.plan.Moving.Consolidate {
		return err
	}
	r.moves.mu.Lock()
	defer r.moves.mu.Unlock()
	for uid, name := range r.moves.healed {
		if nodes[name].UID != uid {
			r.violated("node %s is gone, although its reboot has healed it", name)
		}
	}
	return nil
}

// openNodes ends the cordons of users, which keep nodes from being replaced.
func (r *run) openNodes(ctx context.Context) error {
	nodes, err := r.nodes(ctx)
	if err != nil {
		return err
	}
	for _, n := range nodes {
		if r.users.has(&n) {
			if _, err := r.cordon(ctx, n, false); err != nil {
				return err
			}
		}
	}
	return nil
}

// moved returns "" once every instance has the last version, no node is broken, and no move has left anything but the memory of a reboot. It resumes
// moves that wait for their next try.
func (r *run) moved(ctx context.Context) (missing string, err error) {
	nodes, err := r.nodes(ctx)
	if err != nil {
		return "", err
	}
	var wrong []string
	resumes := time.Since(r.resumedAt) >= resumeEvery
	r.moves.mu.Lock()
	broken := maps.Clone(r.moves.broken)
	r.moves.mu.Unlock()
	for _, n := range nodes {
		s, moves := move.StateOf(&n)
		switch {
		case moves && s.Step == move.Waiting && resumes:
			r.resumedAt = time.Now()
			if err := r.resume(ctx, n, s); err != nil {
				return "", err
			}
			fallthrough
		case moves && s.Step != move.Rebooted, tainted(&n, move.Taint), reboots(&n):
			wrong = append(wrong, fmt.Sprintf("node %s moves: %s", n.Name, n.Annotations[move.Annotation]))
		case broken[n.UID] != "":
			wrong = append(wrong, fmt.Sprintf("node %s is broken", n.Name))
		}
	}
	for _, g := range r.aws.Groups() {
		for _, i := range g.Instances {
			if edited := r.moves.edited[g.Name]; i.Launched.Before(edited) {
				wrong = append(wrong, fmt.Sprintf("instance %s of %q has an old version, node %s", i.ID, g.Name, i.Node))
			}
		}
	}
	slices.Sort(wrong)
	if len(wrong) > 0 {
		return strings.Join(wrong, "; "), nil
	}
	return r.running(ctx)
}

// resume does as asgctl moves resume.
func (r *run) resume(ctx context.Context, n corev1.Node, s move.State) error {
	r.note("resumed the move of node %s: %s", n.Name, s.Text())
	r.moves.mu.Lock()
	r.moves.resumed++
	delete(r.moves.rebooted, n.UID) // which begins anew
	r.moves.mu.Unlock()
	patch := fmt.Appendf(nil, `{"metadata":{"annotations":{%q:null}}}`, move.Annotation)
	_, err := r.client.CoreV1().Nodes().Patch(ctx, n.Name, types.MergePatchType, patch, metav1.PatchOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("resume the move of node %q: %w", n.Name, err)
	}
	return nil
}

// still judges that a cluster at rest makes no move. Where nodes are consolidated, it may take a while to come to rest.
func (r *run) still(ctx context.Context) error {
	if r.plan.Moving == nil {
		return nil
	}
	within := time.Second // for the first look
	if r.plan.Moving.Consolidate {
		within = moveTime
	}
	from := len(r.aws.Events())
	_, restless := converged(ctx, within, stillFor, func(ctx context.Context) (missing string, err error) {
		nodes, err := r.nodes(ctx)
		if err != nil {
			return "", err
		}
		for _, n := range nodes {
			s, moves := move.StateOf(&n)
			rests := s.Step == move.Waiting && s.Reason == move.Consolidation || s.Step == move.Rebooted
			if moves && !rests || tainted(&n, move.Taint) {
				missing += fmt.Sprintf("node %s moves, although the cluster is at rest: %s; ", n.Name, n.Annotations[move.Annotation])
			}
		}
		events := r.aws.Events()
		for _, e := range events[from:] {
			if e.Kind == fakeaws.DesiredChanged && ours(e.By) && e.To > e.From {
				missing += fmt.Sprintf("%s raised %q from %d to %d, although the cluster is at rest; ", e.By, e.Group, e.From, e.To)
			}
		}
		from = len(events)
		return missing, nil
	})
	if restless != nil && ctx.Err() == nil {
		r.violated("restless: %v", restless)
	}
	return ctx.Err()
}

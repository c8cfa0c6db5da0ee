package chaos

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

const (
	// cordonedFor after the last start of a leader, no node may still be cordoned by an earlier leader.
	cordonedFor = time.Minute
	// A cordon counts once it has lasted this long. A drain waits 20 s for load balancers, and pods of one workload are evicted one by one. A
	// node that EC2 takes stays for its notice, and a hook holds a drained instance for another 20 s.
	lasting = mostNotice*time.Second + hookTime
)

// judgeCordons waits until no node is cordoned but by a user. A node that is still so then, and that long after its cordon, counts. It
// judges the users' cordons, too: nobody else may end them. The cordon of a reboot lasts as long as that, and is judged by moved.
func (r *run) judgeCordons(ctx context.Context) error {
	since := map[types.UID]time.Time{}
	for ; ; pause(ctx, look) {
		nodes, err := r.nodes(ctx)
		if err != nil {
			return err
		}
		var names []string
		old := true
		now := time.Now()
		for name, node := range nodes {
			if !node.Spec.Unschedulable || r.users.has(&node) || reboots(&node) {
				delete(since, node.UID)
				continue
			}
			if since[node.UID].IsZero() {
				since[node.UID] = now
			}
			names, old = append(names, name), old && now.Sub(since[node.UID]) >= lasting
		}
		if len(names) == 0 {
			r.judgeUsersCordons(nodes)
			return nil
		}
		if old && now.Sub(r.lastStart()) >= cordonedFor {
			slices.Sort(names)
			r.wrong(func(w *Wrongs) { w.Cordoned += len(names) }, "cordoned: %v, %.0f s after the last leader started", names, now.Sub(r.lastStart()).Seconds())
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// judgeUsersCordons judges whether each node that a user cordoned is still cordoned.
func (r *run) judgeUsersCordons(nodes map[string]corev1.Node) {
	for name, node := range nodes {
		if r.users.has(&node) && !node.Spec.Unschedulable {
			r.violated("node %s is open, although a user cordoned it", name)
			r.users.set(&node, false)
		}
	}
}

// lastStart returns the time of the last start of a replica.
func (r *run) lastStart() (last time.Time) {
	for _, one := range r.replicas {
		if at := one.startedAt(); at.After(last) {
			last = at
		}
	}
	return last
}

// mostPods returns the number of pods of each workload that are wanted with the burst. They have room, whatever is out of capacity: in the
// smallest of their groups that is left.
func (p Plan) mostPods() map[string]int {
	switch {
	case p.Moving != nil && p.Traits.Hurried: // each node is replaced, one after the other
		return map[string]int{webPods: 10, apartPods: 2, crumbPods: 6, gpuPods: 3}
	case p.Moving != nil:
		return map[string]int{webPods: 12, gpuPods: 3}
	case p.Traits.Hurried:
		return map[string]int{webPods: 24, apartPods: 6, crumbPods: 36, gpuPods: 6}
	}
	return map[string]int{webPods: 16, gpuPods: 4}
}

// podsPerNode returns the number of pods of a workload that the smallest node takes.
var podsPerNode = map[string]int{webPods: 2, apartPods: 1, crumbPods: 12, gpuPods: 1, partPods: parts}

// starvedBurst is for how long the leader of a hurried plan is starved in the burst, and burstPercent the time that it gets.
const (
	starvedBurst = 6 * time.Second
	burstPercent = 25
)

// mostBurstKill is the number of the latest nomination of a burst at which a leader is killed. Nearly every burst has as many.
const mostBurstKill = 6

const burstID = "burst"

// burst wants more pods at once, now that nothing disturbs the autoscaler, and judges that it asks for no more nodes than they need.
func (r *run) burst(ctx context.Context) error {
	if r.plan.Zonal || r.plan.Day > 0 { // pods that need a zone need more nodes than one packing
		return nil
	}
	from := len(r.aws.Events())
	if n := r.plan.Traits.BurstKill; n > 0 {
		nomination := nominationKill(n)
		nomination.Late = n%2 == 1
		r.killAtWrite(burstID, Step{Down: restartAfter, API: &nomination})
		defer r.front.clear(burstID)
	}
	most := r.plan.mostPods()
	for _, app := range slices.Sorted(maps.Keys(most)) {
		r.more[app] = max(0, most[app]-r.plan.Wanted()[app])
		if err := scale(ctx, r.client, app, r.plan.Wanted()[app]+r.more[app]); err != nil {
			return err
		}
	}
	if r.plan.Traits.Hurried {
		feed := r.starve(burstPercent)
		pause(ctx, starvedBurst)
		feed()
	}
	if _, err := r.reach(ctx, r.plan.Allowance(), "not every pod of the burst runs", r.running); err != nil {
		return err
	}
	if r.plan.Moving == nil { // moves launch nodes of their own
		r.surplus(r.aws.Events(), from, byName(r.account), r.more)
	}
	return nil
}

// surplus judges the instances that a burst brought, which began at events[from]: no more than one packing of its pods on the smallest
// nodes, each node for pods of one workload, and one for each that left meanwhile or is at risk, whose pods need another place. An instance
// counts if the autoscaler asked for it.
func (j *judge) surplus(events []fakeaws.Event, from int, groups map[string]fakeaws.AutoScalingGroup, more map[string]int) {
	asked, launched, left := map[string]int{}, map[string]int{}, map[string]map[string]bool{webPods: {}, gpuPods: {}, partPods: {}}
	for _, e := range events[:from] {
		if g, known := groups[e.Group]; known && e.Kind == fakeaws.Announced {
			left[g.NodeLabels[poolLabel]][e.Instance] = true
		} else if known && e.Kind == fakeaws.Terminated {
			delete(left[g.NodeLabels[poolLabel]], e.Instance)
		}
	}
	for _, e := range events[from:] {
		g, known := groups[e.Group]
		if !known {
			continue
		}
		pool := g.NodeLabels[poolLabel]
		switch e.Kind {
		case fakeaws.DesiredChanged:
			if ours(e.By) && e.To > e.From {
				asked[pool] += (e.To - e.From + lightest(g) - 1) / lightest(g)
			}
		case fakeaws.Launched:
			launched[pool]++
		case fakeaws.TerminateRequested, fakeaws.Reclaimed, fakeaws.Replaced, fakeaws.ScaleInKill:
			left[pool][e.Instance] = true
		}
	}
	pods, packed := map[string]int{}, map[string]int{}
	for app, count := range more {
		pods[poolOf(app)] += count
		packed[poolOf(app)] += (count + podsPerNode[app] - 1) / podsPerNode[app]
	}
	for pool := range left {
		needed := packed[pool]
		if beyond := min(asked[pool], launched[pool]) - needed - len(left[pool]); beyond > 0 {
			j.wrong(func(w *Wrongs) { w.Surplus += beyond }, "surplus: %d nodes of %q were asked for and %d launched for %d pods, which need %d at most, and %d left",
				asked[pool], pool, launched[pool], pods[pool], needed, len(left[pool]))
		}
	}
}

// divideGPU wants a whole GPU in the group of divided ones, once its node has shown its parts and is old enough to be its group's template:
// the core takes a node that is Ready for a minute.
func (r *run) divideGPU(ctx context.Context) {
	const old = 2 * time.Minute
	for ; ctx.Err() == nil; pause(ctx, look) {
		list, err := r.client.CoreV1().Nodes().List(ctx, metav1.ListOptions{LabelSelector: poolLabel + "=" + partPods})
		if err != nil || len(list.Items) == 0 {
			continue
		}
		node := list.Items[0]
		if count := node.Status.Allocatable[part]; count.IsZero() || !nodemeta.Ready(&node) {
			continue
		}
		var conditions []string
		since, _ := metav1.NewTime(time.Now().Add(-old)).MarshalJSON()
		for _, c := range node.Status.Conditions {
			conditions = append(conditions, fmt.Sprintf(`{"type":%q,"lastTransitionTime":%s}`, c.Type, since))
		}
		patch := fmt.Sprintf(`{"status":{"conditions":[%s]}}`, strings.Join(conditions, ","))
		if _, err := r.client.CoreV1().Nodes().Patch(ctx, node.Name, types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{}, "status"); err != nil {
			continue
		}
		if scale(ctx, r.client, wholePods, 1) == nil {
			return
		}
	}
}

package move

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	corev1helpers "k8s.io/component-helpers/scheduling/corev1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate"
)

// Host is a node of the cluster as Plans sees it, or the node that a group would add.
type Host struct {
	*corev1.Node
	Group     string    // node group ID, "" for a node of nobody's
	Whole     string    // its Auto Scaling group
	Size      int       // instances of the node group that would add the node
	Pods      []HostPod // on it, or of DaemonSets on a new node
	Price     float64   // per hour, 0 where it is not known
	Estimated bool      // the price
	MayGo     bool
	Takes     bool // pods
	Devices   bool // accelerators of the node, which a driver shares out
}

// HostPod is a pod and what it asks for. CPU is in millicores, all else in units.
type HostPod struct {
	*corev1.Pod
	CPU, Memory, Storage int64
	Others               map[corev1.ResourceName]int64
}

// Plan is nodes that go, because their pods fit on other nodes and at most one new node that costs less.
type Plan struct {
	Nodes  []string    // sorted
	On     []string    // the nodes that take pods, the fullest first
	Into   string      // the node group of the new node, "" for none
	Pods   []types.UID // in the order in which they got their places, the ones for the new node last
	New    int         // pods for the new node
	Price  float64     // of the nodes, per hour
	Saving float64     // per hour
	Made   time.Time   // when it was found to work
}

func (p Plan) Key() string { return strings.Join(p.Nodes, ",") + ">" + p.Into }

// IsNew reports whether the plan has the pod on the new node.
func (p Plan) IsNew(pod *corev1.Pod) bool {
	return slices.Contains(p.Pods[len(p.Pods)-p.New:], pod.UID)
}

// Sort sorts pods in the plan's order. Pods that the plan does not know stand before the pods for the new node.
func (p Plan) Sort(pods []*corev1.Pod) {
	at := make(map[types.UID]int, len(p.Pods)) // 0 for pods that the plan does not know
	for n, uid := range p.Pods {
		at[uid] = n - len(p.Pods) + p.New
		if at[uid] >= 0 {
			at[uid]++
		}
	}
	slices.SortStableFunc(pods, func(a, b *corev1.Pod) int { return at[a.UID] - at[b.UID] })
}

// Packing bounds Plans.
type Packing struct {
	Horizon time.Duration  // the time over which a saving counts
	StartUp time.Duration  // of a new node, which is paid twice meanwhile
	Spare   map[string]int // nodes that each node group and each Auto Scaling group may lose
	Refused map[string]bool
	Most    int // plans to return
	// KeepSpread has pods that only prefer to share no node with their like keep apart.
	KeepSpread bool
}

const (
	// LeastSaving is the least part of the price of nodes that a plan saves. Prices of spot instances move by less in most hours. If a price is an
	// estimate, it is leastEstimated.
	LeastSaving, leastEstimated = 0.05, 0.2
	// mostAgain plans are made anew for the same nodes, each with a larger new node.
	mostAgain = 3
	// mostTogether nodes go for one new node.
	mostTogether = 5
	// starts bounds the tries of several nodes of one kind together. mostStarts bounds the tries of all kinds.
	starts, mostStarts = 30, 120
	// The part of the cluster that moves counts as lost for disrupted. With a horizon of an hour that is the rule of Karpenter's policy
	// Balanced (sigs.k8s.io/karpenter v1.14.0): the part of the price that is saved is at least half of the part of the pods that move.
	disrupted = 30 * time.Minute
)

// Plans returns the plans that are worth it, the best first. A plan is worth it if its saving over the horizon is more than what it costs: the start-up
// of the new node, and the disruption of the pods by Cost. No plan replaces a node by one of its own group, whose next node may have another price
// only because it is the next one. The pods also fit in another order (scattered). Plans counts resources, node affinity, taints, and pods that want
// a node apart from their like. What else the scheduler looks at is the caller's to check. No plan puts a pod without need of an accelerator on a
// node with one, which would stay for that pod when its own are gone. Plans is a pure function, and takes a tenth of a second for 1,000 nodes.
func Plans(hosts, offers []Host, p Packing) []Plan {
	p.Refused = maps.Collect(maps.All(p.Refused)) // Plans adds to it
	k := newPacker(hosts, offers, p)
	var found []worth
	try := func(set []int) {
		if plan, into, net := k.plan(set); net > 0 {
			found = append(found, worth{Plan: plan, net: net, set: set, into: into})
		}
	}
	for _, at := range k.candidates {
		try([]int{at})
	}
	left := mostStarts
	for _, alike := range k.alike() {
		n := min(starts, len(alike), left)
		left -= n
		for from := range n {
			for n := 2; n <= mostTogether && from+n <= len(alike); n++ {
				try(alike[from : from+n])
			}
		}
	}
	better := func(a, b worth) int {
		return cmp.Or(cmp.Compare(b.net, a.net), cmp.Compare(len(a.Nodes), len(b.Nodes)), strings.Compare(a.Key(), b.Key()))
	}
	slices.SortFunc(found, better)
	var plans []Plan
	for len(found) > 0 && len(plans) < p.Most {
		w := found[0]
		found = found[1:]
		if k.scattered(w.set, w.into) {
			plans = append(plans, w.Plan)
			continue
		}
		if w.again++; w.into == nil || w.again > mostAgain {
			continue
		}
		for _, o := range k.offers { // a larger new node may have room
			if within(o.free, w.into.free) {
				p.Refused[Plan{Nodes: w.Nodes, Into: o.Group}.Key()] = true
			}
		}
		if w.Plan, w.into, w.net = k.plan(w.set); w.net > 0 {
			at, _ := slices.BinarySearchFunc(found, w, better)
			found = slices.Insert(found, at, w)
		}
	}
	return plans
}

// alike returns the candidates by the taints of their nodes, because pods of nodes with other taints seldom fit on one new node.
func (k *packer) alike() (kinds [][]int) {
	at := map[string]int{}
	for _, c := range k.candidates {
		var taints []string
		for _, t := range k.hosts[c].Spec.Taints {
			if t.Effect != corev1.TaintEffectPreferNoSchedule {
				taints = append(taints, t.ToString())
			}
		}
		slices.Sort(taints)
		key := strings.Join(taints, ",")
		if _, known := at[key]; !known {
			at[key], kinds = len(kinds), append(kinds, nil)
		}
		kinds[at[key]] = append(kinds[at[key]], c)
	}
	return kinds
}

type worth struct {
	Plan
	net   float64
	set   []int
	into  *packHost
	again int
}

// packer puts pods on hosts by what they ask for.
type packer struct {
	Packing
	names      []corev1.ResourceName // pods first
	hosts      []packHost            // the ones that take pods first, and the fullest of them first
	offers     []packHost            // the cheapest first, the last ones of hosts
	candidates []int                 // hosts that may go, the emptiest first
	perPod     float64               // what the move of a pod of Cost 1 costs
}

type packHost struct {
	Host
	all, free   []int64 // by name, and without what its pods ask for
	used        float64 // the largest part of a resource that its pods ask for
	moves       []item  // the pods that go elsewhere when it goes
	holds       map[string]bool
	accelerated bool
}

// item is a pod to put on a host.
type item struct {
	*corev1.Pod
	asks     []int64
	size     float64 // the largest part of its host's resources that it asks for
	affinity nodeaffinity.RequiredNodeAffinity
	prefers  *nodeaffinity.PreferredSchedulingTerms // nil for nothing
	score    int64                                  // of its host, by what it prefers
	apart    string                                 // its workload, if its pods do not share a host
	anywhere bool                                   // also on a host with an accelerator: it asks for one, or is on such a host
}

func newPacker(hosts, offers []Host, p Packing) *packer {
	k := &packer{Packing: p}
	asked := map[corev1.ResourceName]bool{}
	for _, h := range slices.Concat(hosts, offers) {
		for _, pod := range h.Pods {
			for name := range pod.Others {
				asked[name] = true
			}
		}
	}
	k.names = slices.Concat(common, slices.Sorted(maps.Keys(asked)))
	price, cost := 0.0, 0.0
	for _, h := range hosts {
		k.hosts = append(k.hosts, k.host(h))
		if h.Price > 0 {
			price, cost = price+h.Price, cost+h.cost()
		}
	}
	for _, h := range offers {
		h.Takes = false
		k.offers = append(k.offers, k.host(h))
	}
	k.perPod = price / max(1, cost) * disrupted.Hours()
	slices.SortStableFunc(k.hosts, func(a, b packHost) int {
		return cmp.Or(truth(b.Takes)-truth(a.Takes), cmp.Compare(b.used, a.used), strings.Compare(a.Name, b.Name))
	})
	slices.SortStableFunc(k.offers, func(a, b packHost) int {
		return cmp.Or(cmp.Compare(a.Price, b.Price), a.Size-b.Size, strings.Compare(a.Group, b.Group)) // equal groups, such as one for each zone, fill evenly
	})
	for at, h := range k.hosts {
		if h.MayGo && h.Price > 0 && len(h.moves) > 0 { // the core removes empty nodes
			k.candidates = append(k.candidates, at)
		}
	}
	slices.SortStableFunc(k.candidates, func(a, b int) int { return cmp.Compare(k.hosts[a].used, k.hosts[b].used) })
	k.hosts = append(k.hosts, k.offers...)
	k.offers = k.hosts[len(hosts):]
	return k
}

// common are the resources of every problem. HostPod has them as fields.
var common = []corev1.ResourceName{corev1.ResourcePods, corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage}

// cost returns the cost of the disruption of its pods, never below 0.
func (h Host) cost() float64 {
	pods := make([]*corev1.Pod, len(h.Pods))
	for i := range h.Pods {
		pods[i] = h.Pods[i].Pod
	}
	return max(0, Cost(pods))
}

func (k *packer) host(h Host) packHost {
	p := packHost{Host: h, all: k.amounts(h.Status.Allocatable), holds: map[string]bool{}}
	p.free = slices.Clone(p.all)
	p.accelerated = h.Devices || nodetemplate.HasAccelerator(h.Status.Allocatable)
	for _, pod := range h.Pods {
		asks, anywhere := []int64{1, pod.CPU, pod.Memory, pod.Storage}, p.accelerated || len(pod.Spec.ResourceClaims) > 0
		for _, name := range k.names[len(common):] {
			asks, anywhere = append(asks, pod.Others[name]), anywhere || pod.Others[name] > 0 && nodetemplate.IsAccelerator(name)
		}
		size := 0.0
		for i, n := range asks {
			if p.free[i] -= n; p.all[i] > 0 {
				size = max(size, float64(n)/float64(p.all[i]))
			}
		}
		apart := ""
		if k.separates(pod.Pod) && workload(pod.Pod) != "" {
			apart = workload(pod.Pod)
			p.holds[apart] = true
		}
		if !nodemeta.BelongsToNode(pod.Pod) {
			i := item{Pod: pod.Pod, asks: asks, size: size, affinity: nodeaffinity.GetRequiredNodeAffinity(pod.Pod), apart: apart, anywhere: anywhere}
			if a := pod.Spec.Affinity; a != nil && a.NodeAffinity != nil && len(a.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution) > 0 {
				i.prefers, _ = nodeaffinity.NewPreferredSchedulingTerms(a.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution) // the API server has checked it
				i.score = i.scored(h.Node)
			}
			p.moves = append(p.moves, i)
		}
	}
	p.used = p.usedBut(p.free)
	return p
}

func (k *packer) amounts(list corev1.ResourceList) []int64 {
	amounts := make([]int64, len(k.names))
	for i, name := range k.names {
		q := list[name]
		if amounts[i] = q.Value(); name == corev1.ResourceCPU {
			amounts[i] = q.MilliValue()
		}
	}
	return amounts
}

// usedBut is the largest part of a resource that is used of the host, but for what is free.
func (p *packHost) usedBut(free []int64) (part float64) {
	for i, n := range p.all {
		if n > 0 {
			part = max(part, 1-float64(free[i])/float64(n))
		}
	}
	return part
}

// PrefersApart returns the terms by which the pod only prefers to share no node with others.
func PrefersApart(pod *corev1.Pod) (terms []corev1.PodAffinityTerm) {
	if a := pod.Spec.Affinity; a != nil && a.PodAntiAffinity != nil {
		for _, t := range a.PodAntiAffinity.PreferredDuringSchedulingIgnoredDuringExecution {
			if t.PodAffinityTerm.TopologyKey == corev1.LabelHostname {
				terms = append(terms, t.PodAffinityTerm)
			}
		}
	}
	return terms
}

// separates reports whether the pod keeps apart from pods on the same node, which are pods of its workload as a rule. The scheduler knows them all.
func (k *packer) separates(pod *corev1.Pod) bool {
	if a := pod.Spec.Affinity; a != nil && a.PodAntiAffinity != nil && len(a.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution) > 0 {
		return true
	}
	return k.KeepSpread && len(PrefersApart(pod)) > 0 ||
		slices.ContainsFunc(pod.Spec.TopologySpreadConstraints, func(c corev1.TopologySpreadConstraint) bool {
			return c.TopologyKey == corev1.LabelHostname && (k.KeepSpread || c.WhenUnsatisfiable == corev1.DoNotSchedule)
		})
}

// plan returns the plan by which these hosts go, its new node, and what it is worth over the horizon. That is 0 or less if there is none.
func (k *packer) plan(set []int) (p Plan, into *packHost, net float64) {
	var items []item
	lost, margin, cost := map[string]int{}, LeastSaving, 0.0
	for _, at := range set {
		h := &k.hosts[at]
		p.Nodes, p.Price, items, cost = append(p.Nodes, h.Name), p.Price+h.Price, append(items, h.moves...), cost+h.cost()*k.perPod
		if lost[h.Group]++; h.Whole != h.Group {
			lost[h.Whole]++
		}
		if h.Estimated {
			margin = leastEstimated
		}
	}
	slices.Sort(p.Nodes)
	if p.Price*k.Horizon.Hours() <= cost {
		return p, nil, 0
	}
	var there, left []item
	there, left, p.On = k.place(items, set, nil, false)
	if len(left) == 0 && k.Refused[p.Key()] { // such as for their zone, which a new node may be in
		there, left, p.On = nil, items, nil
	}
	for _, i := range slices.Concat(there, left) {
		p.Pods = append(p.Pods, i.UID)
	}
	p.New = len(left)
	p.Saving = p.Price
	if len(left) > 0 {
		if !slices.ContainsFunc(left, func(i item) bool { return i.Spec.NodeName != "" }) {
			return p, nil, 0 // only the core has made these pods, and it may launch their node in any group
		}
		into = k.offer(left, func(o *packHost) bool {
			least := margin
			if o.Estimated {
				least = leastEstimated
			}
			return o.Price < p.Price*(1-least) && lost[o.Whole] == 0 && !k.Refused[Plan{Nodes: p.Nodes, Into: o.Group}.Key()]
		})
		if into == nil {
			return p, nil, 0
		}
		p.Into, p.Saving, cost = into.Group, p.Price-into.Price, cost+into.Price*k.StartUp.Hours()
	}
	for group, n := range lost {
		if n > k.Spare[group] {
			return p, nil, 0
		}
	}
	return p, into, p.Saving*k.Horizon.Hours() - cost
}

// scattered reports whether the pods also fit if the smallest come first, each on the emptiest node. kube-scheduler takes them as they come, and
// a large one would wait for another new node.
func (k *packer) scattered(set []int, into *packHost) bool {
	var items []item
	for _, at := range set {
		items = append(items, k.hosts[at].moves...)
	}
	_, left, _ := k.place(items, set, into, true)
	return len(left) == 0
}

// place puts items on hosts outside the set, the largest first on the fullest host. If they scatter, the smallest come first, on the emptiest host or
// the new node. It returns the items with a place, the items without one, and the hosts that took some.
func (k *packer) place(items []item, set []int, into *packHost, scatter bool) (there, left []item, on []string) {
	free, holds := map[int][]int64{}, map[int]map[string]bool{}
	slices.SortStableFunc(items, func(a, b item) int {
		if scatter {
			a, b = b, a
		}
		return cmp.Compare(b.size, a.size)
	})
	for _, i := range items {
		at, room, used := -1, []int64(nil), 0.0
		for n := range k.hosts {
			h := &k.hosts[n]
			has, changed := free[n]
			if !changed {
				has = h.free
			}
			part := 0.0
			if scatter {
				if part = h.usedBut(has); at >= 0 && part >= used {
					continue
				}
			}
			if !h.Takes && h != into || h.accelerated && !i.anywhere || !within(i.asks, has) || slices.Contains(set, n) ||
				i.apart != "" && (h.holds[i.apart] || holds[n][i.apart]) || !i.mayRunOn(h.Node) {
				continue
			}
			if at, room, used = n, has, part; !scatter {
				break
			}
		}
		if at < 0 {
			left = append(left, i)
			continue
		}
		room = slices.Clone(room)
		for d := range room {
			room[d] -= i.asks[d]
		}
		if free[at] = room; i.apart != "" {
			if holds[at] == nil {
				holds[at] = map[string]bool{}
			}
			holds[at][i.apart] = true
		}
		there = append(there, i)
	}
	for _, at := range slices.Sorted(maps.Keys(free)) {
		on = append(on, k.hosts[at].Name)
	}
	return there, left, on
}

// offer returns the cheapest acceptable new node that takes all items.
func (k *packer) offer(items []item, acceptable func(*packHost) bool) *packHost {
	sum, apart := make([]int64, len(k.names)), map[string]bool{}
	for _, i := range items {
		for d := range sum {
			sum[d] += i.asks[d]
		}
		if i.apart != "" && apart[i.apart] {
			return nil
		}
		apart[i.apart] = true
	}
	for at := range k.offers {
		o := &k.offers[at]
		if o.Price > 0 && acceptable(o) && within(sum, o.free) && !slices.ContainsFunc(items, func(i item) bool {
			return o.holds[i.apart] || o.accelerated && !i.anywhere || !i.mayRunOn(o.Node)
		}) {
			return o
		}
	}
	return nil
}

func within(asks, room []int64) bool {
	for d, n := range asks {
		if n > 0 && n > room[d] {
			return false
		}
	}
	return true
}

// scored returns how well the node suits the pod by its preferred affinity.
func (i item) scored(n *corev1.Node) int64 {
	if i.prefers == nil {
		return 0
	}
	return i.prefers.Score(n)
}

// mayRunOn reports whether the node suits the pod, but for resources, and its preferred affinity no less than its host does.
func (i item) mayRunOn(n *corev1.Node) bool {
	if fits, err := i.affinity.Match(n); err != nil || !fits || i.scored(n) < i.score {
		return false
	}
	_, kept := corev1helpers.FindMatchingUntoleratedTaint(klog.Background(), n.Spec.Taints, i.Spec.Tolerations, func(t *corev1.Taint) bool {
		return t.Effect == corev1.TaintEffectNoSchedule || t.Effect == corev1.TaintEffectNoExecute
	}, false)
	return !kept
}

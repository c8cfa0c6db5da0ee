package leastcost

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"sort"

	apiv1 "k8s.io/api/core/v1"
	resourceapi "k8s.io/api/resource/v1"
	drasnapshot "k8s.io/autoscaler/cluster-autoscaler/simulator/dynamicresources/snapshot"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/utils/ptr"
)

// boundless is the amount of a dimension without a visible limit.
const boundless = math.MaxInt32

// attaches reports whether a volume may have to be attached to the node, and so count against a limit of the node.
func attaches(v *apiv1.Volume) bool {
	return v.PersistentVolumeClaim != nil || v.Ephemeral != nil || v.AWSElasticBlockStore != nil
}

// attached counts the pod's volumes that may have to be attached.
func attached(pod *apiv1.Pod) int64 {
	count := int64(0)
	for i := range pod.Spec.Volumes {
		if attaches(&pod.Spec.Volumes[i]) {
			count++
		}
	}
	return count
}

// claimed counts the devices that the pod's claims are for. A claim counts as one device where nothing else is known of it, and
// where it is for all devices of a node. Of several alternatives the first counts. Pods that share a claim count it each.
func claimed(pod *apiv1.Pod, devices *drasnapshot.Snapshot) int64 {
	known, err := []*resourceapi.ResourceClaim(nil), error(nil)
	if len(pod.Spec.ResourceClaims) > 0 && devices != nil {
		known, err = devices.PodClaims(pod)
	}
	if err != nil || len(known) == 0 {
		return int64(len(pod.Spec.ResourceClaims))
	}
	count := int64(0)
	for _, claim := range known {
		for _, r := range claim.Spec.Devices.Requests {
			switch {
			case r.Exactly == nil && len(r.FirstAvailable) > 0:
				count += max(1, r.FirstAvailable[0].Count)
			case r.Exactly != nil && !ptr.Deref(r.Exactly.AdminAccess, false): // administrators take none away
				count += max(1, r.Exactly.Count)
			}
		}
	}
	return count
}

// promised is how many claimed devices or attached volumes the node states that it takes, boundless where it states nothing. It
// may be too many, where devices or volumes are of several kinds, and too few, where not all volumes count.
func promised(info *framework.NodeInfo, name apiv1.ResourceName) int64 {
	count := int64(0)
	if name == claims {
		for _, slice := range info.LocalResourceSlices {
			count += int64(len(slice.Spec.Devices))
		}
	} else if info.CSINode != nil {
		for _, driver := range info.CSINode.Spec.Drivers {
			if driver.Allocatable != nil {
				count = max(count, int64(ptr.Deref(driver.Allocatable.Count, 0)))
			}
		}
	}
	if count == 0 {
		return boundless
	}
	return count
}

// addLimits infers limits per node that only the core knows for sure: the available devices for claims, and the volumes that can
// be attached. The core filled the nodes of an option by them. If first-fit by the known limits and the nodes' promises needs fewer
// nodes for the option's pods than the core did, addLimits sets a limit for each dimension: the least with which first-fit needs
// no more nodes than the core. It ignores a promise that the core's nodes exceed.
func (d *demand) addLimits(candidates []candidate, t *timer) {
	if d.dimensions.known == len(d.dimensions.names) {
		return
	}
	known := make(map[string]amounts) // groups that are alike have the same limits
	counts := make([]int, len(d.classes))
	for c := range candidates {
		o := candidates[c].option
		clear(counts)
		for _, pod := range o.Pods {
			counts[d.classOf[d.index[pod]]]++
		}
		key := binary.AppendVarint([]byte(keyOf(d.offered[c])), int64(o.NodeCount))
		for _, n := range counts {
			key = binary.AppendUvarint(key, uint64(n))
		}
		if _, found := known[string(key)]; !found {
			known[string(key)] = d.limited(counts, d.offered[c], o.NodeCount, t)
		}
		d.offered[c] = known[string(key)]
	}
}

// limited is what nodes offer on which the core found room for so many pods of each class, with the limits that this shows. Without
// time to look, the core's mean counts.
func (d *demand) limited(counts []int, offered amounts, nodes int, t *timer) amounts {
	total, largest := make(amounts, len(offered)), make(amounts, len(offered))
	for i, count := range counts {
		for dim := d.dimensions.known; count > 0 && dim < len(offered); dim++ {
			total[dim] += d.classes[i].request[dim] * int64(count)
			largest[dim] = max(largest[dim], d.classes[i].request[dim])
		}
	}
	if slices.Max(total) == 0 {
		return offered
	}
	for dim, sum := range total {
		if largest[dim] > offered[dim] || sum > offered[dim]*int64(nodes) { // the core's nodes take more than they promise
			offered = slices.Clone(offered)
			offered[dim] = boundless
		}
	}
	var lots []lot
	late := t.past(limitShare)
	if !late {
		lots = d.lots(counts, offered)
		if nodesFor(lots, offered) >= nodes {
			return offered
		}
	}
	result := slices.Clone(offered)
	for dim, sum := range total {
		if sum == 0 {
			continue
		}
		// No limit is below the mean. As a rule it is the mean: more is looked for only where other pods fill nodes, too.
		least, trial := max(largest[dim], (sum+int64(nodes)-1)/int64(nodes)), slices.Clone(offered)
		enough := func(more int) bool {
			trial[dim] = least + int64(more)
			return nodesFor(lots, trial) <= nodes
		}
		result[dim] = least
		if !late && !enough(0) {
			result[dim] = min(offered[dim], least+int64(sort.Search(int(sum-least), enough)))
		}
	}
	return result
}

// lot is pods that are packed one after the other.
type lot struct {
	request amounts
	count   int
	perNode int
	size    float64 // share of an empty node's CPU and memory that one takes, added up
}

// maxLots is into how many steps of size pods of more classes are joined.
const maxLots = 32

// lots are the pods in the order of the core's estimator: those first that take most of a node's CPU and memory. Pods of many sizes
// are joined to lots of about one size.
func (d *demand) lots(counts []int, offered amounts) []lot {
	list := d.scratch[:0]
	for i, count := range counts {
		if count == 0 {
			continue
		}
		l := lot{request: d.classes[i].request, count: count, perNode: d.classes[i].perNode}
		for dim, name := range d.dimensions.names[:d.dimensions.known] {
			if name == apiv1.ResourceCPU || name == apiv1.ResourceMemory {
				l.size += float64(l.request[dim]) / float64(max(1, offered[dim]))
			}
		}
		list = append(list, l)
	}
	d.scratch = list
	slices.SortStableFunc(list, func(a, b lot) int { return cmp.Compare(b.size, a.size) })
	if len(list) <= maxLots {
		return list
	}
	var joined []lot
	index := make(map[string]int)
	for i, l := range list {
		key := keyOf(l.request[d.dimensions.known:]) + fmt.Sprint(" ", l.perNode, " ", i*maxLots/len(list))
		at, known := index[key]
		if !known {
			at = len(joined)
			index[key] = at
			joined = append(joined, lot{request: make(amounts, len(l.request)), perNode: l.perNode})
		}
		joined[at].count += l.count
		joined[at].request.add(l.request, l.count)
	}
	for _, l := range joined {
		for dim := range l.request {
			l.request[dim] /= int64(l.count)
		}
	}
	return joined
}

// alike are nodes with the same room.
type alike struct {
	room  amounts
	nodes int
}

// with are so many of the nodes with pods of a lot on each.
func (a alike) with(l lot, pods, nodes int) alike {
	room := slices.Clone(a.room)
	room.add(l.request, -pods)
	return alike{room, nodes}
}

// nodesFor is how many nodes the lots take by first-fit. A pod that fits no empty node is left out.
func nodesFor(lots []lot, offered amounts) int {
	var filled []alike
	total := 0
	for _, l := range lots {
		left := l.count
		for i, before := 0, len(filled); i <= before && left > 0; i++ {
			at := alike{offered, math.MaxInt32}
			if i < before {
				at = filled[i]
			}
			each := l.request.fitting(at.room, l.perNode)
			if each <= 0 || at.nodes == 0 {
				continue
			}
			full := min(at.nodes, left/each)
			if full > 0 {
				filled = append(filled, at.with(l, each, full))
			}
			left -= full * each
			last := min(1, left, at.nodes-full)
			if last > 0 {
				filled = append(filled, at.with(l, left, 1))
				left = 0
			}
			if i < before {
				filled[i].nodes -= full + last
			} else {
				total += full + last
			}
		}
	}
	return total
}

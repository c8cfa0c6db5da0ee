package scaleup

import (
	"maps"
	"slices"

	apiv1 "k8s.io/api/core/v1"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	"k8s.io/autoscaler/cluster-autoscaler/processors/nodegroupset"
	"k8s.io/autoscaler/cluster-autoscaler/processors/status"
	"k8s.io/autoscaler/cluster-autoscaler/utils/errors"
	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/plan"
)

type results []result

// result is that of one scale-up of the core. Its status is never nil, also after an error (read 2026-12).
type result struct {
	status *status.ScaleUpStatus
	err    errors.AutoscalerError
}

func (r result) successful() bool {
	return r.err == nil && r.status.Result == status.ScaleUpSuccessful
}

// add adds a result, and reports whether a node group failed for the first time.
func (rs *results) add(s *status.ScaleUpStatus, err errors.AutoscalerError) bool {
	failed := len(rs.failed())
	*rs = append(*rs, result{s, err})
	return len(rs.failed()) > failed
}

// failed are the node groups that failed, each once.
func (rs results) failed() (groups []cloudprovider.NodeGroup) {
	for _, r := range rs {
		for _, g := range r.status.FailedResizeNodeGroups {
			if !slices.ContainsFunc(groups, func(known cloudprovider.NodeGroup) bool { return known.Id() == g.Id() }) {
				groups = append(groups, g)
			}
		}
	}
	return groups
}

// count counts the placed ones of pods as pods that the last scale-up was for, although the option did not count them in. It does not count
// pods whose nodes a quota cut off, unless they have a place on others.
func (rs results) count(pods []*apiv1.Pod, cut []plan.Node, placed podSet) {
	last := rs[len(rs)-1]
	if !last.successful() {
		return
	}
	counted := podSet{}
	counted.added(last.status.PodsTriggeredScaleUp)
	others := slices.DeleteFunc(slices.Clone(pods), func(pod *apiv1.Pod) bool { return counted[pod] || !placed[pod] })
	last.status.PodsTriggeredScaleUp = slices.Concat(last.status.PodsTriggeredScaleUp, others)
	without := podSet{}
	waiting := without.added(placed.others(podsOf(cut)))
	last.status.PodsTriggeredScaleUp = without.others(last.status.PodsTriggeredScaleUp)
	last.status.PodsAwaitEvaluation = slices.Concat(placed.others(last.status.PodsAwaitEvaluation), waiting)
}

func (rs results) successful() (list []*status.ScaleUpStatus) {
	for _, r := range rs {
		if r.successful() {
			list = append(list, r.status)
		}
	}
	return list
}

// joined returns the result of all scale-ups together, which leave the pods. No group is ever created.
func (rs results) joined(left []*apiv1.Pod) (*status.ScaleUpStatus, errors.AutoscalerError) {
	if len(rs) == 1 {
		return rs[0].status, rs[0].err
	}
	if len(rs.successful()) == 0 {
		return rs.failure()
	}
	all := &status.ScaleUpStatus{Result: status.ScaleUpSuccessful, FailedResizeNodeGroups: rs.failed()}
	triggered := podSet{}
	for _, r := range rs {
		if r.status.ConsideredNodeGroups != nil {
			all.ConsideredNodeGroups = r.status.ConsideredNodeGroups // by the last, as the groups that were left out
		}
		if r.successful() {
			all.ScaleUpInfos = addInfos(all.ScaleUpInfos, r.status.ScaleUpInfos)
			all.PodsTriggeredScaleUp = append(all.PodsTriggeredScaleUp, triggered.added(r.status.PodsTriggeredScaleUp)...)
		} else if r.err != nil {
			failed := cloudprovider.NodeGroupListToMapById(r.status.FailedResizeNodeGroups)
			klog.Background().Info("Scaled up for some of the pods only", "failed", slices.Sorted(maps.Keys(failed)), "err", r.err)
		}
	}
	rs.addOthers(all, triggered, left)
	return all, nil
}

// addOthers adds the pods that are left and that no scale-up was for. The last answer of the node groups to a pod counts.
func (rs results) addOthers(all *status.ScaleUpStatus, known podSet, left []*apiv1.Pod) {
	waiting := podSet{}
	waiting.added(left)
	for _, r := range slices.Backward(rs) {
		for _, info := range r.status.PodsRemainUnschedulable {
			if waiting[info.Pod] && len(known.added([]*apiv1.Pod{info.Pod})) > 0 {
				all.PodsRemainUnschedulable = append(all.PodsRemainUnschedulable, info)
			}
		}
	}
	all.PodsAwaitEvaluation = known.added(left)
}

// failure returns the first failure, with the groups and pods of the others.
func (rs results) failure() (*status.ScaleUpStatus, errors.AutoscalerError) {
	first := slices.IndexFunc(rs, func(r result) bool { return r.err != nil })
	if first < 0 {
		last := rs[len(rs)-1]
		return last.status, last.err
	}
	base, known := rs[first], podSet{}
	base.status.FailedResizeNodeGroups = rs.failed()
	known.added(base.status.PodsTriggeredScaleUp)
	for _, r := range rs[first+1:] {
		if r.err != nil {
			base.status.PodsTriggeredScaleUp = append(base.status.PodsTriggeredScaleUp, known.added(r.status.PodsTriggeredScaleUp)...)
		}
	}
	base.status.PodsAwaitEvaluation = known.others(base.status.PodsAwaitEvaluation)
	return base.status, base.err
}

type podSet map[*apiv1.Pod]bool

// added adds the pods, and returns the ones that are new.
func (s podSet) added(pods []*apiv1.Pod) (list []*apiv1.Pod) {
	for _, pod := range pods {
		if !s[pod] {
			s[pod] = true
			list = append(list, pod)
		}
	}
	return list
}

func (s podSet) others(pods []*apiv1.Pod) []*apiv1.Pod {
	return slices.DeleteFunc(slices.Clone(pods), func(pod *apiv1.Pod) bool { return s[pod] })
}

// addInfos adds what later scale-ups did to the infos. A group that grew twice has one info.
func addInfos(infos, later []nodegroupset.ScaleUpInfo) []nodegroupset.ScaleUpInfo {
	for _, info := range later {
		at := slices.IndexFunc(infos, func(known nodegroupset.ScaleUpInfo) bool { return known.Group.Id() == info.Group.Id() })
		if at < 0 {
			infos = append(infos, info)
		} else {
			infos[at].NewSize, infos[at].MaxSize = info.NewSize, info.MaxSize
		}
	}
	return infos
}

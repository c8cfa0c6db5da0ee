package scaleup

import (
	"slices"

	apiv1 "k8s.io/api/core/v1"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	"k8s.io/autoscaler/cluster-autoscaler/processors/nodegroupset"
	"k8s.io/autoscaler/cluster-autoscaler/processors/status"
	"k8s.io/autoscaler/cluster-autoscaler/utils/errors"
	"k8s.io/klog/v2"
)

// merged makes one result of several scale-ups.
type merged struct {
	tries  []try
	failed map[string]bool // node groups, by ID
}

// try is the result of one scale-up of the core. The result may be nil only with an error.
type try struct {
	result *status.ScaleUpStatus
	err    errors.AutoscalerError
}

func (t try) successful() bool {
	return t.err == nil && t.result != nil && t.result.Result == status.ScaleUpSuccessful
}

// add adds a result, and reports whether a node group failed for the first time.
func (m *merged) add(result *status.ScaleUpStatus, err errors.AutoscalerError) bool {
	m.tries = append(m.tries, try{result, err})
	anew := false
	for _, id := range ids(result) {
		anew = anew || !m.failed[id]
		m.failed[id] = true
	}
	return anew
}

// place counts the placed ones of pods as pods that the last scale-up was for, although the option did not count them in.
func (m *merged) place(pods []*apiv1.Pod, placed podSet) {
	last := m.tries[len(m.tries)-1]
	if !last.successful() {
		return
	}
	others := slices.DeleteFunc(without(pods, last.result.PodsTriggeredScaleUp), func(pod *apiv1.Pod) bool { return !placed[pod] })
	last.result.PodsTriggeredScaleUp = slices.Concat(last.result.PodsTriggeredScaleUp, others)
	last.result.PodsAwaitEvaluation = slices.DeleteFunc(last.result.PodsAwaitEvaluation, func(pod *apiv1.Pod) bool { return placed[pod] })
}

// successful returns the results of the successful scale-ups.
func (m *merged) successful() []*status.ScaleUpStatus {
	var list []*status.ScaleUpStatus
	for _, t := range m.tries {
		if t.successful() {
			list = append(list, t.result)
		}
	}
	return list
}

// result returns the result of all scale-ups together, which leave the pods.
func (m *merged) result(left []*apiv1.Pod) (*status.ScaleUpStatus, errors.AutoscalerError) {
	if len(m.tries) == 1 {
		return m.tries[0].result, m.tries[0].err
	}
	if len(m.successful()) == 0 {
		return m.failure()
	}
	all := &status.ScaleUpStatus{Result: status.ScaleUpSuccessful}
	triggered := podSet{}
	for _, t := range m.tries {
		if t.result == nil {
			continue
		}
		all.FailedCreationNodeGroups = addGroups(all.FailedCreationNodeGroups, t.result.FailedCreationNodeGroups)
		all.FailedResizeNodeGroups = addGroups(all.FailedResizeNodeGroups, t.result.FailedResizeNodeGroups)
		if t.result.ConsideredNodeGroups != nil {
			all.ConsideredNodeGroups = t.result.ConsideredNodeGroups // by the last, as the groups that were left out
		}
		if t.successful() {
			all.ScaleUpInfos = addInfos(all.ScaleUpInfos, t.result.ScaleUpInfos)
			all.CreateNodeGroupResults = append(all.CreateNodeGroupResults, t.result.CreateNodeGroupResults...)
			all.PodsTriggeredScaleUp = append(all.PodsTriggeredScaleUp, triggered.added(t.result.PodsTriggeredScaleUp)...)
		} else if t.err != nil {
			klog.Background().Info("Scaled up for some of the pods only", "failed", ids(t.result), "err", t.err)
		}
	}
	m.addOthers(all, triggered, left)
	return all, nil
}

// addOthers adds the pods that are left and that no scale-up was for. The last answer of the node groups to a pod counts.
func (m *merged) addOthers(all *status.ScaleUpStatus, known podSet, left []*apiv1.Pod) {
	waiting := podSet{}
	waiting.added(left)
	for _, t := range slices.Backward(m.tries) {
		if t.result == nil {
			continue
		}
		for _, info := range t.result.PodsRemainUnschedulable {
			if waiting[info.Pod] && len(known.added([]*apiv1.Pod{info.Pod})) > 0 {
				all.PodsRemainUnschedulable = append(all.PodsRemainUnschedulable, info)
			}
		}
	}
	all.PodsAwaitEvaluation = known.added(left)
}

// failure returns the first failure, with the groups and pods of the others.
func (m *merged) failure() (*status.ScaleUpStatus, errors.AutoscalerError) {
	first := slices.IndexFunc(m.tries, func(t try) bool { return t.err != nil && t.result != nil })
	if first < 0 {
		last := m.tries[len(m.tries)-1]
		return last.result, last.err
	}
	base := m.tries[first]
	known := podSet{}
	known.added(base.result.PodsTriggeredScaleUp)
	for _, t := range m.tries[first+1:] {
		if t.err != nil && t.result != nil {
			base.result.FailedResizeNodeGroups = addGroups(base.result.FailedResizeNodeGroups, t.result.FailedResizeNodeGroups)
			base.result.PodsTriggeredScaleUp = append(base.result.PodsTriggeredScaleUp, known.added(t.result.PodsTriggeredScaleUp)...)
		}
	}
	base.result.PodsAwaitEvaluation = slices.DeleteFunc(base.result.PodsAwaitEvaluation, func(pod *apiv1.Pod) bool { return known[pod] })
	return base.result, base.err
}

// podSet is a set of pods.
type podSet map[*apiv1.Pod]bool

// added adds the pods, and returns the ones that are new.
func (s podSet) added(pods []*apiv1.Pod) []*apiv1.Pod {
	var list []*apiv1.Pod
	for _, pod := range pods {
		if !s[pod] {
			s[pod] = true
			list = append(list, pod)
		}
	}
	return list
}

// others returns the pods that are not in the set.
func (s podSet) others(pods []*apiv1.Pod) []*apiv1.Pod {
	return slices.DeleteFunc(slices.Clone(pods), func(pod *apiv1.Pod) bool { return s[pod] })
}

// without returns the pods that are not among others.
func without(pods, others []*apiv1.Pod) []*apiv1.Pod {
	among := podSet{}
	among.added(others)
	return among.others(pods)
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

// addGroups adds the groups that are not among groups yet.
func addGroups(groups, more []cloudprovider.NodeGroup) []cloudprovider.NodeGroup {
	for _, g := range more {
		if !slices.ContainsFunc(groups, func(known cloudprovider.NodeGroup) bool { return known.Id() == g.Id() }) {
			groups = append(groups, g)
		}
	}
	return groups
}

// ids are the IDs of the node groups that failed.
func ids(result *status.ScaleUpStatus) []string {
	if result == nil {
		return nil
	}
	var list []string
	for _, group := range result.FailedResizeNodeGroups {
		list = append(list, group.Id())
	}
	return list
}

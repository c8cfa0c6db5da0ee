package decisions

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/types"
	coreutils "k8s.io/autoscaler/cluster-autoscaler/core/utils"
	corestatus "k8s.io/autoscaler/cluster-autoscaler/processors/status"
	kubeutil "k8s.io/autoscaler/cluster-autoscaler/utils/kubernetes"
	podutil "k8s.io/autoscaler/cluster-autoscaler/utils/pod"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision/why"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/podzone"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/loop"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/podlist"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/status"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/shellword"
)

type outcome struct {
	state  decision.PodState
	cause  decision.Reason
	group  string
	search int
}

func (s *speaker) pods() []decision.Pod {
	pending := s.facts.pending
	if !s.facts.listed { // the loop ended before it looked at them
		pending = kubeutil.ArrangePodsBySchedulability(s.facts.allPods(), nil).Unschedulable
	}
	list, fitting := make([]decision.Pod, 0, len(pending)), map[types.UID]time.Time{}
	if s.facts.status != nil {
		s.unhelped()
		s.helped()
	}
	for _, pod := range pending {
		o, known := s.outcomes[pod.UID]
		if !known {
			o = s.other(pod)
		}
		if o.state == decision.PodLaunching || o.state == decision.PodFits {
			if group, r := s.lateFor(pod, o.group); r.Message != "" {
				o.state, o.cause, o.group = decision.PodHelpless, r, group
			}
		}
		if o.state == decision.PodFits {
			fitting[pod.UID] = cmp.Or(s.fitting[pod.UID], s.facts.at)
			if r, unused := s.unused(pod, fitting[pod.UID]); unused {
				o.state, o.cause = decision.PodHelpless, r
			}
		}
		refused, failed := s.refusedNow(o.group)
		missing, lacks := why.MissingDevice(pod, s.groups[o.group])
		switch {
		case o.state != decision.PodLaunching:
		case failed:
			o.state, o.cause = decision.PodHelpless, refused
		case lacks:
			o.state, o.cause = decision.PodHelpless, missing
			o.cause.Message += ", and the next one is on its way"
		case s.Provider.Pretended != nil:
			o.cause.Message = "if this shadow led: " + o.cause.Message
		}
		list = append(list, decision.Pod{Namespace: pod.Namespace, Name: pod.Name, UID: string(pod.UID), Owner: path.Join(nodemeta.Owner(pod)),
			Since: status.PendingSince(pod), State: o.state, Cause: o.cause, Group: o.group, Search: o.search})
	}
	s.fitting = fitting
	return list
}

// unusedTime is how long kube-scheduler may leave a pod without the room that there is for it.
const unusedTime = 10 * time.Minute

// unused says that a pod has had room for too long, and that no node on its way takes it. A nominated pod waits for its node, or for the end of the
// pods that kube-scheduler evicts for it.
func (s *speaker) unused(pod *corev1.Pod, since time.Time) (decision.Reason, bool) {
	if s.facts.at.Sub(since) < unusedTime || pod.Status.NominatedNodeName != "" {
		return decision.Reason{}, false
	}
	need := s.need(pod)
	coming := func(n *why.GroupNode) bool {
		return s.groups[n.Group].Starting > 0 && n.Takes(pod, need, s.groups[n.Group])
	}
	if slices.ContainsFunc(s.awaited(), coming) {
		return decision.Reason{}, false
	}
	return decision.Reason{Code: decision.CodeScheduling,
		Message: "there is room on a node, but the scheduler has not used it for more than " + decision.Span(unusedTime),
		Remedy:  fmt.Sprintf("kubectl -n %s describe pod %s", shellword.Quote(pod.Namespace), shellword.Quote(pod.Name))}, true
}

// refusedNow says why the last launch in a group brought nothing, where another one may bring nothing, either. Nodes of earlier ones may come.
func (s *speaker) refusedNow(group string) (decision.Reason, bool) {
	last := s.failed[group]
	r := last.Reason
	r.Message = fmt.Sprintf("the last launch in group %q failed: %s", group, r.Message)
	lasts := r.Code == decision.CodeDenied || r.Code == decision.CodeConfiguration
	lasts = lasts || last.nothing && (r.Code == decision.CodeNoCapacity || r.Code == decision.CodeAccountLimit)
	if !lasts {
		return r, false
	}
	_, coming := s.late()
	return r, coming[group] == 0
}

// coming returns the first of the groups that grew for a pod whose nodes may come, or the first of all.
func (s *speaker) coming(groups []string) string {
	at := slices.IndexFunc(groups, func(group string) bool {
		_, refused := s.refusedNow(group)
		missing, _ := s.late()
		return !refused && missing[group].Message == ""
	})
	return groups[max(0, at)]
}

// came reports whether no node of the group is on its way any more. The nodes of a shadow never come.
func (s *speaker) came(group string) bool {
	g := s.groups[group]
	if g == nil || g.Starting > 0 || s.lacking[group] || s.Provider.Pretended != nil {
		return g == nil
	}
	missing, _ := s.late()
	return missing[group].Message == ""
}

type speaker struct {
	*cluster
	groups   map[string]*decision.Group
	reasons  map[answer]decision.Reason // those of the scheduler without a group
	next     []*why.GroupNode
	late     func() (missing map[string]decision.Reason, coming map[string]int) // see findLate
	upcoming func() []*why.GroupNode
	awaited  func() []*why.GroupNode // of upcoming, those of groups with nodes that start or are late. Each pod looks at them
	foreign  []decision.Answer
	order    []int // of the groups that answered, by name
	searches []decision.Search
	spare    int           // answers for which searches have a place
	telling  time.Duration // spent on causes
	outcomes map[types.UID]outcome
	toHelp   map[types.UID]bool
}

// maxAnswers bounds the answers of all searches.
const maxAnswers = 60_000

func newSpeaker(k *cluster, groups map[string]*decision.Group) *speaker {
	s := &speaker{cluster: k, groups: groups, reasons: map[answer]decision.Reason{}, outcomes: map[types.UID]outcome{},
		toHelp: map[types.UID]bool{}, spare: maxAnswers}
	for _, pod := range k.facts.toHelp {
		s.toHelp[pod.UID] = true
	}
	s.late = sync.OnceValues(func() (missing map[string]decision.Reason, coming map[string]int) { return k.findLate(groups) })
	s.upcoming = sync.OnceValue(s.nextNodes)
	s.awaited = sync.OnceValue(func() []*why.GroupNode {
		missing, _ := s.late()
		return slices.DeleteFunc(slices.Clone(s.upcoming()), func(n *why.GroupNode) bool {
			_, isLate := missing[n.Group]
			return !isLate && s.groups[n.Group].Starting == 0
		})
	})
	return s
}

// keep keeps a search, and returns its index, -1 without a place for its answers.
func (s *speaker) keep(answers []decision.Answer) int {
	if len(answers) > s.spare {
		return -1
	}
	s.spare -= len(answers)
	s.searches = append(s.searches, decision.Search{At: s.facts.at, Answers: answers})
	return len(s.searches) - 1
}

type answer struct {
	group string
	why   *refusal
}

// unhelped enters the pods that no group helps.
func (s *speaker) unhelped() {
	u := &s.facts.unhelped
	limited := s.facts.status.Result == corestatus.ScaleUpLimitedByMaxNodesTotal
	if u.count > 0 && (!limited || len(u.groups) > 0) {
		s.next, s.order = s.upcoming(), u.byName()
		for _, g := range s.facts.view.Snapshot().Foreign() { // discovered groups of other clusters
			s.foreign = append(s.foreign, decision.Answer{Group: g.Name, Verdict: decision.Skipped, Reason: why.Skipped(why.Refusal{Kind: why.RefusedDegraded}, s.groups[g.Name])})
		}
	}
	for _, k := range u.kinds {
		o := outcome{state: decision.PodHelpless, cause: why.MaxNodesTotal(s.Core.MaxNodesTotal), search: -1}
		if !limited || slices.ContainsFunc(k.answers, func(r *refusal) bool { return r != nil }) {
			o = s.tell(k)
		}
		for _, pod := range k.pods {
			s.outcomes[pod.UID] = o
		}
	}
	s.resize(u.kinds)
}

// resize has the pods that wait for a group at its maximum name a size that is enough for all of them, by their requests.
func (s *speaker) resize(kinds []kind) {
	waiting := map[string][]*corev1.Pod{} // by the remedy, which names the group
	for _, k := range kinds {
		if o := s.outcomes[k.pods[0].UID]; o.cause.Code == decision.CodeMaxSize {
			waiting[o.cause.Remedy] = append(waiting[o.cause.Remedy], k.pods...)
		}
	}
	for _, n := range s.next {
		reached := slices.Clone(s.groups[n.Group].AtMax)
		one := why.Resize(s.groups[n.Group], "max", reached)
		nodes := n.Nodes(waiting[one])
		for at := range reached {
			reached[at].Needs += max(0, nodes-1) * (reached[at].Needs - reached[at].Size)
		}
		for _, pod := range waiting[one] {
			o := s.outcomes[pod.UID]
			o.cause.Remedy = why.Resize(s.groups[n.Group], "max", reached)
			s.outcomes[pod.UID] = o
		}
		delete(waiting, one)
	}
}

// mostTelling bounds the time for the causes of one report. With 1,000 groups a cause takes some 10 ms.
const mostTelling = time.Second

// tell names the cause why equivalent pods wait by all groups and their next nodes, even where the answers have no place. Once that has taken
// mostTelling, a group that was not asked counts as one whose nodes would do.
func (s *speaker) tell(k kind) outcome {
	o := outcome{state: decision.PodHelpless, search: -1}
	if s.telling >= mostTelling {
		o.cause = why.Pod(k.pods[0], s.need(k.pods[0]), s.answers(k, false), s.groups)
		return o
	}
	began := time.Now()
	answers := s.answers(k, true)
	o.cause, o.search = why.Pod(k.pods[0], s.need(k.pods[0]), answers, s.groups, s.next...), s.keep(answers)
	s.telling += time.Since(began)
	return o
}

// answers puts the answers of the groups to equivalent pods into words: all of them, or one of each kind of rejection.
func (s *speaker) answers(k kind, all bool) []decision.Answer {
	var skipped, rejected []decision.Answer
	said := map[*refusal]bool{}
	for _, at := range s.order {
		if at >= len(k.answers) || k.answers[at] == nil {
			continue
		}
		switch a := (answer{s.facts.unhelped.groups[at], k.answers[at]}); {
		case a.why.skipped:
			skipped = append(skipped, decision.Answer{Group: a.group, Verdict: decision.Skipped, Reason: s.reason(a)})
		case all || !said[a.why]:
			said[a.why] = true
			rejected = append(rejected, decision.Answer{Group: a.group, Verdict: decision.Rejected, Reason: ofVolume(k.pods[0], s.reason(a))})
		}
	}
	return slices.Concat(skipped, rejected, s.foreign)
}

// ofVolume is the reason of a pod that selects no nodes itself: a volume does.
func ofVolume(pod *corev1.Pod, r decision.Reason) decision.Reason {
	affinity := pod.Spec.Affinity != nil && pod.Spec.Affinity.NodeAffinity != nil
	if r.Code == decision.CodeNodeSelector && len(pod.Spec.NodeSelector) == 0 && !affinity && pod.Spec.NodeName == "" {
		return why.Scheduling("VolumeZone", nil, "")
	}
	return r
}

// need is the one zone that the pod needs, if any.
func (s *speaker) need(pod *corev1.Pod) (need podzone.Need) {
	if s.Need != nil {
		need, _ = s.Need(pod)
	}
	return need
}

// reason puts an answer into words. All groups share a reason of the scheduler.
func (s *speaker) reason(a answer) decision.Reason {
	scheduler := !a.why.skipped && a.why.plugin != ""
	if scheduler {
		a.group = ""
	}
	r, known := s.reasons[a]
	if known {
		return r
	}
	switch {
	case scheduler && !s.Core.DynamicResourceAllocationEnabled && strings.Contains(a.why.plugin, "DynamicResources"):
		r = why.ClaimsUnread
	case scheduler:
		r = why.Scheduling(a.why.plugin, []string{a.why.reasons}, a.why.detail)
	default:
		r = why.Skipped(a.why.cores, s.groups[a.group])
	}
	s.reasons[a] = r
	return r
}

func (s *speaker) nextNodes() []*why.GroupNode {
	list := make([]*why.GroupNode, 0, len(s.groups))
	for name := range s.groups {
		info := s.facts.nodeInfo(name)
		if s.facts.view.Group(name) == nil {
			info, _ = s.facts.view.DeclaredNodeInfo(name) // of a group that is not served, nil for most
		}
		if info == nil || info.Node() == nil || len(info.Node().Status.Allocatable) == 0 { // a placeholder: nothing is known of the group's nodes
			continue
		}
		n := &why.GroupNode{Group: name, Labels: info.Node().Labels, Taints: info.Node().Spec.Taints, Allocatable: info.Node().Status.Allocatable,
			DaemonSets: corev1.ResourceList{}}
		if t := s.facts.view.Template(name); t != nil {
			n.Kinds = t.Kinds
		}
		for _, pod := range info.Pods() {
			nodemeta.AddRequests(n.DaemonSets, podutil.PodRequests(pod.Pod))
		}
		n.DaemonSets[corev1.ResourcePods] = *resource.NewQuantity(int64(len(info.Pods())), resource.DecimalSI)
		list = append(list, n)
	}
	slices.SortFunc(list, func(a, b *why.GroupNode) int { return strings.Compare(a.Group, b.Group) })
	return list
}

// helped enters the pods that a group was chosen for, or would help.
func (s *speaker) helped() {
	status := s.facts.status
	if len(status.PodsTriggeredScaleUp)+len(status.PodsAwaitEvaluation) == 0 {
		return
	}
	var last *choice
	if count := len(s.facts.choices); count > 0 {
		last = s.facts.choices[count-1]
	}
	searches := map[*choice]func(*corev1.Pod) int{}
	enter := func(pods []*corev1.Pod, o outcome, ch *choice) {
		ch = cmp.Or(ch, last)
		if searches[ch] == nil {
			searches[ch] = s.optionSearches(ch)
		}
		search := searches[ch]
		for _, pod := range pods {
			if _, unhelped := s.outcomes[pod.UID]; !unhelped {
				o.search = search(pod)
				s.outcomes[pod.UID] = o
			}
		}
	}
	for _, r := range s.facts.raises {
		o := outcome{state: decision.PodLaunching, cause: decision.Reason{Code: decision.CodeLaunching, Message: "AWS was asked for a node"}}
		if len(r.infos) > 0 {
			o.group, o.cause.Message = s.coming(r.groups()), "AWS was asked for "+grown(r.infos)
		}
		enter(r.pods, o, r.choice)
	}
	if status.Result == corestatus.ScaleUpError {
		enter(status.PodsTriggeredScaleUp, outcome{state: decision.PodHelpless, cause: s.failedLaunch()}, nil)
	}
	enter(status.PodsAwaitEvaluation, outcome{state: decision.PodDelayed, cause: decision.Reason{Code: decision.CodeNotChosen,
		Message: "nodes for other pods come first, and the next loop looks for this pod again"}}, nil)
}

// failedLaunch is the cause of pods for which a launch was tried in vain.
func (s *speaker) failedLaunch() decision.Reason {
	groups := s.facts.status.FailedResizeNodeGroups
	for _, g := range groups {
		if last := s.failed[g.Id()]; !last.at.Before(s.facts.at) { // or it is another launch's
			r := last.Reason
			r.Message = fmt.Sprintf("a launch in group %q failed: %s", g.Id(), r.Message)
			return r
		}
	}
	r := s.facts.result()
	if len(groups) > 0 {
		r.Message = fmt.Sprintf("a launch in group %q failed: %s", groups[0].Id(), strings.TrimPrefix(r.Message, "a launch failed: "))
	}
	return r
}

// optionSearches returns the searches of pods by the options that they are in. There is none without a choice.
func (s *speaker) optionSearches(ch *choice) func(*corev1.Pod) int {
	if ch == nil {
		return func(*corev1.Pod) int { return -1 }
	}
	member := map[*corev1.Pod]string{} // the indexes of its options, a character each
	for i, o := range ch.options {
		for _, pod := range o.pods {
			member[pod] += string(rune(i))
		}
	}
	known := map[string]int{}
	return func(pod *corev1.Pod) int {
		in, found := member[pod]
		if !found {
			return -1
		}
		if _, made := known[in]; !made {
			known[in] = s.keep(s.optionAnswers(ch, in))
		}
		return known[in]
	}
}

// optionAnswers are the answers of the groups whose options have the indexes.
func (s *speaker) optionAnswers(ch *choice, in string) (list []decision.Answer) {
	for _, i := range in {
		o := ch.options[i]
		a := decision.Answer{Group: o.group, Verdict: decision.Fits, Nodes: o.nodes, Pods: o.count, Expander: ch.words(o.group)}
		switch {
		case i == 0 && ch.chosen:
			a.Verdict, a.Reason = decision.Chosen, decision.Reason{Code: decision.CodeLaunching, Message: "the expander chose it"}
			a.Expander = cmp.Or(a.Expander, ch.said)
		case ch.chosen:
			a.Reason = decision.Reason{Code: decision.CodeNotChosen, Message: fmt.Sprintf("the expander chose group %q", ch.options[0].group)}
		default:
			a.Reason = decision.Reason{Code: decision.CodeNotChosen, Message: "the expander took no group"}
		}
		list = append(list, a)
	}
	return list
}

// other is the outcome of a pod that the core's scale-up has not seen or has said nothing about.
func (s *speaker) other(pod *corev1.Pod) outcome {
	is := func(state decision.PodState, code decision.Code, remedy, format string, args ...any) outcome {
		return outcome{state: state, search: -1, cause: decision.Reason{Code: code, Message: fmt.Sprintf(format, args...), Remedy: remedy}}
	}
	cutoff, delay := s.Core.ExpendablePodsPriorityCutoff, loop.DelayOf(pod, s.Core.NewPodScaleUpDelay)
	groups := slices.DeleteFunc(slices.Clone(s.facts.asked[pod.UID]), s.came)
	request := podlist.RequestOf(pod)
	held := slices.ContainsFunc(s.facts.waitForRoom, func(p *corev1.Pod) bool { return p.UID == pod.UID })
	switch {
	case !s.facts.listed:
		return outcome{state: decision.PodDelayed, search: -1, cause: s.facts.result()}
	case len(s.Core.AllowedSchedulers) > 0 && !s.Core.AllowedSchedulers[pod.Spec.SchedulerName]:
		return is(decision.PodIgnored, decision.CodeOther, "add its scheduler to --allowed-scheduler-names",
			"its scheduler %q is not in --allowed-scheduler-names, and no node is launched for such pods", pod.Spec.SchedulerName)
	case coreutils.IsExpendablePod(pod, cutoff):
		return is(decision.PodIgnored, decision.CodePriority, fmt.Sprintf("give it a priority class with a value of %d or more", cutoff),
			"its priority of %d is below --expendable-pods-priority-cutoff=%d, and no node is launched for such pods", *pod.Spec.Priority, cutoff)
	case (s.toHelp[pod.UID] || held) && delay > 0 && s.facts.at.Sub(pod.CreationTimestamp.Time) <= delay:
		return is(decision.PodDelayed, decision.CodeDelay, "", "it is younger than the %s that pods wait for a scale-up (--new-pod-scale-up-delay, or its own annotation)",
			decision.Span(delay))
	case s.toHelp[pod.UID] && s.facts.status != nil && s.facts.status.Result == corestatus.ScaleUpError:
		return is(decision.PodDelayed, decision.CodeDelay, "", "a launch for other pods failed, and the next loop looks for this pod again")
	case s.toHelp[pod.UID]:
		return is(decision.PodDelayed, decision.CodeDelay, "", "the next loop looks for this pod")
	case held:
		return is(decision.PodDelayed, decision.CodeDelay, "", "it fits once a pod that is ending has gone. A node is launched for it if it is still pending when it is %s old",
			decision.Span(podlist.Patience(pod)))
	case request != "" && s.Core.ProvisioningRequestEnabled: // the core leaves such pods out
		look := fmt.Sprintf("kubectl -n %s describe provisioningrequest %s", shellword.Quote(pod.Namespace), shellword.Quote(request))
		return is(decision.PodIgnored, decision.CodeOther, look,
			"it consumes ProvisioningRequest %q, and such pods cause no scale-up of their own", request)
	case podutil.IsDaemonSetPod(pod):
		return is(decision.PodIgnored, decision.CodeScheduling, "", "it is a pod of a DaemonSet, which waits for room on its own node")
	case len(groups) > 0:
		group := s.coming(groups)
		o := is(decision.PodLaunching, decision.CodeLaunching, "", "a node of group %q that was asked for is on its way", group)
		o.group = group
		return o
	case pod.Status.NominatedNodeName != "":
		return is(decision.PodFits, decision.CodeFits, "", "the scheduler has nominated node %s for it, and has not placed it there yet",
			pod.Status.NominatedNodeName)
	}
	return is(decision.PodFits, decision.CodeFits, "", "it fits on a node that is there or on its way, and the scheduler has not placed it yet")
}

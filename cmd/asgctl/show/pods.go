package show

import (
	"cmp"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	podutil "k8s.io/kubernetes/pkg/api/v1/pod"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision/why"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/shellword"
)

// Source says who decided.
type Source string

const (
	Running Source = "running" // the autoscaler of the cluster
	DryRun  Source = "dry-run" // loops of this program, which change nothing
	Replay  Source = "replay"  // the same over a recording
)

type Pods struct {
	Version  string            `json:"version"`
	Source   Source            `json:"source"`
	At       time.Time         `json:"at"`
	Reading  decision.Reading  `json:"reading"`
	Pods     []decision.Pod    `json:"pods"`
	PodsLeft int               `json:"podsLeftOut,omitempty"` // pending ones of the cluster for which the report had no room
	Searches []decision.Search `json:"searches"`              // in which the pods were
	Problems []decision.Reason `json:"problems,omitempty"`    // of the groups, where none of several pods waits

	Given   string    `json:"-"` // flags behind "asgctl explain", which the next question needs, too
	began   time.Time // of the last loop
	subject string    // such as "Deployment/web", "" for one pod
}

// PodsOf explains the pods of a report that match. The subject names all of them, such as "Deployment/web", and is "" for one pod.
func PodsOf(r *decision.Report, source Source, subject string, match func(*decision.Pod) bool) *Pods {
	p := &Pods{Version: Version, Source: source, At: r.At, Reading: r.Reading, Pods: []decision.Pod{}, PodsLeft: r.PodsLeft,
		Searches: []decision.Search{}, began: r.Loop.Started, subject: subject}
	places := map[int]int{} // of the searches in p, by their places in r
	for _, pod := range r.Pods {
		if !match(&pod) {
			continue
		}
		place, carried := places[pod.Search]
		switch known := pod.Search >= 0 && pod.Search < len(r.Searches); {
		case !known:
			place = -1
		case !carried:
			place = len(p.Searches)
			p.Searches, places[pod.Search] = append(p.Searches, r.Searches[pod.Search]), place
		}
		pod.Search = place
		p.Pods = append(p.Pods, pod)
	}
	for _, g := range r.Groups {
		for _, problem := range g.Problems {
			if subject != "" && len(p.Pods) == 0 && !slices.Contains(p.Problems, problem) { // one may concern all groups
				p.Problems = append(p.Problems, problem)
			}
		}
	}
	return p
}

// Unlisted explains a pod that the report does not have. The autoscaler lists the pods alone for which a scheduler has found no node. The
// cause has the code CodeScheduling if the scheduler should have judged the pod by now.
func (p *Pods) Unlisted(pod *corev1.Pod) decision.Pod {
	d := decision.Pod{Namespace: pod.Namespace, Name: pod.Name, UID: string(pod.UID), Owner: path.Join(nodemeta.Owner(pod)),
		Since: pod.CreationTimestamp.Time, Search: -1, State: decision.PodDelayed,
		Cause: decision.Reason{Code: decision.CodeDelay, Message: "the autoscaler does not count the pod among those that wait for a node"}}
	scheduler := cmp.Or(pod.Spec.SchedulerName, corev1.DefaultSchedulerName)
	_, verdict := podutil.GetPodCondition(&pod.Status, corev1.PodScheduled)
	verdict = cmp.Or(verdict, &corev1.PodCondition{})
	switch {
	case pod.Spec.NodeName != "":
		d.State, d.Cause = decision.PodFits, decision.Reason{Code: decision.CodeFits, Message: "it has a node: " + pod.Spec.NodeName}
	case pod.DeletionTimestamp != nil || podutil.IsPodTerminal(pod):
		d.State, d.Cause = decision.PodIgnored, decision.Reason{Code: decision.CodeIgnored, Message: "it has ended or is being deleted"}
	case len(pod.Spec.SchedulingGates) > 0:
		d.Cause.Message = fmt.Sprintf("scheduling gate %s holds it back, the scheduler does not look for a node yet", pod.Spec.SchedulingGates[0].Name)
	case !p.began.IsZero() && !pod.CreationTimestamp.Time.Before(p.began.Truncate(time.Second)):
		d.Cause.Message = "it is newer than the last loop, which began at " + why.Clock(p.began) + ": ask again"
	case verdict.Reason == "" || verdict.Reason == corev1.PodReasonSchedulingGated: // the gates are gone by now
		d.Cause = decision.Reason{Code: decision.CodeScheduling, Message: fmt.Sprintf("its scheduler %q has not looked at it yet", scheduler),
			Remedy: "if that lasts, see whether a scheduler of that name runs"}
		if scheduler == corev1.DefaultSchedulerName {
			d.Cause.Remedy = "if that lasts, see when kube-scheduler last renewed its lease: kubectl -n kube-system get lease kube-scheduler -o yaml"
		}
	case verdict.Reason != corev1.PodReasonUnschedulable:
		d.Cause = decision.Reason{Code: decision.CodeScheduling,
			Message: fmt.Sprintf("its scheduler %q has not placed it (%s): %s", scheduler, verdict.Reason, verdict.Message),
			Remedy:  fmt.Sprintf("kubectl -n %s get events --field-selector reason=FailedScheduling", shellword.Quote(pod.Namespace))}
	case p.PodsLeft > 0:
		d.Cause.Message = p.None("such pod")
	}
	return d
}

// owners are the kinds by their short names for kubectl, in lower case.
var owners = map[string]string{"deploy": "Deployment", "rs": "ReplicaSet", "sts": "StatefulSet", "ds": "DaemonSet", "deployment": "Deployment",
	"replicaset": "ReplicaSet", "statefulset": "StatefulSet", "daemonset": "DaemonSet", "job": "Job", "cronjob": "CronJob",
	"rc": "ReplicationController"}

// Owner is a report's name for an owner. kubectl takes the plural of a kind, too, and prints a kind with its API group.
func Owner(kind, name string) string {
	kind, api, _ := strings.Cut(kind, ".")
	lower := strings.ToLower(kind)
	for _, short := range []string{lower, strings.TrimSuffix(lower, "s")} {
		if long := owners[short]; long != "" && (api == "" || api == "apps" || api == "batch") {
			return long + "/" + name
		}
	}
	return kind + "/" + name
}

// scheduled is what Kubernetes puts behind the name of a CronJob for a Job of it: the minutes since 1970.
var scheduled = regexp.MustCompile(`^-[0-9]{8}$`)

// longestBase is the length to which Kubernetes cuts the names that it completes with five random characters.
const longestBase = 58

// OwnedBy reports whether the owner has the pod. In the place of a ReplicaSet and a CronJob a report names their Deployment (or Argo's Rollout) and
// their Job, so that these two are known by the names of their pods and Jobs.
func OwnedBy(owner string, pod *decision.Pod) bool {
	kind, name, _ := strings.Cut(owner, "/")
	switch last := strings.LastIndexByte(name, '-'); {
	case strings.EqualFold(pod.Owner, owner), strings.EqualFold(pod.Owner, strings.TrimSuffix(kind, "s")+"/"+name):
		return true
	case kind == "ReplicaSet" && last > 0:
		base := name + "-"
		return (pod.Owner == "Deployment/"+name[:last] || pod.Owner == "Rollout/"+name[:last]) &&
			strings.HasPrefix(pod.Name, base[:min(len(base), longestBase)])
	case kind == "CronJob":
		suffix, of := strings.CutPrefix(pod.Owner, "Job/"+name)
		return of && scheduled.MatchString(suffix)
	}
	return false
}

// Unserved counts the pods that get no node: none was asked for, and they fit on none that is there or on its way.
func (p *Pods) Unserved() (n int) {
	for _, pod := range p.Pods {
		if unserved(pod.State) {
			n++
		}
	}
	return n
}

// Incomplete reports whether pods of the subject may be among those for which the report had no room.
func (p *Pods) Incomplete() bool { return p.PodsLeft > 0 && p.subject != "" }

// None says that nothing of the report matched, such as "pod shop/web-0".
func (p *Pods) None(of string) string {
	if p.PodsLeft == 0 {
		return "the autoscaler counts no " + of + " among those that wait for a node"
	}
	return fmt.Sprintf("no %s is in the report, but %s had no room in it, and one of them may be meant", of,
		why.Count(p.PodsLeft, "more pending pod"))
}

func unserved(state decision.PodState) bool {
	return state != decision.PodLaunching && state != decision.PodFits
}

// Text is the answer for a person. Its first line is the cause, after one about facts that are old.
func (p *Pods) Text() string {
	text := stale(p.Reading, p.At)
	switch {
	case p.subject == "":
		return text + p.one(&p.Pods[0])
	case len(p.Pods) == 0:
		text += p.None("pod of " + Clean(p.subject))
		if p.Source == Running && !p.began.IsZero() {
			text += ", as of the loop of " + why.Clock(p.began)
		}
		text += "\n"
		for _, problem := range p.Problems {
			text += "\n" + Clean(problem.Message) + "\n" + next(p.then(problem))
		}
		return text
	}
	return text + p.grouped()
}

// stale says that the facts are old, why, and what helps, or "".
func stale(r decision.Reading, now time.Time) string {
	reason, old := r.Stale(now)
	if !old {
		return ""
	}
	return Clean(reason.Message) + "\n" + next(reason) + "\n"
}

// one is the answer about one pod, with the groups.
func (p *Pods) one(pod *decision.Pod) string {
	text := Clean(pod.Cause.Message) + "\n\n" +
		"Pod " + Clean(pod.Namespace+"/"+pod.Name) + with(" of ", pod.Owner) + ", state " + string(pod.State) + with(" in ", pod.Group) + since(pod.Since, p.At) + ".\n"
	if pod.Search >= 0 {
		text += "\n" + answers(p.Searches[pod.Search].Answers, pod.Cause.Message)
	}
	return text + next(p.then(pod.Cause))
}

// then is the reason with the next step that holds if the facts are old.
func (p *Pods) then(cause decision.Reason) decision.Reason {
	cause.Remedy = p.Reading.Then(cause.Remedy, p.At)
	return cause
}

// with puts a word before a text from outside. It returns nothing where there is no text.
func with(word, text string) string {
	if text == "" {
		return ""
	}
	return word + Clean(text)
}

// since says for how long something is so. A zero time is not known.
func since(start, now time.Time) string { return with(" for ", age(start, now)) }

// maxGroups bounds the groups that one row names.
const maxGroups = 2

// answers is a table of the groups in their order. Groups that do not help for the same reason share the row of the first of them. The first line
// above it has said why the pod waits.
func answers(list []decision.Answer, said string) string {
	type key struct {
		verdict decision.Verdict
		reason  decision.Reason
	}
	var rows, groups [][]string
	shared := map[key]int{}
	for _, a := range list {
		k := key{a.Verdict, a.Reason}
		if at, known := shared[k]; known {
			groups[at] = append(groups[at], a.Group)
			continue
		}
		if a.Verdict == decision.Rejected || a.Verdict == decision.Skipped {
			shared[k] = len(rows)
		}
		if a.Reason.Message == said {
			a.Reason.Message = "as said above"
		}
		groups = append(groups, []string{a.Group})
		rows = append(rows, []string{"", string(a.Verdict), a.Reason.Message, Count(a.Nodes), Count(a.Pods), a.Expander})
	}
	for at := range rows {
		rows[at][0] = some(groups[at], maxGroups, ", ", " and ")
	}
	return Columns([]string{"GROUP", "VERDICT", "WHY", "NODES", "PODS", "EXPANDER"}, rows)
}

// grouped is the answer about several pods, grouped by cause. Pods that get no node come first, then the more numerous ones.
func (p *Pods) grouped() string {
	type key struct {
		state  decision.PodState
		reason decision.Reason
	}
	var causes []*decision.Pod // the first of each
	pods := map[key]int{}
	for i := range p.Pods {
		k := key{p.Pods[i].State, p.Pods[i].Cause}
		if pods[k]++; pods[k] == 1 {
			causes = append(causes, &p.Pods[i])
		}
	}
	rank := map[bool]int{true: -1}
	slices.SortStableFunc(causes, func(a, b *decision.Pod) int {
		return cmp.Or(rank[unserved(a.State)]-rank[unserved(b.State)], pods[key{b.State, b.Cause}]-pods[key{a.State, a.Cause}])
	})
	text := Clean(causes[0].Cause.Message) + "\n\n" +
		fmt.Sprintf("Waiting pods of %s: %d. Without a node: %d.\n", Clean(p.subject), len(p.Pods), p.Unserved())
	if p.PodsLeft > 0 {
		text += fmt.Sprintf("Pending pods of the cluster for which the report had no room: %d.\n", p.PodsLeft)
	}
	var rows [][]string
	var reasons []decision.Reason
	for _, c := range causes {
		rows = append(rows, []string{fmt.Sprint(pods[key{c.State, c.Cause}]), string(c.State), c.Namespace + "/" + c.Name, c.Cause.Message})
		reasons = append(reasons, p.then(c.Cause))
	}
	if len(causes) > 1 {
		text += "\n" + Columns([]string{"PODS", "STATE", "FIRST", "CAUSE"}, rows)
	}
	if c := causes[0]; unserved(c.State) && p.Source != Replay {
		reasons = append(reasons, decision.Reason{Remedy: fmt.Sprintf("asgctl explain pod -n %s %s%s", c.Namespace, c.Name, p.Given)})
	}
	return text + next(reasons...)
}

// next is what to do next, once for each remedy.
func next(reasons ...decision.Reason) string {
	var remedies []string
	for _, r := range reasons {
		if r.Remedy != "" && !slices.Contains(remedies, r.Remedy) {
			remedies = append(remedies, r.Remedy)
		}
	}
	if len(remedies) == 0 {
		return ""
	}
	text := "\nNext:\n"
	for _, remedy := range remedies {
		text += "  " + Lines(remedy, "  ") + "\n"
	}
	return text
}

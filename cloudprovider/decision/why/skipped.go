package why

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient/awsmessage"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
)

// Refusal says why a group is left out of a scale-up: in the core's kinds, or in ours. It is comparable.
type Refusal struct {
	Kind  RefusalKind
	Class string    // of the failure that a cool-down follows
	Until time.Time // the end of the first pool's cool-down, the zero time where it is not known
	Text  string    // in the core's own words: of a quota or of something that has no kind
	Cap   decision.SpendCap
}

type RefusalKind string

// The kinds, with what the core says of each in an event of a waiting pod.
const (
	RefusedUnread       RefusalKind = "unread for minutes (see the event ReadingTooOld)"
	RefusedPaused       RefusalKind = "paused by its tag"
	RefusedDegraded     RefusalKind = "unable to launch (see the event NodeGroupProblem)"
	RefusedCoolDown     RefusalKind = "in cool-down"
	RefusedFull         RefusalKind = "max node group size reached"
	RefusedQuota        RefusalKind = "exceeded quota"
	RefusedSpendCap     RefusalKind = "at a spend cap"
	RefusedBackoff      RefusalKind = "in backoff"
	RefusedNotReady     RefusalKind = "not ready for scale-up"
	RefusedAtomic       RefusalKind = "atomic scale-up"
	RefusedAllOrNothing RefusalKind = "all-or-nothing"
	RefusedNotChosen    RefusalKind = "expansion options filtered out"
)

func (r Refusal) Reasons() []string {
	text := cmp.Or(r.Text, string(r.Kind))
	if detail := cmp.Or(r.Cap.Of, r.Class); detail != "" && r.Text == "" {
		text += " (" + detail + ")"
	}
	return []string{text}
}

// Skipped says why a group cannot grow now. A nil group is one about which nothing is known.
func Skipped(r Refusal, group *decision.Group) decision.Reason {
	g := cmp.Or(group, &decision.Group{})
	name := "group " + quote(g.Name)
	degraded := g.State == decision.GroupDegraded && g.Reason.Code != decision.CodeAccelerator
	passes := r.Kind == RefusedCoolDown || r.Kind == RefusedBackoff || r.Kind == RefusedNotReady && !degraded // which grows by the copy of a node
	switch {
	case g.Paused != nil && g.Paused.ScaleUp && r.Kind != RefusedUnread:
		return g.Paused.Reason
	case passes && degraded:
		return blocked(g)
	case passes && g.State != "" && g.State != decision.GroupReady && g.Reason.Message != "":
		return g.Reason // what the autoscaler weighed, lasting causes first
	}
	switch r.Kind {
	case RefusedCoolDown:
		return coolDown(r, g)
	case RefusedFull:
		return decision.Reason{Code: decision.CodeMaxSize, Message: atLimit(g, "maximum", g.Max, g.AtMax), Remedy: Resize(g, "max", g.AtMax)}
	case RefusedPaused:
		return Paused(g, decision.Pause{ScaleUp: true}, "", "").Reason // by a pause that has ended meanwhile
	case RefusedQuota:
		return quota(r.Text, g)
	case RefusedSpendCap:
		return spendCap(r.Cap, g)
	case RefusedBackoff:
		return decision.Reason{Code: decision.CodeBackoff, Message: name + " cannot grow for a while after a failed scale-up",
			Passes: true, Remedy: "wait, or look for the failure: asgctl top"}
	case RefusedDegraded:
		return blocked(g)
	case RefusedUnread:
		return decision.Reason{Code: decision.CodeStale, Message: "the groups have not been read for minutes, so that no group may grow",
			Remedy: "check the endpoint, the credentials and the permission autoscaling:DescribeAutoScalingGroups: asgctl account"}
	case RefusedNotReady:
		return decision.Reason{Code: decision.CodeNotReady, Message: fmt.Sprintf("%s has too many nodes that are not ready: only %d of %d are ready", name, g.Ready, g.Desired),
			Remedy: "kubectl get nodes"}
	case RefusedAtomic:
		return decision.Reason{Code: decision.CodeMaxNodesTotal, Message: name + " grows to its maximum at once, and that is more than --max-nodes-total allows",
			Remedy: "raise --max-nodes-total"}
	case RefusedAllOrNothing:
		return decision.Reason{Code: decision.CodeAllOrNothing, Message: name + " has no room for all pods of the request at once"}
	case RefusedNotChosen:
		return decision.Reason{Code: decision.CodeNotChosen, Message: "the expander took no group", Remedy: "look at --expander and its settings"}
	}
	said := decision.Reason{Code: decision.CodeOther, Message: clean(r.Text, maxText)}
	if g.Name != "" {
		said.Message = name + ": " + said.Message
	}
	return said
}

// Unread says why the groups could not be read, by the Cache's reason and AWS's own words.
func Unread(reason, text string) decision.Reason {
	const call = "DescribeAutoScalingGroups"
	r := decision.Reason{Code: decision.CodeStale, Message: fmt.Sprintf("%s fails (%s)", call, clean(text, maxText)), Remedy: "asgctl account"}
	switch reason {
	case "denied":
		short, said, _ := strings.Cut(text, ": ")
		r.Message = fmt.Sprintf("AWS denies %s (%s)", call, clean(short, maxText))
		r.Remedy = "allow autoscaling:" + call + " in the autoscaler's IAM policy, or correct its credentials, and look: asgctl account" +
			says(said)
	case "unauthenticated":
		r.Message = fmt.Sprintf("the autoscaler has no valid credentials for AWS (%s)", clean(text, maxText))
		r.Remedy = "check the role of its ServiceAccount, and that its pod reaches STS, EKS Pod Identity or the instance metadata"
	case "throttled":
		r.Message, r.Remedy = "AWS throttles "+call, otherCallers("after --asg-refresh-interval", call)
	case "timeout", "unreachable":
		r.Message, r.Remedy = fmt.Sprintf("AWS does not answer %s (%s)", call, reason), "check the region, the endpoint and the network: asgctl account"
	}
	return r
}

// says is a further line of a step with AWS's own words about a denial: the caller, the action and the resource.
func says(words string) string {
	if words = clean(awsmessage.Readable(words), maxMessage); words == "" {
		return ""
	}
	return "\nAWS says: " + words
}

// MaxNodesTotal is the reason of all pods while the cluster has the nodes that --max-nodes-total allows.
func MaxNodesTotal(limit int) decision.Reason {
	return decision.Reason{Code: decision.CodeMaxNodesTotal,
		Message: fmt.Sprintf("the cluster has its maximum of %s (--max-nodes-total=%d)", Count(limit, "node"), limit),
		Remedy:  fmt.Sprintf("raise --max-nodes-total=%d", limit)}
}

// coresCode is the core's code of a call that failed, whatever AWS's is (errors.CloudProviderError).
const coresCode = "cloudProviderError"

// Backoff is the reason of a group that the core leaves alone until a moment, zero for an unknown one, because of a failure with AWS's
// code and message.
func Backoff(group *decision.Group, until time.Time, code, message string) decision.Reason {
	attempt := Attempt{Group: group}
	if called := operation.FindStringSubmatch(message); called != nil {
		attempt.Call = called[1]
	}
	if _, said, ok := strings.Cut(message, "api error "); ok { // what stands before changes each time, such as the call's number
		message = said
	}
	m := awsmessage.Of(strings.TrimPrefix(code, coresCode), message)
	cause := CoolDown(string(m.Class), message, attempt)
	if cause.Code != decision.CodeDenied {
		cause.Code = decision.CodeBackoff
	}
	cause.Message = fmt.Sprintf("group %s cannot grow now: %s%s", quote(group.Name), cause.Message, nextTry(cause.Code, time.Time{}, until))
	return withOtherDenials(cause, group)
}

// withOtherDenials adds the steps about other calls that AWS denies for the group. The mended one would lead to them.
func withOtherDenials(r decision.Reason, g *decision.Group) decision.Reason {
	for _, p := range g.Problems {
		if step, _, _ := strings.Cut(p.Remedy, "\n"); !strings.Contains(r.Remedy, step) && r.Code == decision.CodeDenied && p.Code == decision.CodeDenied {
			r.Remedy += "\nthen also " + step
		}
	}
	return r
}

// operation is the call in an error of the SDK.
var operation = regexp.MustCompile(`operation error [\w ]{1,40}: (\w{1,60}),`)

// blocked is the reason of a group that can launch nothing until somebody mends it.
func blocked(g *decision.Group) decision.Reason {
	cause := g.Reason
	if cause.Message == "" && len(g.Problems) > 0 {
		cause = g.Problems[0]
	}
	r := decision.Reason{Code: decision.CodeDegraded, Message: fmt.Sprintf("group %s can launch nothing", quote(g.Name)),
		Remedy: cmp.Or(cause.Remedy, "asgctl template "+shell(autoScaling(g)))}
	if cause.Code == decision.CodeOtherCluster || cause.Code == decision.CodeDenied {
		r.Code = cause.Code
	}
	if text := plain(cause.Message, g); strings.HasPrefix(text, "it is ") {
		r.Message = fmt.Sprintf("group %s %s", quote(g.Name), clean(strings.TrimPrefix(text, "it "), 2*maxText+len("is ")))
	} else if text != "" {
		r.Message = clean(r.Message+": "+text, maxMessage)
	}
	return r
}

// plain is the message of a problem without the name of its group, which stands in front of the problem.
func plain(message string, g *decision.Group) string {
	return strings.TrimPrefix(message, fmt.Sprintf("Auto Scaling group %q: ", autoScaling(g)))
}

// refusals say what the class of a failed launch means, and what helps. The classes are awsmessage's.
var refusals = map[string]struct {
	code         decision.Code
	says, remedy string
}{
	"no-capacity":  {decision.CodeCoolDown, "AWS has no capacity", "wait, or add instance types or zones to the group"},
	"quota":        {decision.CodeAccountLimit, "the AWS account has no more of its quota", ""},
	"spot-limit":   {decision.CodeAccountLimit, "the AWS account has all spot instances that it may have", ""},
	"config-error": {decision.CodeConfiguration, "AWS refuses what the group would launch", "correct the group's launch template"},
	"permission":   {decision.CodeDenied, "AWS denied a launch", "asgctl account"},
	"throttle":     {decision.CodeCoolDown, "AWS throttles the calls", "wait"},
	"transient":    {decision.CodeCoolDown, "AWS failed or did not answer", "wait"},
	"cancelled":    {decision.CodeCoolDown, "somebody cancelled the launch", "wait"},
	"zonal-shift":  {decision.CodeCoolDown, "a zonal shift keeps it out of its zones", "wait, or end the shift: aws arc-zonal-shift list-zonal-shifts"},
}

// CoolDown is the reason of a cool-down, by the class of the failure and AWS's own text, without its boilerplate.
func CoolDown(class, message string, attempt Attempt) decision.Reason {
	known, ok := refusals[class]
	if !ok {
		known.code, known.says, known.remedy = decision.CodeCoolDown, "a launch failed"+inBrackets(clean(class, maxName)), "wait"
	}
	r, done := attempt.refined(awsmessage.Class(class), decision.Reason{Code: known.code, Message: known.says, Remedy: known.remedy,
		Passes: known.code == decision.CodeCoolDown}, message)
	if !done && message != "" {
		r.Message += ": " + clean(awsmessage.Sentence(message), 2*maxText)
	}
	if attempt.Group != nil && class == string(awsmessage.NoCapacity) && r.Remedy == known.remedy {
		r.Remedy += "\n" + addSubnet("a subnet of another zone", attempt.Group)
	}
	return r
}

// coolDown is the reason of a group all of whose pools cool down: the most lasting of the causes. Some are other groups' shortages.
func coolDown(r Refusal, g *decision.Group) decision.Reason {
	var first decision.CoolDown
	if len(g.CoolDowns) > 0 {
		first = slices.MinFunc(g.CoolDowns, func(a, b decision.CoolDown) int {
			return cmp.Or(byUrgency(a.Cause, b.Cause), a.Until.Compare(b.Until))
		})
	}
	cause := first.Cause
	if cause.Message == "" {
		cause = CoolDown(r.Class, "", Attempt{Group: g})
	}
	cause.Message = fmt.Sprintf("group %s cannot grow now: %s%s", quote(g.Name), clean(cause.Message, maxMessage),
		nextTry(cause.Code, first.Since, cmp.Or(r.Until, first.Until)))
	return withOtherDenials(cause, g)
}

// nextTry says when a group is tried again after a failure. The zero time is a moment that is not known.
func nextTry(code decision.Code, failed, at time.Time) string {
	switch {
	case at.IsZero():
		return ""
	case failed.IsZero(), code == decision.CodeCoolDown:
		return fmt.Sprintf(" (next try at %s)", Clock(at))
	case code == decision.CodeConfiguration:
		return fmt.Sprintf(" (failed at %s, next try at %s, or when its launch template changes)", Clock(failed), Clock(at))
	}
	return fmt.Sprintf(" (failed at %s, next try at %s, even if it is mended before)", Clock(failed), Clock(at))
}

// exceeded is the core's text about one quota (core/scaleup/orchestrator/skippedreasons.go).
var exceeded = regexp.MustCompile(`exceeded quota: ("(?:[^"\\]|\\.)*"), resources: (.*?)(?:, exceeded quota|$)`)

// clusterWide is the name of the quota of the flags, and limits are the flags by resource.
const clusterWide = "cluster-wide"

var limits = map[string]string{"cpu": "--cores-total", "memory": "--memory-total", "nodes": "--max-nodes-total"}

// quota is the reason of a group whose next node exceeds a limit of the cluster.
func quota(text string, g *decision.Group) decision.Reason {
	r := decision.Reason{Code: decision.CodeQuota, Message: fmt.Sprintf("another node of group %s would exceed ", quote(g.Name))}
	found := exceeded.FindStringSubmatch(text)
	if found == nil {
		r.Message += "a limit of the cluster"
		return r
	}
	id, resources := strings.Trim(found[1], `"`), clean(found[2], maxName)
	if id != clusterWide {
		name := strings.TrimPrefix(id, "CapacityQuota/")
		r.Message += fmt.Sprintf("the CapacityQuota %s (%s)", quote(name), resources)
		r.Remedy = "raise its limit: kubectl edit capacityquota " + shell(name)
		return r
	}
	var flags []string
	for _, name := range strings.Split(resources, ", ") {
		flags = append(flags, cmp.Or(limits[name], "--gpu-total"))
	}
	all := enumerate(slices.Compact(flags))
	r.Message += fmt.Sprintf("the cluster's limit of %s (%s)", resources, all)
	r.Remedy = "raise " + all
	return r
}

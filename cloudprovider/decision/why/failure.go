package why

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient/awsmessage"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/shellword"
)

// Attempt is what failed. Fields that are not known are empty.
type Attempt struct {
	Group        *decision.Group
	InstanceType string
	Call         string // of AWS, such as SetDesiredCapacity
}

// refined replaces the words and the next step of a class where AWS's text says more.
func (a Attempt) refined(class awsmessage.Class, r decision.Reason, message string) (decision.Reason, bool) {
	m := awsmessage.Of("", message)
	group := "the group"
	if a.Group != nil {
		group = "group " + clean(autoScaling(a.Group), maxName)
	}
	lasts := func(message, remedy string) decision.Reason {
		return decision.Reason{Code: r.Code, Message: message, Remedy: remedy}
	}
	switch {
	case m.Action != "" && r.Code == decision.CodeDenied:
		action := clean(m.Action, maxName)
		r.Message, r.Remedy = "AWS denied "+action, allow(action, message)
	case awsmessage.LacksAddresses(m.Code, message):
		subnet := "a subnet of " + group
		if id := subnetID.FindString(message); id != "" {
			subnet = "subnet " + id
		}
		return lasts(subnet+" has no free IP addresses", "free addresses in it, or "+addSubnet("another subnet", a.Group)), true
	case strings.HasSuffix(m.Code, "InvalidKMSKey.InvalidState"):
		return lasts("the KMS key of the volumes is in an incorrect state", "enable it, or use another key in the launch template"), true
	case strings.Contains(message, "Launch process of the AutoScalingGroup is suspended") && a.Group != nil:
		return lasts("the Launch process of "+group+" is suspended", shellword.ResumeProcess(clean(autoScaling(a.Group), maxGroup), "Launch")), true
	case awsmessage.AbandonedByHook(message):
		_, how, _ := strings.Cut(message, "was abandoned: ")
		remedy := "have the hook's action completed with CONTINUE, or delete the hook"
		if a.Group != nil {
			remedy += ": aws autoscaling describe-lifecycle-hooks --auto-scaling-group-name " + shell(autoScaling(a.Group))
		}
		return lasts(strings.TrimSuffix("a lifecycle hook of "+group+" abandoned the launched instance: "+clean(how, maxName), ": "), remedy), true
	case strings.Contains(message, "Spot request price"):
		return lasts("the maximum spot price of "+group+" is below the market's",
			"raise that price in the group's policy or launch template, or take it out: the limit is the on-demand price then"), false
	case m.InstanceType != "" && m.Zone != "" && class == awsmessage.NoCapacity:
		r.Message += fmt.Sprintf(" for %s in zone %s", clean(m.InstanceType, maxName), clean(m.Zone, maxName))
	case class == awsmessage.Throttle && a.Call != "":
		r.Message, r.Remedy = "AWS throttles "+a.Call, otherCallers("by itself", a.Call)
	default:
		if r.Code == decision.CodeAccountLimit {
			r.Remedy = a.raise(class == awsmessage.SpotLimit, message)
		}
		return r, false
	}
	return r, true
}

var (
	subnetID = regexp.MustCompile(`\bsubnet-[0-9a-f]{1,32}\b`)
	vcpuSize = regexp.MustCompile(`current vCPU limit of (\d{1,7})\b`)
	family   = regexp.MustCompile(`^([a-z]+)\d`)
	target   = regexp.MustCompile(`on resource: (arn:[\w:/*.+=,@-]+)(?:\s|$)`)
	oneGroup = regexp.MustCompile(`^(arn:.*:autoScalingGroup:).+(:autoScalingGroupName/).+`) // others are refused next
	refuser  = regexp.MustCompile(`with an explicit deny in (an? [a-z -]{1,60}?(?:policy|boundary))`)
	lacking  = regexp.MustCompile(`because no ([a-z -]{1,60}?(?:policy|boundary)) allows`)
	caller   = regexp.MustCompile(`arn:[\w-]+:(?:sts|iam)::\d*:` +
		`(?:assumed-(role)/([\w+=,.@-]{1,64})|(role|user)/(?:[\w+=,.@-]+/)*([\w+=,.@-]{1,64}) is not)`)
)

// allow is the next step about a denied action: the statement to add, or the one to remove, and whose it is.
func allow(action, message string) string {
	who := "the autoscaler's role"
	if found := caller.FindStringSubmatch(message); found != nil {
		who = found[1] + found[3] + " " + quote(found[2]+found[4])
	}
	if denies := refuser.FindStringSubmatch(message); denies != nil {
		return fmt.Sprintf("except %s from the explicit deny of %s in %s", who, action, denies[1]) + says(message)
	}
	policy, on := "policy", "*"
	if found := lacking.FindStringSubmatch(message); found != nil {
		policy = found[1]
	}
	if found := target.FindStringSubmatch(message); found != nil {
		on = clean(oneGroup.ReplaceAllString(found[1], "${1}*${2}*"), maxText)
	}
	return fmt.Sprintf(`allow %s: add {"Effect":"Allow","Action":%q,"Resource":%q} to the %s of %s`, action, action, on, policy, who) +
		says(message)
}

// addSubnet is the next step that gives an Auto Scaling group, nil for an unknown one, a further subnet. AWS takes the whole list only.
func addSubnet(subnet string, g *decision.Group) string {
	switch {
	case g == nil || autoScaling(g) == "":
		return "add " + subnet + " to the group"
	case g.EKS != nil:
		return "make an EKS node group in " + subnet + ", because " + clean(g.EKS.Name, maxName) + " keeps its own"
	}
	name := autoScaling(g)
	return fmt.Sprintf("add %s to group %s: aws autoscaling update-auto-scaling-group --auto-scaling-group-name %s --vpc-zone-identifier "+
		`"$(aws autoscaling describe-auto-scaling-groups --auto-scaling-group-names %s `+
		`--query 'AutoScalingGroups[0].VPCZoneIdentifier' --output text),SUBNET"`, subnet, clean(name, maxName), shell(name), shell(name))
}

// otherCallers says when a throttled call is repeated, and shows who else makes it. The quota is the account's in the region.
func otherCallers(when, call string) string {
	return "it is tried again " + when + ", look for other callers: aws cloudtrail lookup-events --lookup-attributes " +
		shell("AttributeKey=EventName,AttributeValue="+call)
}

// quotas are the codes of the quotas of vCPUs by the letters of a family, on-demand and spot (Service Quotas, read 2026-11).
var quotas = map[string][2]string{"standard": {"L-1216C47A", "L-34B43A08"},
	"g": {"L-DB2E81BA", "L-3819A6DF"}, "vt": {"L-DB2E81BA", "L-3819A6DF"}, "p": {"L-417A185B"}}

// raise is the next step about a quota: the request for a higher one, or the list of all where it is not known which one it is.
func (a Attempt) raise(spot bool, message string) string {
	command := "aws service-quotas %s --service-code ec2"
	if strings.Contains(message, "olume") || strings.Contains(message, "storage limit") {
		command = "aws service-quotas %s --service-code ebs"
	}
	instanceType, code := a.InstanceType, ""
	if instanceType == "" && a.Group != nil && len(a.Group.Types) == 1 {
		instanceType = a.Group.Types[0]
	}
	if found := family.FindStringSubmatch(instanceType); found != nil && (spot || strings.Contains(message, "vCPU limit")) {
		letters := found[1]
		if len(letters) == 1 && strings.Contains("acdhimrtz", letters) {
			letters = "standard"
		}
		code = quotas[letters][map[bool]int{true: 1}[spot]]
	}
	if code == "" {
		return "ask AWS for more, the quotas are: " + fmt.Sprintf(command, "list-service-quotas")
	}
	ask := ": " + fmt.Sprintf(command, "request-service-quota-increase") + " --quota-code " + code + " --desired-value "
	if found := vcpuSize.FindStringSubmatch(message); found != nil {
		now, _ := strconv.Atoi(found[1])
		return fmt.Sprintf("ask AWS for more than %d vCPUs%s%d", now, ask, max(32, 2*now))
	}
	return "ask AWS for more" + ask + "VCPUS\nthe value now: " + fmt.Sprintf(command, "get-service-quota") + " --quota-code " + code
}

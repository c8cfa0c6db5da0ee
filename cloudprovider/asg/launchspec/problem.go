package launchspec

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/shellword"
)

// Problem is one reason why a group does not work as it should, in words that an operator can act on.
type Problem struct {
	Reason  string `json:"reason"`           // one of a small set of words, fit for a metric label
	Message string `json:"message"`          // the fault, and how we know of it
	Remedy  string `json:"remedy,omitempty"` // the next step
	Blocks  bool   `json:"blocks,omitempty"` // the group can launch nothing until somebody mends it
}

const (
	ReasonLaunchSourceMissing = "launch-source-missing"
	ReasonLaunchSourceUnread  = "launch-source-unread"
	ReasonNoInstanceType      = "no-instance-type"
	ReasonNodegroupUnread     = "nodegroup-unread"
	ReasonNodegroupDegraded   = "nodegroup-degraded"
	ReasonImageUnread         = "image-unread"
	ReasonLaunchSuspended     = "launch-suspended"
)

func unread(err error, reason, what, action, instead string) Problem {
	p := Problem{Reason: reason, Message: fmt.Sprintf("%s could not be read: %s", what, awsclient.Brief(err)),
		Remedy: cmp.Or(awsclient.CredentialsRemedy(err), "wait: it is tried again within a minute")}
	switch {
	case errors.Is(err, errNotRead):
		p.Message = what + " has not been read yet"
		p.Remedy = "it is being read"
	case awsclient.IsDenied(err):
		p.Remedy = fmt.Sprintf("allow %s in the autoscaler's IAM policy, %s", action, instead)
	case awsclient.IsUnsupported(err):
		p.Remedy = fmt.Sprintf("use an endpoint that has %s, %s", action, instead)
	case errors.Is(err, errUnlisted):
		p.Remedy = "create it at the endpoint, " + instead
	case isGone(err):
		if reason == ReasonLaunchSourceUnread {
			p.Reason, p.Blocks = ReasonLaunchSourceMissing, true
		}
		p.Message = what + " does not exist"
		p.Remedy = "create it again, " + instead
	}
	return p
}

// missing says whether the launch template is gone or its version alone, and how the group gets another. A new template has another ID.
func missing(g *Group, ref TemplateRef, err error) (message, remedy string) {
	name, other := cmp.Or(ref.ID, ref.Name), "LaunchTemplateName=TEMPLATE"
	message = "launch template " + name + " does not exist"
	remedy = "see what it held, within 90 days: aws cloudtrail lookup-events --lookup-attributes " +
		shellword.Quote("AttributeKey=EventName,AttributeValue=CreateLaunchTemplate") + "\nmake such a launch template again"
	if awsclient.Code(err) == "InvalidLaunchTemplateId.VersionNotFound" {
		message = fmt.Sprintf("launch template %s has no version %s", name, ref.Version)
		remedy, other = "choose a version that exists", "LaunchTemplateId="+ref.ID
	}
	switch managed := g.ManagedNodegroup().Name; {
	case managed != "":
		remedy += fmt.Sprintf(", and give it to EKS node group %q", managed)
	case g.Source.Mixed:
		remedy += fmt.Sprintf(", and name it in the mixed instances policy of group %q", g.Name)
	default:
		remedy += fmt.Sprintf(", and give it to the group: aws autoscaling update-auto-scaling-group --auto-scaling-group-name %s "+
			"--launch-template %s", shellword.Quote(g.Name), shellword.Quote(other+",Version=$Default"))
	}
	return message, remedy
}

// errGone is the error of an object that a successful answer does not list.
var errGone = errors.New("it does not exist")

// errUnlisted is the error of a launch template that another endpoint than AWS's does not know. Its groups may launch all the same.
var errUnlisted = errors.New("the endpoint lists no such launch template")

func isGone(err error) bool { return errors.Is(err, errGone) || awsclient.IsNotFound(err) }

// misses reports whether AWS answered without the object. Another question may find it.
func misses(err error) bool {
	return isGone(err) || errors.Is(err, errUnlisted) || awsclient.Reason(err) == "invalid"
}

// lasts reports whether a look-up fails with the error until somebody changes something.
func lasts(err error) bool { return isGone(err) || barred(err) }

// barred reports whether the call is denied to us, or the endpoint lacks it or its object.
func barred(err error) bool {
	return awsclient.IsDenied(err) || awsclient.IsUnsupported(err) || errors.Is(err, errUnlisted)
}

package awsmessage

import (
	"cmp"
	"regexp"
	"strings"
)

// A Class is a kind of trouble that calls for one kind of answer.
type Class string

// Classes. A message without a failure is Unknown too, such as the message of a dry run.
const (
	Unknown       Class = ""
	NoCapacity    Class = "no-capacity"  // EC2 has none in the pool now, another pool may
	Quota         Class = "quota"        // the account may have no more, until somebody asks AWS for it
	SpotLimit     Class = "spot-limit"   // the account may have no more spot instances
	Configuration Class = "config-error" // the request cannot succeed until somebody changes it
	Permission    Class = "permission"   // the caller, or the account, may not
	Throttle      Class = "throttle"     // too many calls
	Transient     Class = "transient"    // the same may succeed in a moment
	Cancelled     Class = "cancelled"    // somebody took the request back
)

const (
	OnDemand = "on-demand"
	Spot     = "spot"
)

// A Meaning holds the facts in a message. Fields that it does not name are empty.
type Meaning struct {
	Class        Class
	Code         string // AWS's own, given or found in the text
	InstanceType string // as written, even where there is no such type
	Zone         string // where the launch failed
	CapacityType string // OnDemand or Spot
	Action       string // that IAM does not allow, such as autoscaling:SetDesiredCapacity
	Own          bool   // the launch was into capacity that only its group has, which no message says
}

// maxText bounds the part of a text that is read. AWS's longest texts, with an encoded authorisation failure, state everything before it.
const maxText = 4096

// Of returns the meaning of a code with its text, in which a status message, a log or the AWS CLI has its code. Either may be empty.
func Of(code, text string) Meaning {
	text = Bounded(text, maxText)
	m := Meaning{Code: strings.TrimSpace(Bounded(code, maxText))}
	if m.Code == "" {
		m.Code = codeIn(text)
	}
	class, sure := codeClass(m.Code)
	if !sure { // the phrases of the text come before the usual class of the code
		class = cmp.Or(phraseClass(text), class)
	}
	if strings.Contains(text, "ot authorized for images") { // AuthFailure's text for an image that is gone, or shared no more
		class = Configuration
	}
	m.Class, m.Zone, m.CapacityType = class, zoneIn(text), capacityTypeIn(m.Code, text)
	if found := typeName.FindStringSubmatch(withoutARNs(text)); found != nil {
		m.InstanceType = found[1]
	}
	if found := action.FindStringSubmatch(text); found != nil {
		m.Action = found[1] + ":" + found[2]
	}
	return m
}

// OfLaunch is Of for an error of LaunchInstances, whose fields name its pool more surely than its text. A market type is
// OnDemand, On-Demand or Spot. Fields may be empty.
func OfLaunch(code, text, instanceType, zone, marketType string) Meaning {
	m := Of(code, text)
	m.InstanceType, m.Zone = cmp.Or(instanceType, m.InstanceType), cmp.Or(zone, m.Zone)
	switch strings.ToLower(strings.ReplaceAll(marketType, "-", "")) {
	case "ondemand":
		m.CapacityType = OnDemand
	case "spot":
		m.CapacityType = Spot
	}
	return m
}

// session is the name of a caller's session. The SDK makes up another one with each renewal of a web identity's credentials.
var session = regexp.MustCompile(`(:assumed-role/[^/\s]+)/\S+`)

// Readable is a text without the encoded part that EC2 puts behind its denials, and without the caller's session. So it stays the same
// while a denial lasts.
func Readable(text string) string {
	text, _, _ = strings.Cut(text, " Encoded authorization failure message")
	return session.ReplaceAllString(text, "$1")
}

// boilerplate are the parts of AWS's texts that say nothing about the failure.
var boilerplate = regexp.MustCompile(
	`^Instance became unhealthy while waiting for instance to be in InService state\. Termination Reason: |` +
		`^Could not launch (?:On-Demand|Spot) Instances\. | ?Launching EC2 instance failed\.?$| Placing Spot instance request failed\.?$|` +
		` Please (?:visit \S+ to request|contact AWS Support to request)[^.]*\.?|` +
		` Our system will be working on provisioning additional capacity\.|You must use a valid fully-formed launch template\. `)

// Sentence is AWS's text for a person: no boilerplate, no full stop, and the code once.
func Sentence(text string) string {
	said := strings.TrimSpace(boilerplate.ReplaceAllString(Readable(Bounded(text, maxText)), ""))
	if code, rest, _ := strings.Cut(said, ": "); strings.HasPrefix(rest, code+": ") {
		said = rest
	}
	return cmp.Or(strings.TrimSuffix(said, "."), text)
}

var fullSubnet = regexp.MustCompile(`not (?:have )?enough free (?:addresses|cidr)`)

// LacksAddresses reports whether a subnet has no free addresses. To a launch that is NoCapacity, which another zone may have.
func LacksAddresses(code, text string) bool {
	return code == "InsufficientFreeAddressesInSubnet" || fullSubnet.MatchString(text)
}

// OfOwnCapacity reports whether a lack of capacity is of a capacity reservation, a capacity block or a dedicated host, which is full or
// not active.
func OfOwnCapacity(code, text string) bool {
	said := strings.ToLower(code + " " + text)
	return strings.Contains(said, "reservation") || strings.Contains(said, "host")
}

// AbandonedByHook reports whether a lifecycle hook abandoned a launch: its action was completed with that result, or by nobody in time.
func AbandonedByHook(text string) bool {
	return strings.Contains(text, "Lifecycle Action") && strings.Contains(text, "abandoned")
}

// Bounded is the beginning of a text, of so many bytes at most.
func Bounded(text string, limit int) string {
	return strings.ToValidUTF8(text[:min(len(text), limit)], "")
}

// Clip cuts a text after limit bytes, and puts … in the place of the rest.
func Clip(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	return Bounded(text, limit) + "…"
}

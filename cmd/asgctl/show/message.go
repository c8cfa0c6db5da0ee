package show

import (
	"cmp"
	"strings"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient/awsmessage"
)

// A Message is one message with its meaning. Fields that the message does not name are left out. class is always there, and empty
// if the message names no known failure.
type Message struct {
	Version      string   `json:"version" table:"-"`
	Class        Class    `json:"class"`
	Code         string   `json:"code,omitempty"`
	InstanceType string   `json:"instanceType,omitempty" table:"TYPE"`
	Zone         string   `json:"zone,omitempty"`
	CapacityType string   `json:"capacityType,omitempty" table:"CAPACITY"`
	Elsewhere    []string `json:"zonesElsewhere,omitempty" table:"-"` // that AWS recommends instead
	Action       string   `json:"action,omitempty" table:"-"`         // that IAM does not allow
	Meaning      string   `json:"meaning" table:"-"`
}

// Class is the class of a message. An unknown one is empty.
type Class awsmessage.Class

// String returns the class in a word.
func (c Class) String() string { return cmp.Or(string(c), "unknown") }

// meanings describe each class to an operator.
var meanings = map[awsmessage.Class]string{
	awsmessage.Unknown:       "The message names no failure that is known here.",
	awsmessage.NoCapacity:    "AWS has no such instances there now. Another instance type, zone or capacity type may have some.",
	awsmessage.Quota:         "The account may have no more of these. Ask for a higher limit in the Service Quotas console.",
	awsmessage.SpotLimit:     "The account may have no more spot instances. Ask for a higher limit in the Service Quotas console, or use on-demand.",
	awsmessage.Configuration: "The request can never succeed as it is. Correct the group, its launch template or the call.",
	awsmessage.Permission:    "The caller or the account may not do this. Correct the IAM policy, its tags condition or the credentials.",
	awsmessage.Throttle:      "Too many calls were made in this account and region. The same call succeeds later.",
	awsmessage.Transient:     "The same may succeed in a moment.",
	awsmessage.Cancelled:     "The request was taken back before it was fulfilled.",
}

// MessageOf returns the view of a message, with its code if that is known apart from the text.
func MessageOf(code, text string) Message {
	m := awsmessage.Of(code, text)
	meaning := meanings[m.Class]
	if awsmessage.LacksAddresses(m.Code, text) {
		meaning = "The subnet has no free IP addresses. Free some, or add another subnet to the group."
	}
	return Message{
		Version: Version, Class: Class(m.Class), Code: m.Code, InstanceType: m.InstanceType, Zone: m.Zone,
		CapacityType: m.CapacityType, Elsewhere: m.Elsewhere, Action: m.Action, Meaning: meaning,
	}
}

// Table returns the view for a person.
func (v Message) Table() string {
	text := Rows([]Message{v}) + "\n" + v.Meaning
	if len(v.Elsewhere) > 0 {
		text += " AWS names " + strings.Join(v.Elsewhere, ", ") + "."
	}
	if v.Action != "" {
		text += " AWS did not allow " + v.Action + "."
	}
	return text + "\n"
}

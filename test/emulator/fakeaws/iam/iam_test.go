package iam

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const group = "arn:aws:autoscaling:us-west-2:123456789012:autoScalingGroup:4c6e9b7a-1f0e:autoScalingGroupName/g"

func policy(statements ...string) string {
	return `{"Version": "2012-10-17", "Statement": [` + strings.Join(statements, ",") + `]}`
}

func allow(action, resource string) string {
	return fmt.Sprintf(`{"Effect": "Allow", "Action": %q, "Resource": %q}`, action, resource)
}

// The rules are from the IAM user guide, "IAM JSON policy elements" Action and Resource, and "Policy evaluation logic".
func TestActionsAndResources(t *testing.T) {
	request := Request{Action: "autoscaling:SetDesiredCapacity", Resource: group}
	deny := `{"Effect": "Deny", "Action": "autoscaling:*", "Resource": "*"}`
	for _, tt := range []struct {
		name     string
		policies []string
		want     Decision
	}{
		{"no policy", nil, ImplicitlyDenied},
		{"action of any case", []string{policy(allow("autoscaling:setdesiredCAPACITY", "*"))}, Allowed},
		{"wildcard in an action", []string{policy(allow("autoscaling:Set*Capacit?", "*"))}, Allowed},
		{"every action", []string{policy(allow("*", "*"))}, Allowed},
		{"another action", []string{policy(allow("autoscaling:SetDesired", "*"))}, ImplicitlyDenied},
		{"another service", []string{policy(allow("ec2:SetDesiredCapacity", "*"))}, ImplicitlyDenied},
		{"one of several policies", []string{policy(allow("ec2:*", "*")), policy(allow("autoscaling:*", "*"))}, Allowed},
		{"deny wins", []string{policy(allow("autoscaling:*", "*"), deny)}, ExplicitlyDenied},
		{"deny of another policy wins", []string{policy(deny), policy(allow("*", "*"))}, ExplicitlyDenied},
		{"deny of another action", []string{policy(allow("*", "*"), strings.ReplaceAll(deny, "autoscaling", "ec2"))}, Allowed},
		{"wildcards in parts of an ARN", []string{policy(allow("*", "arn:aws:autoscaling:*:*:autoScalingGroup:*:autoScalingGroupName/*"))}, Allowed},
		{"last part of an ARN spans colons", []string{policy(allow("*", "arn:aws:autoscaling:*:*:*"))}, Allowed},
		{"wildcard does not span parts", []string{policy(allow("*", "arn:aws:autoscaling:us*12:*:autoScalingGroup:*"))}, ImplicitlyDenied},
		{"name in an ARN", []string{policy(allow("*", "arn:aws:autoscaling:*:*:autoScalingGroup:*:autoScalingGroupName/other"))}, ImplicitlyDenied},
		{"ARN of another partition", []string{policy(allow("*", "arn:aws-cn:autoscaling:*:*:autoScalingGroup:*:autoScalingGroupName/*"))}, ImplicitlyDenied},
	} {
		assert.Equalf(t, tt.want, Evaluate(parsed(t, tt.policies), request), "%s: decision", tt.name)
	}
}

func parsed(t *testing.T, texts []string) []*Document {
	var documents []*Document
	for _, text := range texts {
		d, err := Parse([]byte(text))
		require.NoError(t, err)
		documents = append(documents, d)
	}
	return documents
}

func TestUncheckedActionNeedsEveryResource(t *testing.T) {
	request := Request{Action: "ec2:DescribeImages", Resource: "*"}
	got := Evaluate(parsed(t, []string{policy(allow("ec2:*", "arn:aws:ec2:*:*:*"))}), request)
	assert.Truef(t, got == ImplicitlyDenied, "a policy for ARNs: decision %d, want %d", got, ImplicitlyDenied)
	got = Evaluate(parsed(t, []string{policy(allow("ec2:*", "*"))}), request)
	assert.Truef(t, got == Allowed, "a policy for every resource: decision %d, want %d", got, Allowed)
}

// The rules and several rows are from the IAM user guide, "IAM JSON policy elements: Condition operators".
func TestConditions(t *testing.T) {
	for _, tt := range []struct {
		condition string
		tag       string // none if empty
		want      bool
	}{
		{`"StringEquals": {"aws:ResourceTag/team": "red"}`, "red", true},
		{`"StringEquals": {"aws:ResourceTag/team": "red"}`, "Red", false},
		{`"StringEquals": {"aws:ResourceTag/team": "red"}`, "", false},
		{`"StringEquals": {"aws:resourcetag/TEAM": "red"}`, "red", true}, // names of keys have no case
		{`"StringEquals": {"aws:ResourceTag/team": ["blue", "red"]}`, "red", true},
		{`"StringEquals": {"aws:ResourceTag/team": "r*"}`, "red", false},
		{`"StringEqualsIgnoreCase": {"aws:ResourceTag/team": "red"}`, "Red", true},
		{`"StringLike": {"aws:ResourceTag/team": "r?d*"}`, "redder", true},
		{`"StringLike": {"aws:ResourceTag/team": "r?d"}`, "redder", false},
		{`"StringNotEquals": {"aws:ResourceTag/team": ["blue", "red"]}`, "red", false},
		{`"StringNotEquals": {"aws:ResourceTag/team": "red"}`, "", true}, // a missing key does not match
		{`"StringNotLike": {"aws:ResourceTag/team": "r*"}`, "red", false},
		{`"StringNotEqualsIgnoreCase": {"aws:ResourceTag/team": "red"}`, "Red", false},
		{`"StringEqualsIfExists": {"aws:ResourceTag/team": "red"}`, "", true},
		{`"StringEqualsIfExists": {"aws:ResourceTag/team": "red"}`, "blue", false},
		{`"Null": {"aws:ResourceTag/team": "true"}`, "", true},
		{`"Null": {"aws:ResourceTag/team": "true"}`, "red", false},
		{`"Null": {"aws:ResourceTag/team": "false"}`, "red", true},
		{`"Bool": {"aws:ViaAWSService": "true"}`, "", false},
		{`"Bool": {"aws:ViaAWSService": "false"}`, "", true},
		{`"StringEquals": {"aws:ResourceTag/team": "red"}, "Bool": {"aws:ViaAWSService": "true"}`, "red", false}, // all must hold
		{`"StringEquals": {"aws:ResourceTag/team": "red", "aws:ResourceTag/other": "x"}`, "red", false},
		{`"StringEquals": {"autoscaling:ResourceTag/team": "red"}`, "red", false}, // another key
	} {
		t.Run(tt.condition+" of "+tt.tag, func(t *testing.T) {
			keys := map[string]string{"aws:viaawsservice": "false"}
			if tt.tag != "" {
				keys["aws:resourcetag/team"] = tt.tag
			}
			statement := `{"Effect": "Allow", "Action": "sqs:*", "Resource": "*", "Condition": {` + tt.condition + `}}`
			got := Evaluate(parsed(t, []string{policy(statement)}), Request{Action: "sqs:SendMessage", Resource: "*", Keys: keys})
			assert.Equalf(t, tt.want, got == Allowed, "decision %d, want allowed = %v", got, tt.want)
		})
	}
}

func TestParseRefusesWhatItDoesNotEvaluate(t *testing.T) {
	statement := func(more string) string {
		return policy(`{"Effect": "Allow", "Action": "sqs:*", "Resource": "*", ` + more + `}`)
	}
	condition := func(text string) string { return statement(`"Condition": {` + text + `}`) }
	for _, tt := range []struct{ name, text, want string }{
		{"no JSON", "{", "unexpected EOF"},
		{"version", `{"Statement": []}`, `version ""`},
		{"no statement", `{"Version": "2012-10-17"}`, "no statement"},
		{"principal", statement(`"Principal": "*"`), `unknown field "Principal"`},
		{"negated action", statement(`"NotAction": "sqs:*"`), `unknown field "NotAction"`},
		{"effect", policy(`{"Effect": "allow", "Action": "*", "Resource": "*"}`), `statement 1 "": effect "allow"`},
		{"no action", policy(`{"Sid": "A", "Effect": "Allow", "Resource": "*"}`), `statement 1 "A": Action and Resource are needed`},
		{"action without a service", policy(allow("SetDesiredCapacity", "*")), `action "SetDesiredCapacity"`},
		{"resource without an ARN", policy(allow("*", "queue")), `resource "queue"`},
		{"wildcard for the service", policy(allow("*", "arn:aws:*:us-west-2:123456789012:x")), `resource "arn:aws:*`},
		{"placeholder for the account", policy(allow("*", "arn:aws:sqs:us-west-2:ACCOUNT_ID:x")), `resource "arn:aws:sqs`},
		{"Sid with a dash", statement(`"Sid": "a-b"`), "letters and digits only"},
		{"Sid twice", policy(`{"Sid": "A", "Effect": "Allow", "Action": "*", "Resource": "*"}`, `{"Sid": "A", "Effect": "Allow", "Action": "*", "Resource": "*"}`), "two statements"},
		{"operator", condition(`"NumericEquals": {"aws:ResourceTag/a": "1"}`), `operator "NumericEquals" is not evaluated here`},
		{"set operator", condition(`"ForAnyValue:StringEquals": {"aws:CalledVia": "x"}`), `operator "ForAnyValue:StringEquals"`},
		{"Null has no form for missing keys", condition(`"NullIfExists": {"aws:ResourceTag/a": "true"}`), `operator "NullIfExists"`},
		{"key", condition(`"StringEquals": {"aws:SourceVpc": "vpc-1"}`), `key "aws:SourceVpc" is not evaluated here`},
		{"tag without a name", condition(`"StringEquals": {"aws:ResourceTag/": "x"}`), `key "aws:ResourceTag/" is not evaluated here`},
		{"variable", condition(`"StringEquals": {"aws:ResourceTag/a": "${aws:username}"}`), "policy variables"},
		{"boolean", condition(`"Bool": {"aws:ViaAWSService": "yes"}`), "true or false"},
		{"no value", condition(`"StringEquals": {"aws:ResourceTag/a": []}`), "has no value"},
	} {
		_, err := Parse([]byte(tt.text))
		assert.Truef(t, err != nil && strings.Contains(err.Error(), tt.want), "%s: error = %v, want one with %q", tt.name, err, tt.want)
	}
}

package manifests_test

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// A place is where a stack is made, for a cluster called "c".
type place struct{ partition, region string }

var places = []place{{"aws", "us-west-2"}, {"aws-cn", "cn-north-1"}}

const (
	account   = "123456789012"
	queueName = "c-interruptions"
)

func (p place) queueARN() string {
	return fmt.Sprintf("arn:%s:sqs:%s:%s:%s", p.partition, p.region, account, queueName)
}

// ruleARN names a rule by the detail type it is for, as both languages leave its real name to AWS.
func (p place) ruleARN(detailType string) string {
	return fmt.Sprintf("arn:%s:events:%s:%s:rule/%s", p.partition, p.region, account, detailType)
}

// An infrastructure holds the queue, rules and policies of a stack.
type infrastructure struct {
	Queue                       map[string]any // name, retention in seconds, encryption
	Rules                       map[string]any // patterns by detail type
	QueuePolicy, ConsumerPolicy any
}

// fromCloudFormation resolves the template. Functions it does not know, and references to nothing, fail the test.
func fromCloudFormation(t *testing.T, p place) infrastructure {
	t.Helper()
	var template struct {
		AWSTemplateFormatVersion, Description string
		Parameters                            map[string]map[string]any
		Conditions                            map[string]any
		Resources                             map[string]struct {
			Type       string
			Properties map[string]any
		}
		Outputs map[string]any
	}
	require.NoError(t, yaml.UnmarshalStrict([]byte(read(t, "interruption/cloudformation.yaml")), &template))
	known := map[string]string{"ClusterName": "c", "QueueName": "", "Named": "false", "AWS::Partition": p.partition, "Queue": p.queueURL(), "Queue.Arn": p.queueARN(), "ConsumerPolicy": "policy"}
	out := infrastructure{Rules: map[string]any{}}
	for name, r := range template.Resources {
		if r.Type == "AWS::Events::Rule" {
			detailType := detailTypeOf(t, r.Properties["EventPattern"])
			known[name+".Arn"] = p.ruleARN(detailType)
			out.Rules[detailType] = r.Properties["EventPattern"]
		}
	}
	types := map[string]int{}
	for name, r := range template.Resources {
		types[r.Type]++
		properties := resolved(t, r.Properties, known).(map[string]any)
		switch r.Type {
		case "AWS::SQS::Queue":
			out.Queue = renamed(t, properties, map[string]string{"QueueName": "name", "MessageRetentionPeriod": "retention", "SqsManagedSseEnabled": "encrypted"})
		case "AWS::SQS::QueuePolicy":
			out.QueuePolicy = properties["PolicyDocument"]
			assert.Empty(t, cmp.Diff([]any{p.queueURL()}, properties["Queues"]), "queues of the policy (-want +got)")
		case "AWS::Events::Rule":
			diff := cmp.Diff([]any{map[string]any{"Id": "queue", "Arn": p.queueARN()}}, properties["Targets"])
			assert.Truef(t, diff == "" && properties["State"] == nil, "targets of %s (-want +got):\n%s", name, diff)
		case "AWS::IAM::ManagedPolicy":
			out.ConsumerPolicy = parsed(t, properties["PolicyDocument"].(string))
		default:
			t.Errorf("%s: nobody asked for a %s", name, r.Type)
		}
	}
	wantTypes := map[string]int{"AWS::SQS::Queue": 1, "AWS::SQS::QueuePolicy": 1, "AWS::Events::Rule": 7, "AWS::IAM::ManagedPolicy": 1}
	assert.Empty(t, cmp.Diff(wantTypes, types), "resources (-want +got)")
	url := resolved(t, template.Outputs["QueueURL"], known).(map[string]any)["Value"]
	assert.Truef(t, url == p.queueURL(), "output QueueURL is %v", url)
	return out.sorted()
}

func (p place) queueURL() string {
	suffix := map[string]string{"aws": "amazonaws.com", "aws-cn": "amazonaws.com.cn"}[p.partition]
	return fmt.Sprintf("https://sqs.%s.%s/%s/%s", p.region, suffix, account, queueName)
}

var substitution = regexp.MustCompile(`\$\{([^}]*)\}`)

// resolved replaces CloudFormation's functions by their values.
func resolved(t *testing.T, value any, known map[string]string) any {
	look := func(name string) string {
		found, ok := known[name]
		assert.Truef(t, ok, "reference to %q, which is not there", name)
		return found
	}
	switch v := value.(type) {
	case map[string]any:
		if len(v) == 1 {
			for function, argument := range v {
				switch function {
				case "Ref":
					return look(argument.(string))
				case "Fn::GetAtt":
					return look(fmt.Sprint(argument.([]any)[0], ".", argument.([]any)[1]))
				case "Fn::If":
					branches := argument.([]any)
					return resolved(t, branches[map[string]int{"true": 1, "false": 2}[look(branches[0].(string))]], known)
				case "Fn::Join":
					parts := argument.([]any)
					var words []string
					for _, word := range resolved(t, parts[1], known).([]any) {
						words = append(words, word.(string))
					}
					return strings.Join(words, parts[0].(string))
				case "Fn::Split":
					parts, words := argument.([]any), []any{}
					for word := range strings.SplitSeq(resolved(t, parts[1], known).(string), parts[0].(string)) {
						words = append(words, word)
					}
					return words
				case "Fn::Sub":
					return substitution.ReplaceAllStringFunc(argument.(string), func(s string) string { return look(s[2 : len(s)-1]) })
				}
			}
		}
		out := map[string]any{}
		for key, member := range v {
			assert.Falsef(t, strings.HasPrefix(key, "Fn::"), "function %s is not known here", key)
			out[key] = resolved(t, member, known)
		}
		return out
	case []any:
		out := []any{}
		for _, member := range v {
			out = append(out, resolved(t, member, known))
		}
		return out
	}
	return value
}

// Clusters of kOps have dots in their names, which SQS does not allow.
func TestQueueOfAnyClusterHasAName(t *testing.T) {
	var template struct {
		Parameters map[string]struct{ AllowedPattern string }
		Conditions map[string]any
		Resources  map[string]struct{ Properties map[string]any }
	}
	require.NoError(t, yaml.Unmarshal([]byte(read(t, "interruption/cloudformation.yaml")), &template))
	assert.Empty(t, cmp.Diff(map[string]any{"Named": parsed(t, `{"Fn::Not": [{"Fn::Equals": [{"Ref": "QueueName"}, ""]}]}`)}, template.Conditions),
		"conditions (-want +got)")
	for _, tt := range []struct{ cluster, named, want string }{
		{"c", "", "c-interruptions"},
		{"main.k8s.example.com", "", "main-k8s-example-com-interruptions"},
		{strings.Repeat("long.", 20), "short", "short"},
	} {
		known := map[string]string{"ClusterName": tt.cluster, "QueueName": tt.named, "Named": fmt.Sprint(tt.named != "")}
		assert.Equalf(t, tt.want, resolved(t, template.Resources["Queue"].Properties["QueueName"], known), "the queue of cluster %q", tt.cluster)
		for parameter, value := range map[string]string{"ClusterName": tt.cluster, "QueueName": tt.want} {
			pattern := template.Parameters[parameter].AllowedPattern
			assert.Truef(t, regexp.MustCompile("^(?:"+pattern+")$").MatchString(value), "%s may not be %q: %s", parameter, value, pattern)
		}
	}
}

// fromTerraform resolves the configuration, which is Terraform's JSON syntax. It knows exactly the expressions written there.
// Any other fails the test.
func fromTerraform(t *testing.T, p place) infrastructure {
	var module struct {
		Comment   string         `json:"//"`
		Terraform map[string]any `json:"terraform"`
		Variable  map[string]any `json:"variable"`
		Data      map[string]any `json:"data"`
		Locals    struct {
			Rules map[string]struct {
				Description string         `json:"description"`
				Pattern     map[string]any `json:"pattern"`
			} `json:"rules"`
			QueuePolicy    any `json:"queue_policy"`
			ConsumerPolicy any `json:"consumer_policy"`
		} `json:"locals"`
		Resource map[string]map[string]map[string]any `json:"resource"`
		Output   map[string]map[string]any            `json:"output"`
	}
	decoder := json.NewDecoder(strings.NewReader(read(t, "interruption/main.tf.json")))
	decoder.DisallowUnknownFields()
	require.NoError(t, decoder.Decode(&module))
	out := infrastructure{Rules: map[string]any{}}
	var rules []any
	for name, r := range module.Locals.Rules {
		detailType := detailTypeOf(t, r.Pattern)
		out.Rules[detailType] = map[string]any(r.Pattern)
		rules = append(rules, p.ruleARN(detailType))
		assert.Truef(t, r.Description != "", "rule %q has no description", name)
	}
	known := map[string]any{
		"aws_sqs_queue.interruptions.arn":      p.queueARN(),
		"data.aws_partition.current.partition": p.partition,
		"var.cluster_name":                     "c",
		`coalesce(var.queue_name, join("-", [replace(var.cluster_name, ".", "-"), "interruptions"]))`: queueName,
		"[for rule in aws_cloudwatch_event_rule.interruptions : rule.arn]":                            rules,
	}
	out.QueuePolicy = interpolated(t, module.Locals.QueuePolicy, known)
	out.ConsumerPolicy = interpolated(t, module.Locals.ConsumerPolicy, known)
	queue := interpolated(t, module.Resource["aws_sqs_queue"]["interruptions"], known).(map[string]any)
	out.Queue = renamed(t, queue, map[string]string{"name": "name", "message_retention_seconds": "retention", "sqs_managed_sse_enabled": "encrypted"})
	delete(module.Resource, "aws_sqs_queue")
	want := map[string]map[string]map[string]any{
		"aws_sqs_queue_policy": {"interruptions": {
			"queue_url": "${aws_sqs_queue.interruptions.url}", "policy": "${jsonencode(local.queue_policy)}",
		}},
		"aws_cloudwatch_event_rule": {"interruptions": {
			"for_each": "${local.rules}", "description": "${each.value.description}", "event_pattern": "${jsonencode(each.value.pattern)}",
		}},
		"aws_cloudwatch_event_target": {"interruptions": {
			"for_each": "${aws_cloudwatch_event_rule.interruptions}", "rule": "${each.value.name}", "target_id": "queue", "arn": "${aws_sqs_queue.interruptions.arn}",
		}},
		"aws_iam_policy": {"interruptions": {
			"description": "Lets the autoscaler read its interruption queue and answer lifecycle hooks", "policy": "${jsonencode(local.consumer_policy)}",
		}},
	}
	assert.Empty(t, cmp.Diff(want, module.Resource), "resources (-want +got)")
	assert.Equal(t, "${aws_sqs_queue.interruptions.url}", module.Output["queue_url"]["value"], "output queue_url")
	return out.sorted()
}

// interpolated replaces Terraform's expressions, in keys too, by their values.
func interpolated(t *testing.T, value any, known map[string]any) any {
	look := func(expression string) any {
		found, ok := known[expression]
		assert.Truef(t, ok, "expression %q is not known here", expression)
		return found
	}
	text := func(s string) string {
		return substitution.ReplaceAllStringFunc(s, func(e string) string { return fmt.Sprint(look(e[2 : len(e)-1])) })
	}
	switch v := value.(type) {
	case string:
		if whole := substitution.FindString(v); whole != "" && whole == v {
			return look(v[2 : len(v)-1])
		}
		return text(v)
	case map[string]any:
		out := map[string]any{}
		for key, member := range v {
			out[text(key)] = interpolated(t, member, known)
		}
		return out
	case []any:
		out := []any{}
		for _, member := range v {
			out = append(out, interpolated(t, member, known))
		}
		return out
	}
	return value
}

// renamed has the properties under common names, and fails the test where one has none.
func renamed(t *testing.T, properties map[string]any, names map[string]string) map[string]any {
	out := map[string]any{}
	for key, value := range properties {
		assert.Truef(t, names[key] != "", "the queue has a property %s that nothing is compared with", key)
		out[names[key]] = value
	}
	return out
}

func parsed(t *testing.T, text string) any {
	var value any
	require.NoErrorf(t, json.Unmarshal([]byte(text), &value), "in %s", text)
	return value
}

// detailTypeOf is the one detail type of a pattern.
func detailTypeOf(t *testing.T, pattern any) string {
	p, _ := pattern.(map[string]any)
	types, _ := p["detail-type"].([]any)
	require.Lenf(t, types, 1, "pattern %v is not for one detail type", pattern)
	return types[0].(string)
}

// sorted has the sources that the queue policy allows in an order that can be compared.
func (i infrastructure) sorted() infrastructure {
	for _, s := range i.QueuePolicy.(map[string]any)["Statement"].([]any) {
		condition := s.(map[string]any)["Condition"].(map[string]any)
		if arns, ok := condition["ArnEquals"].(map[string]any); ok {
			sources := arns["aws:SourceArn"].([]any)
			slices.SortFunc(sources, func(x, y any) int { return strings.Compare(x.(string), y.(string)) })
		}
	}
	return i
}

func TestCloudFormationAndTerraformMakeTheSame(t *testing.T) {
	for _, p := range places {
		assert.Emptyf(t, cmp.Diff(fromCloudFormation(t, p), fromTerraform(t, p)), "%s (-CloudFormation +Terraform)", p.partition)
	}
}

func TestQueueIsEncryptedAndKeepsMessagesForADay(t *testing.T) {
	want := map[string]any{"name": queueName, "retention": 86400.0, "encrypted": true}
	assert.Empty(t, cmp.Diff(want, fromTerraform(t, places[0]).Queue), "queue (-want +got)")
}

func TestOnlyTheRulesMaySend(t *testing.T) {
	for _, p := range places {
		made := fromCloudFormation(t, p)
		var sources []any
		for detailType := range made.Rules {
			sources = append(sources, p.ruleARN(detailType))
		}
		want := infrastructure{QueuePolicy: map[string]any{
			"Version": "2012-10-17",
			"Statement": []any{
				map[string]any{
					"Sid": "LetTheRulesSend", "Effect": "Allow", "Principal": map[string]any{"Service": "events.amazonaws.com"},
					"Action": "sqs:SendMessage", "Resource": p.queueARN(),
					"Condition": map[string]any{"ArnEquals": map[string]any{"aws:SourceArn": sources}},
				},
				map[string]any{
					"Sid": "DenyPlainHTTP", "Effect": "Deny", "Principal": "*", "Action": "sqs:*", "Resource": p.queueARN(),
					"Condition": map[string]any{"Bool": map[string]any{"aws:SecureTransport": "false"}},
				},
			},
		}}.sorted()
		assert.Emptyf(t, cmp.Diff(want.QueuePolicy, made.QueuePolicy), "%s: queue policy (-want +got)", p.partition)
	}
}

func TestTheConsumersPolicyIsThatOfTheIAMDocuments(t *testing.T) {
	for _, p := range places {
		document := read(t, "iam/interruption-"+p.partition+".json")
		document = strings.NewReplacer("CLUSTER_NAME", "c", "REGION", p.region, "ACCOUNT_ID", account).Replace(document)
		assert.Emptyf(t, cmp.Diff(parsed(t, document), fromCloudFormation(t, p).ConsumerPolicy), "%s (-iam +CloudFormation)", p.partition)
	}
}

// The stack makes a policy and needs the cluster's name, and its outputs are what the reader of the guide needs next.
func TestTheGuideDeploysTheStack(t *testing.T) {
	var template struct {
		Parameters map[string]struct{ Default *string }
		Outputs    map[string]any
	}
	require.NoError(t, yaml.Unmarshal([]byte(read(t, "interruption/cloudformation.yaml")), &template))
	guide, err := os.ReadFile("../docs/install.md")
	require.NoError(t, err)
	_, rest, _ := strings.Cut(string(guide), "aws cloudformation deploy ")
	deploy, then, _ := strings.Cut(rest, "\naws ")
	assert.Contains(t, deploy, "--capabilities CAPABILITY_IAM")
	for name, parameter := range template.Parameters {
		assert.Truef(t, parameter.Default != nil || strings.Contains(deploy, " "+name+"=CLUSTER_NAME"), "deploy %s gives no %s", deploy, name)
	}
	for _, name := range []string{"QueueURL", "ConsumerPolicyARN"} {
		assert.Truef(t, template.Outputs[name] != nil && strings.Contains(then, "`"+name+"`"), "the guide does not name the output %s", name)
	}
	assert.Contains(t, then, "aws iam attach-role-policy")
}

func TestStacksNameNoPartition(t *testing.T) {
	for _, name := range []string{"interruption/cloudformation.yaml", "interruption/main.tf.json"} {
		text := strings.ReplaceAll(read(t, name), "events.amazonaws.com.cn.", "") // of the comment that says why not
		for _, word := range []string{"arn:aws", "amazonaws.com.cn", "cn-north", "us-west", ".amazonaws.com/"} {
			assert.NotContainsf(t, text, word, "%s contains %q, so it holds in one partition or Region only", name, word)
		}
	}
}

func TestEveryRuleIsForAnEventThatAWSSends(t *testing.T) {
	var events []string
	for detailType := range fromTerraform(t, places[0]).Rules {
		events = append(events, detailType)
	}
	aws, err := fakeaws.Start(t.Context(), fakeaws.Config{Queues: []fakeaws.Queue{{Name: queueName, Events: events}}})
	require.NoError(t, err)
	assert.NoError(t, aws.Close())
}

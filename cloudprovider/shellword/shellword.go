package shellword

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Quote quotes text for a POSIX shell if it is not one plain word.
func Quote(s string) string {
	plain := strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:=") == ""
	if plain && s != "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// Tag is a tag of a group that its instances do not get.
type Tag struct{ Key, Value string }

// groupTag is a tag in the AWS CLI's JSON. Its short form splits at commas.
type groupTag struct {
	ResourceID   string `json:"ResourceId"`
	ResourceType string
	Key          string
	Value        *string `json:",omitempty"`
	Propagate    *bool   `json:"PropagateAtLaunch,omitempty"`
}

// SetTags is the command that sets tags of an Auto Scaling group, in one line as each step. InRegion adds the region.
func SetTags(group string, tags ...Tag) string {
	list := make([]groupTag, len(tags))
	for i, t := range tags {
		list[i] = groupTag{group, "auto-scaling-group", t.Key, &t.Value, new(bool)}
	}
	return "aws autoscaling create-or-update-tags --tags " + Quote(JSON(list))
}

func DeleteTag(group, key string) string {
	return "aws autoscaling delete-tags --tags " + Quote(JSON([]groupTag{{ResourceID: group, ResourceType: "auto-scaling-group", Key: key}}))
}

// ResumeProcess is the step where a process of an Auto Scaling group is suspended.
func ResumeProcess(group, process string) string {
	return "if nobody suspended it on purpose, resume it: aws autoscaling resume-processes --scaling-processes " + process +
		" --auto-scaling-group-name " + Quote(group)
}

// TerminateInstance is the step where an instance is of no use. Its group launches another.
func TerminateInstance(id string) string {
	return "terminate the instance: aws autoscaling terminate-instance-in-auto-scaling-group --instance-id " + id + " --no-should-decrement-desired-capacity"
}

// JSON writes v, which must not fail to be written, as one line of JSON that leaves <, > and & as they are.
func JSON(v any) string {
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(v)
	return strings.TrimSuffix(b.String(), "\n")
}

// command is a command that asks a region, where a step begins with it or names it behind a colon, a comma, another command or inside of one.
var command = regexp.MustCompile(`(^|: |, |&& |then |\$\()(aws [a-z0-9-]+ [a-z0-9-]+|asgctl (?:account|groups|template))( --region)?\b`)

// InRegion adds the region to the commands of a step, where it lacks. An empty region adds nothing.
func InRegion(region, step string) string {
	if region == "" {
		return step
	}
	return command.ReplaceAllStringFunc(step, func(found string) string {
		if strings.HasSuffix(found, " --region") || strings.Contains(found, "aws iam ") { // IAM has no regions
			return found
		}
		return found + " --region " + Quote(region)
	})
}

// OneOf returns an error unless a flag has one of its values.
func OneOf[T ~string](value T, values ...T) error {
	if slices.Contains(values, value) {
		return nil
	}
	return fmt.Errorf("%q is unknown: use one of %v", value, values)
}

package fakeaws

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// Limits of the Auto Scaling API (its reference, read 2026-11): records of a page by default and at most. As many names as
// records may be passed in.
const (
	defaultRecords = 50
	maxRecords     = 100
)

func records(f form, usual, most int) (int, error) {
	n, err := f.number("MaxRecords", usual)
	if err != nil {
		return 0, err
	}
	if n > most {
		return 0, invalid("1 validation error detected: Value '%d' at 'maxRecords' failed to satisfy constraint: "+
			"Member must have value less than or equal to %d", n, most)
	}
	if n < 1 {
		return 0, invalid("1 validation error detected: Value '%d' at 'maxRecords' failed to satisfy constraint: "+
			"Member must have value greater than or equal to 1", n)
	}
	return n, nil
}

// namesIn parses a list of names that may not be longer than a page.
func namesIn(f form, list, what string, limit int) ([]string, error) {
	names := f.list(list + ".member")
	if len(names) > limit {
		return nil, invalid("The number of %s that may be passed in is limited to %d", what, limit)
	}
	return names, nil
}

var badToken = &apiError{Code: "InvalidNextToken", Message: "The NextToken value is not valid."}

// A tagFilter is a filter of DescribeAutoScalingGroups. It holds if any of its values does.
type tagFilter struct {
	name   string
	values []string
}

func (t tagFilter) holds(tags map[string]string) bool {
	if t.name == "tag-key" {
		return slices.ContainsFunc(t.values, func(key string) bool { _, ok := tags[key]; return ok })
	}
	value, ok := tags[strings.TrimPrefix(t.name, "tag:")]
	return ok && slices.Contains(t.values, value)
}

// tagFilters parses filters. All of them have to hold.
func tagFilters(f form) ([]tagFilter, error) {
	var out []tagFilter
	for _, member := range f.structs("Filters.member") {
		t := tagFilter{name: member.get("Name"), values: member.list("Values.member")}
		if t.name != "tag-key" && !strings.HasPrefix(t.name, "tag:") {
			return nil, invalid("Filter type %s is not correct. Allowed Filter types are: tag-key tag-value tag:<key>", t.name)
		}
		out = append(out, t)
	}
	return out, nil
}

func (a *account) describeAutoScalingGroups(r *request) (any, error) {
	limit, err := records(r.form, defaultRecords, maxRecords)
	if err != nil {
		return nil, err
	}
	names, err := namesIn(r.form, "AutoScalingGroupNames", "AutoScalingGroup names", limit)
	if err != nil {
		return nil, err
	}
	filters, err := tagFilters(r.form)
	if err != nil {
		return nil, err
	}
	groups := slices.DeleteFunc(a.sortedGroups(), func(g *group) bool {
		return len(names) > 0 && !slices.Contains(names, g.Name) ||
			slices.ContainsFunc(filters, func(t tagFilter) bool { return !t.holds(g.Tags) })
	})
	groups, next, ok := page(groups, func(g *group) string { return g.Name }, r.form.get("NextToken"), limit)
	if !ok {
		return nil, badToken
	}
	var out struct {
		Groups    members[xmlGroup] `xml:"AutoScalingGroups"`
		NextToken string            `xml:"NextToken,omitempty"`
	}
	then := a.read(r.action)
	for _, g := range groups {
		out.Groups.Member = append(out.Groups.Member, then.group(a, g))
	}
	out.NextToken = next
	return out, nil
}

func (a *account) describeLaunchConfigurations(r *request) (any, error) {
	limit, err := records(r.form, defaultRecords, maxRecords)
	if err != nil {
		return nil, err
	}
	names, err := namesIn(r.form, "LaunchConfigurationNames", "launch configuration names", limit)
	if err != nil {
		return nil, err
	}
	var found []LaunchConfiguration
	for _, name := range slices.Sorted(maps.Keys(a.configs)) {
		if len(names) == 0 || slices.Contains(names, name) {
			found = append(found, a.configs[name])
		}
	}
	found, next, ok := page(found, func(lc LaunchConfiguration) string { return lc.Name }, r.form.get("NextToken"), limit)
	if !ok {
		return nil, badToken
	}
	var out struct {
		Configurations members[xmlLaunchConfiguration] `xml:"LaunchConfigurations"`
		NextToken      string                          `xml:"NextToken,omitempty"`
	}
	for _, lc := range found {
		out.Configurations.Member = append(out.Configurations.Member, a.configurationShape(lc))
	}
	out.NextToken = next
	return out, nil
}

func (a *account) describeScalingActivities(r *request) (any, error) {
	limit, err := records(r.form, maxRecords, maxRecords)
	if err != nil {
		return nil, err
	}
	name := r.form.get("AutoScalingGroupName")
	if _, exists := a.groups[name]; name != "" && !exists {
		return nil, invalid("AutoScalingGroup name not found - AutoScalingGroup: %s not found", name)
	}
	for _, parameter := range []string{"ActivityIds", "Filters", "IncludeDeletedGroups"} {
		if r.form.has(parameter) || len(r.form.sub(parameter)) > 0 {
			return nil, invalid("The emulator does not know %s", parameter)
		}
	}
	found, next, ok := page(a.history(name, a.read(r.action)), activityKey, r.form.get("NextToken"), limit)
	if !ok {
		return nil, badToken
	}
	var out struct {
		Activities members[xmlActivity] `xml:"Activities"`
		NextToken  string               `xml:"NextToken,omitempty"`
	}
	for _, act := range found {
		out.Activities.Member = append(out.Activities.Member, a.skewed(act))
	}
	out.NextToken = next
	return out, nil
}

// history lists the activities of one group or of all groups: first the ones in progress, each kind newest first (API
// reference, DescribeScalingActivities).
func (a *account) history(group string, then *moment) []*activity {
	var found []*activity
	for name, activities := range a.activities {
		_, exists := a.groups[name]
		if group != "" && name != group || !exists {
			continue
		}
		for _, act := range activities {
			if act := then.activity(act); act != nil {
				found = append(found, act)
			}
		}
	}
	slices.SortFunc(found, func(x, y *activity) int { return cmp.Compare(activityKey(x), activityKey(y)) })
	return found
}

// activityKey sorts activities in progress before finished ones, and newer ones first.
func activityKey(act *activity) string {
	return fmt.Sprintf("%t %020d %08d", !act.ended.IsZero(), maxNanos-act.started.UnixNano(), 1<<26-act.sequence)
}

const maxNanos = math.MaxInt64

type (
	xmlLaunchConfiguration struct {
		Name           string                `xml:"LaunchConfigurationName"`
		ImageID        string                `xml:"ImageId"`
		InstanceType   string                `xml:"InstanceType"`
		UserData       string                `xml:"UserData"`
		SecurityGroups members[string]       `xml:"SecurityGroups"`
		Mappings       members[xmlAsgDevice] `xml:"BlockDeviceMappings"`
		SpotPrice      string                `xml:"SpotPrice,omitempty"`
		CreatedTime    string                `xml:"CreatedTime"`
	}
	xmlAsgDevice struct {
		DeviceName string `xml:"DeviceName"`
		SizeGiB    int    `xml:"Ebs>VolumeSize,omitempty"`
	}
)

func (a *account) configurationShape(lc LaunchConfiguration) xmlLaunchConfiguration {
	x := xmlLaunchConfiguration{
		Name: lc.Name, ImageID: lc.ImageID, InstanceType: lc.InstanceType, SpotPrice: lc.SpotPrice,
		UserData:    base64.StdEncoding.EncodeToString([]byte(lc.UserData)),
		CreatedTime: timestamp(a.started),
	}
	for _, d := range lc.BlockDevices {
		x.Mappings.Member = append(x.Mappings.Member, xmlAsgDevice{d.DeviceName, d.SizeGiB})
	}
	return x
}

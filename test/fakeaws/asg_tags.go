package fakeaws

import (
	"encoding/base64"
	"slices"
	"strings"
)

func (a *account) describeTags(r *request) (any, error) {
	limit, err := records(r.form, defaultRecords, maxRecords)
	if err != nil {
		return nil, err
	}
	keep, err := describeTagsFilter(r.form)
	if err != nil {
		return nil, err
	}
	var found []xmlTag
	for _, g := range a.sortedGroups() {
		for _, tag := range g.tagShapes() {
			if keep(tag) {
				found = append(found, tag)
			}
		}
	}
	key := func(t xmlTag) string { return t.ResourceID + "\x00" + t.Key }
	slices.SortFunc(found, func(x, y xmlTag) int { return strings.Compare(key(x), key(y)) })
	found, next, ok := page(found, key, r.form.get("NextToken"), limit)
	if !ok {
		return nil, badToken
	}
	return struct {
		Tags      members[xmlTag] `xml:"Tags"`
		NextToken string          `xml:"NextToken,omitempty"`
	}{members[xmlTag]{found}, next}, nil
}

// describeTagsFilter parses the filters. All of them have to hold, each by any of its values.
func describeTagsFilter(f form) (func(xmlTag) bool, error) {
	fields := map[string]func(xmlTag) string{
		"auto-scaling-group": func(t xmlTag) string { return t.ResourceID },
		"key":                func(t xmlTag) string { return t.Key },
		"value":              func(t xmlTag) string { return t.Value },
		"propagate-at-launch": func(t xmlTag) string {
			if t.PropagateAtLaunch {
				return "true"
			}
			return "false"
		},
	}
	filters := f.structs("Filters.member")
	for _, filter := range filters {
		if fields[filter.get("Name")] == nil {
			return nil, invalid("Filter type %s is not correct. Allowed Filter types are: auto-scaling-group key value propagate-at-launch", filter.get("Name"))
		}
	}
	return func(t xmlTag) bool {
		return !slices.ContainsFunc(filters, func(filter form) bool {
			return !slices.Contains(filter.list("Values.member"), fields[filter.get("Name")](t))
		})
	}, nil
}

func (a *account) createOrUpdateTags(r *request) (any, error) {
	return nil, a.eachTag(r, func(g *group, tag form) { g.Tags[tag.get("Key")] = tag.get("Value") })
}

func (a *account) deleteTags(r *request) (any, error) {
	return nil, a.eachTag(r, func(g *group, tag form) { delete(g.Tags, tag.get("Key")) })
}

// eachTag checks all tags of a request and then changes their groups.
func (a *account) eachTag(r *request, change func(*group, form)) error {
	tags := r.form.structs("Tags.member")
	if len(tags) == 0 {
		return invalid("1 validation error detected: Value null at 'tags' failed to satisfy constraint: Member must not be null")
	}
	changed := map[*group]bool{}
	for _, tag := range tags {
		g, err := a.findGroup(tag.get("ResourceId"))
		if err != nil {
			return err
		}
		if tag.get("Key") == "" {
			return invalid("1 validation error detected: Value at 'tags.1.member.key' failed to satisfy constraint: Member must have length greater than or equal to 1")
		}
		changed[g] = true
	}
	for _, tag := range tags {
		change(a.groups[tag.get("ResourceId")], tag)
	}
	for g := range changed {
		a.events.add(Event{Kind: TagsChanged, Group: g.Name, By: r.by()})
	}
	return nil
}

type (
	xmlLaunchConfiguration struct {
		Name               string                `xml:"LaunchConfigurationName"`
		ARN                string                `xml:"LaunchConfigurationARN"`
		ImageID            string                `xml:"ImageId"`
		InstanceType       string                `xml:"InstanceType"`
		UserData           string                `xml:"UserData"`
		KeyName            string                `xml:"KeyName"`
		KernelID           string                `xml:"KernelId"`
		RamdiskID          string                `xml:"RamdiskId"`
		SecurityGroups     members[string]       `xml:"SecurityGroups"`
		Mappings           members[xmlAsgDevice] `xml:"BlockDeviceMappings"`
		SpotPrice          string                `xml:"SpotPrice,omitempty"`
		IamInstanceProfile string                `xml:"IamInstanceProfile,omitempty"`
		CreatedTime        string                `xml:"CreatedTime"`
		EbsOptimized       bool                  `xml:"EbsOptimized"`
	}
	xmlAsgDevice struct {
		DeviceName  string     `xml:"DeviceName"`
		VirtualName string     `xml:"VirtualName,omitempty"`
		Ebs         *xmlAsgEbs `xml:"Ebs"`
	}
	xmlAsgEbs struct {
		VolumeSize          int    `xml:"VolumeSize,omitempty"`
		VolumeType          string `xml:"VolumeType"`
		SnapshotID          string `xml:"SnapshotId,omitempty"`
		DeleteOnTermination bool   `xml:"DeleteOnTermination"`
	}
)

func (a *account) configurationShape(lc LaunchConfiguration) xmlLaunchConfiguration {
	x := xmlLaunchConfiguration{
		Name: lc.Name, ImageID: lc.ImageID, InstanceType: lc.InstanceType, SpotPrice: lc.SpotPrice,
		UserData: base64.StdEncoding.EncodeToString([]byte(lc.UserData)), IamInstanceProfile: lc.IAMInstanceProfile,
		CreatedTime: timestamp(a.started),
		ARN: "arn:" + a.partition + ":autoscaling:" + a.region + ":" + a.id + ":launchConfiguration:" + uuidOf("launch configuration", lc.Name) +
			":launchConfigurationName/" + lc.Name,
	}
	for _, d := range lc.BlockDevices {
		shape := xmlAsgDevice{DeviceName: d.DeviceName, VirtualName: d.Virtual}
		if d.Virtual == "" {
			shape.Ebs = &xmlAsgEbs{VolumeSize: d.SizeGiB, VolumeType: first(d.VolumeType, "gp3"), SnapshotID: d.SnapshotID, DeleteOnTermination: true}
		}
		x.Mappings.Member = append(x.Mappings.Member, shape)
	}
	return x
}

package fakeaws

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
)

// Page sizes of DescribeLaunchTemplateVersions: 1 to 200.
const maxTemplateVersions = 200

type (
	ec2TemplateVersion struct {
		LaunchTemplateID   string          `xml:"launchTemplateId"`
		LaunchTemplateName string          `xml:"launchTemplateName"`
		VersionNumber      int             `xml:"versionNumber"`
		DefaultVersion     bool            `xml:"defaultVersion"`
		Data               ec2TemplateData `xml:"launchTemplateData"`
	}
	ec2TemplateData struct {
		ImageID              string             `xml:"imageId,omitempty"`
		InstanceType         string             `xml:"instanceType,omitempty"`
		InstanceRequirements *ec2Requirements   `xml:"instanceRequirements"`
		UserData             string             `xml:"userData,omitempty"`
		BlockDevices         *items[ec2Device]  `xml:"blockDeviceMappingSet"`
		Tags                 *items[ec2TagSpec] `xml:"tagSpecificationSet"`
		Market               *ec2Market         `xml:"instanceMarketOptions"`
		Profile              *ec2Profile        `xml:"iamInstanceProfile"`
		SecurityGroups       *items[string]     `xml:"securityGroupIdSet"`

		Interfaces *items[ec2Interface] `xml:"networkInterfaceSet"`
	}
	ec2Interface struct {
		Type   string    `xml:"interfaceType,omitempty"`
		Groups *groupIDs `xml:"groupSet"`
	}
	groupIDs struct {
		ID []string `xml:"groupId"`
	}
	ec2TagSpec struct {
		ResourceType string        `xml:"resourceType"`
		Tags         items[ec2Tag] `xml:"tagSet"`
	}
	ec2Market struct {
		MarketType string `xml:"marketType"`
	}
	ec2Profile struct {
		Name string `xml:"name"`
	}
	ec2TemplateVersions struct {
		ec2Header
		Versions  items[ec2TemplateVersion] `xml:"launchTemplateVersionSet"`
		NextToken string                    `xml:"nextToken,omitempty"`
	}
)

func (a *account) describeLaunchTemplateVersions(r *request) (any, error) {
	limit, err := ec2Page(r.form, 1, maxTemplateVersions, maxTemplateVersions)
	if err != nil {
		return nil, err
	}
	if _, err := ec2Filters(r.form); err != nil {
		return nil, err
	}
	found, err := a.templateVersions(r.form)
	if err != nil {
		return nil, err
	}
	if r.form.boolean("ResolveAlias") {
		for _, v := range found {
			if err := a.permitImage(r, a.templates[v.LaunchTemplateID].Versions[v.VersionNumber-1].ImageID); err != nil {
				return nil, err
			}
		}
	}
	found, next, ok := page(found, ec2TemplateVersion.key, r.form.get("NextToken"), limit)
	if !ok {
		return nil, ec2BadToken
	}
	return &ec2TemplateVersions{Versions: items[ec2TemplateVersion]{found}, NextToken: next}, nil
}

// templateVersions are the requested versions, newest first, of one template or of all.
func (a *account) templateVersions(f form) ([]ec2TemplateVersion, error) {
	ref := LaunchTemplateRef{ID: f.get("LaunchTemplateId"), Name: f.get("LaunchTemplateName")}
	wanted := f.list("LaunchTemplateVersion")
	var found []ec2TemplateVersion
	var err error
	switch {
	case a.lacks.TemplateIDs:
		found = a.versionsByName(ref.Name, wanted, f)
	case ref.ID != "" && ref.Name != "":
		return nil, &apiError{Code: "InvalidParameterCombination", Message: "You may specify either a launch template ID or a launch template name, but not both."}
	case ref.ID == "" && ref.Name == "":
		found, err = a.versionsOfAll(wanted, f)
	default:
		found, err = a.versionsOfOne(ref, wanted, f)
	}
	slices.SortFunc(found, func(x, y ec2TemplateVersion) int { return strings.Compare(x.key(), y.key()) })
	return slices.CompactFunc(found, func(x, y ec2TemplateVersion) bool { return x.key() == y.key() }), err
}

func (a *account) versionsOfAll(wanted []string, f form) ([]ec2TemplateVersion, error) {
	if len(wanted) == 0 {
		return nil, &apiError{Code: "MissingParameter", Message: "You must specify a launch template ID, a launch template name, or the versions $Latest or $Default."}
	}
	var found []ec2TemplateVersion
	for _, t := range a.templates {
		for _, version := range wanted {
			if version != "$Latest" && version != "$Default" {
				return nil, &apiError{Code: "InvalidParameterCombination", Message: "You can only specify $Latest or $Default as the version if no launch template is specified."}
			}
			found = append(found, a.versionShape(t, t.number(version), f.boolean("ResolveAlias")))
		}
	}
	return found, nil
}

// versionsByName are those of all templates where the name is empty. One that there is not is no error.
func (a *account) versionsByName(name string, wanted []string, f form) (found []ec2TemplateVersion) {
	for _, t := range a.templates {
		for _, version := range wanted {
			if n := t.number(version); n > 0 && (name == "" || t.Name == name) {
				found = append(found, a.versionShape(t, n, f.boolean("ResolveAlias")))
			}
		}
	}
	return found
}

func (a *account) versionsOfOne(ref LaunchTemplateRef, wanted []string, f form) ([]ec2TemplateVersion, error) {
	t := a.template(ref)
	if t == nil {
		if ref.ID != "" {
			return nil, &apiError{Code: "InvalidLaunchTemplateId.NotFound", Message: templateGone(ref).text}
		}
		return nil, &apiError{Code: "InvalidLaunchTemplateName.NotFoundException", Message: templateGone(ref).text}
	}
	var found []ec2TemplateVersion
	if len(wanted) == 0 {
		for n := range t.Versions {
			found = append(found, a.versionShape(t, n+1, f.boolean("ResolveAlias")))
		}
	}
	for _, version := range wanted {
		n := t.number(version)
		if n == 0 || version == "" {
			return nil, &apiError{
				Code:    "InvalidLaunchTemplateId.VersionNotFound",
				Message: fmt.Sprintf("Could not find the specified version %s for the launch template with ID %s.", version, t.ID),
			}
		}
		found = append(found, a.versionShape(t, n, f.boolean("ResolveAlias")))
	}
	return found, nil
}

// key sorts by template, and the newest version of each first.
func (v ec2TemplateVersion) key() string {
	return fmt.Sprintf("%s %06d", v.LaunchTemplateID, 999_999-v.VersionNumber)
}

func (a *account) versionShape(t *template, number int, resolve bool) ec2TemplateVersion {
	v := t.Versions[number-1]
	data := ec2TemplateData{
		ImageID: v.ImageID, InstanceType: v.InstanceType, InstanceRequirements: v.Requirements.ec2Shape(),
		UserData: base64.StdEncoding.EncodeToString([]byte(v.UserData)), BlockDevices: ec2Devices(v.BlockDevices), SecurityGroups: optionalItems(v.SecurityGroupIDs), Interfaces: v.interfaces(),
	}
	if path, ok := strings.CutPrefix(v.ImageID, "resolve:ssm:"); ok && resolve {
		data.ImageID = first(a.ssm[path], v.ImageID)
	}
	if len(v.Tags) > 0 {
		data.Tags = &items[ec2TagSpec]{[]ec2TagSpec{{"instance", ec2Tags(v.Tags)}}}
	}
	if v.Spot {
		data.Market = &ec2Market{"spot"}
	}
	if v.IAMInstanceProfile != "" {
		data.Profile = &ec2Profile{v.IAMInstanceProfile}
	}
	return ec2TemplateVersion{
		LaunchTemplateID: t.ID, LaunchTemplateName: t.Name, VersionNumber: number,
		DefaultVersion: number == t.Default, Data: data,
	}
}

func (v LaunchTemplateVersion) interfaces() *items[ec2Interface] {
	var out items[ec2Interface]
	for _, i := range v.NetworkInterfaces {
		shape := ec2Interface{Type: i.Type}
		if len(i.SecurityGroupIDs) > 0 {
			shape.Groups = &groupIDs{i.SecurityGroupIDs}
		}
		out.Item = append(out.Item, shape)
	}
	if len(out.Item) == 0 {
		return nil
	}
	return &out
}

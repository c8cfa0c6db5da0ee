package source

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"
)

// File names within the folder or the archive.
const (
	groupsFile         = "auto-scaling-groups.json"
	templatesFile      = "launch-template-versions.json"
	configurationsFile = "launch-configurations.json"
	imagesFile         = "images.json"
	nodegroupsFile     = "nodegroups.json"
	instanceTypesFile  = "instance-types.json"
	offeringsFile      = "instance-type-offerings.json"
	spotPricesFile     = "spot-prices.json"
	requirementsFile   = "instance-types-of-requirements.json"
)

// maxFileBytes bounds one file: a page of a hundred groups with all their instances and tags takes about a megabyte.
const maxFileBytes = 256 << 20

// Account holds the facts about an AWS account in the files of one folder.
type Account struct {
	name           string // of the folder or the archive
	groups         []astypes.AutoScalingGroup
	templates      []ec2types.LaunchTemplateVersion
	configurations []astypes.LaunchConfiguration
	images         []ec2types.Image
	nodegroups     []ekstypes.Nodegroup
	offerings      []ec2types.InstanceTypeOffering
	spotPrices     []ec2types.SpotPrice
	typesMet       []typesMet
	missing        map[string]bool // files that are not there
}

// LoadAccount reads the files of the folder or the archive called name. Only the groups' file must exist, and every existing file must be valid.
func LoadAccount(files fs.FS, name string) (*Account, error) {
	a := &Account{name: name, missing: map[string]bool{}}
	if err := errors.Join(
		load(a, files, groupsFile, "AutoScalingGroups", &a.groups, func(g astypes.AutoScalingGroup) *string { return g.AutoScalingGroupName }),
		load(a, files, templatesFile, "LaunchTemplateVersions", &a.templates, func(v ec2types.LaunchTemplateVersion) *string { return v.LaunchTemplateId }),
		load(a, files, configurationsFile, "LaunchConfigurations", &a.configurations, func(c astypes.LaunchConfiguration) *string { return c.LaunchConfigurationName }),
		load(a, files, imagesFile, "Images", &a.images, func(i ec2types.Image) *string { return i.ImageId }),
		load(a, files, nodegroupsFile, "nodegroup", &a.nodegroups, func(n ekstypes.Nodegroup) *string { return n.NodegroupName }),
		load(a, files, offeringsFile, "InstanceTypeOfferings", &a.offerings, func(o ec2types.InstanceTypeOffering) *string { return o.Location }),
		load(a, files, spotPricesFile, "SpotPriceHistory", &a.spotPrices, func(p ec2types.SpotPrice) *string { return p.SpotPrice }),
		load(a, files, requirementsFile, "TypesMet", &a.typesMet, func(t typesMet) *string { return &t.Request }),
	); err != nil {
		return nil, err
	}
	if a.missing[groupsFile] {
		return nil, fmt.Errorf("no file %q in %q: write it with aws autoscaling describe-auto-scaling-groups --output json", groupsFile, name)
	}
	return a, nil
}

// Region returns the region in the ARN of the group called name, or "".
func (a *Account) Region(name string) string {
	at := slices.IndexFunc(a.groups, func(g astypes.AutoScalingGroup) bool { return aws.ToString(g.AutoScalingGroupName) == name })
	if at < 0 {
		return ""
	}
	parsed, _ := arn.Parse(aws.ToString(a.groups[at].AutoScalingGroupARN)) // "" if it is none
	return parsed.Region
}

// load reads the objects of one file into list. They stand under the member called key, which may be one object or a list.
// An object without a name is of another kind.
func load[T any](a *Account, files fs.FS, name, key string, list *[]T, named func(T) *string) error {
	path := filepath.Join(a.name, name)
	f, err := files.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		a.missing[name] = true
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	defer f.Close()
	decoder := json.NewDecoder(io.LimitReader(f, maxFileBytes))
	decoder.UseNumber()
	for {
		var document any
		if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		for _, object := range objects(document, key) {
			var item T
			if err := into(object, &item); err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
			if aws.ToString(named(item)) == "" {
				return fmt.Errorf("%s: an object that is not of %s", path, key)
			}
			*list = append(*list, item)
		}
	}
}

// objects finds the objects in a document: the list under key, a list of documents, or the document itself.
func objects(document any, key string) []any {
	switch d := document.(type) {
	case []any:
		var all []any
		for _, element := range d {
			all = append(all, objects(element, key)...)
		}
		return all
	case map[string]any:
		if inner, ok := d[key]; ok {
			return objects(inner, key)
		}
		if list, ok := d[key+"s"].([]any); ok {
			return objects(list, key)
		}
		return []any{d}
	}
	return []any{document}
}

// into converts a decoded object into a structure of the SDK, whose fields have the names that the CLI prints, apart from case.
// Times that are numbers, as the older CLI prints them, are left out: nothing here depends on one.
func into(object, item any) error {
	if _, ok := object.(map[string]any); !ok {
		return fmt.Errorf("%.60v is not an object", object)
	}
	text, _ := json.Marshal(object) // it was JSON
	return json.Unmarshal(epochs.ReplaceAll(text, []byte("${1}null")), item)
}

// epochs are the members that hold a time, as a number.
var epochs = regexp.MustCompile(`(?i)("(?:createdtime|createtime|createdat|modifiedat|validuntil)":)[-+.0-9e]+`)

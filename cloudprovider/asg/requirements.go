package asg

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// requirementsKey is a question to GetInstanceTypesFromInstanceRequirements: the requirements as canonical JSON, and the
// image whose architecture narrows them.
type requirementsKey struct{ json, image string }

// machineImage is what matters of a machine image.
type machineImage struct {
	Architecture   ec2types.ArchitectureType
	Virtualization ec2types.VirtualizationType
}

// requirementsOf are the questions whose answers make up the types of g. The templates must have been fetched.
func (l *launches) requirementsOf(g *Group) []requirementsKey {
	if g.Source.Template.isZero() {
		return nil
	}
	base, _ := l.templates.get(g.Source.Template)
	if base == nil {
		return nil
	}
	var keys []requirementsKey
	for _, o := range g.Source.Overrides {
		if o.Requirements == nil {
			continue
		}
		used := base
		if !o.Template.isZero() {
			if used, _ = l.templates.get(o.Template); used == nil {
				continue
			}
		}
		keys = append(keys, requirementsOf(o, used.imageID))
	}
	if len(g.Source.Overrides) == 0 && base.requirements != nil {
		keys = append(keys, requirementsKey{json: base.requirementsJSON, image: base.imageID})
	}
	return keys
}

func requirementsOf(o Override, image string) requirementsKey {
	return requirementsKey{json: canonical(requirementsRequest(o.Requirements)), image: image}
}

// requirementsRequest turns the requirements of a policy (Auto Scaling's type) or a template (EC2's) into those of the
// request. All three have the same fields under the same names.
func requirementsRequest(requirements any) *ec2types.InstanceRequirementsRequest {
	var request ec2types.InstanceRequirementsRequest
	if err := json.Unmarshal([]byte(canonical(requirements)), &request); err != nil {
		return &ec2types.InstanceRequirementsRequest{}
	}
	return &request
}

// canonical is the value as JSON; plain structs of the SDK always have one.
func canonical(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(text)
}

func (l *launches) fetchRequirements(ctx context.Context, keys []requirementsKey) {
	found := make([][]string, len(keys))
	errs := make([]error, len(keys))
	each(len(keys), func(i int) { found[i], errs[i] = l.matchingTypes(ctx, keys[i]) })
	for i, key := range keys {
		l.requirements.put(key, &found[i], errs[i], l.clock.Now())
	}
}

// matchingTypes asks EC2 for the instance types, all pages of them, by name.
func (l *launches) matchingTypes(ctx context.Context, key requirementsKey) ([]string, error) {
	image, err := l.image(ctx, key.image)
	if err != nil {
		return nil, err
	}
	var request ec2types.InstanceRequirementsRequest
	if err := json.Unmarshal([]byte(key.json), &request); err != nil {
		return nil, fmt.Errorf("instance requirements: %w", err)
	}
	pages := ec2.NewGetInstanceTypesFromInstanceRequirementsPaginator(l.apis.EC2, &ec2.GetInstanceTypesFromInstanceRequirementsInput{
		ArchitectureTypes:    []ec2types.ArchitectureType{image.Architecture},
		VirtualizationTypes:  []ec2types.VirtualizationType{image.Virtualization},
		InstanceRequirements: &request,
	})
	var names []string
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("get instance types from requirements: %w", err)
		}
		for _, t := range page.InstanceTypes {
			names = append(names, aws.ToString(t.InstanceType))
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("no instance type meets the requirements")
	}
	slices.Sort(names)
	return names, nil
}

// image reads the architecture of a machine image; without one, or with a reference into Systems Manager, it is taken for
// x86-64, as every current image is hardware-virtualised.
func (l *launches) image(ctx context.Context, id string) (machineImage, error) {
	image := machineImage{Architecture: ec2types.ArchitectureTypeX8664, Virtualization: ec2types.VirtualizationTypeHvm}
	if id == "" || strings.HasPrefix(id, "resolve:") {
		return image, nil
	}
	out, err := l.apis.EC2.DescribeImages(ctx, &ec2.DescribeImagesInput{ImageIds: []string{id}, IncludeDeprecated: aws.Bool(true)})
	if err != nil {
		return machineImage{}, fmt.Errorf("describe image %q: %w", id, err)
	}
	if len(out.Images) == 0 {
		return machineImage{}, fmt.Errorf("image %q: %w", id, errGone)
	}
	if a := out.Images[0].Architecture; a != "" {
		image.Architecture = ec2types.ArchitectureType(a)
	}
	if v := out.Images[0].VirtualizationType; v != "" {
		image.Virtualization = v
	}
	return image, nil
}

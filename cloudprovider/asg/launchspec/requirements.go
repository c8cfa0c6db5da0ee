package launchspec

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// requirementsKey is a question to GetInstanceTypesFromInstanceRequirements: the requirements as canonical JSON, and the image whose architecture
// narrows them.
type requirementsKey struct {
	json         string
	architecture ec2types.ArchitectureType
}

// requirementsOf returns the questions whose answers make up the types of g. The templates must have been fetched.
func (r *Resolver) requirementsOf(g *Group) []requirementsKey {
	base, _ := r.templates.get(g.Source.Template)
	if base == nil {
		return nil
	}
	var keys []requirementsKey
	for _, o := range g.Source.entries() {
		used := r.templateOf(o, base)
		if used == nil {
			continue
		}
		json := used.requirementsFor(o)
		if architecture, err := r.architecture(used.ImageID); err == nil && json != "" {
			keys = append(keys, requirementsKey{json, architecture})
		}
	}
	return keys
}

// requirementsFor returns the requirements that select the types of an entry with the template as canonical JSON, "" where a type is named.
func (t *template) requirementsFor(o Override) string {
	switch {
	case o.InstanceType != "":
		return ""
	case o.Requirements != nil:
		return requirementsJSON(o.Requirements)
	}
	return t.requirementsJSON
}

// requirementsJSON returns the requirements of a policy (Auto Scaling's type) or a template (EC2's) as canonical JSON of the request's. All three have
// the same fields under the same names, and plain structs of the SDK always have a JSON form.
func requirementsJSON(requirements any) string {
	text, _ := json.Marshal(requirements)
	text, _ = json.Marshal(requested(string(text)))
	return string(text)
}

// requested reads the canonical JSON.
func requested(text string) *ec2types.InstanceRequirementsRequest {
	var request ec2types.InstanceRequirementsRequest
	_ = json.Unmarshal([]byte(text), &request) // which has the same fields
	return &request
}

// matchingTypes asks EC2 for all pages of the instance types, sorted by name.
func (r *Resolver) matchingTypes(ctx context.Context, key requirementsKey) (*[]string, error) {
	pages := ec2.NewGetInstanceTypesFromInstanceRequirementsPaginator(r.apis.EC2, &ec2.GetInstanceTypesFromInstanceRequirementsInput{
		ArchitectureTypes:    []ec2types.ArchitectureType{key.architecture},
		VirtualizationTypes:  []ec2types.VirtualizationType{ec2types.VirtualizationTypeHvm}, // as every image for current types has
		InstanceRequirements: requested(key.json),
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
	return &names, nil
}

// assumable reports whether an image that was not read counts as one for x86-64: a parameter of Systems Manager names it whose look-ups go on failing,
// or nobody may read it. An image whose look-up fails for a moment may be for arm64.
func (r *Resolver) assumable(imageID string, err error) bool {
	if resolved, _ := r.aliases.get(imageID); resolved != nil {
		return !r.images.unsure(*resolved)
	}
	_, asked := r.aliases.entries[imageID]
	return barred(err) || isAlias(imageID) && !(asked && r.aliases.unsure(imageID))
}

// architecture returns the image's constraint on types. It is x86-64 where the image is assumable.
func (r *Resolver) architecture(imageID string) (ec2types.ArchitectureType, error) {
	found, err := r.image(imageID)
	switch {
	case imageID == "", found == nil && r.assumable(imageID, err):
		return ec2types.ArchitectureTypeX8664, nil
	case found == nil:
		return "", err
	}
	return cmp.Or(ec2types.ArchitectureType(found.Architecture), ec2types.ArchitectureTypeX8664), nil
}

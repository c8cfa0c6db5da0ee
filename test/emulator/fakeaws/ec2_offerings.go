package fakeaws

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// offeringsPerPage is DescribeInstanceTypeOfferings' largest page.
const offeringsPerPage = 1000

type (
	ec2Offering struct {
		InstanceType string `xml:"instanceType"`
		LocationType string `xml:"locationType"`
		Location     string `xml:"location"`
	}
	ec2Offerings struct {
		ec2Header
		Offerings items[ec2Offering] `xml:"instanceTypeOfferingSet"`
		NextToken string             `xml:"nextToken,omitempty"`
	}
)

// describeInstanceTypeOfferings knows the locations that are zones, and the region.
func (a *account) describeInstanceTypeOfferings(r *request) (any, error) {
	limit, err := ec2Page(r.form, 5, offeringsPerPage, offeringsPerPage)
	if err != nil {
		return nil, err
	}
	filters, err := ec2Filters(r.form, "instance-type", "location")
	if err != nil {
		return nil, err
	}
	kind := first(r.form.get("LocationType"), "region")
	if kind != "region" && kind != "availability-zone" {
		return nil, &apiError{Code: "InvalidParameterValue", Message: fmt.Sprintf("Value (%s) for parameter locationType is invalid.", kind)}
	}
	found := slices.DeleteFunc(a.allOfferings(kind), func(o ec2Offering) bool { return !allHold(filters, o.field) })
	found, next, ok := page(found, ec2Offering.key, r.form.get("NextToken"), limit)
	if !ok {
		return nil, ec2BadToken
	}
	return &ec2Offerings{Offerings: items[ec2Offering]{found}, NextToken: next}, nil
}

// allOfferings are the types of the catalogue in each location of the kind where they are offered, sorted by key.
func (a *account) allOfferings(kind string) []ec2Offering {
	var out []ec2Offering
	for _, name := range a.types.names() {
		locations := a.zonesOffering(name)
		if kind == "region" && len(locations) > 0 {
			locations = []string{a.region}
		}
		for _, location := range locations {
			out = append(out, ec2Offering{InstanceType: name, LocationType: kind, Location: location})
		}
	}
	slices.SortFunc(out, func(x, y ec2Offering) int { return strings.Compare(x.key(), y.key()) })
	return out
}

func (o ec2Offering) key() string { return o.InstanceType + "\x00" + o.Location }

func (o ec2Offering) field(name string) string {
	if name == "location" {
		return o.Location
	}
	return o.InstanceType
}

// zonesOffering are the zones in which a type is offered: the Config's, or else all that groups name.
func (a *account) zonesOffering(instanceType string) []string {
	if zones, limited := a.offerings[instanceType]; limited {
		return zones
	}
	return a.zones()
}

// unoffered is why EC2 will not launch in a pool whatever its capacity, or nil.
func (a *account) unoffered(p pool) *launchFailure {
	_, known := a.types.lookup(p.instanceType)
	zones, limited := a.offerings[p.instanceType]
	if known && (!limited || slices.Contains(zones, p.zone)) {
		return nil
	}
	text := "Your requested instance type (" + p.instanceType + ") is not supported in your requested Availability Zone (" + p.zone + ")."
	if known && len(zones) > 0 {
		text += " Please retry your request by not specifying an Availability Zone or choosing " + strings.Join(zones, ", ") + "."
	}
	return &launchFailure{code: "Unsupported", text: text}
}

// validateOfferings finds unknown types: to limit them would do nothing.
func (c Config) validateOfferings(types *catalogue) error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(c.Offerings)) {
		if _, known := types.lookup(name); !known {
			errs = append(errs, fmt.Errorf("fakeaws config: offerings of %q: no such instance type; add it to instanceTypes", name))
		}
	}
	return errors.Join(errs...)
}

package fakeaws

import (
	"fmt"
	"maps"
	"slices"
)

// ec2Header begins every answer of EC2.
type ec2Header struct {
	RequestID string `xml:"requestId"`
}

func (h *ec2Header) setRequestID(id string) { h.RequestID = id }

// items is a list of EC2, present even when it is empty.
type items[T any] struct {
	Item []T `xml:"item"`
}

type ec2Tag struct {
	Key   string `xml:"key"`
	Value string `xml:"value"`
}

func ec2Tags(tags map[string]string) items[ec2Tag] {
	var out items[ec2Tag]
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		out.Item = append(out.Item, ec2Tag{key, tags[key]})
	}
	return out
}

// An ec2Device is a block device, as launch templates and images have it.
type ec2Device struct {
	DeviceName string `xml:"deviceName"`
	SizeGiB    int    `xml:"ebs>volumeSize,omitempty"`
}

func ec2Devices(devices []BlockDevice) *items[ec2Device] {
	if len(devices) == 0 {
		return nil
	}
	var out items[ec2Device]
	for _, d := range devices {
		out.Item = append(out.Item, ec2Device{d.DeviceName, d.SizeGiB})
	}
	return &out
}

// ec2Range and ec2Requirements are instance requirements in a launch template.
type (
	ec2Range struct {
		Min *int `xml:"min"`
		Max *int `xml:"max"`
	}
	ec2Requirements struct {
		VCPUCount            ec2Range       `xml:"vCpuCount"`
		MemoryMiB            ec2Range       `xml:"memoryMiB"`
		AllowedInstanceTypes *items[string] `xml:"allowedInstanceTypeSet"`
	}
)

func (r *InstanceRequirements) ec2Shape() *ec2Requirements {
	if r == nil {
		return nil
	}
	return &ec2Requirements{
		VCPUCount: ec2Range{&r.VCPUs.Min, r.VCPUs.Max}, MemoryMiB: ec2Range{&r.MemoryMiB.Min, r.MemoryMiB.Max},
		AllowedInstanceTypes: optionalItems(r.AllowedInstanceTypes),
	}
}

func optionalItems(values []string) *items[string] {
	if len(values) == 0 {
		return nil
	}
	return &items[string]{values}
}

func requirementsOf(f form) (InstanceRequirements, error) {
	r := InstanceRequirements{AllowedInstanceTypes: f.list("AllowedInstanceType")}
	for _, needed := range []string{"VCpuCount.Min", "MemoryMiB.Min"} {
		if !f.has(needed) {
			return r, &apiError{Code: "MissingParameter", Message: "The request must contain the parameter InstanceRequirements." + needed}
		}
	}
	var err error
	if r.VCPUs, err = rangeOf(f.sub("VCpuCount")); err != nil {
		return r, err
	}
	r.MemoryMiB, err = rangeOf(f.sub("MemoryMiB"))
	return r, err
}

func rangeOf(f form) (Range, error) {
	var r Range
	var err error
	if r.Min, err = f.number("Min", 0); err != nil || !f.has("Max") {
		return r, err
	}
	upper, err := f.number("Max", 0)
	r.Max = &upper
	return r, err
}

// maxFilterValues bounds the filter values of one EC2 call.
const maxFilterValues = 200

// An ec2Filter is one of Filter.n. It holds if any of its values does, in which * stands for any text.
type ec2Filter struct {
	name   string
	values []string
}

// ec2Filters parses the filters of a request. A name that is not in known is an error.
func ec2Filters(f form, known ...string) ([]ec2Filter, error) {
	var out []ec2Filter
	values := 0
	for _, member := range f.structs("Filter") {
		name := member.get("Name")
		if !slices.Contains(known, name) {
			return nil, &apiError{Code: "InvalidParameterValue", Message: "The filter '" + name + "' is invalid"}
		}
		filter := ec2Filter{name, member.list("Value")}
		if values += len(filter.values); values > maxFilterValues {
			return nil, &apiError{Code: "FilterLimitExceeded", Message: fmt.Sprintf("The maximum number of filter values specified on a single call is %d", maxFilterValues)}
		}
		out = append(out, filter)
	}
	return out, nil
}

// allHold applies filters to the values that field gives for their names.
func allHold(filters []ec2Filter, field func(name string) string) bool {
	for _, filter := range filters {
		if !anyMatch(filter.values, field(filter.name)) {
			return false
		}
	}
	return true
}

// ec2Page parses MaxResults, which has to lie between lowest and highest. all is the number of results without it.
func ec2Page(f form, lowest, highest, all int) (int, error) {
	if !f.has("MaxResults") {
		return all, nil
	}
	n, err := f.number("MaxResults", 0)
	if err != nil {
		return 0, err
	}
	if n < lowest || n > highest {
		return 0, &apiError{
			Code:    "InvalidParameterValue",
			Message: "Value ( " + f.get("MaxResults") + " ) for parameter maxResults is invalid. Expecting a value within the page size limits.",
		}
	}
	return n, nil
}

var ec2BadToken = &apiError{Code: "InvalidNextToken", Message: "The token is invalid or has expired."}

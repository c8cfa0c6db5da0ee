package instancetypes

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
)

const (
	// maxDumpBytes is about ten times the AWS CLI's output for all types of the largest region.
	maxDumpBytes = 128 << 20
	// maxDumpNesting bounds the wrapping of pages: jq --slurp makes a list of several pages.
	maxDumpNesting = 3
	dumpSource     = "ec2:DescribeInstanceTypes"
)

// ParseDump reads the output of `aws ec2 describe-instance-types --output json`: one or several pages, one after the other or
// as a list. The first fault ends it, and the error names the line. Two entries of one type must be equal. The facts mean the
// same as in the table.
func ParseDump(dump []byte) (*Catalogue, error) {
	if len(dump) > maxDumpBytes {
		return nil, fmt.Errorf("DescribeInstanceTypes dump of %d bytes is larger than %d", len(dump), maxDumpBytes)
	}
	d := dumpReader{text: dump, seen: map[string]int{}}
	if err := d.read(); err != nil {
		return nil, fmt.Errorf("DescribeInstanceTypes dump, %w", err)
	}
	if len(d.types) == 0 {
		return nil, errors.New("DescribeInstanceTypes dump has no instance types")
	}
	sortTypes(d.types)
	return &Catalogue{types: d.types, source: dumpSource}, nil
}

// dumpReader walks through a dump.
type dumpReader struct {
	text  []byte
	types []Type
	seen  map[string]int // index in types, by name
}

func (d *dumpReader) read() error {
	decoder := json.NewDecoder(bytes.NewReader(d.text))
	for {
		var value json.RawMessage
		err := decoder.Decode(&value)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, io.ErrUnexpectedEOF):
			return d.at(decoder.InputOffset(), errors.New("the file ends in the middle"))
		case err != nil:
			return d.at(decoder.InputOffset(), err)
		}
		if err := d.value(value, 0); err != nil {
			return err
		}
	}
}

// at adds the line to a fault at an offset in the text.
func (d *dumpReader) at(offset int64, err error) error {
	return fmt.Errorf("line %d: %w", 1+bytes.Count(d.text[:min(offset, int64(len(d.text)))], []byte("\n")), err)
}

// in is at for a fault in a value. A value that is there twice has the same fault at its first place.
func (d *dumpReader) in(value json.RawMessage, err error) error {
	return d.at(int64(max(0, bytes.Index(d.text, value))), err)
}

// value reads a page, a type, or a list of them, which is known to be sound JSON. It ignores the other members of a page.
func (d *dumpReader) value(raw json.RawMessage, depth int) error {
	var list []json.RawMessage
	var page struct{ InstanceTypes, InstanceType json.RawMessage }
	switch {
	case depth > maxDumpNesting:
		return d.in(raw, errors.New("lists within lists"))
	case raw[0] == '[' && json.Unmarshal(raw, &list) == nil:
		for _, element := range list {
			if err := d.value(element, depth+1); err != nil {
				return err
			}
		}
		return nil
	case raw[0] != '{' || json.Unmarshal(raw, &page) != nil:
		return d.in(raw, fmt.Errorf("%.50s is not a page of DescribeInstanceTypes", raw))
	case page.InstanceTypes != nil:
		return d.value(page.InstanceTypes, depth+1)
	case page.InstanceType != nil:
		return d.instanceType(raw)
	}
	return d.in(raw, errors.New(`an object with neither "InstanceTypes" nor "InstanceType" is not of DescribeInstanceTypes`))
}

func (d *dumpReader) instanceType(raw json.RawMessage) error {
	var described dumpType
	if err := json.Unmarshal(raw, &described); err != nil {
		var wrong *json.UnmarshalTypeError
		if errors.As(err, &wrong) {
			err = fmt.Errorf("type %.50q: %s is a %s", described.InstanceType, wrong.Field, wrong.Value)
			return d.at(int64(bytes.Index(d.text, raw))+wrong.Offset, err)
		}
		return d.in(raw, err)
	}
	t := described.facts()
	if err := t.check(); err != nil {
		return d.in(raw, err)
	}
	if i, twice := d.seen[t.Name]; twice {
		if d.types[i] != t {
			return d.in(raw, fmt.Errorf("type %.50q is there twice with different facts", t.Name))
		}
		return nil
	}
	d.seen[t.Name] = len(d.types)
	d.types = append(d.types, t)
	return nil
}

// dumpType is the part of a DescribeInstanceTypes entry that is of use here. Every field of it may be missing.
type dumpType struct {
	InstanceType  string
	BareMetal     bool
	ProcessorInfo struct{ SupportedArchitectures []string }
	VCPUInfo      struct{ DefaultVCPUs int }
	MemoryInfo    dumpSize
	GPUInfo       struct{ GPUs []dumpGPU }
	NeuronInfo    struct{ NeuronDevices []dumpNeuron }

	InstanceStorageInfo struct {
		TotalSizeInGB int64
		NVMESupport   string
	}
	NetworkInfo dumpNetwork
}

type dumpSize struct{ SizeInMiB int64 }

type dumpGPU struct {
	Name, Manufacturer     string
	Count, LogicalGPUCount int
	GPUPartitionSize       float64
	MemoryInfo             dumpSize
}

type dumpNeuron struct {
	Count    int
	CoreInfo struct{ Count, Version int }
}

type dumpNetwork struct {
	IPv4AddressesPerInterface int
	MaximumNetworkInterfaces  int
	DefaultNetworkCardIndex   int
	NetworkCards              []struct{ NetworkCardIndex, MaximumNetworkInterfaces int }
	EFASupported              bool
	EFAInfo                   struct{ MaximumEFAInterfaces int }
}

// facts turns EC2's description into ours.
func (in dumpType) facts() Type {
	t := Type{
		Name: in.InstanceType, VCPU: in.VCPUInfo.DefaultVCPUs, MemoryBytes: amount(in.MemoryInfo.SizeInMiB, mib),
		Architecture: ArchitectureAMD64, BareMetal: in.BareMetal, Source: dumpSource,
		IPv4PerENI: in.NetworkInfo.IPv4AddressesPerInterface, MaxENIs: in.NetworkInfo.defaultCardInterfaces(),
	}
	if slices.Contains(in.ProcessorInfo.SupportedArchitectures, "arm64") || slices.Contains(in.ProcessorInfo.SupportedArchitectures, "arm64_mac") {
		t.Architecture = ArchitectureARM64
	}
	for _, g := range in.GPUInfo.GPUs {
		t.GPU.Manufacturer, t.GPU.Name, t.GPU.MemoryBytes = g.Manufacturer, g.Name, amount(g.MemoryInfo.SizeInMiB, mib)
		t.GPU.Count += g.published()
		if g.GPUPartitionSize > 0 && g.GPUPartitionSize < 1 {
			t.GPU.Fraction = g.GPUPartitionSize
		}
	}
	for _, n := range in.NeuronInfo.NeuronDevices {
		t.NeuronDevices += n.Count
		t.NeuronCores += n.Count * n.publishedCores()
	}
	if s := in.InstanceStorageInfo; s.NVMESupport == "required" || s.NVMESupport == "supported" {
		t.LocalNVMeBytes = amount(s.TotalSizeInGB, 1e9)
	}
	if in.NetworkInfo.EFASupported {
		t.EFAInterfaces = in.NetworkInfo.EFAInfo.MaximumEFAInterfaces
	}
	return t
}

// amount returns n times unit bytes. A number beyond the limits stays beyond them.
func amount(n, unit int64) int64 {
	if n < 0 || n > maxBytes/unit {
		return -1
	}
	return n * unit
}

// published returns the number of GPUs that the driver shows: a fraction of a card shows as one, though EC2 does not count it
// as a whole one.
func (g dumpGPU) published() int {
	if g.LogicalGPUCount > 0 {
		return g.LogicalGPUCount
	}
	return max(1, g.Count)
}

// publishedCores returns the number of cores of a device that its plugin publishes. From the third version on, two physical
// cores make a logical one by default (AWS Neuron documentation, "Logical NeuronCore configuration", read 2026-11).
func (n dumpNeuron) publishedCores() int {
	if n.CoreInfo.Version >= 3 && n.CoreInfo.Count > 4 {
		return n.CoreInfo.Count / 2
	}
	return n.CoreInfo.Count
}

// defaultCardInterfaces counts the interfaces of the default network card. Pods get their addresses from these.
func (n dumpNetwork) defaultCardInterfaces() int {
	for _, card := range n.NetworkCards {
		if card.NetworkCardIndex == n.DefaultNetworkCardIndex && card.MaximumNetworkInterfaces > 0 {
			return card.MaximumNetworkInterfaces
		}
	}
	return n.MaximumNetworkInterfaces
}

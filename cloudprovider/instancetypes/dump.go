package instancetypes

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"
)

const dumpSource = "ec2:DescribeInstanceTypes"

// ReadFile reads a user's list, as ParseDump does. The source of a type is the file's name, and the day on which the file was written.
func ReadFile(path string) ([]Type, error) {
	text, unread := os.ReadFile(path)
	info, err := os.Stat(path)
	if err = cmp.Or(err, unread); err != nil {
		return nil, fmt.Errorf("read instance types: %w", err)
	}
	types, err := ParseDump(bytes.TrimPrefix(text, []byte("\ufeff")))
	if err != nil {
		return nil, fmt.Errorf("instance types of %q: %w", path, err)
	}
	for i := range types {
		types[i].Source = dumpSource + " in " + filepath.Base(path) + ", " + info.ModTime().UTC().Format(time.DateOnly)
	}
	return types, nil
}

// WithFile returns the embedded catalogue with the types of the file at path, unless that is "", laid over it.
func WithFile(path string) (*Catalogue, error) {
	if path == "" {
		return Embedded(), nil
	}
	newer, err := ReadFile(path)
	return Embedded().With(newer...), err
}

// ParseDump reads the output of `aws ec2 describe-instance-types --output json`, one or several pages, and returns its types. The facts mean the same as in the list.
func ParseDump(dump []byte) ([]Type, error) {
	var types []Type
	decoder := json.NewDecoder(bytes.NewReader(dump))
	for {
		var page struct{ InstanceTypes []dumpType }
		err := decoder.Decode(&page)
		if errors.Is(err, io.EOF) {
			break
		}
		for _, described := range page.InstanceTypes {
			if err == nil {
				t := described.facts()
				types, err = append(types, t), t.validate()
			}
		}
		if err != nil {
			return nil, fmt.Errorf("DescribeInstanceTypes dump: %w", err)
		}
	}
	if len(types) == 0 {
		return nil, errors.New("DescribeInstanceTypes dump has no instance types")
	}
	return types, nil
}

// dumpType is the part of a DescribeInstanceTypes entry that is of use here. Every field of it may be missing.
type dumpType struct {
	InstanceType  string
	BareMetal     bool
	ProcessorInfo struct{ SupportedArchitectures []string }
	VCPUInfo      struct{ DefaultVCPUs int }
	MemoryInfo    struct{ SizeInMiB int64 }
	GPUInfo       struct {
		GPUs []struct {
			Name, Manufacturer     string
			Count, LogicalGPUCount int
			GPUPartitionSize       float64
			MemoryInfo             struct{ SizeInMiB int64 }
		}
	}
	NeuronInfo struct {
		NeuronDevices []struct {
			Count    int
			CoreInfo struct{ Count, Version int }
		}
	}
	InstanceStorageInfo struct {
		TotalSizeInGB int64
		NVMESupport   string
	}
	NetworkInfo struct {
		IPv4AddressesPerInterface int
		MaximumNetworkInterfaces  int
		DefaultNetworkCardIndex   int
		NetworkCards              []struct{ NetworkCardIndex, MaximumNetworkInterfaces int }
		EFASupported              bool
		EFAInfo                   struct{ MaximumEFAInterfaces int }
	}
}

func (in dumpType) facts() Type {
	t := Type{
		Name: in.InstanceType, VCPU: in.VCPUInfo.DefaultVCPUs, MemoryBytes: in.MemoryInfo.SizeInMiB * mib,
		Architecture: ArchitectureAMD64, BareMetal: in.BareMetal, Source: dumpSource,
		IPv4PerENI: in.NetworkInfo.IPv4AddressesPerInterface, MaxENIs: in.NetworkInfo.MaximumNetworkInterfaces,
	}
	if slices.Contains(in.ProcessorInfo.SupportedArchitectures, "arm64") || slices.Contains(in.ProcessorInfo.SupportedArchitectures, "arm64_mac") {
		t.Architecture = ArchitectureARM64
	}
	for _, g := range in.GPUInfo.GPUs {
		t.GPU.Manufacturer, t.GPU.Name, t.GPU.MemoryBytes = g.Manufacturer, g.Name, g.MemoryInfo.SizeInMiB*mib
		// The driver shows a fraction of a card as one GPU, though EC2 does not count it as a whole one.
		t.GPU.Count += cmp.Or(max(0, g.LogicalGPUCount), max(1, g.Count))
		if g.GPUPartitionSize > 0 && g.GPUPartitionSize < 1 {
			t.GPU.Fraction = g.GPUPartitionSize
		}
	}
	for _, n := range in.NeuronInfo.NeuronDevices {
		// From the third version on, plugins publish two physical cores as a logical one by default (AWS Neuron documentation, "Logical
		// NeuronCore configuration", read 2026-11).
		cores := n.CoreInfo.Count
		if n.CoreInfo.Version >= 3 && cores > 4 {
			cores /= 2
		}
		t.NeuronDevices += n.Count
		t.NeuronCores += n.Count * cores
	}
	if s := in.InstanceStorageInfo; s.NVMESupport == "required" || s.NVMESupport == "supported" {
		t.LocalNVMeBytes = s.TotalSizeInGB * 1e9
	}
	for _, card := range in.NetworkInfo.NetworkCards { // pods get their addresses from the default card
		if card.NetworkCardIndex == in.NetworkInfo.DefaultNetworkCardIndex && card.MaximumNetworkInterfaces > 0 {
			t.MaxENIs = card.MaximumNetworkInterfaces
		}
	}
	if in.NetworkInfo.EFASupported {
		t.EFAInterfaces = in.NetworkInfo.EFAInfo.MaximumEFAInterfaces
	}
	return t
}

package fakeaws

import (
	"fmt"
	"slices"
	"strings"
)

// typesPerPage is the largest page of DescribeInstanceTypes and GetInstanceTypesFromInstanceRequirements.
const (
	typesPerPage            = 100
	requirementTypesPerPage = 1000
)

type (
	ec2Type struct {
		InstanceType string       `xml:"instanceType"`
		BareMetal    bool         `xml:"bareMetal"`
		Processor    ec2Processor `xml:"processorInfo"`
		VCPU         ec2VCPU      `xml:"vCpuInfo"`
		Memory       ec2Size      `xml:"memoryInfo"`
		Storage      *ec2Storage  `xml:"instanceStorageInfo"`
		GPU          *ec2GPUs     `xml:"gpuInfo"`
		Neuron       *ec2Neurons  `xml:"neuronInfo"`
		Network      ec2Network   `xml:"networkInfo"`
	}
	ec2Processor struct {
		Architectures items[string] `xml:"supportedArchitectures"`
	}
	ec2VCPU struct {
		DefaultVCPUs int `xml:"defaultVCpus"`
	}
	ec2Size struct {
		SizeInMiB int `xml:"sizeInMiB"`
	}
	ec2Storage struct {
		TotalSizeInGB int    `xml:"totalSizeInGB"`
		NVMe          string `xml:"nvmeSupport"`
	}
	ec2GPUs struct {
		GPUs items[ec2GPU] `xml:"gpus"`
	}
	ec2GPU struct {
		Name         string  `xml:"name"`
		Manufacturer string  `xml:"manufacturer"`
		Count        int     `xml:"count"`
		Memory       ec2Size `xml:"memoryInfo"`
	}
	ec2Neurons struct {
		Devices items[ec2Neuron] `xml:"neuronDevices"`
	}
	ec2Neuron struct {
		Count int `xml:"count"`
	}
	ec2Network struct {
		MaxInterfaces int            `xml:"maximumNetworkInterfaces"`
		IPv4Each      int            `xml:"ipv4AddressesPerInterface"`
		DefaultCard   int            `xml:"defaultNetworkCardIndex"`
		Cards         items[ec2Card] `xml:"networkCards"`
		EFASupported  bool           `xml:"efaSupported"`
		EFA           *ec2EFA        `xml:"efaInfo"`
	}
	ec2Card struct {
		Index         int `xml:"networkCardIndex"`
		MaxInterfaces int `xml:"maximumNetworkInterfaces"`
	}
	ec2EFA struct {
		MaxInterfaces int `xml:"maximumEfaInterfaces"`
	}
	ec2Types struct {
		ec2Header
		Types     items[ec2Type] `xml:"instanceTypeSet"`
		NextToken string         `xml:"nextToken,omitempty"`
	}
	ec2TypeNames struct {
		ec2Header
		Types     items[ec2TypeName] `xml:"instanceTypeSet"`
		NextToken string             `xml:"nextToken,omitempty"`
	}
	ec2TypeName struct {
		InstanceType string `xml:"instanceType"`
	}
)

func (a *account) describeInstanceTypes(r *request) (any, error) {
	limit, err := ec2Page(r.form, 5, typesPerPage, typesPerPage)
	if err != nil {
		return nil, err
	}
	filters, err := ec2Filters(r.form, "instance-type")
	if err != nil {
		return nil, err
	}
	names := r.form.list("InstanceType")
	if len(names) > typesPerPage || len(names) > 0 && r.form.has("MaxResults") {
		return nil, &apiError{Code: "InvalidParameterCombination", Message: "At most 100 instance types may be listed, and not together with maxResults."}
	}
	if unknown := a.unknownTypes(names); len(unknown) > 0 {
		return nil, &apiError{Code: "InvalidInstanceType", Message: fmt.Sprintf("The following supplied instance types do not exist: [%s]", strings.Join(unknown, ", "))}
	}
	found := slices.DeleteFunc(a.types.names(), func(name string) bool {
		return len(names) > 0 && !slices.Contains(names, name) || !allHold(filters, func(string) string { return name })
	})
	found, next, ok := page(found, func(name string) string { return name }, r.form.get("NextToken"), limit)
	if !ok {
		return nil, ec2BadToken
	}
	out := &ec2Types{NextToken: next}
	for _, name := range found {
		out.Types.Item = append(out.Types.Item, a.types.types[name].ec2Shape())
	}
	return out, nil
}

// unknownTypes are the names that are not in the catalogue.
func (a *account) unknownTypes(names []string) []string {
	var unknown []string
	for _, name := range names {
		if _, ok := a.types.lookup(name); !ok {
			unknown = append(unknown, name)
		}
	}
	return unknown
}

func (t InstanceType) ec2Shape() ec2Type {
	x := ec2Type{
		InstanceType: t.Name, BareMetal: t.BareMetal,
		Processor: ec2Processor{items[string]{[]string{t.awsArchitecture()}}},
		VCPU:      ec2VCPU{t.VCPU}, Memory: ec2Size{t.MemoryMiB},
		Network: ec2Network{
			MaxInterfaces: t.MaxENIs, IPv4Each: t.IPv4PerENI,
			Cards: items[ec2Card]{[]ec2Card{{0, t.MaxENIs}}}, EFASupported: t.EFAInterfaces > 0,
		},
	}
	if t.LocalNVMeGB > 0 {
		x.Storage = &ec2Storage{t.LocalNVMeGB, "required"}
	}
	if t.GPUs > 0 {
		x.GPU = &ec2GPUs{items[ec2GPU]{[]ec2GPU{{t.GPUName, t.GPUManufacturer, t.GPUs, ec2Size{t.GPUMemoryMiB}}}}}
	}
	if t.NeuronDevices > 0 {
		x.Neuron = &ec2Neurons{items[ec2Neuron]{[]ec2Neuron{{t.NeuronDevices}}}}
	}
	if t.EFAInterfaces > 0 {
		x.Network.EFA = &ec2EFA{t.EFAInterfaces}
	}
	return x
}

func (a *account) getInstanceTypesFromRequirements(r *request) (any, error) {
	limit, err := ec2Page(r.form, 1, requirementTypesPerPage, requirementTypesPerPage)
	if err != nil {
		return nil, err
	}
	architectures := r.form.list("ArchitectureType")
	if len(architectures) == 0 || len(r.form.list("VirtualizationType")) == 0 {
		return nil, &apiError{Code: "MissingParameter", Message: "The request must contain the parameters ArchitectureType and VirtualizationType"}
	}
	requirements, err := requirementsOf(r.form.sub("InstanceRequirements"))
	if err != nil {
		return nil, err
	}
	found := a.types.matching(requirements, architectures)
	slices.Sort(found)
	found, next, ok := page(found, func(name string) string { return name }, r.form.get("NextToken"), limit)
	if !ok {
		return nil, ec2BadToken
	}
	out := &ec2TypeNames{NextToken: next}
	for _, name := range found {
		out.Types.Item = append(out.Types.Item, ec2TypeName{name})
	}
	return out, nil
}

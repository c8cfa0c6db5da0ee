package fakeoffer

type attribute struct{ name, value string }

func (p Product) attributes() []attribute {
	return []attribute{
		{"servicecode", "AmazonEC2"},
		{"location", p.Location},
		{"locationType", p.LocationType},
		{"instanceType", p.Type},
		{"currentGeneration", "Yes"},
		{"instanceFamily", "General purpose"},
		{"vcpu", "8"},
		{"physicalProcessor", "Intel Xeon Platinum 8175 (Skylake)"},
		{"clockSpeed", "3.1 GHz"},
		{"memory", "32 GiB"},
		{"storage", "EBS only"},
		{"networkPerformance", "Up to 10 Gigabit"},
		{"processorArchitecture", "64-bit"},
		{"tenancy", p.Tenancy},
		{"operatingSystem", p.OS},
		{"licenseModel", p.Licence},
		{"usagetype", p.Usage},
		{"operation", p.Operation},
		{"availabilityzone", "NA"},
		{"capacitystatus", p.Capacity},
		{"classicnetworkingsupport", "false"},
		{"dedicatedEbsThroughput", "Up to 2120 Mbps"},
		{"ecu", "31"},
		{"enhancedNetworkingSupported", "Yes"},
		{"gpuMemory", "NA"},
		{"intelAvxAvailable", "Yes"},
		{"intelAvx2Available", "Yes"},
		{"intelTurboAvailable", "Yes"},
		{"marketoption", p.Market},
		{"normalizationSizeFactor", "16"},
		{"preInstalledSw", p.Software},
		{"processorFeatures", "Intel AVX; Intel AVX2; Intel AVX512; Intel Turbo"},
		{"regionCode", p.Region},
		{"servicename", "Amazon Elastic Compute Cloud"},
		{"vpcnetworkingsupport", "true"},
	}
}

package fakeoffer

import (
	"bufio"
	"fmt"
	"io"
)

// WriteCSV writes the offer as index.csv.
func (o Offer) WriteCSV(w io.Writer) error {
	b := bufio.NewWriterSize(w, 1<<16)
	fmt.Fprintf(b, "\"FormatVersion\",\"v1.0\"\n\"Disclaimer\",%q\n\"Publication Date\",%q\n\"Version\",%q\n\"OfferCode\",%q\n", disclaimer, o.published(), version, o.code())
	names := []string{"SKU", "OfferTermCode", "RateCode", "TermType", "PriceDescription", "EffectiveDate", "StartingRange", "EndingRange", "Unit",
		"PricePerUnit", "Currency", "RelatedTo", "LeaseContractLength", "PurchaseOption", "OfferingClass", "Product Family"}
	for _, a := range (Product{}).attributes() {
		if a.csv != "" {
			names = append(names, a.csv)
		}
	}
	writeRecord(b, names)
	for p := range o.Products {
		for i, price := range p.Prices {
			writeRecord(b, p.record("OnDemand", "JRTCKXETXF", i, price, "", "", ""))
		}
		for n := range p.Reserved {
			code := fmt.Sprintf("HU7G6KET%02d", n)
			writeRecord(b, p.record("Reserved", code, 0, Price{"Quantity", p.Currency, "2750"}, "3yr", "Partial Upfront", "standard"))
			writeRecord(b, p.record("Reserved", code, 1, Price{"Hrs", p.Currency, "0.0104630000"}, "3yr", "Partial Upfront", "standard"))
		}
	}
	if err := b.Flush(); err != nil {
		return fmt.Errorf("write offer: %w", err)
	}
	return nil
}

func (p Product) record(kind, code string, rate int, price Price, length, option, class string) []string {
	fields := []string{p.SKU, code, p.rate(code, rate), kind, describe(p, price), "2026-08-01", "0", "Inf", price.Unit,
		price.Amount, price.Currency, "", length, option, class, p.Family}
	for _, a := range p.attributes() {
		if a.csv != "" {
			fields = append(fields, a.value)
		}
	}
	return fields
}

// writeRecord quotes values that are not empty, as AWS does. No field has a quote in it.
func writeRecord(b *bufio.Writer, fields []string) {
	for i, f := range fields {
		if i > 0 {
			b.WriteByte(',')
		}
		if f != "" {
			b.WriteByte('"')
			b.WriteString(f)
			b.WriteByte('"')
		}
	}
	b.WriteByte('\n')
}

// attribute is one attribute of a product with its names in both forms. A form for which it has no name lacks it.
type attribute struct{ json, csv, value string }

func (p Product) attributes() []attribute {
	return []attribute{
		{"servicecode", "serviceCode", "AmazonEC2"},
		{"location", "Location", p.Location},
		{"locationType", "Location Type", p.LocationType},
		{"instanceType", "Instance Type", p.Type},
		{"currentGeneration", "Current Generation", "Yes"},
		{"instanceFamily", "Instance Family", "General purpose"},
		{"vcpu", "vCPU", "8"},
		{"physicalProcessor", "Physical Processor", "Intel Xeon Platinum 8175 (Skylake)"},
		{"clockSpeed", "Clock Speed", "3.1 GHz"},
		{"memory", "Memory", "32 GiB"},
		{"storage", "Storage", "EBS only"},
		{"networkPerformance", "Network Performance", "Up to 10 Gigabit"},
		{"processorArchitecture", "Processor Architecture", "64-bit"},
		{"", "Storage Media", ""},
		{"", "Volume Type", ""},
		{"tenancy", "Tenancy", p.Tenancy},
		{"", "EBS Optimized", ""},
		{"operatingSystem", "Operating System", p.OS},
		{"licenseModel", "License Model", p.Licence},
		{"", "Group", ""},
		{"", "Group Description", ""},
		{"usagetype", "usageType", p.Usage},
		{"operation", "operation", p.Operation},
		{"availabilityzone", "AvailabilityZone", "NA"},
		{"capacitystatus", "CapacityStatus", p.Capacity},
		{"classicnetworkingsupport", "ClassicNetworkingSupport", "false"},
		{"dedicatedEbsThroughput", "Dedicated EBS Throughput", "Up to 2120 Mbps"},
		{"ecu", "ECU", "31"},
		{"enhancedNetworkingSupported", "Enhanced Networking Supported", "Yes"},
		{"gpuMemory", "GPU Memory", "NA"},
		{"intelAvxAvailable", "Intel AVX Available", "Yes"},
		{"intelAvx2Available", "Intel AVX2 Available", "Yes"},
		{"intelTurboAvailable", "Intel Turbo Available", "Yes"},
		{"marketoption", "MarketOption", p.Market},
		{"normalizationSizeFactor", "Normalization Size Factor", "16"},
		{"preInstalledSw", "Pre Installed S/W", p.Software},
		{"processorFeatures", "Processor Features", "Intel AVX; Intel AVX2; Intel AVX512; Intel Turbo"},
		{"regionCode", "Region Code", p.Region},
		{"servicename", "serviceName", "Amazon Elastic Compute Cloud"},
		{"vpcnetworkingsupport", "VPCNetworkingSupport", "true"},
	}
}

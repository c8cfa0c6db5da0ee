package fakeaws

import (
	"fmt"
	"slices"
	"strings"
)

type (
	ec2Zone struct {
		ZoneName   string `xml:"zoneName"`
		ZoneID     string `xml:"zoneId"`
		State      string `xml:"zoneState"`
		RegionName string `xml:"regionName"`
		OptIn      string `xml:"optInStatus"`
		Kind       string `xml:"zoneType"`

		Messages items[string] `xml:"messageSet"`
	}
	ec2Zones struct {
		ec2Header
		Zones items[ec2Zone] `xml:"availabilityZoneInfo"`
	}
)

// describeAvailabilityZones answers with the zones that groups name. It serves no filters.
func (a *account) describeAvailabilityZones(r *request) (any, error) {
	if _, err := ec2Filters(r.form); err != nil {
		return nil, err
	}
	out := &ec2Zones{}
	for _, name := range a.zones() {
		kind := "availability-zone"
		if len(name) > len(a.region)+1 {
			kind = "local-zone"
		}
		out.Zones.Item = append(out.Zones.Item, ec2Zone{ZoneName: name, ZoneID: zoneID(a.region, name), State: "available",
			RegionName: a.region, OptIn: "opt-in-not-required", Kind: kind})
	}
	return out, nil
}

// zones are the zones that groups name, sorted.
func (a *account) zones() []string {
	var names []string
	for _, g := range a.groups {
		names = append(names, g.Zones...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// zoneID is a zone's identifier, in the manner of AWS's: euwest1-az2 for AWS's euw1-az2. AWS keeps secret which letter of which
// account has which number. Here a is 2, and so on. Local Zones keep their ending.
func zoneID(region, zone string) string {
	short, letter := strings.ReplaceAll(region, "-", ""), strings.TrimPrefix(zone, region)
	if len(letter) != 1 {
		return short + letter
	}
	return fmt.Sprintf("%s-az%d", short, letter[0]-'a'+2)
}

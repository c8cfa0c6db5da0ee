package fakeaws

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

type (
	ec2Image struct {
		ImageID        string            `xml:"imageId"`
		Architecture   string            `xml:"architecture"`
		Name           string            `xml:"name"`
		Description    string            `xml:"description,omitempty"`
		Platform       string            `xml:"platform,omitempty"`
		RootDeviceName string            `xml:"rootDeviceName"`
		BlockDevices   *items[ec2Device] `xml:"blockDeviceMapping"`
		Virtualization string            `xml:"virtualizationType"`
		Tags           items[ec2Tag]     `xml:"tagSet"`

		Supported   *items[ec2TypeItem] `xml:"instanceTypeSpecification>supportedInstanceTypeSet"`
		Unsupported *items[ec2TypeItem] `xml:"instanceTypeSpecification>unsupportedInstanceTypeSet"`
	}
	ec2TypeItem struct {
		InstanceType string `xml:"instanceType"`
	}
	ec2Images struct {
		ec2Header
		Images    items[ec2Image] `xml:"imagesSet"`
		NextToken string          `xml:"nextToken,omitempty"`
	}
	ec2Instance struct {
		InstanceID     string            `xml:"instanceId"`
		ImageID        string            `xml:"imageId"`
		State          ec2State          `xml:"instanceState"`
		PrivateDNSName string            `xml:"privateDnsName"`
		InstanceType   string            `xml:"instanceType"`
		LaunchTime     string            `xml:"launchTime"`
		Zone           string            `xml:"placement>availabilityZone"`
		PrivateIP      string            `xml:"privateIpAddress"`
		SubnetID       string            `xml:"subnetId"`
		VPCID          string            `xml:"vpcId"`
		Groups         items[ec2GroupID] `xml:"groupSet"`
		Architecture   string            `xml:"architecture"`
		Tags           items[ec2Tag]     `xml:"tagSet"`
		Reason         *ec2Reason        `xml:"stateReason"`
	}
	ec2Reason struct {
		Code    string `xml:"code"`
		Message string `xml:"message"`
	}
	ec2State struct {
		Code int    `xml:"code"`
		Name string `xml:"name"`
	}
	ec2Reservation struct {
		Instances items[ec2Instance] `xml:"instancesSet"`
	}
	ec2Reservations struct {
		ec2Header
		Reservations items[ec2Reservation] `xml:"reservationSet"`
		NextToken    string                `xml:"nextToken,omitempty"`
	}
)

// imageIDForm is the form of an image's ID. AWS's have 8 or 17 hexadecimal digits.
var imageIDForm = regexp.MustCompile(`^ami-[a-z0-9]+$`)

func (a *account) describeImages(r *request) (any, error) {
	limit, err := ec2Page(r.form, 1, 1000, 1000)
	if err != nil {
		return nil, err
	}
	filters, err := ec2Filters(r.form, "image-id")
	if err != nil {
		return nil, err
	}
	ids := r.form.list("ImageId")
	if at := slices.IndexFunc(ids, func(id string) bool { return !imageIDForm.MatchString(id) }); at >= 0 {
		return nil, &apiError{Code: "InvalidAMIID.Malformed", Message: fmt.Sprintf("Invalid id: %q (expecting \"ami-...\")", ids[at])}
	}
	for _, id := range ids {
		if _, ok := a.images[id]; !ok {
			return nil, &apiError{Code: "InvalidAMIID.NotFound", Message: "The image id '[" + id + "]' does not exist"}
		}
	}
	found := []Image{}
	for _, id := range slices.Sorted(maps.Keys(a.images)) {
		if img := a.images[id]; (len(ids) == 0 || slices.Contains(ids, id)) && allHold(filters, func(string) string { return id }) {
			found = append(found, img)
		}
	}
	found, next, ok := page(found, func(img Image) string { return img.ID }, r.form.get("NextToken"), limit)
	if !ok {
		return nil, ec2BadToken
	}
	out := &ec2Images{NextToken: next}
	for _, img := range found {
		out.Images.Item = append(out.Images.Item, imageShape(img))
	}
	return out, nil
}

func imageShape(img Image) ec2Image {
	return ec2Image{
		ImageID: img.ID, Name: first(img.Name, img.ID), Description: img.Description, Architecture: first(img.Architecture, "x86_64"),
		Platform: img.Platform, RootDeviceName: first(img.RootDevice, "/dev/xvda"), BlockDevices: ec2Devices(img.BlockDevices),
		Virtualization: "hvm", Tags: ec2Tags(img.Tags), Supported: ec2TypeItems(img.Supported), Unsupported: ec2TypeItems(img.Unsupported),
	}
}

func ec2TypeItems(names []string) *items[ec2TypeItem] {
	if len(names) == 0 {
		return nil
	}
	var out items[ec2TypeItem]
	for _, name := range names {
		out.Item = append(out.Item, ec2TypeItem{name})
	}
	return &out
}

func (a *account) describeInstances(r *request) (any, error) {
	limit, err := ec2Page(r.form, 5, 1000, 1000)
	if err != nil {
		return nil, err
	}
	filters, err := ec2Filters(r.form, "instance-id", "instance-state-name")
	if err != nil {
		return nil, err
	}
	ids, then := r.form.list("InstanceId"), a.read(r.action)
	known := func(i *instance) bool { _, known := then.state(i); return known }
	for _, id := range ids {
		if i, ok := a.instances[id]; !ok || !known(i) {
			return nil, &apiError{Code: "InvalidInstanceID.NotFound", Message: "The instance ID '" + id + "' does not exist"}
		}
	}
	var found []*instance
	for _, i := range a.instances {
		field := func(name string) string {
			if name == "instance-id" {
				return i.id
			}
			state, _ := then.state(i)
			return state.Name
		}
		if (len(ids) == 0 || slices.Contains(ids, i.id)) && known(i) && allHold(filters, field) {
			found = append(found, i)
		}
	}
	slices.SortFunc(found, func(x, y *instance) int { return cmp.Compare(x.id, y.id) })
	found, next, ok := page(found, func(i *instance) string { return i.id }, r.form.get("NextToken"), limit)
	if !ok {
		return nil, ec2BadToken
	}
	out := &ec2Reservations{NextToken: next}
	for _, i := range found {
		x := a.instanceShape(i)
		x.State, _ = then.state(i)
		out.Reservations.Item = append(out.Reservations.Item, ec2Reservation{items[ec2Instance]{[]ec2Instance{x}}})
	}
	return out, nil
}

func (i *instance) ec2State() ec2State {
	switch {
	case !i.ended.IsZero() || i.dead && i.ending == nil:
		return ec2State{48, "terminated"}
	case i.state == terminating || i.state == terminatingProceed:
		return ec2State{32, "shutting-down"}
	case i.running:
		return ec2State{16, "running"}
	}
	return ec2State{0, "pending"}
}

func (a *account) instanceShape(i *instance) ec2Instance {
	t, _ := a.types.lookup(i.pool.instanceType)
	return ec2Instance{
		InstanceID: i.id, ImageID: i.imageID, State: i.ec2State(), PrivateDNSName: i.nodeName, InstanceType: i.pool.instanceType,
		LaunchTime: timestamp(i.launchTime), Zone: i.pool.zone, PrivateIP: i.ip(),
		SubnetID: subnetID(i.pool.zone), VPCID: a.vpcID(), Groups: items[ec2GroupID]{a.securityGroups(i)}, Architecture: t.awsArchitecture(),
		Tags: ec2Tags(i.tags), Reason: i.reason,
	}
}

type (
	ec2Zone struct {
		ZoneName string `xml:"zoneName"`
		ZoneID   string `xml:"zoneId"`
		State    string `xml:"zoneState"`
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
		out.Zones.Item = append(out.Zones.Item, ec2Zone{ZoneName: name, ZoneID: zoneID(a.region, name), State: "available"})
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

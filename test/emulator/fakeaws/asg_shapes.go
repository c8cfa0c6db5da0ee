package fakeaws

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"time"
)

// Shapes of the Auto Scaling API (version 2011-01-01). A field is named as its element on the wire, unless its tag has the element's name.
type (
	xmlGroup struct {
		AutoScalingGroupName, AutoScalingGroupARN, CreatedTime, VPCZoneIdentifier string
		LaunchConfigurationName, DesiredCapacityType, Status                      string `xml:",omitempty"`
		MinSize, MaxSize, DesiredCapacity                                         int
		AvailabilityZones                                                         members[string]

		LaunchTemplate                   *xmlTemplateSpec
		MixedInstancesPolicy             *xmlMixedPolicy
		Instances                        members[xmlInstance]
		SuspendedProcesses               members[xmlSuspension]
		Tags                             members[xmlTag]
		NewInstancesProtectedFromScaleIn bool
		CapacityRebalance                *bool
		ImpairmentPolicy                 *xmlImpairmentPolicy `xml:"AvailabilityZoneImpairmentPolicy"`
		ZoneDistribution                 string               `xml:"AvailabilityZoneDistribution>CapacityDistributionStrategy"`
		CapacityReservations             *xmlReservations     `xml:"CapacityReservationSpecification"`
		MaintenancePolicy                *xmlMaintenance      `xml:"InstanceMaintenancePolicy"`
		MaxInstanceLifetime              int                  `xml:",omitempty"`
		Operator                         string               `xml:"Operator>Principal,omitempty"`
		WarmPool                         *xmlWarmPool         `xml:"WarmPoolConfiguration"`
		WarmPoolSize                     *int
	}

	// members is a list, present even when it is empty.
	members[T any] struct {
		Member []T `xml:"member"`
	}

	xmlTemplateSpec struct {
		LaunchTemplateID            string `xml:"LaunchTemplateId,omitempty"`
		LaunchTemplateName, Version string `xml:",omitempty"`
	}
	xmlMixedPolicy struct {
		LaunchTemplate struct {
			Spec      xmlTemplateSpec      `xml:"LaunchTemplateSpecification"`
			Overrides members[xmlOverride] `xml:"Overrides"`
		} `xml:"LaunchTemplate"`
		Distribution xmlDistribution `xml:"InstancesDistribution"`
	}
	xmlOverride struct {
		ImageID                        string           `xml:"ImageId,omitempty"`
		InstanceType, WeightedCapacity string           `xml:",omitempty"`
		Spec                           *xmlTemplateSpec `xml:"LaunchTemplateSpecification"`
		InstanceRequirements           *xmlRequirements
	}
	xmlSegment      struct{ TargetCapacityTypes members[string] }
	xmlReservations struct {
		Preference string           `xml:"CapacityReservationPreference"`
		IDs        *members[string] `xml:"CapacityReservationTarget>CapacityReservationIds"`
		Groups     *members[string] `xml:"CapacityReservationTarget>CapacityReservationResourceGroupArns"`
	}
	xmlDistribution struct {
		OnDemandAllocationStrategy, SpotAllocationStrategy        string
		OnDemandBaseCapacity, OnDemandPercentageAboveBaseCapacity int

		SpotInstancePools *int
		Segments          *members[xmlSegment] `xml:"DistributionSegments"`
	}
	xmlRange        struct{ Min, Max *int }
	xmlRequirements struct {
		AllowedInstanceTypes *members[string]
		VCPUCount            xmlRange `xml:"VCpuCount"`
		MemoryMiB            xmlRange
	}
	xmlInstance struct {
		InstanceType, AvailabilityZone, LifecycleState, HealthStatus string
		LaunchConfigurationName, WeightedCapacity                    string `xml:",omitempty"`

		InstanceID           string `xml:"InstanceId"`
		LaunchTemplate       *xmlTemplateSpec
		ProtectedFromScaleIn bool
	}
	xmlMaintenance struct {
		MinHealthy int `xml:"MinHealthyPercentage"`
		MaxHealthy int `xml:"MaxHealthyPercentage"`
	}
	xmlWarmPool struct {
		MinSize   int
		PoolState string
	}
	xmlSuspension struct{ ProcessName, SuspensionReason string }
	xmlTag        struct {
		ResourceID               string `xml:"ResourceId"`
		ResourceType, Key, Value string
		PropagateAtLaunch        bool
	}
	xmlActivity struct {
		AutoScalingGroupName, AutoScalingGroupARN, Description, Cause, StartTime, StatusCode, Details string
		EndTime, StatusMessage                                                                        string `xml:",omitempty"`

		ActivityID string `xml:"ActivityId"`
		Progress   int
	}
)

// shape is the group as DescribeAutoScalingGroups shows it.
func (a *account) shape(g *group) xmlGroup {
	x := xmlGroup{
		AutoScalingGroupName: g.Name, AutoScalingGroupARN: g.arn, LaunchConfigurationName: g.LaunchConfiguration,
		MinSize: g.Min, MaxSize: g.Max, DesiredCapacity: g.Desired + g.failing, DesiredCapacityType: g.DesiredCapacityType,
		Operator: g.Operator, CreatedTime: timestamp(g.created), NewInstancesProtectedFromScaleIn: g.ProtectNewInstances,
		AvailabilityZones: members[string]{g.Zones}, ZoneDistribution: first(g.ZoneDistribution, "balanced-best-effort"),
	}
	for n, zone := range g.Zones {
		if n > 0 {
			x.VPCZoneIdentifier += ","
		}
		x.VPCZoneIdentifier += subnetID(zone)
	}
	if g.deleting {
		x.Status = "Delete in progress"
	}
	if g.ZonalShift {
		x.ImpairmentPolicy = &xmlImpairmentPolicy{ZonalShiftEnabled: true, Behavior: "IgnoreUnhealthy"}
	}
	if r := g.CapacityReservations; r != nil {
		x.CapacityReservations = &xmlReservations{Preference: r.Preference, IDs: &members[string]{r.IDs}, Groups: &members[string]{r.Groups}}
	}
	if p := g.MaintenancePolicy; p != nil {
		x.MaintenancePolicy = &xmlMaintenance{p.MinHealthy, p.MaxHealthy}
	}
	x.MaxInstanceLifetime = int(time.Duration(g.MaxInstanceLifetime).Seconds())
	if rebalance := g.CapacityRebalance; rebalance {
		x.CapacityRebalance = &rebalance
	}
	if g.LaunchTemplate != nil {
		spec := a.specShape(*g.LaunchTemplate)
		x.LaunchTemplate = &spec
	}
	if g.MixedInstancesPolicy != nil {
		x.MixedInstancesPolicy = a.policyShape(*g.MixedInstancesPolicy)
	}
	members := slices.Clone(g.instances)
	slices.SortFunc(members, func(x, y *instance) int { return cmp.Compare(x.order, y.order) }) // AWS promises no order
	for _, i := range members {
		if !i.listed.After(time.Now()) {
			x.Instances.Member = append(x.Instances.Member, i.shape())
		}
	}
	for _, process := range g.SuspendedProcesses {
		x.SuspendedProcesses.Member = append(x.SuspendedProcesses.Member, xmlSuspension{process, "User suspended at " + seconds(g.created)})
	}
	if g.WarmPool != nil {
		for _, id := range g.warmed() {
			x.Instances.Member = append(x.Instances.Member, xmlInstance{InstanceID: id, AvailabilityZone: g.Zones[0],
				LifecycleState: "Warmed:Stopped", HealthStatus: "Healthy"})
		}
		x.WarmPool, x.WarmPoolSize = &xmlWarmPool{g.WarmPool.Min, "Stopped"}, new(int)
	}
	x.Tags.Member = g.tagShapes()
	return x
}

// specShape shows a reference by both ID and name, as Auto Scaling does while the template exists.
func (a *account) specShape(ref LaunchTemplateRef) xmlTemplateSpec {
	x := xmlTemplateSpec{LaunchTemplateID: ref.ID, LaunchTemplateName: ref.Name, Version: ref.Version}
	if t := a.template(ref); t != nil {
		x.LaunchTemplateID, x.LaunchTemplateName = t.ID, t.Name
	} else if ref.ID == "" {
		x.LaunchTemplateID = derivedTemplateID(ref.Name)
	}
	return x
}

func (a *account) policyShape(p MixedInstancesPolicy) *xmlMixedPolicy {
	x := &xmlMixedPolicy{}
	x.LaunchTemplate.Spec = a.specShape(p.LaunchTemplate)
	for _, o := range p.Overrides {
		shape := xmlOverride{ImageID: o.ImageID, InstanceType: o.InstanceType, InstanceRequirements: o.Requirements.shape()}
		if o.WeightedCapacity > 0 {
			shape.WeightedCapacity = strconv.Itoa(o.WeightedCapacity)
		}
		if o.LaunchTemplate != nil {
			spec := a.specShape(*o.LaunchTemplate)
			shape.Spec = &spec
		}
		x.LaunchTemplate.Overrides.Member = append(x.LaunchTemplate.Overrides.Member, shape)
	}
	d := p.Distribution
	x.Distribution = xmlDistribution{
		OnDemandAllocationStrategy:          "prioritized",
		OnDemandBaseCapacity:                d.OnDemandBaseCapacity,
		OnDemandPercentageAboveBaseCapacity: 100,
		SpotAllocationStrategy:              first(d.SpotAllocationStrategy, "lowest-price"),
	}
	if d.OnDemandPercentageAboveBaseCapacity != nil {
		x.Distribution.OnDemandPercentageAboveBaseCapacity = *d.OnDemandPercentageAboveBaseCapacity
	}
	if len(d.Segments) > 0 {
		x.Distribution.Segments = &members[xmlSegment]{}
		for _, kinds := range d.Segments {
			x.Distribution.Segments.Member = append(x.Distribution.Segments.Member, xmlSegment{members[string]{kinds}})
		}
	}
	if x.Distribution.SpotAllocationStrategy == "lowest-price" {
		pools := d.spotPools()
		x.Distribution.SpotInstancePools = &pools
	}
	return x
}

func (r Range) shape() xmlRange { return xmlRange{Min: &r.Min, Max: r.Max} }

func (r *InstanceRequirements) shape() *xmlRequirements {
	if r == nil {
		return nil
	}
	x := &xmlRequirements{VCPUCount: r.VCPUs.shape(), MemoryMiB: r.MemoryMiB.shape()}
	if len(r.AllowedInstanceTypes) > 0 {
		x.AllowedInstanceTypes = &members[string]{r.AllowedInstanceTypes}
	}
	return x
}

func (i *instance) shape() xmlInstance {
	x := xmlInstance{
		InstanceID: i.id, InstanceType: i.pool.instanceType, AvailabilityZone: i.pool.zone, LifecycleState: i.state,
		HealthStatus: "Healthy", LaunchConfigurationName: i.config, ProtectedFromScaleIn: i.protected,
	}
	if i.dead && !i.group.suspended("HealthCheck") {
		x.HealthStatus = "Unhealthy"
	}
	if i.template != nil {
		x.LaunchTemplate = &xmlTemplateSpec{i.template.ID, i.template.Name, i.template.Version}
	}
	if i.override != nil && i.override.WeightedCapacity > 0 {
		x.WeightedCapacity = strconv.Itoa(i.weight)
	}
	return x
}

func (g *group) tagShapes() []xmlTag {
	var out []xmlTag
	for _, key := range slices.Sorted(maps.Keys(g.Tags)) {
		out = append(out, xmlTag{g.Name, "auto-scaling-group", key, g.Tags[key], true})
	}
	return out
}

func (act *activity) shape() xmlActivity {
	return xmlActivity{
		ActivityID: act.id, AutoScalingGroupName: act.group, AutoScalingGroupARN: act.groupARN, Description: act.description,
		Cause: act.cause, StartTime: timestamp(act.started), EndTime: optionalTimestamp(act.ended), StatusCode: act.status,
		StatusMessage: act.message, Progress: act.progress,
		Details: `{"Subnet ID":"` + act.subnet + `","Availability Zone":"` + act.zone + `"}`,
	}
}

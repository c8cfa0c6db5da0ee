package asg

import (
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
)

// groupFrom turns AWS's description into a Group, but for the sizes that hold now. Every field of it but AWS's sizes may be missing.
func groupFrom(in types.AutoScalingGroup, at time.Time, weights *instancetypes.Catalogue) *group.Group {
	g := &group.Group{
		Name: aws.ToString(in.AutoScalingGroupName), ARN: aws.ToString(in.AutoScalingGroupARN), ReadAt: at,
		AWSMin: int(aws.ToInt32(in.MinSize)), AWSMax: int(aws.ToInt32(in.MaxSize)), DesiredCapacity: int(aws.ToInt32(in.DesiredCapacity)),
		Tags:      tagsOf(in),
		Instances: make([]group.Instance, 0, len(in.Instances)),
		Source:    launchspec.SourceFrom(in),
		WarmPool:  in.WarmPoolConfiguration != nil && *in.WarmPoolConfiguration != types.WarmPoolConfiguration{},

		PlacementGroup: aws.ToString(in.PlacementGroup),
		Deleting:       strings.HasPrefix(aws.ToString(in.Status), "Delete"),

		ProtectsNewInstances: aws.ToBool(in.NewInstancesProtectedFromScaleIn),
		MaxInstanceLifetime:  time.Duration(aws.ToInt32(in.MaxInstanceLifetime)) * time.Second,
	}
	for _, zone := range in.AvailabilityZones {
		if !slices.Contains(g.Zones, zone) { // another endpoint may name the zone of each subnet
			g.Zones = append(g.Zones, zone)
		}
	}
	if policy := in.AvailabilityZoneImpairmentPolicy; policy != nil {
		g.ZonalShift, g.ImpairedHealth = aws.ToBool(policy.ZonalShiftEnabled), string(policy.ImpairedZoneHealthCheckBehavior)
	}
	if d := in.AvailabilityZoneDistribution; d != nil {
		g.ZoneDistribution = string(d.CapacityDistributionStrategy)
	}
	if policy := in.InstanceMaintenancePolicy; policy != nil && aws.ToInt32(policy.MaxHealthyPercentage) > 0 { // -1 clears it
		g.Maintenance = group.Maintenance{MinHealthyPercent: int(aws.ToInt32(policy.MinHealthyPercentage)), MaxHealthyPercent: int(*policy.MaxHealthyPercentage)}
	}
	if in.Operator != nil {
		g.Operator = aws.ToString(in.Operator.Principal)
	}
	if spec := in.CapacityReservationSpecification; spec != nil {
		g.Reservations.Preference = string(spec.CapacityReservationPreference)
		if target := spec.CapacityReservationTarget; target != nil {
			g.Reservations.IDs, g.Reservations.Groups = slices.Clone(target.CapacityReservationIds), slices.Clone(target.CapacityReservationResourceGroupArns)
		}
	}
	g.Pause = group.ReadPause(g.Tags)
	hardware := g.Source.CountsHardware()
	for _, i := range in.Instances {
		if strings.HasPrefix(string(i.LifecycleState), "Warmed:") {
			continue // of the warm pool, beside the group
		}
		weight, known := launchspec.ParseWeight(i.WeightedCapacity), true
		if hardware && weight == 1 || !hardware && aws.ToString(i.WeightedCapacity) == "" {
			weight, known = g.Source.WeightOf(aws.ToString(i.InstanceType), weights)
		}
		origin := aws.ToString(i.LaunchConfigurationName)
		if t := i.LaunchTemplate; t != nil {
			origin = launchspec.TemplateOrigin(aws.ToString(t.LaunchTemplateId), aws.ToString(t.Version))
		}
		g.Instances = append(g.Instances, group.Instance{ID: aws.ToString(i.InstanceId), Type: aws.ToString(i.InstanceType), Zone: aws.ToString(i.AvailabilityZone),
			Lifecycle: group.Lifecycle(i.LifecycleState), Weight: weight, Unweighed: !known && (hardware || aws.ToString(i.InstanceType) == ""),
			Protected: aws.ToBool(i.ProtectedFromScaleIn), ImageID: aws.ToString(i.ImageId), Origin: origin})
	}
	for _, p := range in.SuspendedProcesses {
		g.SuspendedProcesses = append(g.SuspendedProcesses, aws.ToString(p.ProcessName))
	}
	slices.Sort(g.SuspendedProcesses)
	g.CapacityRebalance = aws.ToBool(in.CapacityRebalance) && !g.Suspended(group.ProcessLaunch)
	return g
}

func tagsOf(in types.AutoScalingGroup) map[string]string {
	tags := make(map[string]string, len(in.Tags))
	for _, tag := range in.Tags {
		tags[aws.ToString(tag.Key)] = aws.ToString(tag.Value)
	}
	return tags
}

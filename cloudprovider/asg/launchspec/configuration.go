package launchspec

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
)

func (r *Resolver) fetchConfigurations(ctx context.Context, names []string) {
	slices.Sort(names)
	for some := range slices.Chunk(names, maxConfigurationsPerCall) {
		out, err := r.autoscaling.DescribeLaunchConfigurations(ctx, &autoscaling.DescribeLaunchConfigurationsInput{
			LaunchConfigurationNames: some, MaxRecords: aws.Int32(maxConfigurationsPerCall)})
		found := map[string]*LaunchSpec{}
		if err == nil {
			for _, c := range out.LaunchConfigurations {
				launch := &LaunchSpec{ImageID: aws.ToString(c.ImageId), UserData: aws.ToString(c.UserData), Spot: aws.ToString(c.SpotPrice) != ""}
				if c.InstanceType != nil {
					launch.Types = []Type{{Name: *c.InstanceType, Weight: 1}}
				}
				for _, b := range c.BlockDeviceMappings {
					if b.Ebs != nil {
						launch.BlockDevices = addDevice(launch.BlockDevices, b.DeviceName, b.Ebs.VolumeSize)
					}
				}
				launch.stated = r.stated(launch.UserData, nil)
				found[aws.ToString(c.LaunchConfigurationName)] = launch
			}
		}
		for _, name := range some {
			failure := err
			if err == nil && found[name] == nil {
				failure = errGone
			}
			r.configurations.put(name, found[name], failure, r.clock.Now())
		}
	}
}

package main

import (
	"fmt"

	"k8s.io/autoscaler/cluster-autoscaler/config"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/cluster-autoscaler/expanders"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/cluster-autoscaler/options"
	"github.com/asg-autoscaler/asg-autoscaler/pricing/pricefile"
)

// check finds what is wrong with flags, and with the files they name, before the process stands for election. A replica that finds
// it as the leader takes the lease from one that works.
func check(core config.AutoscalingOptions, ours options.AWS) error {
	if err := options.CheckCloudProvider(core.CloudProviderName); err != nil {
		return err
	}
	if err := ours.Validate(); err != nil {
		return err
	}
	if _, err := asg.ParseDiscovery(core.NodeGroups, core.NodeGroupAutoDiscovery); err != nil {
		return err
	}
	if err := expanders.Check(core.ExpanderNames); err != nil {
		return fmt.Errorf("--expander=%s: %w", core.ExpanderNames, err)
	}
	if _, err := awsclient.ReadCloudConfig(core.CloudConfig); err != nil {
		return fmt.Errorf("--cloud-config: %w", err)
	}
	catalogue, err := readCatalogue(ours.InstanceTypes)
	if err != nil {
		return err
	}
	if ours.PriceFile != "" {
		if _, err := pricefile.Read(ours.PriceFile, catalogue.Names()); err != nil {
			return fmt.Errorf("--aws-price-file: %w", err)
		}
	}
	return nil
}

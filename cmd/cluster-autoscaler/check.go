package main

import (
	"fmt"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/cluster-autoscaler/options"
	"github.com/asg-autoscaler/asg-autoscaler/expander"
	"github.com/asg-autoscaler/asg-autoscaler/pricing/pricefile"
)

// check refuses wrong flags, and wrong files that they name, before the process stands for election. A leader that finds them
// has taken the lease from a replica that works. check keeps the parsed --expander.
func (p *process) check() (err error) {
	core, ours := p.core, p.options.AWS
	if err := options.CheckCloudProvider(core.CloudProviderName); err != nil {
		return err
	}
	if err := ours.Validate(); err != nil {
		return err
	}
	if _, err := asg.ParseDiscovery(core.NodeGroups, core.NodeGroupAutoDiscovery); err != nil {
		return err
	}
	if p.expanders, err = expander.Parse(core.ExpanderNames); err != nil {
		return fmt.Errorf("--expander=%s: %w", core.ExpanderNames, err)
	}
	if _, err := awsclient.ReadCloudConfig(core.CloudConfig); err != nil {
		return fmt.Errorf("--cloud-config: %w", err)
	}
	catalogue, err := instancetypes.WithFile(ours.InstanceTypes)
	if err != nil {
		return fmt.Errorf("--aws-instance-types-file: %w", err)
	}
	if ours.PriceFile != "" {
		if _, err := pricefile.Read(ours.PriceFile, catalogue.Names()); err != nil {
			return fmt.Errorf("--aws-price-file: %w", err)
		}
	}
	return nil
}

package process

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"google.golang.org/grpc/credentials"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	"k8s.io/autoscaler/cluster-autoscaler/estimator"
	coreexpander "k8s.io/autoscaler/cluster-autoscaler/expander"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/ownership"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/cluster-autoscaler/options"
	"github.com/asg-autoscaler/asg-autoscaler/expander"
	"github.com/asg-autoscaler/asg-autoscaler/pricing/pricefile"
)

// check refuses wrong flags and files. It keeps what it has parsed.
func (p *Process) check() (err error) {
	core, ours := p.core, p.options.AWS
	if name := core.CloudProviderName; name != cloudprovider.AwsProviderName {
		return fmt.Errorf("--cloud-provider=%q: this autoscaler is for AWS Auto Scaling groups only; use --cloud-provider=%s or leave the flag out",
			name, cloudprovider.AwsProviderName)
	}
	_, discovery := ownership.ParseDiscovery(core.NodeGroups, core.NodeGroupAutoDiscovery)
	if err := cmp.Or(ours.Validate(), p.checkMoves(), discovery); err != nil {
		return err
	}
	if p.expanders, err = expander.Parse(core.ExpanderNames); err != nil {
		return fmt.Errorf("--expander=%s: %w", core.ExpanderNames, err)
	}
	_, err = credentials.NewClientTLSFromFile(core.GRPCExpanderCert, "")
	if err != nil && slices.Contains(p.expanders, coreexpander.GRPCExpanderName) { // for which the core ends the process of a leader
		return fmt.Errorf("--expander=%s needs the certificate of the server of grpc: --grpc-expander-cert=%s: %w; "+
			"to mend it, name its file, or leave grpc out", core.ExpanderNames, core.GRPCExpanderCert, err)
	}
	if _, err := estimator.NewEstimatorBuilder(core.EstimatorName, nil, nil, nil, false); err != nil {
		return fmt.Errorf("--estimator: %w", err)
	}
	if p.cloudConfig, err = awsclient.ReadCloudConfig(core.CloudConfig); err != nil {
		return fmt.Errorf("--cloud-config: %w", err)
	}
	if p.catalogue, err = instancetypes.WithFile(ours.InstanceTypes); err != nil {
		return fmt.Errorf("--asg-instance-types-file: %w", err)
	}
	if ours.PriceFile != "" {
		if _, err := pricefile.Read(ours.PriceFile, p.catalogue.Names()); err != nil {
			return fmt.Errorf("--asg-price-file: %w", err)
		}
	}
	return nil
}

// checkMoves refuses flags that replace nodes where others let none go. A shadow has the flags of its leader, and replaces none.
func (p *Process) checkMoves() error {
	ours := p.options.AWS
	moves := ours.Rotate || ours.Repair || ours.Consolidate == options.ConsolidateOn
	switch {
	case ours.Shadow:
	case moves && !p.options.ScaleDown:
		return errors.New("--asg-rotate, --asg-repair and --asg-consolidate=on remove nodes, and --scale-down-enabled=false lets none go: leave out either")
	case moves && min(p.core.MaxDrainParallelism, p.core.MaxScaleDownParallelism) < 1:
		return errors.New("--asg-rotate, --asg-repair and --asg-consolidate=on drain nodes, and --max-drain-parallelism=0, " +
			"--max-scale-down-parallelism=0 or --max-empty-bulk-delete=0 lets none be drained: give 1 or more, or leave the moves out")
	case ours.Repair && !p.core.ScaleDownUnreadyEnabled:
		return errors.New("--asg-repair removes nodes that are not Ready, and --scale-down-unready-enabled=false lets none go: leave out either")
	}
	return nil
}

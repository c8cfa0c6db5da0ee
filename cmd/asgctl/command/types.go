package command

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/show"
)

func (c *cli) types() *cobra.Command {
	return &cobra.Command{
		Use:   "types [TYPE…]",
		Short: "Resources of instance types: vCPU, memory, accelerators, interfaces, disks",
		Long: `The resources of instance types, from the built-in list or --instance-types-file, with its source and date.
A TYPE may be a pattern such as 'g4dn.*'. It makes no AWS call.

ON-NODE is the memory a node reports at least: measured on a node of the type, or estimated.
PUBLISHES are the resources under which its accelerators appear once their device plugin runs. EFA and POD-ENIS count
vpc.amazonaws.com/efa and vpc.amazonaws.com/pod-eni on a node. ENI-PODS counts the pods that get an address.`,
		Example: "  asgctl types g4dn.xlarge 'p5*'\n  asgctl types -o json | jq '.types[] | select(.efaInterfaces > 0).name'",
		RunE: func(_ *cobra.Command, names []string) error {
			catalogue, err := instancetypes.WithFile(c.read.InstanceTypesFile)
			if err != nil {
				return failure{err}
			}
			list, unknown := show.TypesOf(catalogue, names)
			if len(list.Types) > 0 || len(unknown) == 0 || c.format != show.Table {
				if err := show.Print(c.stdout, c.format, list, list.Table); err != nil {
					return failure{err}
				}
			}
			if len(unknown) > 0 {
				return finding{"unknown instance type " + strings.Join(unknown, ", ") +
					": check the name, or bring a newer list with --instance-types-file (aws ec2 describe-instance-types --output json)"}
			}
			return nil
		},
	}
}

package command

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/show"
)

func (c *cli) groups() *cobra.Command {
	cmd := &cobra.Command{
		Use: "groups", Short: "The Auto Scaling groups the autoscaler would serve, and their problems",
		Long: `The Auto Scaling groups that an autoscaler with the same flags would serve: sizes, zones, types, launch
templates, whether they are scaled as a whole or zone by zone, and their problems. AWS's refusals to a running autoscaler are
unknown here. Exits with 3 if no node can be added to one of them, if one that --nodes names does not exist, or if there is none.`,
		Example: "  asgctl groups --node-group-auto-discovery asg:tag=k8s.io/cluster-autoscaler/enabled\n  asgctl groups --from ./recorded -o json",
		Args:    cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := c.reading(cmd.Context())
			if err != nil {
				return err
			}
			list := show.GroupsOf(r)
			wrong := ""
			switch blocked := list.Blocked(); {
			case len(r.Absent) > 0:
				wrong = "no Auto Scaling group " + strings.Join(r.Absent, ", ") + " in this region and account"
			case len(r.Groups) == 0:
				wrong = "no Auto Scaling group matches: asgctl groups without discovery flags lists all of the region, --region chooses another region, " +
					"and asgctl doctor finds groups of the cluster that lack a tag"
			case len(blocked) > 0:
				wrong = "no node can be added to " + strings.Join(blocked, ", ")
			}
			return c.print(list, list.Table, wrong)
		},
	}
	c.readFlags(cmd)
	return cmd
}

func (c *cli) template() *cobra.Command {
	cmd := &cobra.Command{
		Use: "template GROUP[/ZONE]", Short: "The node that a group would add, field by field with its source",
		Long: `The node that an Auto Scaling group would add: labels, taints, capacity and allocatable resources, each with its source,
and the assumed labels. It does not know what the autoscaler learns from real nodes. If a group is scaled zone by zone,
or will be once a pod needs a zone, GROUP/ZONE is the node group of one zone, whose nodes promise it. Every instance type of the
group counts as offered there.
Exits with 3 if there is no such group or zone, or too little is known to add a node.`,
		Example: "  asgctl template gpu-spot\n  asgctl template web/us-east-1a\n  asgctl template gpu-spot --from ./recorded -o json",
		Args:    cobra.ExactArgs(1), ValidArgsFunction: c.completeGroup,
		RunE: func(cmd *cobra.Command, args []string) error {
			c.read.Only = args[0]
			r, err := c.reading(cmd.Context())
			if err != nil {
				return err
			}
			g, err := r.Find(args[0])
			if err != nil {
				return finding{err.Error()}
			}
			v := show.TemplateOf(r, g)
			wrong := ""
			if !v.Usable {
				wrong = fmt.Sprintf("too little is known of %q to add a node", g.ID())
			}
			return c.print(v, v.Table, wrong)
		},
	}
	c.readFlags(cmd)
	return cmd
}

func (c *cli) completeGroup(cmd *cobra.Command, args []string, _ string) (names []string, _ cobra.ShellCompDirective) {
	if r, err := c.reading(cmd.Context()); err == nil && len(args) == 0 {
		for _, g := range r.Groups {
			names = append(names, g.Name)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

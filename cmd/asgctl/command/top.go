package command

import (
	"github.com/spf13/cobra"

	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/running"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/show"
)

func (c *cli) top() *cobra.Command {
	var from running.Options
	cmd := &cobra.Command{
		Use:   "top",
		Short: "Show the running autoscaler: groups, nodes in motion, pending pods and their causes, decisions",
		Long: `Prints what the running autoscaler knows and decided. The report comes from the leader's /status.json through the API server, so no port
has to be forwarded. Your account needs get on pods/proxy, pods and leases in the autoscaler's namespace.

watch asgctl top shows it live.`,
		Example: "  asgctl top --context prod | less -S\n  watch asgctl top\n  asgctl top -o json > status.json; asgctl top --report status.json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			source, err := running.Open(from)
			if err != nil {
				return failure{err}
			}
			report, err := source.Report(cmd.Context(), nil)
			if err != nil {
				return failure{err}
			}
			if err := show.Print(c.stdout, c.format, report, func() string { return show.ReportTable(report) }); err != nil {
				return failure{err}
			}
			return nil
		},
	}
	flags := cmd.Flags()
	from.KubeFlags(flags)
	from.Flags(flags)
	cmd.MarkFlagsMutuallyExclusive("url", "report")
	return cmd
}

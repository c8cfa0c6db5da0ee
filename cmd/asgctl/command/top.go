package command

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/running"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/show"
)

func (c *cli) top() *cobra.Command {
	return c.showReport(running.Options{}, &cobra.Command{ // of a replica that stands by, too
		Use: "top", Short: "Show the running autoscaler: groups, nodes in motion, pending pods and their causes, decisions",
		Long: `Prints what the running autoscaler knows and decided. The report comes from the leader's /status.json through the API server, so no port
has to be forwarded. Your account needs get on pods/proxy, pods and leases, and list on pods, in the autoscaler's namespace.

watch asgctl top shows it live.`,
		Example: "  asgctl top --context prod | less -S\n  watch asgctl top\n  asgctl top -o json > status.json; asgctl top --report status.json",
	}, func(r *decision.Report) (any, string) { return r, show.ReportTable(r) })
}

func (c *cli) shadow() *cobra.Command {
	return c.showReport(running.Options{Lease: running.ShadowLease, Leading: true}, &cobra.Command{
		Use: "shadow", Short: "Show how the decisions of an autoscaler with --shadow differ from the leader's",
		Long: `Prints the comparison that an autoscaler with --shadow has made with the one that leads: a line for each of the last days, the times in
which pods waited for nodes, and the nodes that one of the two removed. The report comes from its /status.json, as for asgctl top.`,
		Example: "  asgctl shadow\n  asgctl shadow -o json",
	}, show.ShadowOf)
}

// showReport completes a command that prints what the report of an autoscaler says, as a result and a table.
func (c *cli) showReport(from running.Options, cmd *cobra.Command, result func(*decision.Report) (any, string)) *cobra.Command {
	cmd.Args = cobra.NoArgs
	withReport(&from, cmd, func(_ context.Context, r *decision.Report, _ []string) error {
		answer, table := result(r)
		return c.print(answer, func() string { return table }, "")
	})
	return cmd
}

// patience is how long a command waits for the autoscaler and the API server.
const patience = 30 * time.Second

// withReport completes a command that reads the report of an autoscaler, and then calls do, within a time limit.
func withReport(from *running.Options, cmd *cobra.Command, do func(context.Context, *decision.Report, []string) error) {
	timeout := time.Duration(0)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
		defer cancel()
		report, err := running.Read(ctx, *from)
		if err != nil {
			return failure{err}
		}
		return do(ctx, report, args)
	}
	flags := cmd.Flags()
	from.Flags(flags)
	flags.DurationVar(&timeout, "timeout", patience, "Time after which the autoscaler and the API server are waited for no longer.")
	cmd.MarkFlagsMutuallyExclusive("url", "report")
}

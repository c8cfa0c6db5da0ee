package command

import (
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"
	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/running"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/show"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/top"
)

func (c *cli) top() *cobra.Command {
	var from running.Options
	interval := 2 * time.Second
	cmd := &cobra.Command{
		Use:   "top",
		Short: "Watch the running autoscaler: groups, nodes in motion, pending pods and their causes, decisions",
		Long: `Shows what the running autoscaler knows and decided, and shows it anew as it changes. The report comes from the leader's /status.json
through the API server, so no port has to be forwarded. Your account needs get on pods/proxy, pods and leases in the autoscaler's
namespace. The key ? lists the keys.

If stdin or stdout is no terminal, or with -o json or yaml, it prints one report and ends. NO_COLOR is honoured.`,
		Example: "  asgctl top\n  asgctl top --context prod | less\n  asgctl top -o json > status.json; asgctl top --report status.json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			source, err := running.Open(from)
			if err != nil {
				return failure{err}
			}
			in, out, live := c.terminal(cmd)
			if live {
				klog.LogToStderr(false) // client-go would write over the screen
				klog.SetOutput(io.Discard)
				err = top.Run(cmd.Context(), source, in, out, top.Options{Interval: interval, Program: c.program, Colour: os.Getenv("NO_COLOR") == ""})
			} else {
				err = c.printReport(cmd, source)
			}
			if err != nil {
				return failure{err}
			}
			return nil
		},
	}
	flags := cmd.Flags()
	from.KubeFlags(flags)
	from.Flags(flags)
	flags.DurationVar(&interval, "interval", interval, "Time between two readings of the report, at least.")
	cmd.MarkFlagsMutuallyExclusive("url", "report")
	return cmd
}

// terminal returns the files of the terminal, if there is one that can show a screen, and if one was asked for.
func (c *cli) terminal(cmd *cobra.Command) (in, out *os.File, live bool) {
	in, isFile := cmd.InOrStdin().(*os.File)
	out, isFileToo := c.stdout.(*os.File)
	live = c.format == show.Table && isFile && isFileToo && term.IsTerminal(int(in.Fd())) && term.IsTerminal(int(out.Fd())) && os.Getenv("TERM") != "dumb"
	return in, out, live
}

func (c *cli) printReport(cmd *cobra.Command, source *running.Autoscaler) error {
	report, err := source.Report(cmd.Context(), nil)
	if err != nil {
		return err
	}
	return show.Print(c.stdout, c.format, report, func() string { return top.Table(report) })
}

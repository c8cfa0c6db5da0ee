package command

import (
	"github.com/spf13/cobra"

	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/messageview"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/output"
)

func (c *cli) explain() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "explain",
		Short: "Explain how the autoscaler understands an input",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Usage() },
	}
	cmd.AddCommand(c.explainMessage())
	return cmd
}

func (c *cli) explainMessage() *cobra.Command {
	code := ""
	cmd := &cobra.Command{
		Use:   "message TEXT",
		Short: "Explain a message or error of AWS as the autoscaler understands it",
		Long: `Explains how the autoscaler understands a message of AWS: the status message of a scaling activity, an error of an API call,
or one of LaunchInstances. TEXT is one argument: quote it. A line copied from a log or from the AWS CLI will do. It makes no AWS call.

The class is one of no-capacity, quota, spot-limit, config-error, permission, throttle, transient and cancelled, or empty in
JSON and YAML for a text without a known failure.`,
		Example: "  asgctl explain message 'Could not launch Spot Instances. UnfulfillableCapacity - Unable to fulfill capacity'\n" +
			"  asgctl explain message --code InsufficientInstanceCapacity '' -o json",
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			view := messageview.Of(code, args[0])
			if err := output.Print(c.stdout, c.format, view, view.Table); err != nil {
				return failure{err}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&code, "code", "", "Error code, where it is known apart from the text.")
	return cmd
}

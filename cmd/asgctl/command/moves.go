package command

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/move"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/running"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/show"
)

func (c *cli) moves() *cobra.Command {
	cmd := c.showReport(running.Options{Leading: true}, &cobra.Command{
		Use: "moves", Short: "Show the nodes that are to be replaced, why, and what they wait for",
		Long: `Prints the nodes that the running autoscaler is to replace (--asg-rotate, --asg-repair, --asg-consolidate, schedules), with the reason, how far each is, and what holds it
back. The report comes from its /status.json, as for asgctl top.`,
		Example: "  asgctl moves\n  asgctl moves -o json\n  asgctl moves resume web",
	}, show.MovesOf)
	cmd.AddCommand(c.resumeMoves())
	return cmd
}

func (c *cli) plan() *cobra.Command {
	return c.showReport(running.Options{Leading: true}, &cobra.Command{
		Use: "plan", Short: "Show the nodes that cost more than they have to, and what their removal saves",
		Long: `Prints what the running autoscaler has found with --asg-consolidate=plan or on: nodes whose pods fit on other nodes, and at most one new node
that costs less. Each line is for itself, and has been tried with the scheduler's filters: two may need the same free room. With plan nothing is
changed. The report comes from the autoscaler's /status.json, as for asgctl top.`,
		Example: "  asgctl plan\n  asgctl plan -o json",
	}, show.PlanOf)
}

func (c *cli) resumeMoves() *cobra.Command {
	from := running.Options{Leading: true}
	cmd := &cobra.Command{
		Use: "resume GROUP", Short: "Have the autoscaler forget the failed moves of a group, and try again",
		Long: `Takes the annotation ` + move.Annotation + ` off the nodes of the group that could not be replaced. The autoscaler begins anew with them in
its next loop. A move that is tried again already goes on. Your account needs get and patch on nodes.`,
		Args: cobra.ExactArgs(1), PreRunE: c.asText,
	}
	withReport(&from, cmd, func(ctx context.Context, report *decision.Report, args []string) error {
		if from.File != "" {
			return errSaved
		}
		client, err := from.Client()
		if err != nil {
			return failure{err}
		}
		if report.Shadow != nil {
			return errShadow
		}
		resumed, failed := false, error(nil)
		for _, n := range show.Moving(report) {
			part := func(g decision.Group) bool { return g.Name == n.Group && g.AutoScaling == args[0] }
			if n.Group != args[0] && !slices.ContainsFunc(report.Groups, part) || n.Move.Failures == 0 || n.Move.Retry.IsZero() {
				continue
			}
			node, err := nodeOf(ctx, client, &n)
			if err == nil {
				if s, _ := move.StateOf(node); s.Step != move.Waiting { // the report is older
					continue
				}
				patch := fmt.Appendf(nil, `{"metadata":{"resourceVersion":%q,"annotations":{%q:null}}}`, node.ResourceVersion, move.Annotation)
				_, err = client.CoreV1().Nodes().Patch(ctx, n.Name, types.MergePatchType, patch, metav1.PatchOptions{})
			}
			switch {
			case err == nil:
				fmt.Fprintln(c.stdout, "resumed the move of node", n.Name)
				resumed = true
			case !apierrors.IsNotFound(err): // one that is gone needs nothing
				failed = errors.Join(failed, err)
			}
		}
		if failed != nil {
			return failure{failed}
		}
		if !resumed {
			return finding{fmt.Sprintf("no move of group %s waits after a failure: see asgctl moves", args[0])}
		}
		return nil
	})
	return cmd
}

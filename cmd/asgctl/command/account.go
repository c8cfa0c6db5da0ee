package command

import (
	"bufio"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/accountcheck"
)

func (c *cli) account() *cobra.Command {
	group, sure := "", false
	cmd := &cobra.Command{
		Use: "account", Short: "Check a real account: its permissions, and with --launch one launch",
		Long: `Makes one read-only call for each permission of the shipped policy that can be tried so, and prints AWS's answers and their meaning.
It needs the autoscaler's own credentials.

With --launch GROUP it also launches exactly one instance into GROUP, repeats the call with its client token, which must not
launch a second one, and waits until the group shows the instance. It then offers to terminate that instance while AWS calls it Pending,
so before it can be a node. It launches only if the group has room, has the tag k8s.io/cluster-autoscaler/<--asg-cluster-name> = owned and
states no other cluster, and if you type its name. The instance costs what AWS takes for it.

Exits with 3 if a permission lacks, or if the launch is refused or did not go as documented.`,
		Example: "  asgctl account\n  asgctl account --asg-cluster-name prod --launch web",
		Args:    cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
			if group != "" && c.read.ClusterName == "" {
				return fmt.Errorf("--launch needs --asg-cluster-name: without it a group of another cluster is not recognised")
			}
			return c.checkAccount(cmd, group, sure)
		},
	}
	c.regionFlag(cmd)
	flags := cmd.Flags()
	flags.StringVar(&c.read.CloudConfig, "cloud-config", "", "As the autoscaler's: file with ServiceOverride sections.")
	flags.StringVar(&c.read.ClusterName, "asg-cluster-name", "", "As the autoscaler's: the name of the cluster. --launch needs it.")
	flags.StringVar(&group, "launch", "", "Auto Scaling group to launch one instance into. If empty: nothing is changed.")
	flags.BoolVar(&sure, "yes", false, "Launch and terminate without asking.")
	flags.DurationVar(&c.timeout, "timeout", 2*time.Minute, "Time after which the reading of the group is waited for no longer.")
	_ = cmd.RegisterFlagCompletionFunc("launch", c.completeGroup) // the flag is there
	return cmd
}

func (c *cli) checkAccount(cmd *cobra.Command, group string, sure bool) error {
	ctx := cmd.Context()
	clients, err := c.read.Clients(ctx)
	if err != nil {
		return failure{err}
	}
	lines := bufio.NewScanner(cmd.InOrStdin())
	typed := func(question, want string) bool {
		if sure {
			return true
		}
		fmt.Fprintf(c.stderr, "%s Type %s: ", question, want)
		return answer(ctx, lines) == want
	}
	check := accountcheck.New(ctx, clients)
	if ctx.Err() != nil {
		return failure{fmt.Errorf("not all permissions were tried: %w", ctx.Err())}
	}
	refusal := ""
	if group != "" {
		refusal = c.launch(ctx, check, group, typed)
	}
	found := check.Findings()
	if refusal != "" {
		found = append(found, fmt.Sprintf("nothing was launched into %q: %s", group, refusal))
	}
	return c.print(check, check.Table, strings.Join(found, "; "))
}

// answer returns the next line that the operator types, or "" if ctx ends first. Then nobody may read lines again. After the end of ctx it waits
// for the line, and a second signal ends the process.
func answer(ctx context.Context, lines *bufio.Scanner) string {
	if ctx.Err() != nil {
		ctx = context.WithoutCancel(ctx)
	}
	typed := make(chan string, 1)
	go func() {
		lines.Scan()
		typed <- strings.TrimSpace(lines.Text())
	}()
	select {
	case line := <-typed:
		return line
	case <-ctx.Done():
		return ""
	}
}

// launch makes the one launch, where the group and the operator allow it. Otherwise it returns the reason.
func (c *cli) launch(ctx context.Context, check *accountcheck.Check, name string, typed func(question, want string) bool) string {
	c.read.Only = name
	r, err := c.reading(ctx) // with everything that the group states
	if err != nil {
		return err.Error()
	}
	at := slices.IndexFunc(r.Groups, func(g *group.Group) bool { return g.Name == name })
	if at < 0 {
		return fmt.Sprintf("no Auto Scaling group %q: asgctl groups lists those there are", name)
	}
	g := r.Groups[at]
	if refusal := accountcheck.Refusal(g, c.read.ClusterName); refusal != "" {
		return refusal
	}
	if !typed(fmt.Sprintf("This launches one instance into Auto Scaling group %q of %s.", name, check.Region), name) {
		return "you did not type its name"
	}
	switch launched := check.LaunchInto(ctx, g); {
	case len(launched) == 0:
	case typed("This terminates "+strings.Join(launched, " and ")+" again.", launched[0]):
		own, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second) // a Ctrl-C leaves no instance behind
		defer cancel()
		check.TakeAway(own)
	default:
		check.Launch.Kept = "you did not type its ID. The autoscaler removes its node once it is unneeded"
	}
	return ""
}

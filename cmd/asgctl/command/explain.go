package command

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/shellword"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/running"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/show"
)

const explainLong = `Explains why pods wait for a node, or why a node stays or goes. The first line is the cause, then come the groups in the expander's order,
and the next command.

It asks the autoscaler of the cluster, through the API server. If none answers, it says so and computes the answer itself, by loops of
the autoscaler's own code over the cluster and AWS, which only read. They take the flags from the autoscaler's Deployment. Flags after --
replace them, and then the running autoscaler is not asked: so you can ask what other flags would do. Such loops are a new autoscaler's
first. They know of no cool-down and of no delay that has begun.

Exits with 3 if a pod would get no node, or does not exist.`

func (c *cli) explain() *cobra.Command {
	e := &explainer{cli: c}
	cmd := &cobra.Command{
		Use:   "explain KIND/NAME [-- FLAGS OF THE AUTOSCALER]",
		Short: "Explain why pods wait, or why a node stays",
		Long:  explainLong,
		Example: "  asgctl explain pod -n shop web-0\n  asgctl explain deployment/web -n shop\n  asgctl explain pods\n" +
			"  asgctl explain pods -- --expander=least-cost\n  asgctl explain node ip-10-0-1-2.ec2.internal",
		Args: cobra.ArbitraryArgs, ValidArgsFunction: e.complete,
		RunE: func(cmd *cobra.Command, args []string) error {
			names, flags := afterDash(cmd, args)
			if len(names) == 0 {
				return cmd.Usage()
			}
			kind, name, isOwner := strings.Cut(strings.Join(names, "/"), "/")
			if len(names) > 2 || !isOwner || name == "" || strings.Contains(name, "/") {
				return fmt.Errorf("%q cannot be explained: want pod NAME, pods, node NAME, or KIND/NAME of a controller of pods", strings.Join(names, " "))
			}
			switch kind {
			case "pod":
				return e.pod(cmd, []string{name}, flags)
			case "node":
				return e.node(cmd, []string{name}, flags)
			}
			return e.owned(cmd, kind, name, flags)
		},
	}
	e.flags(cmd)
	cmd.AddCommand(e.command("pod NAME", "Explain why a pod waits", e.pod), e.command("pods", "Explain all pods that wait", e.all),
		e.command("node NAME", "Explain why a node stays or goes", e.node))
	return cmd
}

// command is a command whose arguments are those in its use, and behind -- the autoscaler's flags.
func (e *explainer) command(use, short string, run func(cmd *cobra.Command, names, flags []string) error) *cobra.Command {
	cmd := &cobra.Command{
		Use: use + " [-- FLAGS OF THE AUTOSCALER]", Short: short, Long: explainLong, Args: cobra.ArbitraryArgs, ValidArgsFunction: e.complete,
		RunE: func(cmd *cobra.Command, args []string) error {
			names, flags := afterDash(cmd, args)
			if want := strings.Count(use, " "); len(names) != want {
				return fmt.Errorf("want asgctl explain %s, and the autoscaler's flags behind --", use)
			}
			return run(cmd, names, flags)
		},
	}
	e.flags(cmd)
	return cmd
}

// complete names the pods, nodes or controllers of pods in a report that the command may be about.
func (e *explainer) complete(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	autoscaler, err := running.Open(e.running)
	if err != nil || len(args) > 1 || len(args) == 1 && cmd.Name() != "explain" {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	r, err := autoscaler.Report(cmd.Context(), nil)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, pod := range r.Pods {
		kind, owner, owned := strings.Cut(pod.Owner, "/")
		switch {
		case pod.Namespace != e.inNamespace():
		case cmd.Name() == "pod":
			names = append(names, pod.Name)
		case cmd.Name() == "explain" && owned && len(args) == 0:
			names = append(names, strings.ToLower(kind)+"/"+owner)
		case cmd.Name() == "explain" && owned && show.Owned(pod.Namespace, show.Owner(args[0], owner))(&pod):
			names = append(names, owner)
		}
	}
	for _, node := range r.Nodes {
		if cmd.Name() == "node" {
			names = append(names, node.Name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), cobra.ShellCompDirectiveNoFileComp
}

// afterDash divides the arguments at --.
func afterDash(cmd *cobra.Command, args []string) (names, flags []string) {
	if at := cmd.ArgsLenAtDash(); at >= 0 {
		return args[:at], args[at:]
	}
	return args, nil
}

func (e *explainer) flags(cmd *cobra.Command) {
	flags := cmd.Flags()
	e.running.KubeFlags(flags)
	e.running.Flags(flags)
	flags.StringVarP(&e.namespace, "namespace", "n", "", "Namespace of the pods. If empty: the context's.")
	e.regionFlag(cmd)
	flags.DurationVar(&e.timeout, "timeout", 2*time.Minute, "Time after which AWS and the API server are waited for no longer.")
}

func (e *explainer) pod(cmd *cobra.Command, names, flags []string) error {
	namespace := e.inNamespace()
	answer, err := e.pods(cmd, flags, url.Values{"pod": {namespace + "/" + names[0]}}, "", show.Named(namespace, names[0]))
	if err != nil {
		return err
	}
	if len(answer.Pods) == 0 {
		pods, err := e.listPods(cmd.Context(), namespace)
		if err != nil {
			return failure{err}
		}
		for i := range pods {
			if pods[i].Name == names[0] {
				answer.AddUnlisted(&pods[i])
			}
		}
	}
	if len(answer.Pods) == 0 {
		return finding{fmt.Sprintf("there is no pod %s/%s that waits for a node", namespace, names[0])}
	}
	return e.print(cmd, answer)
}

func (e *explainer) all(cmd *cobra.Command, _, flags []string) error {
	answer, err := e.pods(cmd, flags, nil, "the cluster", func(*decision.Pod) bool { return true })
	if err != nil {
		return err
	}
	return e.print(cmd, answer)
}

func (e *explainer) owned(cmd *cobra.Command, kind, name string, flags []string) error {
	namespace, owner := e.inNamespace(), show.Owner(kind, name)
	answer, err := e.pods(cmd, flags, nil, owner, show.Owned(namespace, owner))
	if err != nil {
		return err
	}
	if len(answer.Pods) == 0 {
		pods, err := e.listPods(cmd.Context(), namespace)
		if err != nil {
			return failure{err}
		}
		if e.cluster != nil && !show.HasPods(owner, pods) {
			return finding{fmt.Sprintf("%s has no pod in namespace %s", owner, namespace)}
		}
	}
	return e.print(cmd, answer)
}

func (e *explainer) print(cmd *cobra.Command, answer *show.Pods) error {
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if f.Name != "namespace" && f.Name != "output" {
			answer.Given += " --" + f.Name + "=" + shellword.Quote(f.Value.String())
		}
	})
	if _, flags := afterDash(cmd, cmd.Flags().Args()); len(flags) > 0 {
		answer.Given += " --"
		for _, flag := range flags {
			answer.Given += " " + shellword.Quote(flag)
		}
	}
	if err := show.Print(e.stdout, e.format, answer, answer.Text); err != nil {
		return failure{err}
	}
	if n := answer.Unserved(); n > 0 {
		return finding{fmt.Sprintf("%d of %d pods get no node", n, len(answer.Pods))}
	}
	return nil
}

// unserved follows the name of what is not there.
const unserved = " is no node or instance of a group of the autoscaler"

func (e *explainer) node(cmd *cobra.Command, names, flags []string) error {
	asked := aboutNodes
	if e.wouldGo {
		asked.Remove = names[0]
	}
	r, err := e.report(cmd, flags, url.Values{"node": {names[0]}}, asked)
	if err != nil {
		return err
	}
	answer, found := show.NodeOf(r, e.source, names[0])
	if !found {
		return finding{names[0] + unserved}
	}
	state := answer.Node.State
	if e.wouldGo && state == decision.NodeUnneeded {
		answer.Node.Reason.Message = "it would go, and its pods fit elsewhere"
	}
	if err := show.Print(e.stdout, e.format, answer, answer.Text); err != nil {
		return failure{err}
	}
	if e.wouldGo && (state == decision.NodeBlocked || state == decision.NodeNeeded || state == decision.NodeStarting) {
		return finding{fmt.Sprintf("node %s would stay", names[0])}
	}
	return nil
}

package command

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision/why"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/shellword"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/running"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/show"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/cluster-autoscaler/process"
)

const explainLong = `Explains why a pod waits for a node (pod NAME), or all pods that wait (pods), or those of a controller (such as deployment/NAME), or why a
node stays or goes (node NAME). The first line is the cause, then come the groups in the expander's order,
and the next command.

It asks the autoscaler of the cluster, through the API server. If none answers, it says so and computes the answer itself, by loops of
the autoscaler's own code over the cluster and AWS, which only read. They take the flags from the autoscaler's Deployment, and the region
from the cluster where no flag names it. Flags after -- replace flags of the same name, and then the running autoscaler is not asked: so you
can ask what other flags would do. Such loops are a new autoscaler's first. They know of no cool-down and of no delay that has begun.

Exits with 3 if a pod would get no node, the report had no room for it, or it or its controller does not exist.`

func (c *cli) explain() *cobra.Command {
	e := &explainer{cli: c, running: running.Options{Leading: true}}
	cmd := &cobra.Command{
		Use: "explain KIND/NAME [-- FLAGS OF THE AUTOSCALER]", Short: "Explain why pods wait, or why a node stays",
		Long: explainLong,
		Example: "  asgctl explain pod -n shop web-0\n  asgctl explain deployment/web -n shop\n  asgctl explain pods\n" +
			"  asgctl explain pods -- --expander=least-cost\n  asgctl explain node ip-10-0-1-2.ec2.internal",
		Args: cobra.ArbitraryArgs, RunE: func(cmd *cobra.Command, args []string) error {
			names, flags := afterDash(cmd, args)
			if len(names) == 0 {
				return errors.New("want pod NAME, pods, node NAME, or KIND/NAME of a controller of pods: see asgctl explain --help")
			}
			kind, name, isOwner := strings.Cut(strings.Join(names, "/"), "/")
			if kind == "pods" && !isOwner {
				return e.all(cmd, flags)
			}
			if len(names) > 2 || !isOwner || name == "" || strings.Contains(name, "/") {
				return fmt.Errorf("%q cannot be explained: want pod NAME, pods, node NAME, or KIND/NAME of a controller of pods", strings.Join(names, " "))
			}
			switch strings.ToLower(kind) {
			case "pod", "pods", "po":
				return e.pod(cmd, name, flags)
			case "node", "nodes", "no":
				return e.node(cmd, name, flags)
			}
			return e.owned(cmd, kind, name, flags)
		},
	}
	flags := cmd.Flags()
	e.running.Flags(flags)
	flags.StringVarP(&e.namespace, "namespace", "n", "", "Namespace of the pods. If empty: the context's, and with pods all.")
	e.regionFlag(cmd)
	flags.DurationVar(&e.timeout, "timeout", 2*time.Minute, "Time after which AWS and the API server are waited for no longer.")
	return cmd
}

func afterDash(cmd *cobra.Command, args []string) (names, flags []string) {
	if at := cmd.ArgsLenAtDash(); at >= 0 {
		return args[:at], args[at:]
	}
	return args, nil
}

func (e *explainer) pod(cmd *cobra.Command, name string, flags []string) error {
	namespace := e.inNamespace()
	answer, err := e.pods(cmd, flags, "", func(pod *decision.Pod) bool { return pod.Namespace == namespace && pod.Name == name })
	if err != nil {
		return err
	}
	if len(answer.Pods) == 0 {
		none := answer.None("pod " + namespace + "/" + name)
		if e.client == nil {
			return finding{none}
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), e.timeout)
		defer cancel()
		pod, err := e.client.CoreV1().Pods(namespace).Get(ctx, name, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
			return finding{fmt.Sprintf("%s: %v", none, err)}
		case err != nil:
			return failure{fmt.Errorf("%s: %w", none, err)}
		}
		answer.Pods = append(answer.Pods, answer.Unlisted(pod))
	}
	return e.print(cmd, answer)
}

func (e *explainer) all(cmd *cobra.Command, flags []string) error {
	subject := "the cluster"
	if e.namespace != "" {
		subject = "namespace " + e.namespace
	}
	answer, err := e.pods(cmd, flags, subject, func(pod *decision.Pod) bool { return e.namespace == "" || pod.Namespace == e.namespace })
	if err != nil {
		return err
	}
	// Pods that are new or have gates do not wait for a node yet.
	e.addUnlisted(cmd.Context(), answer, e.namespace, func(pod *decision.Pod) bool { return pod.Cause.Code == decision.CodeScheduling })
	return e.print(cmd, answer)
}

func (e *explainer) owned(cmd *cobra.Command, kind, name string, flags []string) error {
	owner, namespace := show.Owner(kind, name), e.inNamespace()
	owned := func(pod *decision.Pod) bool { return pod.Namespace == namespace && show.OwnedBy(owner, pod) }
	answer, err := e.pods(cmd, flags, owner+" in namespace "+namespace, owned)
	if err != nil {
		return err
	}
	e.addUnlisted(cmd.Context(), answer, namespace, owned)
	if len(answer.Pods) == 0 && e.client != nil {
		if err := e.find(cmd.Context(), owner); apierrors.IsNotFound(err) {
			return finding{fmt.Sprintf("%s: %v", answer.None("pod of "+owner), err)}
		}
	}
	return e.print(cmd, answer)
}

// addUnlisted adds the pods without a node that match and that the report lacks, if a cluster is known and answers.
func (e *explainer) addUnlisted(ctx context.Context, answer *show.Pods, namespace string, match func(*decision.Pod) bool) {
	if e.client == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, e.timeout)
	defer cancel()
	pods, err := e.client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{FieldSelector: "spec.nodeName="})
	if err != nil {
		fmt.Fprintf(e.stderr, "asgctl: the answer lacks pods that the autoscaler does not count: %v\n", err)
		return
	}
	listed := map[string]bool{}
	for _, pod := range answer.Pods {
		listed[pod.UID] = true
	}
	for i := range pods.Items {
		if pod := answer.Unlisted(&pods.Items[i]); pod.State == decision.PodDelayed && !listed[pod.UID] && match(&pod) {
			answer.Pods, answer.Problems = append(answer.Pods, pod), nil
		}
	}
}

// find looks for a controller, such as "Deployment/web", or for a pod of one whose kind the API server may not know by this name.
func (e *explainer) find(ctx context.Context, owner string) error {
	ctx, cancel := context.WithTimeout(ctx, e.timeout)
	defer cancel()
	kind, name, _ := strings.Cut(owner, "/")
	api := e.client.AppsV1().RESTClient()
	switch kind {
	case "Deployment", "ReplicaSet", "StatefulSet", "DaemonSet":
	case "Job", "CronJob":
		api = e.client.BatchV1().RESTClient()
	default:
		pods, err := e.client.CoreV1().Pods(e.inNamespace()).List(ctx, metav1.ListOptions{})
		if err != nil || slices.ContainsFunc(pods.Items, func(pod corev1.Pod) bool {
			kind, name := nodemeta.Owner(&pod)
			return show.OwnedBy(owner, &decision.Pod{Name: pod.Name, Owner: kind + "/" + name})
		}) {
			return err
		}
		none := "no pod in namespace " + e.inNamespace() + " has it in its ownerReferences, see asgctl explain pods -n " + e.inNamespace()
		return &apierrors.StatusError{ErrStatus: metav1.Status{Reason: metav1.StatusReasonNotFound, Message: none}}
	}
	return api.Get().Namespace(e.inNamespace()).Resource(strings.ToLower(kind) + "s").Name(name).Do(ctx).Error()
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
	wrong := ""
	switch n := answer.Unserved(); {
	case n > 0:
		wrong = fmt.Sprintf("%d of %d pods get no node", n, len(answer.Pods))
	case answer.Incomplete():
		wrong = fmt.Sprintf("the report had no room for %s", why.Count(answer.PodsLeft, "more pending pod"))
	}
	return e.cli.print(answer, answer.Text, wrong)
}

// unserved says that a node is not there, or may have had no room in the report. One that is gone may have its last decision in the report.
func unserved(name string, r *decision.Report) finding {
	last := slices.IndexFunc(r.Timeline, func(e decision.Entry) bool { return e.Node == name })
	name += " is no node or instance of a group of the autoscaler"
	if len(r.Nodes) >= decision.MaxNodes {
		name += ", or one that had no room in its report"
	}
	if last >= 0 { // the newest
		e := &r.Timeline[last]
		name += show.Clean(fmt.Sprintf("; the last decision about it: %s at %s: %s", e.Kind, why.Moment(e.At), e.Reason.Message))
	}
	return finding{name}
}

func (e *explainer) node(cmd *cobra.Command, name string, flags []string) error {
	// One loop knows all that is known of nodes.
	asked := process.Question{Nodes: true, Enough: func(*decision.Report) bool { return true }}
	if e.wouldGo {
		asked.Remove = name
	}
	r, err := e.report(cmd, flags, asked)
	if err != nil {
		return err
	}
	answer, found := show.NodeOf(r, e.source, name)
	if !found {
		return unserved(name, r)
	}
	wrong := ""
	switch state := answer.Node.State; {
	case !e.wouldGo:
	case state == decision.NodeUnneeded:
		answer.Node.Reason.Message = "it would go, and its pods fit elsewhere"
	case state == decision.NodeBlocked, state == decision.NodeNeeded, state == decision.NodeStarting:
		wrong = "node " + name + " would stay"
	}
	return e.cli.print(answer, answer.Text, wrong)
}

package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision/why"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/shellword"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/running"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/show"
)

const removeLong = `Asks the running autoscaler to remove a node, by its annotation ` + string(nodemeta.RemovalRequested) + `: "true", and shows the
progress until the node is gone. The autoscaler drains and terminates it, and lowers the group's desired capacity by one, as soon as its pods
fit elsewhere and disruption budgets allow that. Until then the node stays in use, and the command says what is in the way. A group at its
minimum size is refused, unless the node is drained or terminated already. With --replace another node of the group comes first if the group
or the pods need it, up to the maximum size: only then the node is drained. The request stays when the command ends, by Ctrl-C, too. To take it
back before the drain, remove the annotation.

--dry-run writes nothing. Loops of asgctl's own, which only read, say whether the node would go, with the flags of the autoscaler's Deployment.
Flags behind -- replace flags of the same name.

Exits with 3 if the request is refused or taken back, or if the node would stay.`

func (c *cli) remove() *cobra.Command {
	e, replace, interval := &explainer{cli: c, running: running.Options{Leading: true}}, false, 2*time.Second
	cmd := &cobra.Command{
		Use:     "remove NODE [--replace] [--dry-run [-- FLAGS OF THE AUTOSCALER]]",
		Short:   "Have the autoscaler drain a node, terminate its instance and lower the desired capacity",
		Long:    removeLong,
		Example: "  asgctl remove ip-10-0-1-2.ec2.internal --dry-run\n  asgctl remove ip-10-0-1-2.ec2.internal",
		Args:    cobra.MinimumNArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
			names, flags := afterDash(cmd, args)
			switch {
			case len(names) != 1 || len(flags) > 0 && !e.wouldGo:
				return errors.New("want asgctl remove NODE, and the autoscaler's flags behind -- with --dry-run alone")
			case e.wouldGo && replace:
				return errors.New("--dry-run is without --replace: it says whether the node needs a replacement")
			case e.wouldGo:
				return e.node(cmd, names[0], flags)
			case e.format != show.Table:
				return e.asText(cmd, nil)
			}
			return e.askToGo(cmd.Context(), names[0], replace, interval)
		},
	}
	flags := cmd.Flags()
	e.running.Flags(flags)
	e.regionFlag(cmd)
	flags.BoolVar(&e.wouldGo, "dry-run", false, "Only say whether the node would go, and what is in the way.")
	flags.BoolVar(&replace, "replace", false, "Have another node come first if the group or the pods need it.")
	flags.DurationVar(&interval, "interval", interval, "Time between two looks at the node.")
	flags.DurationVar(&e.timeout, "timeout", 2*time.Minute, "Time after which, with --dry-run, AWS and the API server are waited for no longer. Without it, 30 s a call.")
	return cmd
}

// askToGo writes the annotation and shows what happens to the node, until it is gone or ctx ends.
func (e *explainer) askToGo(ctx context.Context, name string, replace bool, interval time.Duration) error {
	if e.running.File != "" {
		return errSaved
	}
	kube, err := e.running.Kube()
	if err != nil {
		return failure{err}
	}
	kube.Timeout = patience
	client, noClient := kubernetes.NewForConfig(kube)
	autoscaler, err := running.Open(e.running)
	if err = cmp.Or(err, noClient); err != nil {
		return failure{err}
	}
	r, err := e.leaders(ctx, autoscaler, patience)
	if err != nil {
		return failure{fmt.Errorf("find the autoscaler that would remove the node: %w", err)}
	}
	if r.Shadow != nil {
		return errShadow
	}
	answer, found := show.NodeOf(r, show.Running, name)
	if !found || answer.Node.Reason.Code == decision.CodeNotAutoscaled {
		return unserved(name, r)
	}
	name = answer.Node.Name // where it was given by its instance
	node, err := nodeOf(ctx, client, &answer.Node)
	if err != nil {
		return failure{err}
	}
	value := "true"
	replace = replace || nodemeta.RemovalRequested.Of(node) == nodemeta.ReplaceFirst // of an earlier request
	if replace {
		value = nodemeta.ReplaceFirst
	}
	at := slices.IndexFunc(r.Groups, func(g decision.Group) bool { return g.Name == answer.Node.Group && g.Desired <= g.Min })
	mayGrow := func(g decision.Group) bool { // the autoscaler waits for the end of a cool-down, or asks in another zone
		return g.AutoScaling == r.Groups[at].AutoScaling && (g.State == decision.GroupReady || g.State == decision.GroupCoolDown)
	}
	if at >= 0 && !answer.Node.State.Goes() && !(replace && slices.ContainsFunc(r.Groups, mayGrow)) {
		g := &r.Groups[at]
		kept := decision.Reason{Code: decision.CodeMinSize, Message: why.AtMin(g), Remedy: why.Resize(g, "min", g.AtMin)}
		if replace {
			kept = why.Replaced(kept, g)
		}
		return finding{fmt.Sprintf("node %s cannot go: %s: %s", name, kept.Message, r.Reading.Then(kept.Remedy, r.At))}
	}
	patch := fmt.Appendf(nil, `{"metadata":{"annotations":{%q:%q}}}`, string(nodemeta.RemovalRequested), value)
	if _, err := client.CoreV1().Nodes().Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		err = fmt.Errorf("ask for the removal: %w", err)
		if status := apierrors.APIStatus(nil); !errors.As(err, &status) || status.Status().Code >= http.StatusInternalServerError {
			err = fmt.Errorf("%w: the request may stand, and this takes it back: kubectl annotate node %s %s-", err,
				shellword.Quote(name), nodemeta.RemovalRequested)
		}
		return failure{err}
	}
	for line, last := "asked the autoscaler to remove node "+name, ""; ; line = e.progress(ctx, autoscaler, name) {
		if line != last && ctx.Err() == nil {
			fmt.Fprintln(e.stdout, time.Now().Format(time.TimeOnly), line)
			last = line
		}
		select {
		case <-ctx.Done():
			return failure{fmt.Errorf("the request for node %s stays", name)}
		case <-time.After(interval):
		}
		node, err := client.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
			fmt.Fprintln(e.stdout, time.Now().Format(time.TimeOnly), "node", name, "is gone")
			return nil
		case err == nil && !nodemeta.ToGo(node):
			return finding{fmt.Sprintf("somebody took the request for node %s back", name)}
		}
	}
}

var errSaved = errors.New("--report is a saved report, and nodes may have changed since: ask the running autoscaler")

// errShadow keeps a request from waiting on a node until another autoscaler leads, which would carry it out at once.
var errShadow = finding{"the autoscaler that answers is a shadow, which removes no node and replaces none: " +
	"name the leader by --url or --autoscaler-namespace. If stock leads, it would not do that either: kubectl drain NODE"}

// nodeOf reads the node of a report. Nodes of two clusters may have one name, and --url may be the autoscaler of another cluster.
func nodeOf(ctx context.Context, client kubernetes.Interface, reported *decision.Node) (*corev1.Node, error) {
	node, err := client.CoreV1().Nodes().Get(ctx, reported.Name, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("read node %s: %w", reported.Name, err)
	}
	if nodemeta.InstanceOf(node) != reported.InstanceID {
		return nil, fmt.Errorf("node %s is instance %q in this cluster and %q for the autoscaler that answers: is it of this cluster?",
			node.Name, nodemeta.InstanceOf(node), reported.InstanceID)
	}
	return node, nil
}

func (e *explainer) progress(ctx context.Context, autoscaler *running.Autoscaler, name string) string {
	r, err := e.leaders(ctx, autoscaler, patience)
	if err != nil {
		return "the autoscaler does not answer, trying again: " + show.Clean(err.Error())
	}
	answer, found := show.NodeOf(r, show.Running, name)
	switch {
	case !found:
		return "its instance is terminated"
	case !answer.Node.Requested && !answer.Node.State.Goes():
		return "waiting for the autoscaler's next loop"
	}
	return show.Clean(answer.Node.Reason.Message)
}

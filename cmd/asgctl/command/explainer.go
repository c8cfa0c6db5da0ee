package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/running"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/show"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/cluster-autoscaler/process"
)

// explainer gets a report and knows its source.
type explainer struct {
	*cli
	timeout   time.Duration // hides the cli's, because each command has a default of its own
	running   running.Options
	namespace string
	recording string // of a loop, to run again, "" for the autoscaler or the cluster
	wouldGo   bool   // the question about a node is whether it would go if somebody asked for that

	source  show.Source
	cluster *rest.Config          // nil where no cluster is known
	client  *kubernetes.Clientset // of it
}

// pods explains the pods that match, from the decisions of loops that have looked at each of them.
func (e *explainer) pods(cmd *cobra.Command, flags []string, subject string, match func(*decision.Pod) bool) (*show.Pods, error) {
	r, err := e.report(cmd, flags, process.Question{Enough: func(r *decision.Report) bool {
		return !slices.ContainsFunc(r.Pods, func(pod decision.Pod) bool { return pod.State == decision.PodDelayed && match(&pod) })
	}})
	if err != nil {
		return nil, err
	}
	return show.PodsOf(r, e.source, subject, match), nil
}

// report gets the decisions from the running autoscaler, or by loops of our own. flags are the autoscaler's.
func (e *explainer) report(cmd *cobra.Command, flags []string, asked process.Question) (*decision.Report, error) {
	ctx, cancel := context.WithTimeout(cmd.Context(), e.timeout)
	defer cancel()
	if e.recording != "" {
		return e.again(ctx, flags, asked)
	}
	given := e.running.URL != "" || e.running.File != ""
	if given && (len(flags) > 0 || asked.Remove != "") {
		return nil, errors.New("--dry-run and flags behind -- ask for loops of asgctl's own, which go with neither --url nor --report")
	}
	if !given {
		var err error
		if e.cluster, err = e.running.Kube(); err != nil {
			return nil, failure{err}
		}
	}
	autoscaler, err := running.Open(e.running)
	if err != nil {
		return nil, err
	}
	e.client = autoscaler.Client
	if len(flags) > 0 {
		return e.dryRun(ctx, autoscaler, nil, flags, asked)
	}
	limit := e.timeout
	if !given {
		limit = min(15*time.Second, e.timeout/2) // leaves time for loops of our own
	}
	r, err := (*decision.Report)(nil), errors.New("the running autoscaler knows no answer")
	if asked.Remove == "" {
		r, err = e.leaders(ctx, autoscaler, limit)
	}
	if err == nil {
		e.source = show.Running
		return r, nil
	}
	if given || ctx.Err() != nil {
		return nil, failure{err}
	}
	return e.dryRun(ctx, autoscaler, err, nil, asked)
}

// leaders returns the report of the autoscaler that leads and decides, if it comes within the limit.
func (e *explainer) leaders(ctx context.Context, autoscaler *running.Autoscaler, limit time.Duration) (*decision.Report, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	r, err := autoscaler.Report(ctx)
	if err == nil && r.Process.Plugin {
		err = errors.New("the Cluster Autoscaler decides in its own process, and its plugin, which answers, knows no reasons: look into its log")
	}
	return r, err
}

func but(flags []string) string {
	if len(flags) == 0 {
		return ""
	}
	return " but " + strings.Join(flags, ", ")
}

// dryRun computes the decisions over the cluster and AWS. Given flags replace the Deployment's flags of the same name. Without a
// Deployment they count alone. silent is why the autoscaler does not answer, nil if it was not asked.
func (e *explainer) dryRun(ctx context.Context, autoscaler *running.Autoscaler, silent error, given []string,
	asked process.Question) (*decision.Report, error) {
	flags, with, because := []string{"--asg-region=" + autoscaler.Region(ctx)}, "behind -- alone", "" // a later region wins
	deployment, deployed, err := autoscaler.Flags(ctx)
	switch {
	case err == nil:
		flags, with = append(flags, deployed...), "of Deployment "+deployment
	case silent != nil:
		return nil, failure{fmt.Errorf("%w, and no flags to compute the answer with: %w: give the autoscaler's flags behind --", silent, err)}
	case deployment == "" && !errors.Is(err, running.ErrNone) && !apierrors.IsForbidden(err):
		return nil, failure{err}
	default:
		with += fmt.Sprintf(" (%v)", err)
	}
	if silent != nil {
		because = silent.Error() + ". So asgctl "
	}
	typed := len(given)
	if e.read.Region != "" {
		given = append([]string{"--asg-region=" + e.read.Region}, given...)
	}
	flags, left := running.Over(flags, given)
	with += but(left)
	if err == nil && silent == nil {
		with += ", and those behind --"
	}
	if region := running.FlagsOf(corev1.Container{Args: flags}).Last("asg-region"); region != "" {
		with += ", in " + region
	}
	fmt.Fprintf(e.stderr, "asgctl: %scomputes the answer itself, with the flags %s.\n", because, with)
	e.source = show.DryRun
	report, err := e.loops(ctx, e.cluster, flags, typed, asked)
	if err == nil {
		for _, off := range report.Process.Off {
			fmt.Fprintf(e.stderr, "asgctl: in this answer, %s.\n", off)
		}
	}
	return report, err
}

func (e *explainer) inNamespace() string {
	return cmp.Or(e.namespace, e.running.ContextNamespace())
}

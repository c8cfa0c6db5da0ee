package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/explanation"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/offline"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/recorded"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/running"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/cluster-autoscaler/process"
)

// explainer gets a report and knows its source.
type explainer struct {
	*cli
	running     running.Options
	namespace   string
	pods, nodes []string // files

	source  explanation.Source
	cluster *rest.Config // nil where no cluster is known
}

// question narrows what has to be known.
type question struct {
	query url.Values       // for the running autoscaler, nil for everything
	loops process.Question // for loops of our own
}

// aboutNodes is answered by one loop, which knows all that is known of nodes.
var aboutNodes = process.Question{Nodes: true, Enough: func(*decision.Report) bool { return true }}

// aboutPods is answered when a loop has looked at each of the pods.
func aboutPods(of func(decision.Pod) bool) process.Question {
	return process.Question{Enough: func(r *decision.Report) bool {
		return !slices.ContainsFunc(r.Pods, func(pod decision.Pod) bool { return pod.State == decision.PodDelayed && of(pod) })
	}}
}

// enoughGarbage is the garbage that is collected at once, in percent of the heap. Collecting it more often took a fifth of the time of a
// question about 5,000 nodes.
const enoughGarbage = 200

// collectLess has the process collect garbage less often, unless the environment says how often. The process ends soon.
func collectLess() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(enoughGarbage)
	}
}

// report gets the decisions: offline from files, from the running autoscaler, or by loops of our own. flags are the autoscaler's.
func (e *explainer) report(cmd *cobra.Command, flags []string, q question) (*decision.Report, error) {
	ctx, cancel := context.WithTimeout(cmd.Context(), e.timeout)
	defer cancel()
	if e.read.From != "" || len(e.pods)+len(e.nodes) > 0 {
		return e.offline(ctx, cmd, flags, q)
	}
	given := e.running.URL != "" || e.running.File != ""
	if given && len(flags) > 0 {
		return nil, errors.New("flags behind -- ask for loops of asgctl's own, which go with neither --url nor --report")
	}
	if !given {
		var err error
		if e.cluster, err = e.running.Kube(); err != nil {
			return nil, failure{err}
		}
	}
	if len(flags) > 0 {
		return e.dryRun(ctx, flags, q)
	}
	autoscaler, err := running.Open(e.running)
	if err != nil {
		return nil, err
	}
	r, err := autoscaler.Report(ctx, q.query)
	if err == nil && !r.Process.Leader {
		err = fmt.Errorf("the autoscaler that answers does not lead, and %s does", cmp.Or(r.Process.Holder, "another replica"))
	}
	if err == nil {
		e.source = explanation.Running
		return r, nil
	}
	if given || ctx.Err() != nil {
		return nil, failure{err}
	}
	deployed, noFlags := autoscaler.Flags(ctx)
	if noFlags != nil {
		return nil, failure{fmt.Errorf("%w, and no flags to compute the answer with: %w: give the autoscaler's flags behind --", err, noFlags)}
	}
	fmt.Fprintf(e.stderr, "asgctl: %v. So asgctl computes the answer itself, with the flags of Deployment %s%s.\n", err, deployed.Name, but(deployed.Left))
	return e.dryRun(ctx, deployed.Flags, q)
}

func but(flags []string) string {
	if len(flags) == 0 {
		return ""
	}
	return " but " + strings.Join(flags, ", ")
}

// dryRun computes the decisions over the cluster and AWS.
func (e *explainer) dryRun(ctx context.Context, flags []string, q question) (*decision.Report, error) {
	if e.read.Region != "" {
		flags = append(slices.Clone(flags), "--aws-region="+e.read.Region)
	}
	e.source = explanation.DryRun
	collectLess()
	return e.loops(ctx, e.cluster, flags, q.loops)
}

// offline computes the decisions over files.
func (e *explainer) offline(ctx context.Context, cmd *cobra.Command, flags []string, q question) (*decision.Report, error) {
	if e.read.From == "" {
		return nil, errors.New("--pods and --nodes need --from, the folder with the groups")
	}
	collectLess()
	var account *recorded.Account
	var cluster *offline.Cluster
	var reading errgroup.Group
	reading.Go(func() error {
		catalogue, err := instancetypes.WithFile(e.read.InstanceTypesFile)
		if err == nil {
			account, err = recorded.Load(e.read.From, catalogue)
		}
		return err
	})
	reading.Go(func() (err error) {
		cluster, err = offline.Load(append(slices.Clone(e.nodes), e.pods...), cmd.InOrStdin())
		return err
	})
	if err := reading.Wait(); err != nil {
		return nil, failure{err}
	}
	if n := account.Instances(); n > 0 && cluster.Nodes() == 0 {
		return nil, fmt.Errorf("the groups have %d instances, and there is no node: kubectl get nodes -o json > nodes.json, then add --nodes nodes.json", n)
	}
	e.cluster, e.source = cluster.Config(), explanation.DryRun
	return e.loops(ctx, e.cluster, e.offlineFlags(account, flags), q.loops, account.Middleware)
}

// offlineFlags are the flags with those that the files ask for. Without discovery every group counts, within its own limits.
func (e *explainer) offlineFlags(account *recorded.Account, flags []string) []string {
	flags = slices.Clone(flags)
	given := func(name string) bool {
		return slices.ContainsFunc(flags, func(f string) bool { return f == name || strings.HasPrefix(f, name+"=") })
	}
	if !given("--nodes") && !given("--node-group-auto-discovery") {
		for _, name := range account.Names() {
			flags = append(flags, fmt.Sprintf("--nodes=0:%d:%s", math.MaxInt32, name))
		}
	}
	if types := cmp.Or(e.read.InstanceTypesFile, existing(filepath.Join(e.read.From, recorded.InstanceTypesFile))); types != "" && !given("--aws-instance-types-file") {
		flags = append(flags, "--aws-instance-types-file="+types)
	}
	if region := cmp.Or(e.read.Region, account.Home()); region != "" && !given("--aws-region") {
		flags = append(flags, "--aws-region="+region)
	}
	return flags
}

// existing returns the path of a file that exists, or "".
func existing(path string) string {
	if _, err := os.Stat(path); err != nil {
		return ""
	}
	return path
}

// inNamespace is the namespace of the pods.
func (e *explainer) inNamespace() string {
	switch {
	case e.namespace != "":
		return e.namespace
	case e.read.From != "":
		return metav1.NamespaceDefault
	}
	return e.running.ContextNamespace()
}

// listPods lists the pods of a namespace, none where no cluster is known.
func (e *explainer) listPods(ctx context.Context, namespace string) ([]corev1.Pod, error) {
	if e.cluster == nil {
		return nil, nil
	}
	client, err := kubernetes.NewForConfig(e.cluster)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, e.timeout)
	defer cancel()
	list, err := client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("look for the pods: %w", err)
	}
	return list.Items, nil
}

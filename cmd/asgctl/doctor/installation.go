package doctor

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	autoscalingtypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/kubernetes"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/ownership"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/running"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/source"
)

// usualNamespace is where the shipped manifests put the autoscaler. Its ServiceAccount has the name clusterAutoscaler there.
const usualNamespace, clusterAutoscaler = "kube-system", running.ClusterAutoscaler

// A fact was read, or could not be read because of err.
type fact[T any] struct {
	value       T
	what, needs string // its name, and the permission or flag that gives it
	err         error
}

// missing notes a fact that is missing, and reports whether it is.
func (f fact[T]) missing(c *Check) bool {
	if f.err != nil {
		c.skip(f.what, brief(f.err), f.needs)
	}
	return f.err != nil
}

// brief describes an error of AWS or of the API server in few words.
func brief(err error) string {
	if status := apierrors.APIStatus(nil); errors.As(err, &status) {
		return status.Status().Message
	}
	return awsclient.Brief(err)
}

// installation is everything that the checks judge, read once.
type installation struct {
	Options
	region                    string
	namespace, serviceAccount string // the autoscaler's

	clients *awsclient.Clients                                 // nil where AWS cannot be asked
	account fact[map[string]autoscalingtypes.AutoScalingGroup] // every group of the account, by name
	groups  fact[*source.Reading]                              // the discovered ones

	kube       kubernetes.Interface
	kubeErr    error                         // why the cluster cannot be asked
	nodes      fact[map[string]*corev1.Node] // by instance ID
	elsewhere  *corev1.Node                  // one that has none, nil if all have
	pods       fact[pods]
	daemonSets fact[[]appsv1.DaemonSet]
	network    string        // the cluster's name in the VPC CNI, "" for none
	ours       *corev1.Pod   // the autoscaler's own, a running one if there is one, nil for none
	replicas   []corev1.Pod  // the pods of its ServiceAccount that nobody deletes
	flags      running.Flags // of ours
	unsure     bool          // autoscalers run, and none of them is known to be ours
	hidden     bool          // its flags that select groups are not known, or not all of them
	nameless   bool          // ours has no flag that selects groups, and scales none, because it knows no name of the cluster
}

// read reads the cluster first, because the autoscaler's pod has the flags that select the groups.
func read(ctx context.Context, o Options) (*installation, error) {
	in := &installation{Options: o}
	in.namespace, in.serviceAccount = cmp.Or(o.Running.Namespace, usualNamespace), cmp.Or(o.Account, clusterAutoscaler)
	half, cancel := context.WithTimeout(ctx, o.Timeout/2) // a slow API server leaves time for AWS
	defer cancel()
	in.readCluster(half)
	in.takeDiscovery()
	in.readAccount(ctx)
	return in, in.readGroups(ctx)
}

// readAccount reads every group of the account, undiscovered ones too.
func (in *installation) readAccount(ctx context.Context) {
	in.account = fact[map[string]autoscalingtypes.AutoScalingGroup]{value: map[string]autoscalingtypes.AutoScalingGroup{}, what: "the groups of the account",
		needs: "autoscaling:DescribeAutoScalingGroups, AWS credentials and --region"}
	if in.clients, in.account.err = in.Read.Clients(ctx); in.account.err != nil {
		return
	}
	in.region = in.clients.Region
	pages := autoscaling.NewDescribeAutoScalingGroupsPaginator(in.clients.AutoScaling,
		&autoscaling.DescribeAutoScalingGroupsInput{MaxRecords: aws.Int32(100)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			in.account.err = err
			return
		}
		for _, g := range page.AutoScalingGroups {
			in.account.value[aws.ToString(g.AutoScalingGroupName)] = g
		}
	}
}

// readGroups reads the discovered groups as the autoscaler does. The error is about the Options.
func (in *installation) readGroups(ctx context.Context) error {
	in.groups = fact[*source.Reading]{what: "the discovered groups", needs: in.account.needs, err: in.account.err}
	if in.groups.err != nil {
		return nil
	}
	options := in.Read
	if in.nodes.err == nil {
		options.Evidence = &ownership.Evidence{Network: in.network}
		for id := range in.nodes.value {
			options.Evidence.Nodes = append(options.Evidence.Nodes, id)
		}
		slices.Sort(options.Evidence.Nodes)
	}
	in.groups.value, in.groups.err = source.Read(ctx, options)
	if _, wrong := errors.AsType[source.WrongUse](in.groups.err); wrong {
		return in.groups.err
	}
	return nil
}

// eachGroup calls do with every discovered group that this cluster may scale.
func (in *installation) eachGroup(do func(*group.Group)) {
	for _, g := range in.groups.value.Groups {
		if !in.foreign(g) {
			do(g)
		}
	}
}

// foreign reports whether the autoscaler leaves the group alone, because it belongs to another cluster or service.
func (in *installation) foreign(g *group.Group) bool {
	return slices.ContainsFunc(g.Problems, func(p launchspec.Problem) bool {
		return p.Reason == ownership.ReasonOtherCluster || p.Reason == ownership.ReasonOperator
	})
}

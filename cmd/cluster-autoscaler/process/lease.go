package process

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kube_util "k8s.io/autoscaler/cluster-autoscaler/utils/kubernetes"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/ledger"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/cluster-autoscaler/lifecycle"
)

// tryLimit bounds a call that finds out early whether the API server can be reached. After tryFirst, and then each tryPause, there is another.
const tryLimit, tryFirst, tryPause = 30 * time.Second, 2 * time.Second, 10 * time.Second

// identity is the name by which the lease knows this process. It is the pod's name, so that a restarted container takes its
// lease up again without waiting. The host's name is the pod's, unless the pod is on the host's network. Two replicas on one
// host would then both take the lease for theirs, and POD_NAME keeps them apart.
func identity() string {
	host, _ := os.Hostname() // an election without a name is refused
	return cmp.Or(os.Getenv("POD_NAME"), host)
}

// elected does the work while holding the lease, or at once where --leader-elect is false. By default it is the lease of the stock autoscaler, so
// that the two never work side by side.
func (p *Process) elected(ctx context.Context, work func(context.Context) error) error {
	election := p.options.LeaderElection
	if !election.LeaderElect {
		return work(ctx)
	}
	client := kubernetes.NewForConfigOrDie(p.kube)
	if err := p.reach(ctx, client); err != nil || ctx.Err() != nil {
		return err
	}
	recorder := kube_util.CreateEventRecorder(context.WithoutCancel(ctx), client, p.core.RecordDuplicatedEvents)
	labels := map[string]string{}
	lock, err := resourcelock.NewWithLabels(election.ResourceLock, p.core.ConfigNamespace, election.ResourceName,
		client.CoreV1(), client.CoordinationV1(), resourcelock.ResourceLockConfig{Identity: identity(), EventRecorder: recorder}, labels)
	if err != nil {
		return fmt.Errorf("leader election lock %q: %w", election.ResourceName, err)
	}
	p.succession = &lifecycle.Succession{Interface: lock,
		Tokens: &lifecycle.TokenTime{Call: ledger.PredecessorCall, Labels: labels},
		ReadLabels: func(ctx context.Context) (map[string]string, error) {
			lease, err := client.CoordinationV1().Leases(p.core.ConfigNamespace).Get(ctx, election.ResourceName, metav1.GetOptions{})
			if err != nil {
				return nil, err
			}
			return lease.Labels, nil
		}}
	return lifecycle.Lead(ctx, lifecycle.Election{
		Lock: p.succession, Holder: p.record.SetHolder, WorkGrace: workGrace, ReleaseGrace: releaseGrace,
		LeaseDuration: election.LeaseDuration.Duration, RenewDeadline: election.RenewDeadline.Duration, RetryPeriod: election.RetryPeriod.Duration,
	}, work)
}

// reach returns once the API server lists nodes, or ctx ends. The process is not ready meanwhile. The error is the third refusal in a row.
// Whatever else is in the way may pass, and then a process that had ended would still wait for kubelet to start it again.
func (p *Process) reach(ctx context.Context, client kubernetes.Interface) error {
	defer p.ready.done()
	refusals := 0 // in a row
	for pause := tryFirst; ; pause = tryPause {
		trying, cancel := context.WithTimeout(ctx, tryLimit)
		_, err := client.CoreV1().Nodes().List(trying, metav1.ListOptions{Limit: 1})
		cancel()
		switch {
		case err == nil || ctx.Err() != nil:
			return nil
		case !apierrors.IsForbidden(err) && !apierrors.IsUnauthorized(err):
			refusals = 0
		case refusals == 2:
			return fmt.Errorf("list nodes: %w", err)
		default: // an API server that starts refuses all until it has read the roles
			refusals, pause = refusals+1, tryFirst
		}
		p.ready.await("the API server: see the log for what is in the way")
		klog.FromContext(ctx).Error(err, "Could not reach the API server, trying again", "in", pause)
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

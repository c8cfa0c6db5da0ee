package chaos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/controlplane"
	"github.com/asg-autoscaler/asg-autoscaler/test/scenario"
)

// Objects that the autoscaler leaves in its namespace.
const (
	systemNamespace = "kube-system"
	leaseName       = "cluster-autoscaler"
	statusName      = "cluster-autoscaler-status"
	serviceAccount  = "cluster-autoscaler"
)

const cleanTimeout = time.Minute

// Lab is a control plane in which plans are run, one after another. It is for one goroutine.
type Lab struct {
	env       *scenario.Env
	front     *apiFront
	client    kubernetes.Interface
	dir       string
	forbidden int  // requests refused in runs before
	zonal     bool // the workloads of zonal plans exist
}

// Options configure a Lab.
type Options struct {
	Dir      string    // for logs, must exist
	Binary   string    // the autoscaler
	Progress io.Writer // receives a line for each step of building the control plane, nil discards them
}

// unschedulableTime is shorter than kube-scheduler's default. It misses some events while kube-apiserver is down, and then tries a pod that
// fits on a free node only after this time. No run waits five minutes.
const unschedulableTime = 20 * time.Second

// NewLab starts the control plane.
func NewLab(ctx context.Context, opts Options) (*Lab, error) {
	env, err := scenario.Start(ctx, scenario.Options{Dir: opts.Dir, Binary: opts.Binary, Progress: opts.Progress, UnschedulableTime: unschedulableTime})
	if err != nil {
		return nil, err
	}
	l := &Lab{env: env, client: env.Cluster.Client(), dir: opts.Dir}
	if err := l.prepare(ctx); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// prepare makes the objects that every plan needs.
func (l *Lab) prepare(ctx context.Context) error {
	if err := l.env.GrantOptional(ctx); err != nil {
		return err
	}
	kubeconfig, err := l.env.Cluster.ServiceAccountKubeconfig(ctx, systemNamespace, serviceAccount)
	if err != nil {
		return err
	}
	if l.front, err = newAPIFront(kubeconfig, l.dir); err != nil {
		return err
	}
	return createWorkloads(ctx, l.client)
}

// Close ends the control plane. The logs stay.
func (l *Lab) Close() error {
	var err error
	if l.front != nil {
		err = l.front.Close()
	}
	return errors.Join(err, l.env.Close())
}

// Run runs the plan and judges the outcome. The Result judges the autoscaler. An error concerns the Lab itself, which is then unusable.
func (l *Lab) Run(ctx context.Context, p Plan) (Result, error) {
	dir := l.folder(p)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return Result{}, err
	}
	if p.Zonal && !l.zonal {
		if err := createZonalWorkloads(ctx, l.client); err != nil {
			return Result{}, err
		}
		l.zonal = true
	}
	if p.Moving != nil {
		if err := restarts(ctx, l.env, l.client, p.Moving.Restarts); err != nil {
			return Result{}, err
		}
	}
	result, err := l.run(ctx, p, dir)
	if err == nil {
		err = l.clean(ctx, p)
	}
	if err != nil {
		return result, fmt.Errorf("seed %s: %w", p.Name(), err)
	}
	return result, nil
}

// folder holds the plan of a run, its events, and the replicas' logs.
func (l *Lab) folder(p Plan) string { return filepath.Join(l.dir, "seed-"+p.Name()) }

// clean restores the cluster as it was before the run.
func (l *Lab) clean(ctx context.Context, p Plan) error {
	ctx, cancel := context.WithTimeout(ctx, cleanTimeout)
	defer cancel()
	err := l.env.StopAWS()
	for _, app := range append(p.workloads(), wholePods) {
		err = errors.Join(err, scale(ctx, l.client, app, 0))
	}
	if err != nil {
		return err
	}
	for {
		left, err := l.sweep(ctx)
		if err != nil {
			return err
		}
		if left == 0 { // kube-scheduler may keep in mind pods of nodes whose names come again
			return l.env.Cluster.Restart(ctx, controlplane.SchedulerName)
		}
		pause(ctx, 100*time.Millisecond)
	}
}

// sweep removes all nodes and pods, and the autoscaler's own objects, and returns their number.
func (l *Lab) sweep(ctx context.Context) (int, error) {
	now := metav1.DeleteOptions{GracePeriodSeconds: ptr.To[int64](0)}
	core := l.client.CoreV1()
	nodes, err := core.Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return 0, fmt.Errorf("clean up: %w", err)
	}
	pods, err := core.Pods(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return 0, fmt.Errorf("clean up: %w", err)
	}
	removals := []error{
		l.client.CoordinationV1().Leases(systemNamespace).Delete(ctx, leaseName, now),
		core.ConfigMaps(systemNamespace).Delete(ctx, statusName, now),
		core.Nodes().DeleteCollection(ctx, now, metav1.ListOptions{}),
		core.Pods(namespace).DeleteCollection(ctx, now, metav1.ListOptions{}),
		l.client.PolicyV1().PodDisruptionBudgets(namespace).DeleteCollection(ctx, now, metav1.ListOptions{}),
	}
	for _, err := range removals {
		if err != nil && !apierrors.IsNotFound(err) {
			return 0, fmt.Errorf("clean up: %w", err)
		}
	}
	return len(nodes.Items) + len(pods.Items), nil
}

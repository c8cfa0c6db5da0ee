package scenario

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/client-go/kubernetes"

	"github.com/asg-autoscaler/asg-autoscaler/manifests"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/controlplane"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// The ServiceAccount of the shipped manifests.
const (
	serviceAccountNamespace = "kube-system"
	serviceAccountName      = "cluster-autoscaler"
)

// podName is the name by which the lease knows our autoscaler, and keeps it apart from a stock one, which takes the host's.
const podName = "autoscaler"

// startTimeout bounds the start of one process: a control plane, or an autoscaler with the race detector on a busy machine.
const startTimeout = time.Minute

// Options configure an Env.
type Options struct {
	Dir      string    // for logs and kubeconfigs, must exist
	Binary   string    // the autoscaler, see BuildAutoscaler
	Core     string    // the unmodified core that asks the plugin, empty for the one that go.mod requires
	Progress io.Writer // receives a line for each step of building the control plane, nil discards them

	KubernetesVersion string          // that the control plane emulates, such as "1.32", empty for its own
	FeatureGates      map[string]bool // of the control plane
	LeaseRenewal      time.Duration   // see controlplane.Options
	Crowded           bool            // see controlplane.Options
	DefaultRates      bool            // see controlplane.Options
	UnschedulableTime time.Duration   // see controlplane.Options
}

// Env is one set-up under observation. Its methods are for one goroutine, but Timeline is safe for all.
type Env struct {
	Cluster  *controlplane.Cluster
	AWS      *fakeaws.Server // nil before StartAWS
	Timeline *Timeline

	dir, binary string
	coreBinary  string   // see Options.Core
	flags       []string // of every process, beside the manifest's
	isStock     bool     // the program has none of our flags
	kubeconfig  string   // of the ServiceAccount
	autoscaler  *Autoscaler
	manifest    string // of the last start
	extra       []string
	logs        []string      // paths, one for each autoscaler process, oldest first
	started     []*Autoscaler // all of its processes
	observer    *clusterObserver
	policies    []string             // in force for the autoscaler, as the manifests ship them but for the actions that a script took away
	other       *Env                 // the second cluster of the account, nil where there is only one
	stock       *Env                 // the stock autoscaler's side of this Env, nil where it never runs
	core        *Env                 // the side of an unmodified core that asks the plugin, nil where it never runs
	plugin      *pluginSide          // nil unless our autoscaler is a plugin of stock
	client      kubernetes.Interface // the cluster's, as its admin

	forbidden func() ([]string, error) // requests that the API server refused

	observing context.Context // ends with the Env, not with a request
	stop      context.CancelFunc
	observers sync.WaitGroup
}

// Start runs a control plane, applies the shipped RBAC and ServiceAccount to it, and observes it from then on.
func Start(ctx context.Context, opts Options) (_ *Env, err error) {
	e := &Env{Timeline: &Timeline{}, dir: opts.Dir, binary: opts.Binary, coreBinary: opts.Core}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.Close())
		}
	}()
	e.Cluster, err = controlplane.Start(ctx, controlplane.Options{
		Dir:      filepath.Join(opts.Dir, "controlplane"),
		Progress: opts.Progress,

		EmulatedVersion: opts.KubernetesVersion,
		FeatureGates:    opts.FeatureGates,
		LeaseRenewal:    opts.LeaseRenewal,
		Crowded:         opts.Crowded,
		DefaultRates:    opts.DefaultRates,

		UnschedulableTime: opts.UnschedulableTime,
	})
	if err != nil {
		return nil, err
	}
	e.client, e.forbidden = e.Cluster.Client(), e.Cluster.Forbidden
	if err := e.grantAccess(ctx); err != nil {
		return nil, err
	}
	e.observing, e.stop = context.WithCancel(context.WithoutCancel(ctx))
	e.observers.Go(func() { provisionVolumes(e.observing, e.Cluster.Client()) })
	e.observer, err = observeCluster(e.observing, e.Cluster.Client(), e.Timeline)
	return e, err
}

// GrantOptional gives the autoscaler the optional permissions, too. Its processes nominate from then on.
func (e *Env) GrantOptional(ctx context.Context) error {
	e.flags = append(e.flags, "--asg-nominate=on")
	optional, err := manifests.FS.ReadFile("deploy/rbac-optional.yaml")
	if err == nil {
		_, err = e.Cluster.RunKubectl(ctx, string(optional), "apply", "-f", "-")
	}
	return err
}

// grantAccess applies the manifests' permissions and writes the ServiceAccount's kubeconfig.
func (e *Env) grantAccess(ctx context.Context) error {
	access, err := readAccess()
	if err != nil {
		return err
	}
	if _, err := e.Cluster.RunKubectl(ctx, access, "apply", "-f", "-"); err != nil {
		return err
	}
	e.kubeconfig, err = e.Cluster.ServiceAccountKubeconfig(ctx, serviceAccountNamespace, serviceAccountName)
	return err
}

// StartAWS serves the account and publishes its nodes in the cluster.
func (e *Env) StartAWS(ctx context.Context, config fakeaws.Config) error {
	if e.AWS != nil {
		return errors.New("the scenario has its AWS account already")
	}
	server, err := fakeaws.Start(context.WithoutCancel(ctx), config)
	if err != nil {
		return err
	}
	e.AWS = server
	if err := server.Attach(e.Cluster.Client()); err != nil {
		return err
	}
	observeAWS(server, e.Timeline, e.look)
	return nil
}

// StartAutoscaler runs the program as the manifest's Deployment does, with the extra flags after its own, so that they
// win where a flag may be given once. The context bounds the start only.
func (e *Env) StartAutoscaler(ctx context.Context, manifest string, extra ...string) error {
	if e.autoscaler != nil && e.autoscaler.Running() {
		return errors.New("the autoscaler runs already")
	}
	if e.AWS == nil {
		return errors.New("the autoscaler needs the AWS account first")
	}
	log, err := os.Create(filepath.Join(e.dir, fmt.Sprintf("autoscaler-%d.log", len(e.logs)+1)))
	if err != nil {
		return err
	}
	defer log.Close()
	e.logs = append(e.logs, log.Name())
	e.observers.Go(func() { observeLog(e.observing, log.Name(), e.Timeline) })
	e.manifest, e.extra = manifest, extra
	a, err := e.run(ctx, log, manifest, nil, extra)
	if err != nil {
		return err
	}
	e.autoscaler, e.started = a, append(e.started, a)
	return nil
}

// environment is the autoscaler's whole environment: the manifest's variables, and endpoint and credentials for the AWS SDK.
// The last of equal names wins, so region and endpoint are the emulated account's.
func (e *Env) environment(s shipped) []string {
	return append(slices.Clone(s.environment),
		"HOME="+e.dir,
		"AWS_REGION="+e.AWS.Region(),
		"AWS_ENDPOINT_URL="+e.AWS.URL(),
		"AWS_ACCESS_KEY_ID="+AccessKey,
		"AWS_SECRET_ACCESS_KEY=secret",
		"AWS_EC2_METADATA_DISABLED=true",
		// races are judged by their reports, see OwnRaces. Without the second that a race build sleeps at its end, ends are timed as a user's.
		"GORACE=exitcode=0 atexit_sleep_ms=0",
		"POD_NAME="+podName,
	)
}

// RestartAutoscaler starts the program again as it was started last.
func (e *Env) RestartAutoscaler(ctx context.Context) error {
	if e.autoscaler == nil {
		return errors.New("the autoscaler was never started")
	}
	return e.StartAutoscaler(ctx, e.manifest, e.extra...)
}

// Autoscaler returns the newest process of the program, or nil before the first.
func (e *Env) Autoscaler() *Autoscaler { return e.autoscaler }

// Log returns the output of all autoscaler processes so far, oldest first.
func (e *Env) Log() (string, error) {
	var all strings.Builder
	for _, path := range e.logs {
		raw, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		all.Write(raw)
	}
	return all.String(), nil
}

// Close ends the autoscaler, the account and the control plane, in that order, and waits for them. The logs stay.
func (e *Env) Close() error {
	var errs []error
	if e.autoscaler != nil && e.autoscaler.Running() {
		errs = append(errs, e.autoscaler.Stop())
	}
	errs = append(errs, e.closeStock(), e.closeOther())
	e.closePlugin()
	if e.AWS != nil {
		errs = append(errs, e.AWS.Close())
	}
	if e.stop != nil {
		e.stop()
	}
	e.observers.Wait()
	if e.Cluster != nil {
		errs = append(errs, e.Cluster.Stop())
	}
	return errors.Join(errs...)
}

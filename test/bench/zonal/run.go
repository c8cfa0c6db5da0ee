package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodeready"
	"github.com/asg-autoscaler/asg-autoscaler/test/fakeaws"
	lab "github.com/asg-autoscaler/asg-autoscaler/test/scenario"
	stockbuild "github.com/asg-autoscaler/asg-autoscaler/test/stock"
)

// manifest is the shipped Deployment whose flags both autoscalers run with. Stock gets none of ours.
const manifest = "s0-gpu-spot-china"

// delays of scale-down, a tenth of the defaults.
var delays = []string{"--scale-down-unneeded-time=1m", "--scale-down-delay-after-add=1m", "--unremovable-node-recheck-timeout=30s"}

const startLimit = 2 * time.Minute

// A contestant is one of the autoscalers.
type contestant struct {
	name   string
	binary string
	flags  []string
}

// A run is one contestant in one scenario.
type run struct {
	scenario   scenario
	contestant contestant
	env        *lab.Env
	pods       *recorder
	start      time.Time
	from       seconds // when the measured workload was there
	fall       seconds // when it shrank, if it did
	shortUntil seconds // the end of the shortage, if there was one

	progress io.Writer
	mu       *sync.Mutex // one line of progress at a time, shared by all runs
}

// measure runs the contestant through the scenario in a new cluster, with its logs in dir.
func (r *run) measure(ctx context.Context, o options, dir string) (_ result, err error) {
	r.start = time.Now()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return result{}, err
	}
	r.env, err = lab.Start(ctx, lab.Options{Dir: dir, Binary: r.contestant.binary, Stock: r.contestant.name == stock})
	if err != nil {
		return result{}, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	if err := r.prepare(ctx, dir); err != nil {
		return result{}, err
	}
	r.start = time.Now()
	if r.pods, err = record(ctx, r.env.Cluster.Client(), r.start, r.scenario.bound); err != nil {
		return result{}, err
	}
	defer r.pods.close()
	r.env.Timeline.Listen(r.follow)
	r.env.AWS.ResetCalls()
	if err := r.scenario.do(ctx, r, o); err != nil {
		return result{}, err
	}
	r.tell("done")
	return r.judge(r.pods.timeline(r.env.AWS.Events()), r.env.AWS.Calls()), nil
}

// prepare starts the account, waits for the system nodes, and starts the autoscaler.
func (r *run) prepare(ctx context.Context, dir string) error {
	account, err := fakeaws.ParseConfig(accountYAML)
	if err != nil {
		return err
	}
	if r.scenario.adapt != nil {
		r.scenario.adapt(&account)
	}
	if err := r.env.StartAWS(ctx, account); err != nil {
		return err
	}
	limit, cancel := context.WithTimeoutCause(ctx, startLimit, errors.New("the system nodes are not Ready"))
	defer cancel()
	if err := until(limit, func() (bool, error) {
		nodes, err := r.env.Cluster.Client().CoreV1().Nodes().List(limit, metav1.ListOptions{ResourceVersion: "0"})
		return err == nil && count(nodes.Items, func(n corev1.Node) bool { return nodeready.Is(&n) }) >= systemNodes, err
	}); err != nil {
		return err
	}
	flags := slices.Concat(delays, r.scenario.flags, r.contestant.flags)
	if r.contestant.name == stock {
		config, err := stockbuild.CloudConfig(dir, region, r.env.AWS.URL())
		if err != nil {
			return err
		}
		flags = append(flags, "--cloud-config="+config)
	}
	return r.env.StartAutoscaler(ctx, manifest, flags...)
}

// close ends everything. It kills the autoscaler, because its end is not measured.
func (r *run) close() error {
	if a := r.env.Autoscaler(); a != nil {
		a.Kill()
	}
	return r.env.Close()
}

func (r *run) now() seconds { return since(r.start, time.Now()) }

func (r *run) apply(ctx context.Context, manifests string) error {
	_, err := r.env.Kubectl(ctx, manifests, "apply", "-f", "-")
	return err
}

func (r *run) scale(ctx context.Context, replicas int) error {
	r.tell("%d replicas from now on", replicas)
	_, err := r.env.Kubectl(ctx, "", "scale", "deployment/spread", "--replicas="+strconv.Itoa(replicas))
	return err
}

// waitRunning waits until so many pods run. If they do not within the limit, that is a finding and no error.
func (r *run) waitRunning(ctx context.Context, want int, limit time.Duration) error {
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	_ = until(limited, func() (bool, error) { return r.pods.running() >= want, nil })
	return context.Cause(ctx)
}

// wait returns after d, or with the reason why the run cannot go on.
func (r *run) wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-r.env.Autoscaler().Done():
		return errors.New("the autoscaler ended by itself")
	case <-time.After(d):
		return nil
	}
}

// wait returns after d, or with the reason why ctx ended before.
func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

func until(ctx context.Context, so func() (bool, error)) error {
	for {
		done, err := so()
		if done || err != nil {
			return err
		}
		if err := wait(ctx, time.Second/4); err != nil {
			return err
		}
	}
}

// follow prints events of instances and pods.
func (r *run) follow(m lab.Moment) {
	switch m.Kind {
	case lab.DesiredRaised, lab.DesiredLowered, lab.LaunchFailed, lab.InstanceLaunched, lab.InstanceTerminated, lab.KilledUndrained, lab.PodRunning:
		r.tell("%s: %s %s", m.Kind, m.Object, m.Detail)
	}
}

func (r *run) tell(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fmt.Fprintf(r.progress, "%s %-5s %6.1f s  %s\n", r.scenario.name, r.contestant.name, r.now(), fmt.Sprintf(format, args...))
}

// logs is the run's own folder below dir.
func (r *run) logs(dir string) string {
	return filepath.Join(dir, strings.NewReplacer(" ", "-", "|", "-", ",", "").Replace(r.scenario.name)+"-"+r.contestant.name)
}

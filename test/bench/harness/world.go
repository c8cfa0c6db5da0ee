package harness

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/stock"
	lab "github.com/asg-autoscaler/asg-autoscaler/test/scenario"
)

// Manifest is the shipped Deployment whose flags all Cluster Autoscalers run with. Stock gets none of ours.
const Manifest = "s0-gpu-spot-china"

// Tags are those by which an autoscaler with the manifest's flags finds a group, and more.
func Tags(more map[string]string) map[string]string {
	tags := map[string]string{"k8s.io/cluster-autoscaler/enabled": "true", "k8s.io/cluster-autoscaler/eksworkshop": "owned"}
	maps.Copy(tags, more)
	return tags
}

// Raises are the calls to AWS that ask for instances.
var Raises = []string{"LaunchInstances", "SetDesiredCapacity", "UpdateAutoScalingGroup"}

// Build builds our autoscaler into dir with further flags for the go command, and returns its path. If asked to, it makes sure that the user's cache
// has stock, too.
func Build(ctx context.Context, dir string, progress io.Writer, withStock bool, flags ...string) (string, error) {
	if withStock {
		if _, err := stock.Build(ctx, progress, stock.AWS, false); err != nil {
			return "", err
		}
	}
	fmt.Fprintln(progress, "Building our autoscaler")
	return lab.BuildAutoscaler(ctx, dir, flags...)
}

// End ends everything. It kills the autoscaler, because its end is not measured.
func End(env *lab.Env) error {
	if a := env.Autoscaler(); a != nil {
		a.Kill()
	}
	return env.Close()
}

// A Process is an autoscaler that runs.
type Process interface {
	Kill()
	Done() <-chan struct{}
}

// Ended fails if one of the processes has ended by itself.
func Ended(processes ...Process) error {
	for _, p := range processes {
		select {
		case <-p.Done():
			return errors.New("the autoscaler ended by itself")
		default:
		}
	}
	return nil
}

// Until looks every pause whether something is so. It returns the cause if ctx ends before, and an error if a process does so by itself.
func Until(ctx context.Context, pause time.Duration, so func() (bool, error), processes ...Process) error {
	for {
		if err := Ended(processes...); err != nil {
			return err
		}
		if done, err := so(); done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pause):
		}
	}
}

// Rest waits for the time, or as Until does.
func Rest(ctx context.Context, d time.Duration, processes ...Process) error {
	end := time.Now().Add(d)
	return Until(ctx, min(d, 100*time.Millisecond), func() (bool, error) { return !time.Now().Before(end), nil }, processes...)
}

// Median is the value in the middle, or the mean of two. The list has one or more.
func Median(list []float64) float64 {
	sorted := slices.Sorted(slices.Values(list))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}

// Round rounds to so many steps of one.
func Round(x, steps float64) float64 { return math.Round(x*steps) / steps }

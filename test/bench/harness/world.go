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

// Until looks every pause whether something is so. It returns the cause if ctx ends before, and an error if the autoscaler does so by
// itself, which may be nil.
func Until(ctx context.Context, pause time.Duration, a *lab.Autoscaler, so func() (bool, error)) error {
	for {
		done, err := so()
		if done || err != nil {
			return err
		}
		if err := Rest(ctx, pause, a); err != nil {
			return err
		}
	}
}

// Rest waits for the time, or as Until does.
func Rest(ctx context.Context, d time.Duration, a *lab.Autoscaler) error {
	var ended <-chan struct{}
	if a != nil {
		ended = a.Done()
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-ended:
		return errors.New("the autoscaler ended by itself")
	case <-time.After(d):
		return nil
	}
}

// Median is the value in the middle, or the mean of two. The list has one or more.
func Median(list []float64) float64 {
	sorted := slices.Sorted(slices.Values(list))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}

// Round rounds to so many steps of one.
func Round(x, steps float64) float64 { return math.Round(x*steps) / steps }

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/yaml"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
	"github.com/asg-autoscaler/asg-autoscaler/test/scenario"
)

// manifest is the shipped Deployment whose flags the autoscaler runs with.
const manifest = "s0-gpu-spot-china"

// shortDelays make a round last seconds. The defaults wait ten minutes before a node goes, as a real cluster should.
var shortDelays = []string{
	"--scale-down-unneeded-time=5s",
	"--scale-down-delay-after-add=5s",
	"--scan-interval=5s",
	"--node-delete-delay-after-taint=1s",
}

type setup struct {
	*scenario.Env
	dir      string
	asgctl   string // path of the program, which is built beside the autoscaler
	workload *appsv1.Deployment
	clock    *roundClock
}

// start starts the control plane, the account and the autoscaler in a new temporary directory, and prints each step.
func start(ctx context.Context, binary string) (_ *setup, err error) {
	if binary, err = filepath.Abs(binary); err != nil {
		return nil, err
	}
	s := &setup{clock: newRoundClock(), asgctl: filepath.Join(filepath.Dir(binary), "asgctl")}
	if s.dir, err = os.MkdirTemp("", "asg-demo-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = s.close(err)
		}
	}()
	say("Starting a control plane (built first if it never was: some minutes)")
	if s.Env, err = scenario.Start(ctx, scenario.Options{Dir: s.dir, Binary: binary, Progress: os.Stdout}); err != nil {
		return nil, err
	}
	account, workload, err := readS0()
	if err != nil {
		return nil, err
	}
	s.workload = workload
	say("Starting the emulated AWS account: region %s, groups basic (2 × m5.large) and %s (0 of 3 g4dn.xlarge)", account.Region, group)
	if err := s.StartAWS(ctx, account); err != nil {
		return nil, err
	}
	say("Starting the autoscaler with the flags of manifests/deploy/%s.yaml and short delays:\n    %s",
		manifest, strings.Join(shortDelays, " "))
	if err := s.StartAutoscaler(ctx, manifest, shortDelays...); err != nil {
		return nil, err
	}
	there := 0
	for _, g := range account.AutoScalingGroups {
		there += g.Desired
	}
	if err := waitFor(ctx, s.Env, time.Time{}, scaleUpTimeout, scenario.NodeReady, there); err != nil { // or a round would count them
		return nil, err
	}
	s.Timeline.Listen(s.clock.print)
	return s, nil
}

// readS0 reads the account and the workload of S0.
func readS0() (fakeaws.Config, *appsv1.Deployment, error) {
	raw, err := scenario.Systems.ReadFile("systems/s0/account.yaml")
	if err != nil {
		return fakeaws.Config{}, nil, err
	}
	account, err := fakeaws.ParseConfig(raw)
	if err != nil {
		return fakeaws.Config{}, nil, err
	}
	if raw, err = scenario.Systems.ReadFile("systems/s0/workload.yaml"); err != nil {
		return fakeaws.Config{}, nil, err
	}
	workload := &appsv1.Deployment{}
	return account, workload, yaml.UnmarshalStrict(raw, workload)
}

// rounds runs S0 twice and prints the table. It fails unless both rounds reached every state in time.
func (s *setup) rounds(ctx context.Context) error {
	var done []round
	for number := 1; number <= 2; number++ {
		s.clock.begin()
		say("\nRound %d: %d pods with one GPU each; seconds since their creation", number, pods)
		r, err := runRound(ctx, s.Env, s.workload.DeepCopy())
		if err == nil {
			err = r.judge()
		}
		if err != nil {
			return fmt.Errorf("round %d: %w", number, err)
		}
		done = append(done, r)
	}
	s.clock.stop()
	say("")
	printTable(os.Stdout, done)
	return nil
}

// close ends everything and returns err with its own errors. After a failure the directory stays, for its logs.
func (s *setup) close(err error) error {
	if s.Env != nil {
		err = errors.Join(err, s.Env.Close())
	}
	if err != nil && !errors.Is(err, errInterrupted) {
		return fmt.Errorf("%w\nLogs are in %s", err, s.dir)
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}

func say(format string, args ...any) { fmt.Printf(format+"\n", args...) }

func elapsed(d time.Duration) string { return fmt.Sprintf("%7.2f", d.Seconds()) }

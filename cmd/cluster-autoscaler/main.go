package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/spf13/pflag"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/autoscaler/cluster-autoscaler/config/flags"
	coreversion "k8s.io/autoscaler/cluster-autoscaler/version"
	"k8s.io/component-base/logs"
	logsapi "k8s.io/component-base/logs/api/v1"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/command"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/cluster-autoscaler/options"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/cluster-autoscaler/process"
)

func main() {
	// The image has this binary under both names, because both programs link the core.
	if command.IsName(os.Args[0]) {
		os.Exit(command.Main(version))
	}
	code := run()
	logs.FlushLogs()
	os.Exit(code)
}

func run() int {
	opts := options.Register(pflag.CommandLine, flag.CommandLine, utilfeature.DefaultMutableFeatureGate)
	pflag.Parse()
	if opts.ShowVersion {
		fmt.Printf("cluster-autoscaler %s\ncore %s\n", version, coreVersion())
		return command.ExitFine
	}
	p, err := process.FromFlags(pflag.CommandLine, opts, version)
	if err != nil {
		return refuse(err)
	}
	if err := startLogging(opts.Logging); err != nil {
		return refuse(err)
	}
	klog.InfoS("Started Cluster Autoscaler", "version", version, "core", coreVersion())
	pflag.VisitAll(func(f *pflag.Flag) { klog.V(2).InfoS("Flag", "name", f.Name, "value", options.Shown(f)) })

	for _, f := range options.GivenInert(pflag.CommandLine) {
		klog.InfoS("A flag does nothing here", "flag", "--"+f.Name, "reason", f.Why)
	}
	for _, word := range pflag.Args() { // stock drops them without a word, so Deployments have some, such as the program's own name
		if path.Base(word) != "cluster-autoscaler" {
			klog.ErrorS(nil, "A word among the flags counts for nothing", "word", word, "remedy", "write --flag=value")
		}
	}
	if within, err := pflag.CommandLine.GetDuration("max-node-provision-time"); err == nil && within <= 0 {
		klog.ErrorS(nil, "Each instance is terminated before it can join", "flag", "--max-node-provision-time", "expected", "a time above 0s")
	}
	for _, name := range []string{"scale-down-utilization-threshold", "scale-down-gpu-utilization-threshold"} {
		if ratio, _ := pflag.CommandLine.GetFloat64(name); ratio > 1 { // stock takes it, too
			klog.ErrorS(nil, "A flag lets nodes go however full they are", "flag", "--"+name, "value", ratio, "expected", "a ratio from 0 to 1")
		}
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGQUIT)
	defer stop()
	context.AfterFunc(ctx, func() {
		stop() // a second signal ends the process at once
		time.AfterFunc(process.ExitLimit, func() {
			klog.InfoS("Gave up ending cleanly", "limit", process.ExitLimit)
			logs.FlushLogs()
			os.Exit(command.ExitFine)
		})
	})
	if err := p.Run(ctx); err != nil {
		klog.ErrorS(err, "Could not go on")
		return command.ExitCannotRun
	}
	klog.InfoS("Stopped")
	return command.ExitFine
}

// refuse prints why the process does not start. The log is not set up yet.
func refuse(err error) int {
	fmt.Fprintln(os.Stderr, "cluster-autoscaler:", err)
	return command.ExitWrongUse
}

// startLogging sets up klog as the logging flags say, and controller-runtime's log with it.
func startLogging(config *logsapi.LoggingConfiguration) error {
	logs.InitLogs()
	streams, err := flags.ComputeLoggingOptions(pflag.CommandLine)
	if err != nil {
		return fmt.Errorf("logging: %w", err)
	}
	if err := logsapi.ValidateAndApplyWithOptions(config, streams, utilfeature.DefaultFeatureGate); err != nil {
		return fmt.Errorf("logging: %w", err)
	}
	ctrl.SetLogger(klog.NewKlogr())
	return nil
}

// version is this binary's version. The build sets it.
var version = "unknown"

const coreModule = "k8s.io/autoscaler/cluster-autoscaler"

// coreVersion is the core's own version with its module's version, because the core's own does not change with every commit.
func coreVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, module := range info.Deps {
			if module.Path == coreModule {
				return fmt.Sprintf("%s (%s %s)", coreversion.ClusterAutoscalerVersion, coreModule, module.Version)
			}
		}
	}
	return coreversion.ClusterAutoscalerVersion
}

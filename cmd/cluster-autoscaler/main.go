package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/pflag"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/autoscaler/cluster-autoscaler/config/flags"
	"k8s.io/component-base/logs"
	logsapi "k8s.io/component-base/logs/api/v1"
	"k8s.io/klog/v2"
	kubefeatures "k8s.io/kubernetes/pkg/features"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/asg-autoscaler/asg-autoscaler/cmd/cluster-autoscaler/options"
)

// Exit codes.
const (
	exitFine      = 0
	exitCannotRun = 1
	exitWrongUse  = 2
)

func main() {
	code := run()
	logs.FlushLogs()
	os.Exit(code)
}

func run() int {
	opts, err := options.Register(pflag.CommandLine, flag.CommandLine, utilfeature.DefaultMutableFeatureGate)
	if err != nil {
		return refuse(err)
	}
	pflag.Parse()
	if opts.ShowVersion {
		fmt.Println(versionText())
		return exitFine
	}
	p := process{core: flags.AutoscalingOptions(), options: *opts}
	p.options.AWS.FillUnset(pflag.CommandLine, &p.core)
	p.options.FillStartupTime(pflag.CommandLine, p.core)
	if err := p.check(); err != nil {
		return refuse(err)
	}
	if err := alignFeatureGates(p.core.DynamicResourceAllocationEnabled); err != nil {
		return refuse(err)
	}
	if err := startLogging(opts.Logging); err != nil {
		return refuse(err)
	}
	klog.InfoS("Started Cluster Autoscaler", "version", version, "core", coreVersion())
	pflag.VisitAll(func(f *pflag.Flag) { klog.V(2).InfoS("Flag", "name", f.Name, "value", f.Value.String()) })

	for _, f := range options.GivenInert(pflag.CommandLine) {
		klog.InfoS("A flag does nothing here", "flag", "--"+f.Name, "reason", f.Why)
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGQUIT)
	defer stop()
	context.AfterFunc(ctx, func() {
		stop() // a second signal ends the process at once
		time.AfterFunc(exitLimit, func() {
			klog.InfoS("Gave up ending cleanly", "limit", exitLimit)
			logs.FlushLogs()
			os.Exit(exitFine)
		})
	})
	if err := p.run(ctx); err != nil {
		klog.ErrorS(err, "Could not go on")
		return exitCannotRun
	}
	klog.InfoS("Stopped")
	return exitFine
}

// refuse prints why the process does not start. The log is not set up yet.
func refuse(err error) int {
	fmt.Fprintln(os.Stderr, "cluster-autoscaler:", err)
	return exitWrongUse
}

// alignFeatureGates makes the scheduler's gate for dynamic resource allocation follow the core's flag. The gate loads the
// scheduler's plugin, and the flag makes the core prepare the plugin's input. One without the other is useless or panics.
func alignFeatureGates(dynamicResourceAllocation bool) error {
	gates := utilfeature.DefaultMutableFeatureGate
	if gates.Enabled(kubefeatures.DynamicResourceAllocation) == dynamicResourceAllocation {
		return nil
	}
	wanted := map[string]bool{string(kubefeatures.DynamicResourceAllocation): dynamicResourceAllocation}
	if err := gates.SetFromMap(wanted); err != nil {
		return fmt.Errorf("set feature gate %q to %v: %w", kubefeatures.DynamicResourceAllocation, dynamicResourceAllocation, err)
	}
	return nil
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

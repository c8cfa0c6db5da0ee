package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/asg-autoscaler/asg-autoscaler/test/bench/cost"
	"github.com/asg-autoscaler/asg-autoscaler/test/bench/day"
	"github.com/asg-autoscaler/asg-autoscaler/test/bench/growth"
	"github.com/asg-autoscaler/asg-autoscaler/test/bench/interruption"
	"github.com/asg-autoscaler/asg-autoscaler/test/bench/peers"
	"github.com/asg-autoscaler/asg-autoscaler/test/bench/zonal"
)

// benches return their exit codes.
var benches = map[string]func(ctx context.Context, args []string, stdout, stderr io.Writer) int{
	"cost": cost.Main, "day": day.Main, "growth": growth.Main, "interruption": interruption.Main, "peers": peers.Main, "zonal": zonal.Main,
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	args := append(os.Args[1:], "")
	bench := benches[args[0]]
	if bench == nil {
		fmt.Fprintf(os.Stderr, "bench: the first argument is one of %s\n", strings.Join(slices.Sorted(maps.Keys(benches)), ", "))
		os.Exit(2)
	}
	os.Exit(bench(ctx, os.Args[2:], os.Stdout, os.Stderr))
}

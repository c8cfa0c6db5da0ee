package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/command"
)

// version is this binary's version. The build sets it.
var version = "unknown"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := command.RunAs(ctx, os.Args[0], os.Args[1:], os.Stdout, os.Stderr, version)
	stop()
	os.Exit(code)
}

package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	keep := flag.Bool("keep", false, "leave the set-up running after the rounds")
	held := flag.Bool("held", false, "internal: be the process that is left running")
	binary := flag.String("binary", "bin/cluster-autoscaler", "the autoscaler to run")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, flag.Arg(0), *binary, *keep, *held); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, command, binary string, keep, held bool) error {
	switch {
	case command == "down":
		return down(ctx)
	case command != "" && command != "up":
		return fmt.Errorf("nothing is called %q; use up, down or nothing", command)
	case held:
		return hold(ctx, binary, command == "")
	case keep, command == "up":
		return detach(ctx, os.Args[1:])
	default:
		return demo(ctx, binary)
	}
}

func demo(ctx context.Context, binary string) (err error) {
	s, err := start(ctx, binary)
	if err != nil {
		return err
	}
	defer func() { err = s.close(err) }()
	return s.rounds(ctx)
}

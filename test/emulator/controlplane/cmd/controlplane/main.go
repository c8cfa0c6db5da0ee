package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/controlplane"
)

// Exit codes.
const (
	exitFine     = 0
	exitFailed   = 1
	exitBadUsage = 2
)

// usageError marks an error as the user's: wrong arguments or flags.
type usageError struct{ error }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run executes the command line and returns the exit code. Results go to stdout, progress and errors to stderr.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := &cobra.Command{
		Use:   "controlplane",
		Short: "Run a Kubernetes control plane with simulated nodes on this machine",
		Long: `controlplane runs etcd, kube-apiserver, kube-scheduler, kube-controller-manager and KWOK as plain processes on
127.0.0.1. The first use compiles them, which takes minutes; later ones start in seconds.

A Node with the annotation kwok.x-k8s.io/node=fake becomes Ready, and its pods run, without any machine behind it.

Exit codes: 0 fine, 1 could not run, 2 wrong usage.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return usageError{errors.New("no command given")}
		},
		Args: usageArgs(cobra.NoArgs),
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(upCommand(), buildCommand(), versionsCommand())
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)

	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitFine
	}
	fmt.Fprintln(stderr, "controlplane:", err)
	var usage usageError
	if errors.As(err, &usage) {
		fmt.Fprintln(stderr, "Run 'controlplane --help' for usage.")
		return exitBadUsage
	}
	return exitFailed
}

// usageArgs marks the errors of an argument check as usage errors.
func usageArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usageError{err}
		}
		return nil
	}
}

func upCommand() *cobra.Command {
	var opts controlplane.Options
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Start a cluster and keep it until interrupted",
		Long: `up starts a cluster, prints a line KUBECONFIG=<path> on stdout, and keeps it running until it gets SIGINT, SIGTERM or
SIGHUP. Then it removes everything but the logs in a directory named with --dir.`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			opts.Progress = cmd.ErrOrStderr()
			return up(cmd.Context(), opts, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	cmd.Flags().StringVar(&opts.Dir, "dir", "", "directory for the cluster's files, new or empty (default: a temporary one, removed at the end)")
	cmd.Flags().IntVarP(&opts.Verbosity, "verbosity", "v", 0, "log level of the Kubernetes programs, 0 to 10")
	cmd.Flags().BoolVar(&opts.WithoutKWOK, "without-kwok", false, "do not simulate nodes")
	return cmd
}

// up runs one cluster until the context ends, which is no error, or one of its programs does.
func up(ctx context.Context, opts controlplane.Options, stdout, stderr io.Writer) (err error) {
	cluster, err := controlplane.Start(ctx, opts)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cluster.Stop()) }()
	fmt.Fprintf(stdout, "KUBECONFIG=%s\n", cluster.Kubeconfig())
	fmt.Fprintf(stderr, "Running; logs are in %s/logs. Ctrl-C ends it. Try:\n  %s --kubeconfig %s get all -A\n",
		cluster.Dir, cluster.Kubectl(), cluster.Kubeconfig())
	return cluster.Wait(ctx)
}

func buildCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "build",
		Short: "Compile the programs into the cache and print their paths",
		Args:  usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			built, err := controlplane.Build(cmd.Context(), cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			for _, path := range built.Paths() {
				fmt.Fprintln(cmd.OutOrStdout(), path)
			}
			return nil
		},
	}
}

func versionsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "versions",
		Short: "Print the pinned version of every program",
		Args:  usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			versions, err := controlplane.Versions(cmd.Context())
			if err != nil {
				return err
			}
			table := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(table, "PROGRAM\tVERSION\tMODULE")
			for _, v := range versions {
				fmt.Fprintf(table, "%s\t%s\t%s\n", v.Program, v.Version, v.Module)
			}
			return table.Flush()
		},
	}
}

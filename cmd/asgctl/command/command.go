package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/klog/v2"
	"k8s.io/klog/v2/textlogger"

	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/show"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/source"
)

// asgctl is the program's name, unless it is a plugin.
const asgctl = "asgctl"

const (
	ExitFine      = 0
	ExitCannotRun = 1 // AWS, a file or a folder could not be read
	ExitWrongUse  = 2
	ExitFindings  = 3 // it ran and found problems that the user must fix
)

// finding is the error of a command that ran and has something to complain about. Its output is complete.
type finding struct{ text string }

func (f finding) Error() string { return f.text }

// failure is the error of a command that was used rightly.
type failure struct{ error }

func (f failure) Unwrap() error { return f.error }

type cli struct {
	stdout, stderr io.Writer
	program        string // the name by which the user calls it

	format    show.Format
	verbosity int
	timeout   time.Duration
	read      source.Options
}

// Main runs asgctl with the arguments of this process until it ends or a signal comes, and returns the exit code.
func Main(version string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the process
	return Run(ctx, os.Args[0], os.Args[1:], os.Stdout, os.Stderr, version)
}

// IsName reports whether a program's file is called asgctl, or by the name of the kubectl plugin.
func IsName(path string) bool { return filepath.Base(path) == asgctl || isPlugin(path) }

func isPlugin(path string) bool {
	return strings.TrimSuffix(filepath.Base(path), ".exe") == "kubectl-asg"
}

// Run runs asgctl with the program's file and the arguments that follow it, and returns the exit code. kubectl-asg is the file of a kubectl
// plugin, and its usage says kubectl asg.
func Run(ctx context.Context, path string, args []string, stdout, stderr io.Writer, version string) int {
	stderr = show.Terminal{Writer: stderr}
	c := &cli{stdout: stdout, stderr: stderr, format: show.Table, program: asgctl, read: source.Options{Version: version}}
	root := c.root()
	pflag.CommandLine.VisitAll(func(f *pflag.Flag) { f.Hidden = true }) // the core's, which cobra shows as flags of every command
	if isPlugin(path) {
		c.program = "kubectl asg"
		root.Annotations = map[string]string{cobra.CommandDisplayNameAnnotation: c.program}
	}
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	return c.exitCode(root.ExecuteContext(ctx))
}

// exitCode prints the error, if there is one.
func (c *cli) exitCode(err error) int {
	if err == nil {
		return ExitFine
	}
	fmt.Fprintln(c.stderr, c.program+":", err)
	var found finding
	var wrong source.WrongUse
	var failed failure
	switch {
	case errors.As(err, &found):
		return ExitFindings
	case errors.As(err, &failed) && !errors.As(err, &wrong):
		return ExitCannotRun
	}
	return ExitWrongUse // or cobra's own: a flag, an argument or a command it does not know
}

func (c *cli) root() *cobra.Command {
	root := &cobra.Command{
		Use: asgctl, Short: "Show the autoscaler's view of EC2 Auto Scaling groups",
		Long: `asgctl shows the autoscaler's facts about the Auto Scaling groups it serves, with their sources.
It reads from AWS, or from files that the AWS CLI has written (--from). top, shadow, moves and plan read from a running one. Only prices refresh
leaves files, only account --launch changes anything in AWS, and only remove and moves resume change anything in the cluster.

Exit codes: 0 fine, 1 could not run, 2 wrong usage, 3 ran and found something to put right.`,
		Version: c.read.Version, SilenceErrors: true, SilenceUsage: true,
	}
	flags := root.PersistentFlags()
	flags.VarP(&c.format, "output", "o", "Form of the result.")
	flags.IntVarP(&c.verbosity, "verbosity", "v", 0, "Log progress to stderr: 1 and up.")
	flags.StringVar(&c.read.InstanceTypesFile, "instance-types-file", "",
		"List of instance types to lay over the built-in one: the output of aws ec2 describe-instance-types.")
	root.SetGlobalNormalizationFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		if name == "asg-region" { // the autoscaler's name for it
			name = "region"
		}
		return pflag.NormalizedName(name)
	})
	root.AddCommand(c.prices(), c.groups(), c.template(), c.explain(), c.replay(), c.remove(), c.account(), c.doctor(), c.top(), c.shadow(), c.moves(), c.plan())
	return root
}

func (c *cli) readFlags(cmd *cobra.Command) {
	c.liveFlags(cmd)
	cmd.Flags().StringVar(&c.read.From, "from", "", "Folder with output of the AWS CLI, to read instead of AWS: auto-scaling-groups.json, and "+
		"where there are such launch-template-versions.json, launch-configurations.json, images.json, nodegroups.json, instance-types.json.")
}

func (c *cli) liveFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringArrayVar(&c.read.AutoDiscovery, "node-group-auto-discovery", nil,
		"As the autoscaler's: asg:tag=<key>[=<value>][,…]. May be repeated. Without it and --nodes, every group counts.")
	flags.StringVar(&c.read.ClusterName, "asg-cluster-name", "", "As the autoscaler's: groups that state another cluster are left alone. "+
		"If empty: asgctl knows of no nodes, so it shows what each group states and judges none by it.")
	flags.StringVar((*string)(&c.read.DiscoveryJoin), "asg-node-group-discovery", "", "As the autoscaler's: all (if empty) or any.")
	flags.StringArrayVar(&c.read.Nodes, "nodes", nil, "As the autoscaler's: <min>:<max>:<Auto Scaling group>[/<zone>]. May be repeated.")
	flags.StringVar((*string)(&c.read.ZonalGroups), "asg-zonal-groups", "", "As the autoscaler's: off, tagged (if empty) or all.")
	c.regionFlag(cmd)
	flags.StringVar(&c.read.CloudConfig, "cloud-config", "", "As the autoscaler's: file with ServiceOverride sections.")
	flags.DurationVar(&c.timeout, "timeout", 2*time.Minute, "Time after which AWS is waited for no longer.")
}

func (c *cli) log() klog.Logger {
	if c.verbosity == 0 {
		return klog.New(nil)
	}
	return textlogger.NewLogger(textlogger.NewConfig(textlogger.Output(c.stderr), textlogger.Verbosity(c.verbosity)))
}

// print prints a result, and then complains of what somebody must put right, "" for nothing.
func (c *cli) print(result any, table func() string, wrong string) error {
	if err := show.Print(c.stdout, c.format, result, table); err != nil {
		return failure{err}
	}
	if wrong != "" {
		return finding{wrong}
	}
	return nil
}

// asText refuses the forms of a result for a command that has none, and prints lines.
func (c *cli) asText(*cobra.Command, []string) error {
	if c.format != show.Table {
		return errors.New("-o does not apply: the command has one form")
	}
	return nil
}

// reading reads the groups, with logs as asked for.
func (c *cli) reading(ctx context.Context) (*source.Reading, error) {
	ctx, cancel := context.WithTimeout(klog.NewContext(ctx, c.log()), c.timeout)
	defer cancel()
	r, err := source.Read(ctx, c.read)
	if err != nil {
		return nil, failure{err}
	}
	if r.Unlooked != nil {
		fmt.Fprintln(c.stderr, "asgctl: instance types that the built-in list lacks stay unknown:", r.Unlooked)
	}
	return r, nil
}

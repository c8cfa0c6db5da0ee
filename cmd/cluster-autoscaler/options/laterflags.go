package options

import (
	"fmt"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/autoscaler/cluster-autoscaler/config"
)

type Inert struct {
	Name       string
	kind, text string // type and default of the value, as in stock
	Why        string
}

// inert are the flags of stock releases before and after our core (1.30 to 1.37) that change nothing here. They are accepted, so that a
// Deployment of such a release starts with only its image changed.
var inert = []Inert{
	{"alsologtostderrthreshold", "severity", "0", "with --alsologtostderr every line goes to standard error, as in stock by default"},
	{"enable-graceful-degradation", "bool", "false", "a loop looks at all pending pods, however long that takes"},
	{"enable-inter-pod-affinity-hostname-fast-path", "bool", "false", "the simulated scheduler is Kubernetes 1.35's, which has no such path"},
	{"gce-expander-ephemeral-storage-support", "bool", "true", "a flag for Google Cloud"},
	{"legacy-stderr-threshold-behavior", "bool", "true", "with --logtostderr every line goes to standard error, as in stock by default"},
	{"max-autoprovisioned-node-group-count", "int", "15", "the autoscaler creates no node groups"},
	{"node-autoprovisioning-enabled", "bool", "false", "the autoscaler creates no node groups"},
	{"node-group-remove-persistent-error-backoff-early", "bool", "false", "a group pauses after each failure, until a launch works or the pause is over"},
	{"parallel-drain", "bool", "true", "--max-drain-parallelism says how many nodes are drained at once"},
	{"pending-pods-batching-timeout", "duration", "4m0s", "--enable-graceful-degradation does nothing either"},
	{"salvo-scale-up", "bool", "false", "--asg-scale-ups-per-loop does the same, and is above 1 by default"},
	{"salvo-scale-up-budget", "duration", "1m0s", "--max-nodegroup-binpacking-duration bounds the scale-ups of a loop"},
	{"scaleup-simulation-for-skipped-node-groups-enabled", "bool", "false", "it refines only the reasons that events give for pods without a node"},
	{"scheduler-verbosity", "int", "0", "the simulated scheduler logs by --v"},
}

func (i *Inert) Set(text string) error { i.text = text; return nil }
func (i *Inert) String() string        { return i.text }
func (i *Inert) Type() string          { return i.kind }

func (o *Options) addOthers(fs *pflag.FlagSet) {
	fs.BoolVar(&o.ScaleDown, "scale-down-enabled", true, "Whether the autoscaler removes nodes that are not needed. Deprecated in stock.")
	fs.DurationVar(&o.MaxStartupTime, maxStartupTimeFlag, 20*time.Minute, "How long a leader may take to read the Auto Scaling groups and the cluster. "+
		"After that the process ends, so that another replica may lead. At least --max-failing-time and --max-inactivity. If not given: --max-failing-time.")
	fs.Int(emptyBulkFlag, 10, "The same as --max-scale-down-parallelism, which counts if both are given. Earlier releases of stock have it.")
	fs.StringVar(&o.LeaderElection.ResourceName, oldLeaseFlag, usualLease, "The same as --"+leaseFlag+". Release 1.32.0 of stock has it.")
	for _, f := range inert {
		added := fs.VarPF(&f, f.Name, "", fmt.Sprintf("A flag of other releases of the stock autoscaler. It does nothing here: %s.", f.Why))
		if f.kind == "bool" {
			added.NoOptDefVal = "true"
		}
	}
}

const (
	maxStartupTimeFlag = "max-startup-time"
	emptyBulkFlag      = "max-empty-bulk-delete"
	oldLeaseFlag       = "lease-resource-name"
)

// FillStartupTime sets MaxStartupTime as the flags say together. fs is parsed.
func (o *Options) FillStartupTime(fs *pflag.FlagSet, core config.AutoscalingOptions) {
	if fs.Changed(maxStartupTimeFlag) {
		o.MaxStartupTime = max(o.MaxStartupTime, core.MaxFailingTime, core.MaxInactivityTime)
	} else {
		o.MaxStartupTime = core.MaxFailingTime
	}
}

// needs are flags that do nothing while another one has its default.
var needs = map[string]string{"asg-rotate-age": "asg-rotate", "asg-repair-rule": "asg-repair", "asg-consolidate-horizon": "asg-consolidate",
	"asg-rebalance": "asg-interruption-queue"}

// GivenInert lists the flags that were given and do nothing, sorted by name. fs is parsed.
func GivenInert(fs *pflag.FlagSet) (given []Inert) {
	fs.Visit(func(f *pflag.Flag) {
		if i, is := f.Value.(*Inert); is {
			given = append(given, *i)
		} else if other := fs.Lookup(needs[f.Name]); other != nil && other.Value.String() == other.DefValue {
			given = append(given, Inert{Name: f.Name, Why: "it needs --" + other.Name})
		}
	})
	return given
}

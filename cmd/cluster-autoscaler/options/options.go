package options

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/pflag"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/autoscaler/cluster-autoscaler/config/flags" // registers the core's flags, too
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	cliflag "k8s.io/component-base/cli/flag"
	componentbaseconfig "k8s.io/component-base/config"
	componentopts "k8s.io/component-base/config/options"
	"k8s.io/component-base/featuregate"
	logsapi "k8s.io/component-base/logs/api/v1"
	_ "k8s.io/component-base/logs/json/register" // --logging-format=json and its flags
	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/ownership"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/move"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/plugin"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/shellword"
)

// Options are the values of the flags that the core does not keep itself.
type Options struct {
	AWS            AWS
	LeaderElection componentbaseconfig.LeaderElectionConfiguration
	Logging        *logsapi.LoggingConfiguration
	ShowVersion    bool
	ScaleDown      bool          // nodes that are not needed are removed
	MaxStartupTime time.Duration // within which a leader must have read the groups and the cluster
}

// AWS are the flags that we add. Their help says what each means.
type AWS struct {
	Region, ClusterName string
	DiscoveryJoin       ownership.DiscoveryJoin
	InstanceTypes       string // file, may be empty
	PriceFile           string // file, may be empty
	SpotPrices          string // SpotPricesOff or SpotPricesLive
	SpendCaps           []string
	TroublePenalty      float64 // ratio by which a group's nodes count as dearer after a failed launch or the loss of spot instances
	PreferencePercent   float64
	PlanLimit           time.Duration // how long the least-cost expander may plan
	LaunchMode          asg.LaunchMode
	ZonalGroups         asg.ZonalGroups
	ViewsOnly           bool // only the zonal views of one group are balanced, not other similar node groups
	ScaleUpsPerLoop     int

	RefreshInterval, MotionInterval time.Duration // between readings of all groups, and of those in motion
	PodSettleTime, PodSettleLimit   time.Duration

	InterruptionQueue               string // name or URL, empty: no queue is read
	InterruptionDeadline, Rebalance string

	Rotate, Repair         bool
	RotateAge              time.Duration // of the oldest nodes, 0 for any
	Consolidate            string        // ConsolidateOff, ConsolidatePlan or ConsolidateOn
	ConsolidateHorizon     time.Duration
	ConsolidateSpread      bool
	RepairRules            []string
	MoveBudgets            []string
	MoveWindows            []string
	MoveMaxWait, MoveProof time.Duration

	Nominate      string // NominateOn or NominateOff
	StatusPage    string // StatusPageOn or StatusPageOff
	StatusAddress string // empty: --address
	RecordLoops   int
	Profile       string // ProfileStandard or ProfileConservative
	Shadow        bool
	PluginAddress string // empty: the program autoscales itself
	PluginFiles   plugin.Files
}

const (
	SpotPricesOff, SpotPricesLive                  = "off", "live"
	NominateOn, NominateOff                        = "on", "off"
	ConsolidateOff, ConsolidatePlan, ConsolidateOn = "off", "plan", "on" // plan shows what it would do
	StatusPageOn, StatusPageOff                    = "on", "off"
)

const (
	maxTroublePenalty    = 1000        // makes a group the last choice among any that are not in trouble
	maxPreferencePercent = 1000        // is more than spot capacity is ever cheaper
	maxRecordLoops       = 100         // each keeps its report, and lists of all cached objects
	minInterval          = time.Second // between readings. AWS throttles an account's Describe calls, whoever makes them
)

// Register adds all flags to fs: the core's flags, the flags of the Kubernetes components, and ours. The core has put its flags
// into stock when it was imported. The caller parses fs. The feature gates get a flag and must be ready for it.
func Register(fs *pflag.FlagSet, stock *flag.FlagSet, gates featuregate.MutableVersionedFeatureGate) *Options {
	klog.InitFlags(stock)
	utilruntime.Must(logsapi.AddFeatureGates(gates))
	o := &Options{Logging: logsapi.NewLoggingConfiguration(), LeaderElection: componentbaseconfig.LeaderElectionConfiguration{ // as in stock
		LeaderElect: true, ResourceLock: resourcelock.LeasesResourceLock, ResourceName: usualLease,
		LeaseDuration: metav1.Duration{Duration: 15 * time.Second}, RenewDeadline: metav1.Duration{Duration: 10 * time.Second},
		RetryPeriod: metav1.Duration{Duration: 2 * time.Second},
	}}
	componentopts.BindLeaderElectionFlags(&o.LeaderElection, fs)
	logsapi.AddFlags(o.Logging, fs)
	gates.AddFlag(fs)
	o.AWS.addFlags(fs)
	o.addOthers(fs)
	fs.BoolVar(&o.ShowVersion, "version", false, "Print the version of this binary and of the core it is built on, and exit.")
	fs.SetNormalizeFunc(cliflag.WordSepNormalizeFunc)
	fs.AddGoFlagSet(stock)
	describeStock(fs)
	return o
}

func (a *AWS) addFlags(fs *pflag.FlagSet) {
	fs.StringVar(&a.Region, "asg-region", "", "AWS region of the Auto Scaling groups, e.g. cn-northwest-1. "+
		"If empty: AWS_REGION, AWS_DEFAULT_REGION, the shared configuration file, then the instance metadata.")
	fs.StringVar(&a.ClusterName, "asg-cluster-name", "", "Name of the cluster to scale, as its Auto Scaling groups state it. The autoscaler leaves alone every group that states "+
		"another cluster by tags, user data or launch template. If empty: the name that the groups of its own nodes state, else the VPC CNI's CLUSTER_NAME, else --cluster-name.")
	fs.StringVar((*string)(&a.DiscoveryJoin), "asg-node-group-discovery", string(ownership.JoinAll), "How several --node-group-auto-discovery flags count. "+
		"all: a group must match all of them, as in the stock autoscaler. any: a group must match one of them.")
	fs.StringVar(&a.InstanceTypes, "asg-instance-types-file", "", "File with facts about instance types. They count before the built-in list. The file has the output of "+
		"aws ec2 describe-instance-types --output json. If empty: the built-in list alone.")
	fs.StringVar(&a.PriceFile, "asg-price-file", "", "File with your own prices, discounts or spot ratio for the region, as CSV. "+
		"They count before the built-in prices. The autoscaler reads the file again when it changes. If empty: the built-in list prices alone.")
	fs.StringVar(&a.SpotPrices, "asg-spot-prices", SpotPricesOff, "Source of spot prices. "+SpotPricesLive+": the autoscaler asks EC2 every 10 minutes in the "+
		"background (ec2:DescribeSpotPriceHistory). "+SpotPricesOff+": it estimates them as a ratio of the on-demand price.")
	fs.StringArrayVar(&a.SpendCaps, aws.SpendCapFlag, nil, "The most that nodes may cost per hour, in the currency of the region's prices. AMOUNT is for all nodes, "+
		"LABEL=VALUE:AMOUNT for the nodes with that label, such as team=ml:25.50. It may be given several times. Instances that AWS has been asked for count, and estimated prices. "+
		"The autoscaler adds no node that would exceed it, and none of a type without a price. It removes no node for it. The tag "+group.TagSpendCap+" bounds one group. If empty: no limit.")
	fs.Float64Var(&a.TroublePenalty, "asg-least-cost-penalty", 0.5, "Penalty of the least-cost expander on the price of nodes of a group "+
		"that recently failed to launch instances for any reason, or recently lost spot instances to EC2. 0.5 counts the price one and a half times. 0 counts the price as it is.")
	fs.Float64Var(&a.PreferencePercent, "asg-preference-percent", 5, "How much more nodes may cost, in percent, that suit better what pods prefer: preferred node affinity, "+
		"and topology spread with ScheduleAnyway. Preferences decide between groups whose prices differ by less. 0 ignores them. From 0 to 1000.")
	fs.DurationVar(&a.PlanLimit, "asg-least-cost-plan-limit", time.Second, "How long the least-cost expander looks for the cheapest plan of one scale-up, and again for one that follows what pods prefer. "+
		"After that the cheapest plan found so far counts, and the log says so. At least 1ms.")
	fs.DurationVar(&a.RefreshInterval, "asg-refresh-interval", time.Minute,
		"Time between two readings of all Auto Scaling groups. A reading is one API call per 100 groups. At least 1s.")
	fs.DurationVar(&a.MotionInterval, "asg-motion-interval", 2*time.Second,
		"Time between two readings of the Auto Scaling groups in motion: groups that the autoscaler just wrote to, and groups that are short of instances. "+
			"After three minutes without a change it is eight times as long. A reading is one API call per 100 groups. At least 1s.")
	fs.StringVar((*string)(&a.LaunchMode), "asg-launch-mode", string(asg.LaunchAuto), "How the autoscaler asks for instances. "+
		"auto: by LaunchInstances, which answers at once, where the group, the partition and the permissions allow it, else by the "+
		"desired capacity. synchronous: by LaunchInstances only. desired-capacity: by the desired capacity only, as the stock autoscaler does.")
	fs.StringVar((*string)(&a.ZonalGroups), "asg-zonal-groups", string(asg.ZonalTagged), "Groups of several zones that are scaled zone by zone, "+
		"each zone as a node group <group>/<zone>. tagged: groups with the tag "+asg.TagZonal+"=true. all: groups without the tag "+asg.TagZonal+"=false. off: none. "+
		"A group must also allow LaunchInstances, and its AZRebalance process must be suspended. Unless it is off, other groups without the tag "+
		asg.TagZonal+"=false follow once a pod needs one of their zones.")
	fs.IntVar(&a.ScaleUpsPerLoop, "asg-scale-ups-per-loop", 20, "How often one loop scales up. Each time the expander chooses again, for the pods that are left. "+
		"No scale-up begins later than --max-nodegroup-binpacking-duration after the first. With 1 the other pods wait for the next loop, as in the stock autoscaler. At least 1.")
	fs.DurationVar(&a.PodSettleTime, "asg-pod-settle-time", 100*time.Millisecond,
		"How long no further pod must become unschedulable before the autoscaler acts on a burst of unschedulable pods. Half of it once the scheduler has looked at "+
			"every pod, and longer after a burst that has lasted longer. Once the controllers of the pods have all that they want, it is half of it since the last of "+
			"these began to want them. With 0s it acts on the first pod.")
	fs.DurationVar(&a.PodSettleLimit, "asg-pod-settle-limit", 3*time.Second,
		"Longest time from the first pod of a burst of unschedulable pods until the autoscaler acts on the burst. At least --asg-pod-settle-time.")
	fs.StringVar(&a.InterruptionQueue, "asg-interruption-queue", "", "Name or URL of the SQS queue with spot interruptions, rebalance "+
		"recommendations, scheduled changes and lifecycle actions. The autoscaler drains nodes before their instances go, and replaces each node once. If empty: it reads no queue.")
	fs.StringVar(&a.InterruptionDeadline, "asg-interruption-deadline", interruption.Force, "What happens to pods that a disruption budget still holds back in "+
		"the last seconds of an interruption. force: the autoscaler deletes them with the grace period that is left. leave: they end with the instance.")
	fs.StringVar(&a.Rebalance, "asg-rebalance", interruption.Count, "What happens on a rebalance recommendation. count: the autoscaler counts it. "+
		"drain: it drains the node once the replacement is there, one node of a group at a time. A group with Capacity Rebalancing replaces the instance itself.")
	fs.BoolVar(&a.Rotate, "asg-rotate", false, "Whether the autoscaler replaces nodes that are not what a new one would be: their launch template version, image, instance type or zone has changed, "+
		"they are too old, or the group's maximum instance lifetime ends. It moves their pods first. In EKS managed node groups only their age and that lifetime count.")
	fs.DurationVar(&a.RotateAge, "asg-rotate-age", 0, "Age at which --asg-rotate replaces a node, up to a tenth earlier. The tag "+move.TagRotateAge+" sets it for one group. With 0s nodes may have any age.")
	fs.BoolVar(&a.Repair, "asg-repair", false, "Whether the autoscaler replaces nodes that do not work, by their conditions and the rules of EKS's node repair. "+
		"It reboots nodes with accelerators, local disks or reserved capacity first.")
	fs.StringArrayVar(&a.RepairRules, "asg-repair-rule", nil, "Rule of --asg-repair of the form CONDITION[/REASON]=ACTION[,WAIT], as in EKS's node repair, such as "+
		"AcceleratedHardwareReady/NvidiaXID79Error=Replace,5m. ACTION is Replace, Reboot (the node is replaced if that does not help) or NoAction. A * at the end of REASON stands for any end. It may be given several times. "+
		"These rules come before EKS's own, and among them the one with the most specific reason counts. Without WAIT: the condition's own, else 30m. If empty: EKS's own.")
	fs.StringVar(&a.Consolidate, "asg-consolidate", ConsolidateOff, "Whether the autoscaler removes nodes that cost more than they have to: their pods fit on other nodes and at most one new node that costs less, on spot instances "+
		"again, too. off, plan (it shows what it would do: asgctl plan) or on. Pods must have been on a node for --scale-down-unneeded-time.")
	fs.DurationVar(&a.ConsolidateHorizon, "asg-consolidate-horizon", time.Hour, "Time over which the saving of --asg-consolidate counts. It must be more than what the disruption of the pods and the start of a new node cost. A longer time moves more pods for less money.")
	fs.BoolVar(&a.ConsolidateSpread, "asg-consolidate-keep-spread", true, "Whether --asg-consolidate keeps the spread over zones and nodes that pods only prefer (ScheduleAnyway, and preferred podAntiAffinity over nodes). It always keeps the spread that they require.")
	fs.StringArrayVar(&a.MoveBudgets, "asg-move-budget", nil, "Most nodes that are replaced at once, as a number or as a part of all nodes such as 10%, which is rounded up. "+
		"rotation:1 is for one reason. 0 lets none begin. It may be given several times, and all hold. The tag "+move.TagBudget+" bounds one group. If empty: 10% of the nodes, and 10% of each group's.")
	fs.StringArrayVar(&a.MoveWindows, "asg-move-window", nil, "Window of time in which nodes are replaced, or in which they are not: [REASON:]allow|deny CRON DURATION [TIME ZONE], such as "+
		"deny 0 8 * * MON-FRI 10h Asia/Shanghai. It may be given several times. A reason with allow windows of its own moves in these alone, each other one in the general ones. If empty: always.")
	fs.DurationVar(&a.MoveMaxWait, "asg-move-max-wait", 0, "How long pods may keep a node that is to be replaced by their wish to be left alone (safe-to-evict, do-not-disrupt, and the other rules of scale-down). "+
		"Disruption budgets and grace periods hold after that, too. With 0s they may keep it for ever.")
	fs.DurationVar(&a.MoveProof, "asg-move-proof", 5*time.Minute, "How long the first node that a group gets after a change of its launch template must have been Ready, and its pods with it, before further nodes of the group are replaced. At least 0s.")
	fs.StringVar(&a.Nominate, "asg-nominate", NominateOn, "Whether the autoscaler nominates new nodes for the pods for which it launched them, so that kube-scheduler tries these nodes first. "+
		"It needs the permission to patch pods/status, and does without it if that is missing. Behind --asg-plugin-address it nominates none. on or off.")
	fs.StringVar(&a.StatusPage, "asg-status-page", StatusPageOn, "Whether the autoscaler serves the status page, under /status, and the same facts under /status.json. on or off.")
	fs.StringVar(&a.StatusAddress, "asg-status-address", "", "Address of /status and /status.json. 127.0.0.1:8086 can be reached by kubectl port-forward only. If empty: the one of --address.")
	fs.StringVar(&a.Profile, "asg-profile", ProfileStandard, "Values of the flags that are not given. "+ProfileStandard+": the defaults of this list. "+
		ProfileConservative+": those that are nearest to the stock autoscaler: "+conservative+". A flag that is given wins.")
	fs.BoolVar(&a.Shadow, "shadow", false, "Whether the autoscaler only watches another one that leads. It decides in each loop as if it led, changes nothing but a lease of its own, "+
		"and reports on the status page where the two differ. It needs no permission to write.")
	fs.IntVar(&a.RecordLoops, "asg-record-loops", 0, "How many of the last loops the autoscaler records for asgctl replay, in memory. It serves them under /status/loop.zip, "+
		"with the objects of the cluster without environments and commands. With 0 it records none. From 0 to 100. "+
		"It is for hours: after weeks of new launch templates a recording may lack some that are in use.")
	fs.StringVar(&a.PluginAddress, "asg-plugin-address", "", "Address at which the program serves an unmodified Cluster Autoscaler, as its external gRPC provider and its gRPC expander. "+
		"The program does not autoscale by itself then. 127.0.0.1:8087 can be reached from the same pod only. Any other address needs the three files below. If empty: the program autoscales.")
	fs.StringVar(&a.PluginFiles.Cert, "asg-plugin-cert", "", "File with the certificate of --asg-plugin-address, as PEM. The core's gRPC expander always needs one. The program reads it again when it changes.")
	fs.StringVar(&a.PluginFiles.Key, "asg-plugin-key", "", "File with the key of --asg-plugin-cert, as PEM. The program reads it again when it changes.")
	fs.StringVar(&a.PluginFiles.ClientCA, "asg-plugin-client-ca", "", "File with the CA that signs the certificates of callers, as PEM. The program reads it again when it changes. "+
		"If empty: callers need no certificate, which --asg-plugin-address allows on a loopback address only.")
}

// Validate returns an error for the first flag value that cannot work. The error names the flag and the remedy.
func (a *AWS) Validate() error {
	for _, d := range []struct {
		flag         string
		value, least time.Duration
	}{
		{"asg-refresh-interval", a.RefreshInterval, minInterval}, {"asg-motion-interval", a.MotionInterval, minInterval},
		{"asg-pod-settle-time", a.PodSettleTime, 0}, {"asg-rotate-age", a.RotateAge, 0}, {"asg-consolidate-horizon", a.ConsolidateHorizon, time.Millisecond},
		{"asg-move-max-wait", a.MoveMaxWait, 0}, {"asg-move-proof", a.MoveProof, 0}, {"asg-least-cost-plan-limit", a.PlanLimit, time.Millisecond},
	} {
		if d.value < d.least {
			return fmt.Errorf("--%s=%v is too short: use %v or more", d.flag, d.value, d.least)
		}
	}
	_, caps := aws.ParseSpendCaps(a.SpendCaps)
	_, budgets := move.ParseBudgets(a.MoveBudgets)
	_, windows := move.ParseWindows(a.MoveWindows)
	_, rules := move.ParseRepairRules(a.RepairRules)
	var address error
	if a.PluginAddress != "" {
		address = a.PluginFiles.Check(a.PluginAddress)
	}
	for _, wrong := range []struct {
		flag string
		err  error
	}{
		{"asg-spot-prices", shellword.OneOf(a.SpotPrices, SpotPricesOff, SpotPricesLive)},
		{"asg-interruption-deadline", shellword.OneOf(a.InterruptionDeadline, interruption.Force, interruption.Leave)},
		{"asg-rebalance", shellword.OneOf(a.Rebalance, interruption.Count, interruption.Drain)},
		{"asg-consolidate", shellword.OneOf(a.Consolidate, ConsolidateOff, ConsolidatePlan, ConsolidateOn)},
		{"asg-nominate", shellword.OneOf(a.Nominate, NominateOn, NominateOff)},
		{"asg-status-page", shellword.OneOf(a.StatusPage, StatusPageOn, StatusPageOff)},
		{"asg-profile", shellword.OneOf(a.Profile, ProfileStandard, ProfileConservative)},
		{aws.SpendCapFlag, caps}, {"asg-cluster-name", ownership.CheckClusterName(a.ClusterName)}, {"asg-node-group-discovery", a.DiscoveryJoin.Check()},
		{"asg-launch-mode", a.LaunchMode.Check()}, {"asg-zonal-groups", a.ZonalGroups.Check()}, {"asg-plugin-address", address},
		{"asg-move-budget", budgets}, {"asg-move-window", windows}, {"asg-repair-rule", rules},
	} {
		if wrong.err != nil {
			return fmt.Errorf("--%s: %w", wrong.flag, wrong.err)
		}
	}
	switch _, _, status := net.SplitHostPort(a.StatusAddress); {
	case !(a.PreferencePercent >= 0 && a.PreferencePercent <= maxPreferencePercent):
		return fmt.Errorf("--asg-preference-percent=%v is not between 0 and %v", a.PreferencePercent, maxPreferencePercent)
	case !(a.TroublePenalty >= 0 && a.TroublePenalty <= maxTroublePenalty):
		return fmt.Errorf("--asg-least-cost-penalty=%v is not between 0 and %v", a.TroublePenalty, maxTroublePenalty)
	case strings.HasSuffix(a.InterruptionQueue, ".fifo"):
		return fmt.Errorf("--asg-interruption-queue=%q is a FIFO queue, where a message that waits holds back the warnings behind it: use a standard queue",
			a.InterruptionQueue)
	case a.StatusAddress != "" && status != nil:
		return fmt.Errorf("--asg-status-address=%q is not like 127.0.0.1:8086: %w", a.StatusAddress, status)
	case a.Shadow && a.PluginAddress != "":
		return errors.New("--shadow and --asg-plugin-address do not go together: a plugin serves the autoscaler that leads")
	case (a.Rotate || a.Repair || a.Consolidate != ConsolidateOff) && a.PluginAddress != "":
		return errors.New("--asg-rotate, --asg-repair and --asg-consolidate do not go with --asg-plugin-address: an unmodified core replaces no node")
	case a.RecordLoops < 0 || a.RecordLoops > maxRecordLoops:
		return fmt.Errorf("--asg-record-loops=%d is not between 0 and %d", a.RecordLoops, maxRecordLoops)
	case a.RecordLoops > 0 && a.StatusPage == StatusPageOff:
		return errors.New("--asg-record-loops does nothing with --asg-status-page=off, which serves no recording: leave out either")
	case a.RecordLoops > 0 && a.PluginAddress != "":
		return errors.New("--asg-record-loops does not go with --asg-plugin-address: a plugin runs no loop")
	case a.ScaleUpsPerLoop < 1:
		return fmt.Errorf("--asg-scale-ups-per-loop=%d is below 1", a.ScaleUpsPerLoop)
	case a.PodSettleLimit < a.PodSettleTime:
		return fmt.Errorf("--asg-pod-settle-limit=%v is shorter than --asg-pod-settle-time=%v: use %v or more",
			a.PodSettleLimit, a.PodSettleTime, a.PodSettleTime)
	}
	return nil
}

// Given lists the flags that were given as --name=value, sorted by name. One that was repeated is listed with each of its values, in their
// order, as asgctl replay gives them again. fs is parsed.
func Given(fs *pflag.FlagSet) (given []string) {
	fs.Visit(func(f *pflag.Flag) { // by name
		for _, value := range values(f) {
			given = append(given, "--"+f.Name+"="+masked(value))
		}
	})
	return given
}

func values(f *pflag.Flag) []string {
	if list, repeated := f.Value.(pflag.SliceValue); repeated {
		return list.GetSlice()
	}
	if stock := flag.Lookup(f.Name); stock != nil { // one of the core's, whose type pflag hides
		if list, repeated := stock.Value.(*flags.MultiStringFlag); repeated {
			return *list
		}
	}
	return []string{f.Value.String()}
}

// A URL may hold a password before its host, and a token or a signature in its query. No other flag has a secret, but names files with one.
var userOfURL, queryOfURL = regexp.MustCompile(`://\S*@`), regexp.MustCompile(`(://[^?\s]*\?)\S+`)

// Shown is the value of a flag without the secrets that a URL in it may hold.
func Shown(f *pflag.Flag) string { return masked(f.Value.String()) }

func masked(value string) string {
	return queryOfURL.ReplaceAllString(userOfURL.ReplaceAllString(value, "://***@"), "$1***")
}

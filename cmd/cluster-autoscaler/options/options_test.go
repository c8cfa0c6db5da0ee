package options

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/autoscaler/cluster-autoscaler/config"
	"k8s.io/autoscaler/cluster-autoscaler/utils/taints"
	"k8s.io/component-base/featuregate"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/ownership"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/plugin"
)

var update = flag.Bool("update", false, "rewrite testdata/flags.txt")

// register registers all flags into sets of their own, and parses those given. The sets of the process also hold the test binary's own flags.
func register(t *testing.T, given ...string) (*pflag.FlagSet, *Options) {
	t.Helper()
	stock := flag.NewFlagSet("stock", flag.ContinueOnError)
	flag.CommandLine.VisitAll(func(f *flag.Flag) {
		if !strings.HasPrefix(f.Name, "test.") && f.Name != "update" {
			stock.Var(f.Value, f.Name, f.Usage)
			stock.Lookup(f.Name).DefValue = f.DefValue
		}
	})
	fs := pflag.NewFlagSet("cluster-autoscaler", pflag.ContinueOnError)
	fs.AddFlagSet(pflag.CommandLine)
	options := Register(fs, stock, featuregate.NewFeatureGate())
	require.NoError(t, fs.Parse(given))
	return fs, options
}

// describe lists name, type and default of each flag, sorted by name. It leaves out the flags of a test framework that the core links.
func describe(fs *pflag.FlagSet) []string {
	var lines []string
	fs.VisitAll(func(f *pflag.Flag) {
		if foreign(f.Name) {
			return
		}
		lines = append(lines, fmt.Sprintf("--%s %s %q", f.Name, f.Value.Type(), f.DefValue))
	})
	slices.Sort(lines)
	return lines
}

func readLines(t *testing.T, name string) []string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("testdata", name))
	require.NoError(t, err)
	return strings.Split(strings.TrimSpace(string(content)), "\n")
}

func TestFlagsMatchTheGolden(t *testing.T) {
	fs, _ := register(t)
	got := describe(fs)
	if *update {
		require.NoError(t, os.WriteFile(filepath.Join("testdata", "flags.txt"), []byte(strings.Join(got, "\n")+"\n"), 0o644))
	}
	assert.Empty(t, cmp.Diff(readLines(t, "flags.txt"), got), "flags (-golden +got); if meant, run with -update")
}

// testdata/stock_flags.txt holds the flags of the stock binary, built from the core's own main package. testdata/other_flags.txt
// holds the flags that later releases add, and the ones that 1.30 (00fd3a80) has and 1.35 lacks. Both were compared with main.go and
// config/flags of kubernetes/autoscaler's branches cluster-autoscaler-release-1.35 (370bdbee), 1.36 (ea47d9bb) and 1.37 (a16f0ae8), with klog v2.140.0 and component-base v0.36.2, which the
// later two link, and with pkg/config/flags of sigs.k8s.io/cluster-autoscaler at 33c3f97b (read 2026-11).
func TestEveryStockFlagIsThereWithItsDefault(t *testing.T) {
	fs, _ := register(t)
	got := describe(fs)
	for _, line := range append(readLines(t, "stock_flags.txt"), readLines(t, "other_flags.txt")...) {
		assert.Truef(t, slices.Contains(got, line), "missing or different: %s", line)
	}
}

func TestFlagsWeAddAreDocumented(t *testing.T) {
	fs, _ := register(t)
	stock, other := strings.Join(readLines(t, "stock_flags.txt"), "\n"), strings.Join(readLines(t, "other_flags.txt"), "\n")
	fs.VisitAll(func(f *pflag.Flag) {
		if strings.Contains(stock, "--"+f.Name+" ") || foreign(f.Name) {
			return
		}
		assert.Falsef(t, f.Name != "version" && f.Name != "shadow" && !strings.HasPrefix(f.Name, "asg-") && !strings.Contains(other, "--"+f.Name+" "),
			"--%s is ours and lacks the prefix --asg-", f.Name)
		assert.Truef(t, len(f.Usage) >= 40 && strings.HasSuffix(f.Usage, "."), "--%s is not documented: %q", f.Name, f.Usage)
	})
}

// pflag shows the first text in back-quotes as the name of the flag's value.
func TestHelpNamesEachValueByOneWord(t *testing.T) {
	fs, _ := register(t)
	fs.VisitAll(func(f *pflag.Flag) {
		if name, _ := pflag.UnquoteUsage(f); strings.Contains(name, " ") && name != "<name of discoverer>:[<key>[=<value>]]" { // stock's
			t.Errorf("the value of --%s is called %q", f.Name, name)
		}
	})
}

func TestGivenInertFlagsAreListed(t *testing.T) {
	fs, options := register(t, "--salvo-scale-up=true", "--alsologtostderrthreshold=ERROR", "--scheduler-verbosity=2", "--scale-down-enabled=false")
	assert.False(t, options.ScaleDown, "--scale-down-enabled=false is not obeyed")
	var names []string
	for _, f := range GivenInert(fs) {
		names = append(names, f.Name)
		assert.Containsf(t, fs.Lookup(f.Name).Usage, f.Why, "the help of --%s lacks %q", f.Name, f.Why)
	}
	assert.Equal(t, []string{"alsologtostderrthreshold", "salvo-scale-up", "scheduler-verbosity"}, names, "inert flags given")
}

func TestFlagsThatNeedAnotherAreListed(t *testing.T) {
	given := []string{"--asg-rotate-age=720h", "--asg-repair-rule=Broken=Replace", "--asg-rebalance=drain", "--asg-interruption-deadline=leave",
		"--asg-consolidate-horizon=2h"}
	for _, tt := range []struct{ others, inert []string }{
		{nil, []string{"asg-consolidate-horizon", "asg-rebalance", "asg-repair-rule", "asg-rotate-age"}},
		{[]string{"--asg-rotate", "--asg-repair", "--asg-consolidate=plan", "--asg-interruption-queue=q"}, nil},
		{[]string{"--asg-rotate=false", "--asg-repair", "--asg-consolidate=on", "--asg-interruption-queue=q"}, []string{"asg-rotate-age"}},
	} {
		fs, _ := register(t, append(tt.others, given...)...)
		var names []string
		for _, f := range GivenInert(fs) {
			names = append(names, f.Name)
			assert.NotNilf(t, fs.Lookup(strings.TrimPrefix(f.Why, "it needs --")), "%s: %s", f.Name, f.Why)
		}
		assert.Equalf(t, tt.inert, names, "flags that do nothing beside %q", tt.others)
	}
}

func TestStartupTimeIsAtLeastTheFailingTime(t *testing.T) {
	core := config.AutoscalingOptions{MaxFailingTime: 15 * time.Minute, MaxInactivityTime: 10 * time.Minute}
	for _, tt := range []struct {
		flags []string
		want  time.Duration
	}{
		{nil, 15 * time.Minute},
		{[]string{"--max-startup-time=30m"}, 30 * time.Minute},
		{[]string{"--max-startup-time=1m"}, 15 * time.Minute},
	} {
		fs, options := register(t, tt.flags...)
		options.FillStartupTime(fs, core)
		assert.Equalf(t, tt.want, options.MaxStartupTime, "the time in which a leader may start with %q", tt.flags)
	}
}

func TestDefaultsAreValid(t *testing.T) {
	fs, options := register(t)
	want := AWS{
		DiscoveryJoin: ownership.JoinAll, SpotPrices: SpotPricesOff, TroublePenalty: 0.5, PreferencePercent: 5, PlanLimit: time.Second, RefreshInterval: time.Minute, MotionInterval: 2 * time.Second,
		LaunchMode: asg.LaunchAuto, ZonalGroups: asg.ZonalTagged, ScaleUpsPerLoop: 20, PodSettleTime: 100 * time.Millisecond, PodSettleLimit: 3 * time.Second, MoveProof: 5 * time.Minute,
		InterruptionDeadline: interruption.Force, Rebalance: interruption.Count, Nominate: NominateOn, StatusPage: StatusPageOn, Profile: ProfileStandard,
		Consolidate: ConsolidateOff, ConsolidateHorizon: time.Hour, ConsolidateSpread: true,
	}
	assert.Empty(t, cmp.Diff(want, options.AWS), "defaults (-want +got)")
	assert.NoError(t, options.AWS.Validate())
	assert.Equal(t, "aws", fs.Lookup("cloud-provider").Value.String())
}

func TestFlagsOfOursStandBesideStocks(t *testing.T) {
	fs, options := register(t, "--asg-cluster-name=prod", "--cluster-name=clusterapi", "--asg_region=cn-northwest-1", "--leader-elect=false")
	assert.Equal(t, []string{"prod", "clusterapi", "cn-northwest-1"}, []string{options.AWS.ClusterName, fs.Lookup("cluster-name").Value.String(), options.AWS.Region})
	assert.False(t, options.LeaderElection.LeaderElect, "leader election")
}

func TestUnsetFlagsMayDifferFromTheirDefault(t *testing.T) {
	fs, options := register(t, "--kube-client-qps=5")
	core := config.AutoscalingOptions{MaxScaleDownParallelism: 10}
	core.KubeClientOpts.KubeClientQPS, core.KubeClientOpts.KubeClientBurst = 5, 10
	options.AWS.FillUnset(fs, &core)
	got := []float32{float32(core.MaxScaleDownParallelism), float32(core.KubeClientOpts.KubeClientBurst), core.KubeClientOpts.KubeClientQPS}
	assert.Equal(t, []float32{300, 300, 5}, got, "parallelism, burst and the QPS that was given")
	assert.Contains(t, fs.Lookup("max-scale-down-parallelism").Usage, "If not given: 300")
	for _, tt := range []struct {
		flags []string
		want  int
	}{
		{[]string{"--max-empty-bulk-delete=4"}, 4},
		{[]string{"--max-empty-bulk-delete=4", "--max-scale-down-parallelism=7"}, 7},
	} {
		fs, options := register(t, tt.flags...)
		core := config.AutoscalingOptions{MaxScaleDownParallelism: 7}
		options.AWS.FillUnset(fs, &core)
		assert.Equalf(t, tt.want, core.MaxScaleDownParallelism, "parallelism with %q", tt.flags)
	}
}

func TestTaintsThatAgentsLiftAreStartupTaints(t *testing.T) {
	fs, options := register(t)
	core := config.AutoscalingOptions{StartupTaintPrefixes: []string{"example.com/"}, StartupTaints: []string{"mine"}}
	options.AWS.FillUnset(fs, &core)
	counted := taints.NewTaintConfig(core)
	for key, want := range map[string]bool{"readiness.k8s.io/network": true, "example.com/mine": true, "example.org/mine": false,
		"mine": true, "node.cluster.x-k8s.io/uninitialized": true, "node.cloudprovider.kubernetes.io/uninitialized": true, "ebs.csi.aws.com/agent-not-ready": true, "ebs.csi.aws.com/other": false} {
		assert.Equalf(t, want, counted.IsStartupTaint(key), "%s is a start-up taint", key)
	}
	assert.Contains(t, fs.Lookup("startup-taint-prefix").Usage, "readiness.k8s.io/ counts, too")
}

// The core asks for start-up taints first: a built-in one that the operator names as a status taint made its nodes count as unready.
func TestGivenStatusTaintsAreNoStartupTaints(t *testing.T) {
	fs, options := register(t)
	core := config.AutoscalingOptions{StartupTaintPrefixes: []string{"example.com/"}, StartupTaints: []string{"cni.istio.io/not-ready"},
		StatusTaints: []string{"node.cilium.io/agent-not-ready", "readiness.k8s.io/network", "cni.istio.io/not-ready"}}
	options.AWS.FillUnset(fs, &core)
	counted := taints.NewTaintConfig(core)
	for key, startup := range map[string]bool{"node.cilium.io/agent-not-ready": false, "readiness.k8s.io/network": false, "readiness.k8s.io/storage": false,
		"cni.istio.io/not-ready": true, "example.com/mine": true, "ebs.csi.aws.com/agent-not-ready": true} {
		assert.Equalf(t, startup, counted.IsStartupTaint(key), "a node with the taint %s counts as unready", key)
	}
}

// The core may copy a node whose cordon is off before our taint, and keeps the copy once the group has no node.
func TestNodesToComeLackTaintsOfNodesThatLeave(t *testing.T) {
	fs, options := register(t)
	core := config.AutoscalingOptions{StatusTaints: []string{"mine"}}
	options.AWS.FillUnset(fs, &core)
	var live []corev1.Taint
	for _, key := range []string{"team", "mine", interruption.Taint, "eks.amazonaws.com/nodegroup"} {
		live = append(live, corev1.Taint{Key: key, Effect: corev1.TaintEffectNoSchedule})
	}
	counted := taints.NewTaintConfig(core)
	assert.Equal(t, live[:1], taints.SanitizeTaints(live, counted), "taints of the next node")
	for _, taint := range live {
		assert.Falsef(t, counted.IsStartupTaint(taint.Key), "a node with the taint %s counts as unready", taint.Key)
	}
}

func TestConservativeProfileSetsFlagsThatAreNotGiven(t *testing.T) {
	for _, tt := range []struct {
		flags  []string
		change func(*AWS)
	}{
		{nil, func(*AWS) {}},
		{[]string{"--asg-profile=conservative"}, func(a *AWS) {
			a.LaunchMode, a.Nominate, a.ScaleUpsPerLoop, a.InterruptionDeadline = asg.LaunchDesiredCapacity, NominateOff, 1, interruption.Leave
		}},
		{[]string{"--asg-profile=conservative", "--asg-launch-mode=auto", "--asg-scale-ups-per-loop=3"}, func(a *AWS) {
			a.Nominate, a.ScaleUpsPerLoop, a.InterruptionDeadline = NominateOff, 3, interruption.Leave
		}},
	} {
		fs, options := register(t, tt.flags...)
		want := options.AWS
		tt.change(&want)
		options.AWS.FillProfile(fs)
		assert.Emptyf(t, cmp.Diff(want, options.AWS), "with %q (-want +got)", tt.flags)
	}
}

func TestPluginAndShadowHaveLeasesOfTheirOwn(t *testing.T) {
	for _, tt := range []struct {
		flags []string
		want  string
	}{
		{nil, "cluster-autoscaler"},
		{[]string{"--asg-plugin-address=127.0.0.1:8087"}, "cluster-autoscaler-plugin"},
		{[]string{"--shadow"}, "cluster-autoscaler-shadow"},
		{[]string{"--shadow", "--leader-elect-resource-name=cluster-autoscaler"}, "cluster-autoscaler-shadow"},
		{[]string{"--shadow", "--leader-elect-resource-name=mine"}, "mine-shadow"},
		{[]string{"--shadow", "--leader-elect-resource-name=my-shadow"}, "my-shadow"},
		{[]string{"--lease-resource-name=mine"}, "mine"},
		{[]string{"--asg-plugin-address=127.0.0.1:8087", "--lease-resource-name=mine"}, "mine"},
	} {
		fs, options := register(t, tt.flags...)
		options.FillLease(fs)
		assert.Equalf(t, tt.want, options.LeaderElection.ResourceName, "with %q the lease", tt.flags)
	}
}

func TestPluginHasTheFilesOfItsFlags(t *testing.T) {
	_, options := register(t, "--asg-plugin-cert=cert", "--asg-plugin-key=key", "--asg-plugin-client-ca=ca")
	assert.Equal(t, plugin.Files{Cert: "cert", Key: "key", ClientCA: "ca"}, options.AWS.PluginFiles)
}

func TestZonalViewsAreBalancedUnlessTurnedOff(t *testing.T) {
	for _, tt := range []struct {
		flags               []string
		balanced, viewsOnly bool
	}{
		{nil, true, true},
		{[]string{"--balance-similar-node-groups"}, true, false},
		{[]string{"--balance-similar-node-groups=false"}, true, true},
		{[]string{"--asg-zonal-groups=off"}, false, false},
		{[]string{"--asg-zonal-groups=off", "--balance-similar-node-groups=false"}, false, false},
		{[]string{"--asg-zonal-groups=off", "--balance-similar-node-groups"}, true, false},
	} {
		fs, options := register(t, tt.flags...)
		given, err := fs.GetBool("balance-similar-node-groups")
		require.NoError(t, err)
		core := config.AutoscalingOptions{BalanceSimilarNodeGroups: given}
		options.AWS.FillUnset(fs, &core)
		got := []bool{core.BalanceSimilarNodeGroups, options.AWS.ViewsOnly}
		assert.Equalf(t, []bool{tt.balanced, tt.viewsOnly}, got, "with %v balanced, views only", tt.flags)
	}
}

func TestValuesThatCannotWorkAreRefusedWithARemedy(t *testing.T) {
	_, valid := register(t)
	for _, tt := range []struct {
		name   string
		change func(*AWS)
		want   string
	}{
		{"no refresh", func(a *AWS) { a.RefreshInterval = 0 }, "--asg-refresh-interval=0s is too short: use 1s or more"},
		{"unknown spot prices", func(a *AWS) { a.SpotPrices = "on" }, `--asg-spot-prices: "on" is unknown: use one of [off live]`},
		{"no time to plan", func(a *AWS) { a.PlanLimit = 0 }, "--asg-least-cost-plan-limit=0s is too short: use 1ms or more"},
		{"preferences for any price", func(a *AWS) { a.PreferencePercent = 1001 }, "--asg-preference-percent=1001 is not between 0 and 1000"},
		{"bonus for trouble", func(a *AWS) { a.TroublePenalty = -1 }, "--asg-least-cost-penalty=-1 is not between 0 and 1000"},
		{"quick motion", func(a *AWS) { a.MotionInterval = 500 * time.Millisecond }, "--asg-motion-interval=500ms is too short: use 1s or more"},
		{"unknown launch mode", func(a *AWS) { a.LaunchMode = "fast" },
			`--asg-launch-mode: "fast" is unknown: use one of [auto synchronous desired-capacity]`},
		{"name that is an ARN", func(a *AWS) { a.ClusterName = "arn:aws:eks:us-west-2:1:cluster/a" },
			`--asg-cluster-name: "arn:aws:eks:us-west-2:1:cluster/a" is an ARN: give the name alone`},
		{"unknown discovery", func(a *AWS) { a.DiscoveryJoin = "or" }, `--asg-node-group-discovery: "or" is unknown: use one of [all any]`},
		{"unknown zonal groups", func(a *AWS) { a.ZonalGroups = "some" }, `--asg-zonal-groups: "some" is unknown: use one of [off tagged all]`},
		{"unknown deadline", func(a *AWS) { a.InterruptionDeadline = "120s" }, `--asg-interruption-deadline: "120s" is unknown: use one of [force leave]`},
		{"unknown answer to recommendations", func(a *AWS) { a.Rebalance = "" }, `--asg-rebalance: "" is unknown: use one of [count drain]`},
		{"unknown status page", func(a *AWS) { a.StatusPage = "true" }, `--asg-status-page: "true" is unknown: use one of [on off]`},
		{"unknown profile", func(a *AWS) { a.Profile = "safe" }, `--asg-profile: "safe" is unknown: use one of [standard conservative]`},
		{"plugin as a shadow", func(a *AWS) {
			a.Shadow, a.PluginAddress, a.PluginFiles.Cert = true, "127.0.0.1:8087", "cert"
			a.PluginFiles.Key = "key"
		}, "--shadow and --asg-plugin-address do not go together: a plugin serves the autoscaler that leads"},
		{"status address without port", func(a *AWS) { a.StatusAddress = "127.0.0.1" },
			`--asg-status-address="127.0.0.1" is not like 127.0.0.1:8086: address 127.0.0.1: missing port in address`},
		{"plugin open to everybody", func(a *AWS) { a.PluginAddress = ":8087" },
			`--asg-plugin-address: ":8087" can be reached from elsewhere: it needs a certificate, its key, and the CA of callers`},
		{"a cap without an amount", func(a *AWS) { a.SpendCaps = []string{"team=ml"} },
			`--asg-max-hourly-cost: "team=ml" is neither an amount such as 25.50 nor LABEL=VALUE:AMOUNT such as team=ml:25.50`},
		{"consolidation of another kind", func(a *AWS) { a.Consolidate = "yes" }, `--asg-consolidate: "yes" is unknown: use one of [off plan on]`},
		{"negative horizon", func(a *AWS) { a.ConsolidateHorizon = -time.Hour }, "--asg-consolidate-horizon=-1h0m0s is too short: use 1ms or more"},
		{"no horizon", func(a *AWS) { a.ConsolidateHorizon = 0 }, "--asg-consolidate-horizon=0s is too short: use 1ms or more"},
		{"recordings without the page", func(a *AWS) { a.RecordLoops, a.StatusPage = 20, StatusPageOff },
			"--asg-record-loops does nothing with --asg-status-page=off, which serves no recording: leave out either"},
		{"recordings of a plugin", func(a *AWS) { a.RecordLoops, a.PluginAddress = 20, "127.0.0.1:8087" },
			"--asg-record-loops does not go with --asg-plugin-address: a plugin runs no loop"},
		{"recordings beyond the memory", func(a *AWS) { a.RecordLoops = 101 }, "--asg-record-loops=101 is not between 0 and 100"},
		{"a FIFO queue", func(a *AWS) { a.InterruptionQueue = "https://sqs.us-west-2.amazonaws.com/123456789012/warnings.fifo" },
			`--asg-interruption-queue="https://sqs.us-west-2.amazonaws.com/123456789012/warnings.fifo" is a FIFO queue, ` +
				"where a message that waits holds back the warnings behind it: use a standard queue"},
		{"no scale-up", func(a *AWS) { a.ScaleUpsPerLoop = 0 }, "--asg-scale-ups-per-loop=0 is below 1"},
		{"negative settle time", func(a *AWS) { a.PodSettleTime = -1 }, "--asg-pod-settle-time=-1ns is too short: use 0s or more"},
		{"limit below time", func(a *AWS) { a.PodSettleLimit = 0 },
			"--asg-pod-settle-limit=0s is shorter than --asg-pod-settle-time=100ms: use 100ms or more"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := valid.AWS
			tt.change(&a)
			assert.EqualError(t, a.Validate(), tt.want)
		})
	}
}

// foreign reports whether a flag comes from a package that is linked by accident: into tests alone, or where the build tag of
// the Makefile is missing and the core links every cloud.
func foreign(name string) bool {
	return strings.HasPrefix(name, "ginkgo.") || strings.HasPrefix(name, "cloud-provider-gce-")
}

func TestGivenFlagsAreListed(t *testing.T) {
	fs, _ := register(t, "--scan-interval=5s", "--nodes=0:1:b", "--asg-region=eu-west-1", "--nodes=0:1:a c", "--asg-repair-rule=Broken=Replace,5m",
		"--asg-move-window=deny 0 8 * * MON-FRI 10h", "--asg-move-window=allow 0 2 * * * 4h", "--asg-max-hourly-cost=9", "--asg-max-hourly-cost=team=ml:2")
	want := []string{"--asg-max-hourly-cost=9", "--asg-max-hourly-cost=team=ml:2", "--asg-move-window=deny 0 8 * * MON-FRI 10h",
		"--asg-move-window=allow 0 2 * * * 4h", "--asg-region=eu-west-1", "--asg-repair-rule=Broken=Replace,5m", "--nodes=0:1:b", "--nodes=0:1:a c",
		"--scan-interval=5s"}
	assert.Equal(t, want, Given(fs), "given")
}

func TestShownFlagsHaveNoSecrets(t *testing.T) {
	for given, want := range map[string]string{
		"https://user:password@api.example.com:6443/path":  "https://***@api.example.com:6443/path",
		"https://user:pass/wo?rd@api.example.com":          "https://***@api.example.com",
		"https://api.example.com?inClusterConfig=f&auth=s": "https://api.example.com?***",
		"https://u:p@sqs.us-east-1.amazonaws.com/1/q?X=s":  "https://***@sqs.us-east-1.amazonaws.com/1/q?***",
		"asg:tag=k8s.io/cluster-autoscaler/enabled":        "asg:tag=k8s.io/cluster-autoscaler/enabled",
		":8085": ":8085",
	} {
		fs := pflag.NewFlagSet("", pflag.ContinueOnError)
		fs.String("kubernetes", "", "")
		require.NoError(t, fs.Set("kubernetes", given))
		assert.Equalf(t, []string{"--kubernetes=" + want}, Given(fs), "%s is shown as", given)
	}
}

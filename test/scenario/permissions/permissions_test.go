package permissions_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/ownership"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption/queue"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
	"github.com/asg-autoscaler/asg-autoscaler/test/scenario/permissions"
)

const owned = "k8s.io/cluster-autoscaler/c"

var place = permissions.Place{Region: "cn-northwest-1", Account: fakeaws.DefaultAccount, Cluster: "c"}

// elsewhere are the actions that another test shows, with its name.
var elsewhere = map[string]string{
	"autoscaling:DescribeAutoScalingGroups":      "TestStartNeedsTheGroups",
	"autoscaling:CompleteLifecycleAction":        "TestDeniedCompletionLeavesTheHookItsTime in cloudprovider/interruption",
	"autoscaling:RecordLifecycleActionHeartbeat": "TestDeniedHeartbeatsEndADrainEarly in cloudprovider/interruption",
	"autoscaling:DescribeInstanceRefreshes":      "TestDeniedLookForInstanceRefreshChangesNothing in cloudprovider/asg",
	"ec2:DescribeInstanceStatus":                 "TestDeniedLooksAtStartsLeaveTheOthers in cloudprovider/awsclient/lookup",
	"ec2:DescribeRouteTables":                    "TestDeniedLooksAtNetworksLeaveTheOthers in cloudprovider/awsclient/lookup",
	"ec2:DescribeSubnets":                        "TestDeniedLooksAtNetworksLeaveTheOthers in cloudprovider/awsclient/lookup",
	"ec2:DescribeSecurityGroups":                 "TestDeniedLooksAtNetworksLeaveTheOthers in cloudprovider/awsclient/lookup",
	"eks:ListAccessEntries":                      "TestDeniedLooksAtStartsLeaveTheOthers in cloudprovider/awsclient/lookup",
	"ec2:GetConsoleOutput":                       "TestDeniedLooksAtStartsLeaveTheOthers in cloudprovider/awsclient/lookup",
	"ec2:RebootInstances":                        "TestDeniedRebootPutsTheNodeBack in cloudprovider/interruption",
	"autoscaling:DescribeLifecycleHooks":         "TestHookTimeoutIsTheTimeOfItsDrain in cloudprovider/interruption",
	"autoscaling:DescribeScheduledActions":       "TestDeniedLookForScheduledActionsChangesNothing in cloudprovider/asg",
	"ec2:DescribeInstances":                      "TestDeniedLookUpLeavesInstancesToKubernetes in cloudprovider/aws",
	"ec2:DescribeInstanceTypeOfferings":          "TestUnknownOfferingsCountAsOffered in cloudprovider/awsclient/lookup",
	"ec2:DescribeSpotPriceHistory":               "TestDeniedCallKeepsRatio in pricing/spotprice",
}

// output is everything that was logged since the last reset. Safe for concurrent use.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) take() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	defer o.text.Reset()
	return o.text.String()
}

var logged output

func TestMain(m *testing.M) {
	flags := flag.NewFlagSet("klog", flag.PanicOnError)
	klog.InitFlags(flags)
	for name, value := range map[string]string{"logtostderr": "false", "v": "2", "stderrthreshold": "FATAL"} {
		if err := flags.Set(name, value); err != nil {
			panic(err)
		}
	}
	klog.SetOutput(&logged)
	m.Run()
}

// A use makes the program call an action, and shows the difference that the action makes.
type use struct {
	prepare func(*fakeaws.Config)
	groups  []fakeaws.AutoScalingGroup
	options func(*asg.Options, *aws.Options)
	drive   func(*testing.T, *awsworld.World) error // nil if loops alone make the call
	see     func(*awsworld.World) string
	with    string // what see returns in the end
	without string
}

func group(template string, desired int, tags map[string]string) fakeaws.AutoScalingGroup {
	all := map[string]string{owned: "owned"}
	maps.Copy(all, tags)
	return awsworld.Group("g", template, 0, desired, 5, all)
}

func shiftable() fakeaws.AutoScalingGroup {
	g := awsworld.Divided("g", "m5.large", 0, 0, 5)
	g.Tags[owned], g.ZonalShift, g.ShiftedZones = "owned", true, []string{awsworld.ZoneB}
	return g
}

// uses are the uses of the actions, by action.
func uses() map[string]use {
	in := func(groups ...fakeaws.AutoScalingGroup) []fakeaws.AutoScalingGroup { return groups }
	configured := group("", 0, nil)
	configured.LaunchTemplate, configured.LaunchConfiguration = nil, "old"
	plain, own, working := group("m5.large", 0, nil), group("own", 0, nil), group("m5.large", 2, nil)
	managed := group("m5.large", 0, map[string]string{"eks:cluster-name": "c", "eks:nodegroup-name": "n"})
	image := template(fakeaws.LaunchTemplateVersion{ImageID: "ami-0win", InstanceType: "m5.large"})
	alias := template(fakeaws.LaunchTemplateVersion{ImageID: "resolve:ssm:/aws/service/ami", InstanceType: "m5.large"})
	required := template(fakeaws.LaunchTemplateVersion{ImageID: "ami-0win", Requirements: &fakeaws.InstanceRequirements{
		VCPUs: fakeaws.Range{Min: 2}, MemoryMiB: fakeaws.Range{Min: 4096}, AllowedInstanceTypes: []string{"m5.large"}}})
	return map[string]use{
		"ec2:DescribeLaunchTemplateVersions":              {groups: in(plain), see: instanceType, with: "m5.large", without: noTemplate},
		"autoscaling:SetDesiredCapacity":                  {groups: in(plain), drive: raise, see: desired, with: "1", without: "0"},
		"autoscaling:TerminateInstanceInAutoScalingGroup": {groups: in(working), drive: remove, see: desired, with: "1", without: "2"},
		"autoscaling:LaunchInstances":                     {groups: in(plain), options: atOnce, drive: raise, see: way, with: immediate, without: later},
		"ec2:CreateFleet":                                 {groups: in(plain), options: atOnce, drive: raise, see: way, with: immediate, without: later},
		"ssm:GetParameters":                               {groups: in(own), prepare: alias, options: atOnce, drive: raise, see: imageAndWay, with: "windows " + immediate, without: "linux " + later},
		"autoscaling:DescribeLaunchConfigurations":        {groups: in(configured), prepare: alias, see: instanceType, with: "m5.large", without: noTemplate},
		"autoscaling:DescribeScalingActivities":           {groups: in(plain), drive: raiseInVain, see: failure, with: "InsufficientInstanceCapacity", without: ""},
		"ec2:DescribeImages":                              {groups: in(own), prepare: image, see: system, with: "windows", without: "linux"},
		"eks:DescribeNodegroup":                           {groups: in(managed), prepare: alias, see: pool, with: "blue", without: ""},
		"ec2:GetInstanceTypesFromInstanceRequirements":    {groups: in(own), prepare: required, see: instanceType, with: "m5.large", without: noTemplate},
		"ec2:DescribeInstanceTypes":                       {groups: in(group("x9z.large", 0, nil)), prepare: alias, see: instanceType, with: "x9z.large", without: noTemplate},
		"ec2:DescribeAvailabilityZones":                   {groups: in(shiftable()), options: atOnce, see: shift, with: "seen", without: "not seen"},
		"arc-zonal-shift:ListManagedResources":            {groups: in(shiftable()), options: atOnce, see: shift, with: "seen", without: "not seen"},
		"sqs:GetQueueUrl":                                 {groups: in(plain), prepare: queued, drive: read, see: handled, with: "2", without: "0"},
		"sqs:ReceiveMessage":                              {groups: in(plain), prepare: queued, drive: read, see: handled, with: "2", without: "0"},
		"sqs:DeleteMessage":                               {groups: in(plain), prepare: queued, drive: read, see: handled, with: "2", without: "0"},
		"sqs:ChangeMessageVisibility":                     {groups: in(plain), prepare: queued, drive: read, see: handled, with: "2", without: "1"},
	}
}

// template makes the launch template "own", and all else that AWS can be asked about.
func template(v fakeaws.LaunchTemplateVersion) func(*fakeaws.Config) {
	return func(c *fakeaws.Config) {
		c.LaunchTemplates = append(c.LaunchTemplates, fakeaws.LaunchTemplate{Name: "own", Versions: []fakeaws.LaunchTemplateVersion{v}})
		c.Images = []fakeaws.Image{{ID: "ami-0win", Platform: "windows"}}
		c.SSMParameters = map[string]string{"/aws/service/ami": "ami-0win"}
		c.LaunchConfigurations = []fakeaws.LaunchConfiguration{{Name: "old", ImageID: "ami-0abc", InstanceType: "m5.large"}}
		c.EKSNodegroups = []fakeaws.EKSNodegroup{{Cluster: "c", Name: "n", AutoScalingGroup: "g", Labels: map[string]string{"pool": "blue"}}}
		c.InstanceTypes = []fakeaws.InstanceType{{Name: "x9z.large", VCPU: 2, MemoryMiB: 8192}}
	}
}

func queued(c *fakeaws.Config) { c.Queues = []fakeaws.Queue{{Name: "c-interruptions"}} }

func atOnce(o *asg.Options, _ *aws.Options) { o.LaunchMode = asg.LaunchAuto }

// raise asks for one instance.
func raise(_ *testing.T, w *awsworld.World) error {
	w.NextLoop()
	return w.Grow("g", 1)
}

// raiseInVain asks for an instance that AWS has no capacity for.
func raiseInVain(t *testing.T, w *awsworld.World) error {
	w.AWS.AddShortage(fakeaws.Shortage{Group: "g"})
	return raise(t, w)
}

// remove terminates the instance of a node.
func remove(_ *testing.T, w *awsworld.World) error {
	w.NextLoop()
	return w.NodeGroup("g").DeleteNodes(w.Nodes("g")[:1])
}

// read handles a message at once, and another one when it is shown a second time.
func read(t *testing.T, w *awsworld.World) error {
	for _, body := range []string{"at once", "at the second time"} {
		require.NoError(t, w.AWS.SendMessage("c-interruptions", body))
	}
	background(t, queue.New(queue.Config{API: clients(t, w.AWS).SQS, Queue: "c-interruptions", Clock: clock.RealClock{}, Failed: func(string) {},
		Handle: func(_ context.Context, m queue.Message) queue.Result {
			if m.Body == "at once" || m.Receives > 1 {
				return queue.Done()
			}
			return queue.Retry(0)
		}}).Run)
	return nil
}

func desired(w *awsworld.World) string {
	g, _ := w.AWS.Group("g")
	return fmt.Sprint(g.Desired)
}

// The two ways in which a group grows.
const (
	immediate = "by a launch at once"
	later     = "by its desired capacity"
)

// way is how the group came to its size.
func way(w *awsworld.World) string {
	switch {
	case desired(w) != "1":
		return "not at all"
	case slices.Contains(w.AWS.Permitted(), "autoscaling:SetDesiredCapacity"):
		return later
	}
	return immediate
}

const noTemplate = "no template"

// label returns a function that reads a label of the node that the group would add.
func label(key string) func(*awsworld.World) string {
	return func(w *awsworld.World) string {
		info, err := w.NodeGroup("g").TemplateNodeInfo()
		if err != nil {
			return noTemplate
		}
		return info.Node().Labels[key]
	}
}

var (
	instanceType = label(corev1.LabelInstanceTypeStable)
	system       = label(corev1.LabelOSStable)
	pool         = label("pool")
)

func imageAndWay(w *awsworld.World) string { return system(w) + " " + way(w) }

// failure is why the instance that was asked for is not launched, as far as the program knows.
func failure(w *awsworld.World) string {
	instances, _ := w.NodeGroup("g").Nodes()
	for _, i := range instances {
		if i.Status != nil && i.Status.ErrorInfo != nil {
			return i.Status.ErrorInfo.ErrorCode
		}
	}
	return ""
}

func shift(w *awsworld.World) string {
	if w.Cache.Shifted(w.Cache.Snapshot().Group("g"), awsworld.ZoneB) {
		return "seen"
	}
	return "not seen"
}

func handled(w *awsworld.World) string { return fmt.Sprint(w.AWS.Queues()[0].Deleted) }

func clients(t *testing.T, server *fakeaws.Server) *awsclient.Clients {
	c, err := awsclient.New(t.Context(), awsclient.Options{Region: server.Region()})
	require.NoError(t, err)
	return c
}

// background runs until the test ends. Its error is for the log that a test reads.
func background(t *testing.T, run func(context.Context) error) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := run(ctx); err != nil {
			klog.ErrorS(err, "Ended")
		}
	}()
	t.Cleanup(func() { cancel(); <-ended })
}

// shipped are both policies, and all their actions.
func shipped(t *testing.T) (documents, actions []string) {
	documents, err := permissions.Shipped(place, true)
	require.NoError(t, err)
	actions, err = permissions.Actions(documents)
	require.NoError(t, err)
	return documents, actions
}

func TestEveryActionHasAUse(t *testing.T) {
	_, allowed := shipped(t)
	shown := append(slices.Collect(maps.Keys(elsewhere)), slices.Collect(maps.Keys(uses()))...)
	slices.Sort(shown)
	slices.Sort(allowed)
	for action, test := range elsewhere {
		name, room, _ := strings.Cut(test, " in ")
		if room == "" {
			room = "test/scenario/permissions"
		}
		files, _ := filepath.Glob(filepath.Join("../../..", room, "*_test.go"))
		assert.Truef(t, slices.ContainsFunc(files, func(file string) bool {
			text, _ := os.ReadFile(file)
			return bytes.Contains(text, []byte("func "+name+"("))
		}), "%s: there is no %s", action, test)
	}
	assert.Empty(t, cmp.Diff(shown, allowed), "actions of the shipped policies (-with a test +allowed)")
}

// Under the shipped policies nothing is denied. Without one action it alone is denied, somebody reads its name, and the rest goes on.
func TestEachActionMakesItsDifference(t *testing.T) {
	documents, _ := shipped(t)
	for action, u := range uses() {
		t.Run(action, func(t *testing.T) {
			w := u.world(t, documents)
			assert.NoError(t, u.act(t, w), "under the shipped policies")
			w.Eventually(func() string { return cmp.Diff(u.with, u.see(w)) })
			if denials := w.AWS.Denials(); len(denials) > 0 || !slices.Contains(w.AWS.Permitted(), action) {
				t.Errorf("the shipped policies permitted %q and denied %+v", w.AWS.Permitted(), denials)
			}

			left, err := permissions.Without(documents, action)
			require.NoError(t, err)
			logged.take()
			w = u.world(t, left)
			said := fmt.Sprint(u.act(t, w))
			w.Eventually(func() string {
				if said += logged.take(); !strings.Contains(said, action) {
					return "nobody can read about " + action + " in:\n" + said
				}
				if len(w.AWS.Denials()) == 0 {
					return "nothing was denied, want " + action
				}
				return cmp.Diff(u.without, u.see(w))
			})
			denials := w.AWS.Denials()
			assert.Falsef(t, slices.ContainsFunc(denials, func(d fakeaws.Denial) bool { return d.Action != action }),
				"denied %+v, want %s alone", denials, action)
		})
	}
}

func (u use) world(t *testing.T, policies []string) *awsworld.World {
	return awsworld.NewAWS(t, func(c *fakeaws.Config) {
		c.Policies = policies
		c.Delays.Synchronous = fakeaws.Duration(20 * time.Millisecond)
		if u.prepare != nil {
			u.prepare(c)
		}
	}, u.groups...).RestartedWith(u.options)
}

func (u use) act(t *testing.T, w *awsworld.World) error {
	if u.drive == nil {
		return nil
	}
	return u.drive(t, w)
}

// Without the groups nothing else can be shown: the leader waits, and ends with the reason.
func TestStartNeedsTheGroups(t *testing.T) {
	const action = "autoscaling:DescribeAutoScalingGroups"
	documents, _ := shipped(t)
	left, err := permissions.Without(documents, action)
	require.NoError(t, err)
	w := awsworld.NewAWS(t, func(c *fakeaws.Config) { c.Policies = left }, group("m5.large", 0, nil))
	c := clients(t, w.AWS)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	now := onWait{RealClock: clock.RealClock{}, do: cancel}
	err = asg.NewCache(asg.Options{AutoScaling: c.AutoScaling, Launches: launchspec.APIs{EC2: c.EC2, EKS: c.EKS}, Clock: now,
		Discovery: ownership.Discovery{Filters: []ownership.TagFilter{{{Key: awsworld.EnabledTag}}}}}).Start(ctx)
	assert.Truef(t, err != nil && strings.Contains(err.Error(), action), "start gave %v, want an error that names %s", err, action)
}

// onWait is a clock that does something when somebody waits.
type onWait struct {
	clock.RealClock
	do func()
}

func (c onWait) After(d time.Duration) <-chan time.Time {
	c.do()
	return c.RealClock.After(d)
}

// The tag of the group decides, whatever the discovery found.
func TestGroupsOfOthersAreNotWrittenTo(t *testing.T) {
	documents, _ := shipped(t)
	foreign := awsworld.Group("g", "m5.large", 0, 1, 5, map[string]string{"k8s.io/cluster-autoscaler/other": "owned"})
	w := use{groups: []fakeaws.AutoScalingGroup{foreign}, options: atOnce}.world(t, documents)
	for name, act := range map[string]func(*testing.T, *awsworld.World) error{"raise": raise, "remove": remove} {
		if err := act(t, w); !awsclient.IsForbidden(err) || desired(w) != "1" {
			t.Errorf("%s gave %v and the desired capacity %s, want AWS's refusal", name, err, desired(w))
		}
	}
	var denied []string
	for _, d := range w.AWS.Denials() {
		denied = append(denied, d.Action)
	}
	slices.Sort(denied)
	want := []string{"autoscaling:LaunchInstances", "autoscaling:SetDesiredCapacity", "autoscaling:TerminateInstanceInAutoScalingGroup"}
	assert.Empty(t, cmp.Diff(want, denied), "denied actions (-want +got)")
}

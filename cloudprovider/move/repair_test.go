package move

import (
	"cmp"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
)

// noon is when the nodes of these tests are looked at. They are a day old.
var noon = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

func ago(d time.Duration) time.Time { return noon.Add(-d) }

// condition is written as "KernelReady=False/Reason", and began at since.
func condition(text string, since time.Time) corev1.NodeCondition {
	text, reason, _ := strings.Cut(text, "/")
	name, status, _ := strings.Cut(text, "=")
	return corev1.NodeCondition{Type: corev1.NodeConditionType(name), Status: corev1.ConditionStatus(status), Reason: reason, LastTransitionTime: metav1.NewTime(since)}
}

// member is a node of a group without pods, in the zone a.
func member(name string, of *group.Group, conditions ...corev1.NodeCondition) Node {
	return Node{Group: of, Instance: &group.Instance{ID: "i-" + name, Type: "m5.large", Zone: "a", Lifecycle: "InService"}, Pods: func() []*corev1.Pod { return nil },
		Node: &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(name), CreationTimestamp: metav1.NewTime(ago(24 * time.Hour))},
			Status: corev1.NodeStatus{Conditions: conditions}}}
}

// healthy are further nodes of a group.
func healthy(of *group.Group, count int) (nodes []Node) {
	for n := range count {
		nodes = append(nodes, member(fmt.Sprintf("%s-healthy-%d", of.Name, n), of, condition("Ready=True", ago(24*time.Hour)), condition("MemoryPressure=False", ago(24*time.Hour))))
	}
	return nodes
}

func newRepair(t *testing.T, rules ...string) *NodeRepair {
	parsed, err := ParseRepairRules(rules)
	require.NoError(t, err)
	return &NodeRepair{Rules: parsed, Types: instancetypes.Embedded, Every: 12 * time.Hour, at: ago(time.Hour)} // nobody has missed an outage
}

// answer is the cause of the node's repair, behind the action.
func (r *NodeRepair) answer(n Node, now time.Time) string {
	why, due := r.Due(n, now)
	if due && why.Reboot {
		return "Reboot: " + why.Cause
	} else if due {
		return "Replace: " + why.Cause
	}
	if why := r.Stopped(n); why != "" {
		return "stopped: " + why
	}
	return ""
}

func TestFirstRuleIsMostSpecificOne(t *testing.T) {
	for _, tt := range []struct {
		rules             []string
		condition, reason string
		want              string // action and wait, "" for none
	}{
		{condition: "Ready", reason: "KubeletNotReady", want: "Replace 30m0s"},
		{condition: "NetworkingReady", reason: "IPAMDNotRunning", want: "Replace 30m0s"},
		{condition: "AcceleratedHardwareReady", reason: "NvidiaXID79Error", want: "Replace 10m0s"},
		{condition: "AcceleratedHardwareReady", reason: "NvidiaXID31Error", want: "Reboot 10m0s"},
		{rules: []string{"AcceleratedHardwareReady=Replace,5m"}, condition: "AcceleratedHardwareReady", reason: "NvidiaXID31Error", want: "Replace 5m0s"},
		{condition: "AcceleratedHardwareReady", reason: "DCGMHealthCode12"},
		{condition: "DiskPressure", reason: "KubeletHasDiskPressure"},
		{rules: []string{"DiskPressure=Replace"}, condition: "DiskPressure", want: "Replace 30m0s"},
		{rules: []string{"KernelReady=NoAction"}, condition: "KernelReady", reason: "ForkFailedOutOfPIDs"},
		{rules: []string{"AcceleratedHardwareReady=Replace"}, condition: "AcceleratedHardwareReady", reason: "DCGMError", want: "Replace 10m0s"},
		{rules: []string{"AcceleratedHardwareReady=NoAction", "AcceleratedHardwareReady/Nvidia*=Reboot,1h", "AcceleratedHardwareReady/NvidiaXID79Error=Replace,5m"},
			condition: "AcceleratedHardwareReady", reason: "NvidiaXID79Error", want: "Replace 5m0s"},
		{rules: []string{"AcceleratedHardwareReady/Nvidia*=Replace,1m", "AcceleratedHardwareReady/NvidiaXID*=Reboot,2m"},
			condition: "AcceleratedHardwareReady", reason: "NvidiaXID1Error", want: "Reboot 2m0s"},
		{rules: []string{"KernelReady/A*=NoAction"}, condition: "KernelReady", reason: "B", want: "Replace 30m0s"},
	} {
		got := ""
		if rule, acts := newRepair(t, tt.rules...).Rules.of(tt.condition, tt.reason); acts {
			got = fmt.Sprint(rule.Action, " ", rule.Wait)
		}
		assert.Equalf(t, tt.want, got, "by %q %s/%s has", tt.rules, tt.condition, tt.reason)
	}
}

func TestInvalidRuleSaysWhy(t *testing.T) {
	for rule, want := range map[string]string{
		"":                            "has not the form",
		"KernelReady":                 "has not the form",
		"=Replace":                    "has not the form",
		"Kernel Ready=Replace":        "has not the form",
		"KernelReady/=Replace":        "has not the form",
		"KernelReady/A*B=Replace":     "has not the form",
		"KernelReady=replace":         `"replace" is none of Replace, Reboot and NoAction`,
		"KernelReady=":                `"" is none of`,
		"KernelReady=Replace,":        `the wait "" is no duration`,
		"KernelReady=Replace,5":       `the wait "5" is no duration`,
		"KernelReady=Replace,59s":     "of at least 1m0s",
		"KernelReady=Replace,5m,6m":   `the wait "5m,6m" is no duration`,
		"acceleratedhardwareready/X=": "the condition is spelled AcceleratedHardwareReady",
	} {
		_, err := ParseRepairRules([]string{rule})
		assert.Truef(t, err != nil && strings.Contains(err.Error(), want), "%q: error %v, want one with %q", rule, err, want)
	}
	_, err := ParseRepairRules([]string{"Ready/A=Replace", "Ready/A=Reboot,5m", "Ready=no"})
	assert.Truef(t, err != nil && strings.Count(err.Error(), "repair rule") == 2, "error %v, want one about each of two rules", err)
}

func TestConditionHoldsWithoutABreak(t *testing.T) {
	const networking = "Replace: condition NetworkingReady has been False for 30m0s"
	type look struct {
		at         time.Time
		conditions []corev1.NodeCondition
	}
	at := func(d time.Duration, conditions ...corev1.NodeCondition) look { return look{ago(d), conditions} }
	ready := condition("Ready=True", ago(time.Hour))
	for _, tt := range []struct {
		name  string
		rules []string
		looks []look // the last one at noon
		want  string
	}{
		{name: "first look of a new leader", looks: []look{at(0, condition("NetworkingReady=False/InterfaceNotUp", ago(30*time.Minute)))}, want: networking + ` ("InterfaceNotUp")`},
		{name: "not long enough", looks: []look{at(0, condition("NetworkingReady=False", ago(30*time.Minute-time.Second)))}},
		{name: "unknown is not unhealthy", looks: []look{at(0, condition("NetworkingReady=Unknown", ago(time.Hour)))}},
		{name: "kubelet is silent", looks: []look{at(0, condition("Ready=Unknown/NodeStatusUnknown", ago(30*time.Minute)))}, want: `Replace: condition Ready has been Unknown for 30m0s ("NodeStatusUnknown")`},
		{name: "status that is none", looks: []look{at(0, condition("Ready=Perhaps", ago(time.Hour)))}},
		{
			name:  "silent kubelet was not Ready before",
			looks: []look{at(20*time.Minute, condition("Ready=False/A", ago(40*time.Minute))), at(0, condition("Ready=Unknown/B", ago(time.Minute)))},
			want:  `Replace: condition Ready has been Unknown for 30m0s ("B")`,
		},
		{name: "healthy between two looks",
			looks: []look{at(20*time.Minute, condition("Ready=False", ago(40*time.Minute))), at(0, condition("Ready=False", ago(time.Minute)))}},
		{
			name: "agent that writes another reason and time at each check",
			looks: []look{at(30*time.Minute, condition("KernelReady=False/A", ago(30*time.Minute))), at(20*time.Minute, condition("KernelReady=False/B", ago(20*time.Minute))),
				at(10*time.Minute, condition("KernelReady=False/B", ago(11*time.Minute))), at(0, condition("KernelReady=False/A", ago(time.Minute)))},
			want: `Replace: condition KernelReady has been False for 30m0s ("A")`,
		},
		{name: "kubelet that was silent, and well for a moment since",
			looks: []look{at(40*time.Minute, condition("Ready=False/KubeletNotReady", ago(41*time.Minute))),
				at(20*time.Minute, condition("Ready=Unknown/NodeStatusUnknown", ago(21*time.Minute))), at(0, condition("Ready=Unknown/NodeStatusUnknown", ago(time.Minute)))}},
		{name: "kubelet that has another reason, and was well for a moment before", rules: []string{"DiskPressure=Replace"},
			looks: []look{at(20*time.Minute, condition("DiskPressure=True/A", ago(40*time.Minute))), at(0, condition("DiskPressure=True/B", ago(time.Minute)))}},
		{name: "kubelet that has another reason since", rules: []string{"DiskPressure=Replace"},
			looks: []look{at(20*time.Minute, condition("DiskPressure=True/A", ago(40*time.Minute))), at(0, condition("DiskPressure=True/B", ago(40*time.Minute)))},
			want:  `Replace: condition DiskPressure has been True for 30m0s ("B")`},
		{name: "another reason after a time in which nobody looked",
			looks: []look{at(25*time.Hour, condition("KernelReady=False/A", ago(25*time.Hour))), at(0, condition("KernelReady=False/B", ago(time.Minute)))}},
		{name: "reason of a rule by an agent that writes two", rules: []string{"KernelReady=NoAction", "KernelReady/B=Replace,5m"},
			looks: []look{at(5*time.Minute, condition("KernelReady=False/A", ago(time.Hour))), at(4*time.Minute, condition("KernelReady=False/B", ago(4*time.Minute))),
				at(0, condition("KernelReady=False/B", ago(time.Minute)))}},
		{name: "healthy at a look, and a clock that goes slow",
			looks: []look{at(20*time.Minute, ready), at(0, condition("Ready=False", ago(40*time.Minute)))}},
		{name: "older than its node", rules: []string{"Ready=Replace,48h"}, looks: []look{at(0, condition("Ready=False", ago(100*time.Hour)))}},
		{
			name: "without a time", looks: []look{at(29*time.Minute, condition("KernelReady=False", time.Time{})), at(0, condition("KernelReady=False", time.Time{}))},
		},
		{name: "without a time, for long enough", looks: []look{at(30*time.Minute, condition("KernelReady=False", time.Time{})), at(0, condition("KernelReady=False", time.Time{}))},
			want: "Replace: condition KernelReady has been False for 30m0s"},
		{name: "to come, by the node's clock", want: "Replace: condition KernelReady has been False for 30m0s",
			looks: []look{at(30*time.Minute, condition("KernelReady=False", ago(-3*time.Hour))),
				at(0, condition("KernelReady=False", ago(-3*time.Hour)))}},
		{
			name:  "reason of the rule is new",
			rules: []string{"KernelReady=NoAction", "KernelReady/B=Replace,5m"},
			looks: []look{at(4*time.Minute, condition("KernelReady=False/A", ago(time.Hour))), at(3*time.Minute, condition("KernelReady=False/B", ago(time.Hour))),
				at(0, condition("KernelReady=False/B", ago(time.Hour)))},
		},
		{
			name:  "reason of the rule comes and goes",
			rules: []string{"KernelReady=NoAction", "KernelReady/B=Replace,5m"},
			looks: []look{at(6*time.Minute, condition("KernelReady=False/A", ago(time.Hour))), at(5*time.Minute, condition("KernelReady=False/B", ago(time.Hour))),
				at(4*time.Minute, condition("KernelReady=False/A", ago(time.Hour))), at(0, condition("KernelReady=False/B", ago(time.Hour)))},
			want: `Replace: condition KernelReady has been False for 5m0s ("B")`,
		},
		{name: "any reason", rules: []string{"KernelReady=Replace,5m"}, want: `Replace: condition KernelReady has been False for 5m0s ("B")`,
			looks: []look{at(4*time.Minute, condition("KernelReady=False/A", ago(time.Hour))), at(0, condition("KernelReady=False/B", ago(time.Hour)))}},
		{name: "bad while True", rules: []string{"KernelDeadlock=Replace,5m"}, want: "Replace: condition KernelDeadlock has been True for 5m0s",
			looks: []look{at(0, ready, condition("KernelDeadlock=True", ago(time.Hour)))}},
		{name: "pressure", looks: []look{at(0, condition("DiskPressure=True", ago(5*time.Hour)), condition("StorageReady=True", ago(5*time.Hour)))}},
		{name: "earliest of several", looks: []look{at(0, condition("Ready=False", ago(31*time.Minute)), condition("KernelReady=False", ago(32*time.Minute)))},
			want: "Replace: condition KernelReady has been False for 30m0s"},
		{name: "start-up taint", looks: []look{
			at(31*time.Minute, condition("Ready=False/cluster-autoscaler.kubernetes.io/startup-taint", ago(24*time.Hour))),
			at(0, condition("Ready=False/cluster-autoscaler.kubernetes.io/startup-taint", ago(24*time.Hour)))}},
		{name: "device that is gone, on an unhealthy node", want: "Replace: condition KernelReady has been False for 30m0s",
			looks: []look{at(0, condition("Ready=False/cluster-autoscaler.kubernetes.io/resource-not-ready", ago(24*time.Hour)),
				condition("KernelReady=False", ago(30*time.Minute)))}},
		{name: "text of the node", looks: []look{at(0, condition("KernelReady=False/"+strings.Repeat("x\n", 50), ago(time.Hour)))},
			want: `Replace: condition KernelReady has been False for 30m0s ("` + strings.Repeat(`x\n`, 32) + `")`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, web := newRepair(t, tt.rules...), &group.Group{Name: "web"}
			n := member("n", web)
			for _, l := range tt.looks {
				n.Node = n.DeepCopy()
				n.Status.Conditions = l.conditions
				r.See(append(healthy(web, 9), n), l.at)
			}
			got := r.answer(n, noon)
			assert.Truef(t, got == tt.want, "got  %s\nwant %s", got, tt.want)
		})
	}
}

// with is the node with a state of its move.
func (n Node) with(s State) Node {
	s.Reason, s.Since = Repair, ago(time.Hour)
	n.Node = n.DeepCopy()
	metav1.SetMetaDataAnnotation(&n.ObjectMeta, Annotation, s.Text())
	return n
}

func TestNodesThatAreRebootedFirst(t *testing.T) {
	const xid, replace = "AcceleratedHardwareReady=False/NvidiaXID79Error", "AcceleratedHardwareReady=Replace"
	reserved := group.Reservations{IDs: []string{"cr-1"}}
	rebooted := func(before time.Duration) *State { return &State{Step: Rebooted, Boot: "1", Began: ago(before)} }
	for _, tt := range []struct {
		name, instance, condition string
		rules                     []string
		reserved                  bool
		noBoot                    bool // the node states no boot ID
		disabled                  bool // a person keeps the node
		state                     *State
		since                     time.Duration // of the condition, an hour without one
		want                      string
	}{
		{name: "by a rule", instance: "m5.large", condition: "KernelReady=False", rules: []string{"KernelReady=Reboot"}, want: "Reboot"},
		{name: "by a rule of EKS", instance: "own.large", condition: "AcceleratedHardwareReady=False/NvidiaXID13Error", want: "Reboot"},
		{name: "not others", instance: "m5.large", condition: "KernelReady=False", want: "Replace"},
		{name: "a type that nobody knows", instance: "own.large", condition: "KernelReady=False", want: "Replace"},
		{name: "a GPU", instance: "g5.xlarge", condition: xid, want: "Reboot"},
		{name: "a GPU without disks", instance: "p3.2xlarge", condition: xid, want: "Reboot"},
		{name: "Neuron", instance: "inf2.xlarge", condition: "Ready=Unknown", want: "Reboot"},
		{name: "local disks", instance: "m5d.large", condition: "Ready=False", want: "Reboot"},
		{name: "reserved capacity", instance: "m5.large", condition: "Ready=False", reserved: true, want: "Reboot"},
		{name: "a GPU whose rule is the user's", instance: "g5.xlarge", condition: xid, rules: []string{replace}, want: "Replace"},
		{name: "a GPU for which nothing is done", instance: "g5.xlarge", condition: "AcceleratedHardwareReady=False/DCGMError"},
		{name: "no boot ID by which the reboot would be seen", instance: "g5.xlarge", condition: xid, noBoot: true, want: "Replace"},
		{name: "a node that a person keeps, which waits", instance: "g5.xlarge", condition: xid, disabled: true, want: "Reboot"},
		{name: "a move that has begun", instance: "g5.xlarge", condition: xid, state: &State{Step: Placing}, want: "Replace"},
		{name: "a move that is tried again", instance: "g5.xlarge", condition: xid, state: &State{Step: Waiting}, want: "Reboot"},
		{name: "again after a reboot", instance: "g5.xlarge", condition: xid, state: rebooted(10 * time.Minute), want: "Replace"},
		{name: "again after a try to replace it", instance: "g5.xlarge", condition: xid, state: &State{Step: Waiting, Boot: "1"}, want: "Replace"},
		{name: "the wait begins again with a reboot", instance: "g5.xlarge", condition: xid, state: rebooted(9 * time.Minute),
			want: "stopped: it has been rebooted, and is replaced if it does not work by 12:01Z"},
		{name: "a reboot that did not come back", instance: "g5.xlarge", condition: xid, state: &State{Step: Rebooted, Boot: "1"}, want: "Replace"},
		{name: "a reboot that did not come back, and the condition is new", instance: "g5.xlarge", condition: xid, since: 9 * time.Minute,
			state: &State{Step: Rebooted, Boot: "1"}, want: "stopped: its reboot did not succeed, and it is replaced if it does not work by 12:01Z"},
		{name: "it works since its reboot", instance: "g5.xlarge", condition: "AcceleratedHardwareReady=True", state: rebooted(9 * time.Minute)},
	} {
		r, of := newRepair(t, tt.rules...), &group.Group{Name: "web"}
		if tt.reserved {
			of.Reservations = reserved
		}
		n := member("n", of, condition(tt.condition, ago(cmp.Or(tt.since, time.Hour))))
		n.Instance.Type = tt.instance
		if !tt.noBoot {
			n.Status.NodeInfo.BootID = "2"
		}
		if tt.disabled {
			n.Annotations = map[string]string{"cluster-autoscaler.kubernetes.io/scale-down-disabled": "true"}
		}
		if tt.state != nil {
			n = n.with(*tt.state)
		}
		r.See(append(healthy(of, 9), n), noon)
		got := r.answer(n, noon)
		assert.Truef(t, got == tt.want || tt.want != "" && strings.HasPrefix(got, tt.want), "%s: got %q, want %q", tt.name, got, tt.want)
	}
}

// Each row is a life of a node with a broken GPU, in minutes from its first try. The machine looks at it every minute.
func TestRebootedNodeIsReplacedIfThatDoesNotHelp(t *testing.T) {
	broken, whole := condition("AcceleratedHardwareReady=False/NvidiaXID79Error", ago(time.Hour)), condition("AcceleratedHardwareReady=True", ago(-6*time.Minute))
	again := condition("AcceleratedHardwareReady=False/NvidiaXID79Error", ago(-40*time.Minute))
	for _, tt := range []struct {
		name    string
		budget  string
		asked   int                          // when EC2 is asked for the reboot, 0 for never
		boots   int                          // when the instance has booted, 0 for never
		becomes map[int]corev1.NodeCondition // the condition
		want    string                       // the steps with their minutes
	}{
		{name: "it helps", asked: 1, boots: 5, becomes: map[int]corev1.NodeCondition{2: whole}, want: "0 rebooting, 5 rebooted, 65 ends"},
		{name: "it does not", asked: 1, boots: 5, want: "0 rebooting, 5 rebooted, 15 placing"},
		{name: "it helps for a while", asked: 1, boots: 5, becomes: map[int]corev1.NodeCondition{6: whole, 40: again}, want: "0 rebooting, 5 rebooted, 50 placing"},
		{name: "it does not come back", want: "0 rebooting, 30 rebooted, 31 placing"},
		{name: "it does not come back, and works", asked: 1, becomes: map[int]corev1.NodeCondition{20: whole}, want: "0 rebooting, 30 rebooted, 33 ends"},
		{name: "it works before EC2 is asked", becomes: map[int]corev1.NodeCondition{1: whole}, want: "0 rebooting, 3 ends"},
		{name: "it works for a minute before EC2 is asked", becomes: map[int]corev1.NodeCondition{1: whole, 2: broken},
			want: "0 rebooting, 3 ends, 11 rebooting, 41 rebooted, 42 placing"},
		{name: "no budget", budget: "0", boots: 5, want: ""},
	} {
		budgets, err := ParseBudgets([]string{cmp.Or(tt.budget, "100%")})
		require.NoError(t, err)
		m := &Machine{Reasons: []Reason{newRepair(t)}, Budgets: budgets}
		web := &group.Group{Name: "web"}
		n := member("n", web, broken)
		n.Instance.Type, n.Status.NodeInfo.BootID = "g5.xlarge", "1"
		var steps []string
		for minute := range 120 {
			n.Node = n.DeepCopy()
			n.Leaving = tt.asked > 0 && minute >= tt.asked && minute < cmp.Or(tt.boots, 30)
			if minute == tt.boots && minute > 0 {
				n.Status.NodeInfo.BootID = "2"
			}
			if c, changes := tt.becomes[minute]; changes {
				n.Status.Conditions = []corev1.NodeCondition{c}
			}
			nodes := append(healthy(web, 9), n)
			d := m.Decide(Cluster{Nodes: nodes, LeftAlone: func(Node) bool { return false }}, ago(-time.Duration(minute)*time.Minute))
			for _, c := range d.Changes {
				if c.State == nil {
					steps = append(steps, fmt.Sprint(minute, " ends"))
					delete(n.Annotations, Annotation)
					continue
				}
				if s, _ := StateOf(n.Node); s.Step != c.State.Step {
					steps = append(steps, fmt.Sprint(minute, " ", c.State.Step))
				}
				metav1.SetMetaDataAnnotation(&n.ObjectMeta, Annotation, c.State.Text())
			}
		}
		assert.Equal(t, tt.want, strings.Join(steps, ", "), tt.name)
	}
}

// A reboot has been taken back, because a person keeps the node until minute 6.
func TestKeptNodeIsRebootedLater(t *testing.T) {
	budgets, err := ParseBudgets([]string{"100%"})
	require.NoError(t, err)
	m := &Machine{Reasons: []Reason{newRepair(t, "KernelReady=Reboot")}, Budgets: budgets}
	web := &group.Group{Name: "web", Tags: map[string]string{TagBudget: "100%"}}
	s := State{Why: Why{Reboot: true}, Reason: Repair, Step: Rebooting, Began: noon, Since: noon, Boot: "1"}.Held(noon)
	var steps []Step
	for minute := range 8 {
		n := member("kept", web, condition("KernelReady=False", ago(time.Hour))).with(s)
		n.Status.NodeInfo.BootID = "1"
		if minute < 6 {
			n.Annotations["cluster-autoscaler.kubernetes.io/scale-down-disabled"] = "true"
		}
		nodes := append(healthy(web, 9), n)
		d := m.Decide(Cluster{Nodes: nodes, LeftAlone: func(Node) bool { return false }}, noon.Add(time.Duration(minute)*time.Minute))
		for _, c := range d.Changes {
			s = *c.State
		}
		steps = append(steps, s.Step)
		assert.Equalf(t, minute == 5, d.Held["kept"].Hold == HeldAlone, "held in minute %d", minute)
	}
	assert.Equal(t, []Step{Waiting, Waiting, Waiting, Waiting, Waiting, Waiting, Rebooting, Rebooting}, steps)
}

// EC2 has been asked to reboot the first of three nodes. Then as many others fail that what they share may be at fault, for 20 minutes.
func TestNoNodeIsRebootedWhileTooManyAreUnhealthy(t *testing.T) {
	budgets, err := ParseBudgets([]string{"100%"})
	require.NoError(t, err)
	m := &Machine{Reasons: []Reason{newRepair(t, "KernelReady=Reboot")}, Budgets: budgets}
	web := &group.Group{Name: "web", Tags: map[string]string{TagBudget: "100%"}}
	states := map[string]State{}
	look := func(after time.Duration, sick int) map[string]Held {
		nodes := healthy(web, 19-sick)
		for at := range sick {
			n := member(fmt.Sprint("sick-", at), web, condition("KernelReady=False", ago(time.Hour)))
			n.Status.NodeInfo.BootID, n.Leaving = "1", at == 0 && after > 0
			if s, moves := states[n.Name]; moves {
				n = n.with(s)
			}
			nodes = append(nodes, n)
		}
		d := m.Decide(Cluster{Nodes: nodes, LeftAlone: func(Node) bool { return false }}, noon.Add(after))
		for _, c := range d.Changes {
			require.NotNil(t, c.State, c.Node.Name)
			states[c.Node.Name] = *c.State
		}
		return d.Held
	}
	steps := func() (list [3]Step) {
		for at := range list {
			list[at] = states[fmt.Sprint("sick-", at)].Step
		}
		return list
	}
	look(0, 3)
	require.Equal(t, [3]Step{Rebooting, Rebooting, Rebooting}, steps())
	held := look(time.Minute, 5)
	assert.Equal(t, [3]Step{Rebooting, Waiting, Waiting}, steps())
	assert.Equal(t, HeldSick, held["sick-1"].Hold)
	look(20*time.Minute, 3)
	assert.Equal(t, [3]Step{Rebooting, Rebooting, Rebooting}, steps(), "they are rebooted before they are replaced")
}

func TestRebootCountsAsAMove(t *testing.T) {
	budgets, err := ParseBudgets([]string{"1", "100%"})
	require.NoError(t, err)
	web := &group.Group{Name: "web", Tags: map[string]string{TagBudget: "100%"}}
	broken := func(name string) Node {
		n := member(name, web, condition("KernelReady=False", ago(time.Hour)))
		n.Status.NodeInfo.BootID, n.Instance.Type = "1", "g5.xlarge"
		return n
	}
	nodes := append(healthy(web, 18), broken("a").with(State{Step: Rebooting, Boot: "1", Began: noon}), broken("b"))
	d := (&Machine{Reasons: []Reason{newRepair(t)}, Budgets: budgets}).Decide(Cluster{Nodes: nodes, LeftAlone: func(Node) bool { return false }}, noon)
	assert.Empty(t, d.Changes)
	assert.Equal(t, HeldBudget, d.Held["b"].Hold)
}

func TestOnlyNodesThatStayAreRepaired(t *testing.T) {
	for name, change := range map[string]func(*Node){
		"starting":                func(n *Node) { n.CreationTimestamp = metav1.NewTime(ago(9 * time.Minute)) },
		"instance that goes":      func(n *Node) { n.Instance.Lifecycle = "Terminating:Wait" },
		"instance that stands by": func(n *Node) { n.Instance.Lifecycle = "Standby" },
		"node that goes":          func(n *Node) { n.DeletionTimestamp = &metav1.Time{Time: noon} },
		"repaired by EKS":         func(n *Node) { n.Group = &group.Group{Name: "managed", EKSRepairs: true} },
	} {
		r, web := newRepair(t, "Ready=Replace,1m"), &group.Group{Name: "web"}
		n := member("n", web, condition("Ready=False", ago(5*time.Minute)))
		change(&n)
		r.See(append(healthy(web, 9), n), noon)
		assert.Equalf(t, "", r.answer(n, noon), "%s", name)
	}
}

func TestManyUnhealthyNodesStopRepair(t *testing.T) {
	const cluster = "stopped: more than 20 % of the nodes of the cluster are unhealthy"
	for _, tt := range []struct {
		name   string
		bad    int           // of the group, in zone a
		since  time.Duration // of all but the first
		good   int           // of the group, in zone a
		others int           // of another group, in zone b
		want   string
	}{
		{name: "a fifth of a group", bad: 2, good: 8, want: "Replace"},
		{name: "more of a group", bad: 3, good: 7, others: 50, want: `stopped: more than 20 % of the nodes of the group web are unhealthy (3 of 10)`},
		{name: "others have just become unhealthy", bad: 3, since: time.Second, good: 7, others: 50, want: `stopped: more than 20 % of the nodes of the group web are unhealthy (3 of 10)`},
		{name: "small group", bad: 2, good: 3, others: 50, want: "stopped: more than 20 % of the nodes of the zone a are unhealthy (2 of 5)"},
		{name: "one node of a small zone", bad: 1, good: 1, others: 50, want: "Replace"},
		{name: "one node of a small cluster", bad: 1, want: "Replace"},
		{name: "all of a small cluster", bad: 2, want: "stopped: more than 20 % of the nodes of the zone a are unhealthy (2 of 2)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, web := newRepair(t), &group.Group{Name: "web"}
			nodes := healthy(web, tt.good)
			for _, n := range healthy(&group.Group{Name: "other"}, tt.others) {
				n.Instance.Zone = "b"
				nodes = append(nodes, n)
			}
			first := member("bad-0", web, condition("Ready=False", ago(time.Hour)))
			nodes = append(nodes, first)
			for n := 1; n < tt.bad; n++ {
				nodes = append(nodes, member(fmt.Sprint("bad-", n), web, condition("Ready=False", ago(cmp.Or(tt.since, time.Hour)))))
			}
			r.See(nodes, noon)
			got := r.answer(first, noon)
			assert.Truef(t, strings.HasPrefix(got, tt.want), "got  %s\nwant %s", got, tt.want)
		})
	}
	t.Run("AWS ends unhealthy nodes", func(t *testing.T) {
		for by, want := range map[string]string{"": "stopped: more than 20 % of the nodes of the group web are unhealthy (12 of 20)",
			"ToBeDeletedByClusterAutoscaler": "Replace: "} {
			r, web := newRepair(t), &group.Group{Name: "web"}
			nodes := append(healthy(web, 8), member("bad-0", web, condition("Ready=False", ago(time.Hour))))
			for n := range 11 {
				bad := member(fmt.Sprint("ends-", n), web, condition("Ready=Unknown", ago(time.Hour)))
				if n > 0 {
					bad.Instance.Lifecycle, bad.Spec.Taints = "Terminating", []corev1.Taint{{Key: by}}
				} else {
					bad.Status.Conditions[0].Status = corev1.ConditionFalse
				}
				nodes = append(nodes, bad)
			}
			r.See(nodes, noon)
			assert.Truef(t, strings.HasPrefix(r.answer(nodes[8], noon), want), "taint %q: got %s, want %s", by, r.answer(nodes[8], noon), want)
			assert.Equalf(t, "", r.answer(nodes[19], noon), "taint %q: a node that ends", by)
		}
	})
	t.Run("the end of an outage", func(t *testing.T) {
		r, web := newRepair(t), &group.Group{Name: "web"}
		for _, look := range []struct {
			after time.Duration
			sick  int
			want  string
		}{
			{0, 10, "stopped: more than 20 % of the nodes of the group web are unhealthy (10 of 10)"},
			{10 * time.Second, 2, "stopped: more than 20 % of the nodes of the group web were unhealthy in the last 2 minutes (now 2 of 10)"},
			{3 * time.Minute, 2, "Replace: condition Ready has been Unknown for 30m0s"},
		} {
			nodes := healthy(web, 10-look.sick)
			for n := range look.sick {
				nodes = append(nodes, member(fmt.Sprint("bad-", n), web, condition("Ready=Unknown", ago(time.Hour))))
			}
			r.See(nodes, noon.Add(look.after))
			assert.Equalf(t, look.want, r.answer(nodes[len(nodes)-1], noon), "after %s", look.after)
		}
	})
	t.Run("the end of an outage that nobody has seen", func(t *testing.T) {
		const blind = "stopped: the nodes have been looked at for less than 2 minutes, and more may come back"
		for name, last := range map[string]time.Time{"a new leader": {}, "the cluster was unhealthy for an hour": ago(time.Hour), "a look was late": ago(6 * time.Minute)} {
			r, web := newRepair(t), &group.Group{Name: "web"}
			if r.Every, r.at = 10*time.Second, last; !last.IsZero() {
				r.See(healthy(web, 10), last)
			}
			bad, begun := member("bad", web, condition("Ready=Unknown", ago(time.Hour))), member("begun", web, condition("Ready=Unknown", ago(time.Hour)))
			metav1.SetMetaDataAnnotation(&begun.ObjectMeta, Annotation, State{Reason: Repair, Step: Placing, Began: ago(time.Minute), Since: ago(time.Minute)}.Text())
			for n, want := range []string{blind, blind, "Replace: "} {
				now := noon.Add(time.Duration(n) * 70 * time.Second)
				r.See(append(healthy(web, 8), bad, begun), now)
				assert.Truef(t, strings.HasPrefix(r.answer(bad, now), want), "%s, look %d: got %s, want %s", name, n, r.answer(bad, now), want)
				assert.Truef(t, strings.HasPrefix(r.answer(begun, now), "Replace: "), "%s, look %d: what has begun: %s", name, n, r.answer(begun, now))
			}
		}
	})
	t.Run("loops that are minutes apart", func(t *testing.T) {
		for every, apart := range map[time.Duration]time.Duration{3 * time.Minute: 3 * time.Minute, 10 * time.Second: 5 * time.Minute,
			10 * time.Minute: 10 * time.Minute} {
			r, web := newRepair(t), &group.Group{Name: "web"}
			r.Every, r.at = every, time.Time{}
			bad := member("bad", web, condition("Ready=Unknown", ago(time.Hour)))
			for n := range 3 {
				r.See(append(healthy(web, 8), bad), noon.Add(time.Duration(n-2)*apart))
			}
			assert.Containsf(t, r.answer(bad, noon), "Replace: ", "every %s, and the loops take %s", every, apart)
		}
	})
	t.Run("another node is not Ready for a moment", func(t *testing.T) {
		for step, want := range map[Step]string{Placing: "Replace: ", Rebooting: "Replace: ", Waiting: "stopped: "} {
			r, web := newRepair(t), &group.Group{Name: "web"}
			bad := member("bad", web, condition("Ready=False", ago(time.Hour)))
			metav1.SetMetaDataAnnotation(&bad.ObjectMeta, Annotation, State{Reason: Repair, Step: step, Began: noon, Since: noon}.Text())
			r.See(append(healthy(web, 7), bad, member("blip", web, condition("Ready=Unknown", noon))), noon)
			assert.Containsf(t, r.answer(bad, noon), "(2 of 9)", "%s", step)
			r.See(append(healthy(web, 8), bad), noon.Add(10*time.Second))
			assert.Truef(t, strings.HasPrefix(r.answer(bad, noon), want), "%s: got %s, want %s", step, r.answer(bad, noon), want)
		}
	})
	t.Run("two zones", func(t *testing.T) {
		r := newRepair(t)
		var nodes []Node
		for n := range 10 {
			in := member(fmt.Sprint(n), &group.Group{Name: fmt.Sprint("group-", n)}, condition("Ready=True", ago(time.Hour)))
			if in.Instance.Zone = fmt.Sprint("zone-", n); n < 3 {
				in.Status.Conditions[0].Status = corev1.ConditionFalse
			}
			nodes = append(nodes, in)
		}
		r.See(nodes, noon)
		got, want := r.answer(nodes[0], noon), cluster+" (3 of 10)"
		assert.Equal(t, want, got, "got")
	})
}

func TestRepairIsIgnoresWishes(t *testing.T) {
	r := newRepair(t)
	n := member("n", &group.Group{Name: "web"}, condition("Ready=False", ago(time.Hour)))
	r.See([]Node{n}, noon)
	if why, due := r.Due(n, noon); !due || !why.IgnoresWishes || why.Target != "" || r.Name() != Repair {
		t.Errorf("%q is due: %t, %+v, want a harsh one without a target", r.Name(), due, why)
	}
}

func TestNodesCannotFillMemory(t *testing.T) {
	r, web := newRepair(t), &group.Group{Name: "web"}
	for n := range 100 {
		bad := member("n", web, condition(fmt.Sprint("KernelReady=False/", n), ago(time.Hour)))
		r.See([]Node{bad}, noon.Add(time.Duration(n)*time.Second))
	}
	got := len(r.seen["n"][0].reasons)
	assert.Truef(t, got <= mostReasons, "%d reasons are remembered, want at most %d", got, mostReasons)
	r.See(nil, noon)
	assert.Empty(t, r.seen, "nodes that are gone are remembered")
}

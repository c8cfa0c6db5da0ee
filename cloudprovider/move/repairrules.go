package move

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// RepairAction is EKS's repairAction. A node that does not work after Reboot is replaced.
type RepairAction string

const (
	RepairActionReplace  RepairAction = "Replace"
	RepairActionReboot   RepairAction = "Reboot"
	RepairActionNoAction RepairAction = "NoAction"
)

// RepairRule says what is done about a node whose condition has been unhealthy for long enough. It has the fields of EKS's
// nodeRepairConfigOverrides.
type RepairRule struct {
	Condition string        // nodeMonitoringCondition
	Reason    string        // nodeUnhealthyReason, "" for any. A * at its end stands for any end
	Action    RepairAction  // repairAction
	Wait      time.Duration // minRepairWaitTimeMins
	byDefault bool          // not the user's
}

// RepairRules are in order of precedence. The first that matches counts alone.
type RepairRules []RepairRule

const (
	acceleratedHardware = "AcceleratedHardwareReady"
	defaultWait         = 30 * time.Minute
	leastWait           = time.Minute // of minRepairWaitTimeMins
)

// defaultRepairRules are EKS's (EKS user guide, "Automatically repair nodes in EKS clusters" and "Detect node health issues with the EKS node monitoring
// agent", read 2026-11). DiskPressure and MemoryPressure have none there. The agent never makes StorageReady False: all issues that it finds with storage
// are events (aws/eks-node-monitoring-agent, docs/node-health-issues.adoc, read 2026-11). Other agents may.
var defaultRepairRules = []string{
	acceleratedHardware + "=Replace,10m",
	acceleratedHardware + "/DCGMDiagnosticFailure=NoAction",
	acceleratedHardware + "/DCGMError=NoAction",
	acceleratedHardware + "/DCGMHealthCode*=NoAction",
	acceleratedHardware + "/NvidiaDeviceCountMismatch=NoAction",
	// "NVIDIA XID error codes" of the second page
	acceleratedHardware + "/NvidiaXID13Error=Reboot,10m", acceleratedHardware + "/NvidiaXID31Error=Reboot,10m",
	acceleratedHardware + "/NvidiaXID48Error=Reboot,10m", acceleratedHardware + "/NvidiaXID63Error=Reboot,10m",
	acceleratedHardware + "/NvidiaXID64Error=Reboot,10m", acceleratedHardware + "/NvidiaXID94Error=Reboot,10m",
	acceleratedHardware + "/NvidiaXID95Error=Reboot,10m",
	"ContainerRuntimeReady=Replace",
	"KernelReady=Replace",
	"NetworkingReady=Replace",
	"Ready=Replace",
	"StorageReady=Replace",
}

// ParseRepairRules reads rules of the form CONDITION[/REASON]=ACTION[,WAIT]. EKS's defaults follow them. Among the rules of either, the one with the
// most specific reason counts.
func ParseRepairRules(texts []string) (RepairRules, error) {
	defaults, wrong := parseRepairRules(defaultRepairRules, nil)
	rules, err := parseRepairRules(texts, defaults)
	return append(rules, defaults...), errors.Join(wrong, err)
}

// parseRepairRules returns the rules with the most specific one first. A rule without a wait has that of the condition by default.
func parseRepairRules(texts []string, defaults RepairRules) (rules RepairRules, err error) {
	for _, text := range texts {
		rule, wrong := parseRepairRule(text, defaults)
		if wrong == nil && slices.ContainsFunc(rules, func(r RepairRule) bool { return r.Condition == rule.Condition && r.Reason == rule.Reason }) {
			wrong = errors.New("another rule has the same condition and reason")
		}
		if wrong != nil {
			err = errors.Join(err, fmt.Errorf("repair rule %q: %w", text, wrong))
		}
		rules = append(rules, rule)
	}
	slices.SortStableFunc(rules, func(a, b RepairRule) int { return cmp.Compare(b.specificity(), a.specificity()) })
	return rules, err
}

var repairRuleForm = regexp.MustCompile(`^([\w.-]+)(?:/([\w.:,-]+\*?|\*))?=([^,]*)(,.*)?$`)

func parseRepairRule(text string, defaults RepairRules) (RepairRule, error) {
	part := repairRuleForm.FindStringSubmatch(text)
	if part == nil {
		return RepairRule{}, errors.New("it has not the form CONDITION[/REASON]=ACTION[,WAIT], such as KernelReady=NoAction or " +
			"AcceleratedHardwareReady/NvidiaXID79Error=Replace,5m")
	}
	r := RepairRule{Condition: part[1], Reason: part[2], Action: RepairAction(part[3]), Wait: defaultWait, byDefault: defaults == nil}
	for _, d := range defaults {
		if d.Condition == r.Condition && d.Reason == "" {
			r.Wait = d.Wait
		} else if d.Condition != r.Condition && strings.EqualFold(d.Condition, r.Condition) {
			return r, fmt.Errorf("the condition is spelled %s", d.Condition)
		}
	}
	if r.Action != RepairActionReplace && r.Action != RepairActionReboot && r.Action != RepairActionNoAction {
		return r, fmt.Errorf("the action %q is none of Replace, Reboot and NoAction", r.Action)
	}
	if part[4] == "" {
		return r, nil
	}
	var err error
	if r.Wait, err = time.ParseDuration(part[4][1:]); err != nil || r.Wait < leastWait {
		return r, fmt.Errorf("the wait %q is no duration of at least %s, such as 5m", part[4][1:], leastWait)
	}
	return r, nil
}

func (r RepairRule) specificity() int {
	if r.Reason != "" && !strings.HasSuffix(r.Reason, "*") {
		return math.MaxInt
	}
	return len(r.Reason)
}

// of returns the rule for an unhealthy condition and its reason. Without one nothing is done.
func (r RepairRules) of(condition, reason string) (RepairRule, bool) {
	for _, rule := range r {
		if rule.Condition != condition {
			continue
		}
		start, open := strings.CutSuffix(rule.Reason, "*")
		if rule.Reason == "" || rule.Reason == reason || open && strings.HasPrefix(reason, start) {
			return rule, rule.Action != RepairActionNoAction
		}
	}
	return RepairRule{}, false
}

// unhealthy reports whether the condition is unhealthy, whatever the rules say. A condition whose name ends in Ready is unhealthy while it is False,
// and any other while it is True. Of these, the control plane makes only Ready Unknown, while the kubelet is silent.
func unhealthy(c *corev1.NodeCondition) bool {
	switch {
	case c.Type == corev1.NodeReady:
		return c.Status == corev1.ConditionFalse || c.Status == corev1.ConditionUnknown
	case strings.HasSuffix(string(c.Type), "Ready"):
		return c.Status == corev1.ConditionFalse
	}
	return c.Status == corev1.ConditionTrue
}

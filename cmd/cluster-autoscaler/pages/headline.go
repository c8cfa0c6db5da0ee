package pages

import "github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"

type headline struct {
	Level  level
	Text   string
	Detail string
	Remedy string
}

// newHeadline picks the sentence for the worst that is going on. Causes and groups begin with the worst.
func newHeadline(report *decision.Report, causes []cause, groups []group, waiting int) headline {
	fits := waiting // a node, when the causes before have no pod
	for _, c := range causes {
		if c.State == decision.PodIgnored {
			fits -= c.Count
		}
	}
	switch result := report.Loop.Result; {
	case !report.Process.Leader && report.Process.Holder == "":
		return headline{Level: moving, Text: "No leader is known yet", Detail: "See the log for what is in the way."}
	case !report.Process.Leader:
		return headline{Level: moving, Text: "This replica stands by", Detail: report.Process.Holder + " holds the lease and autoscales. Its own page shows what it does."}
	case report.Loop.Number == 0:
		return headline{Level: moving, Text: "No loop has run yet", Detail: "The autoscaler reads the groups and the cluster first."}
	case result.Code == decision.CodeUnhealthy, result.Code == decision.CodeStale, result.Code == decision.CodeDenied, result.Code == decision.CodeNoGroups:
		return headline{bad, "The autoscaler cannot act", result.Message, result.Remedy}
	case len(causes) > 0 && (causes[0].State == decision.PodHelpless || causes[0].State == decision.PodDelayed):
		worst := causes[0]
		h := headline{Level: worst.Level, Text: wait(worst.Count) + ": " + worst.Message, Remedy: worst.Remedy}
		if others := waiting - worst.Count; others > 0 {
			h.Detail = count(others) + " more"
			if further := len(causes) - 1; further > 0 {
				h.Detail += ": " + causes[1].Message
				if further > 1 {
					h.Detail += ", and " + noun(further-1, "further reason")
				}
			}
		}
		return h
	case len(groups) > 0 && groups[0].Level == bad:
		worst := groups[0]
		h := headline{Level: bad, Text: "Group " + worst.Name + " is degraded: " + worst.Reason.Message, Remedy: worst.Reason.Remedy}
		if fits > 0 {
			h.Detail = placed(fits) + "."
		}
		return h
	case report.Process.Plugin && (len(groups) == 0 || groups[0].Level != warning):
		if report.Loop.Trigger == decision.Silence {
			return headline{calm, "No Cluster Autoscaler calls this plugin",
				"Another replica answers the one that leads, or none runs.", result.Remedy}
		}
		return headline{calm, "The Cluster Autoscaler that this plugin answers decides", "It alone knows why pods wait and nodes stay.", result.Remedy}
	case report.Loop.Result.Code == decision.CodeOther && !report.Process.Plugin:
		return headline{warning, "The last scale-up did not end well", report.Loop.Result.Message, report.Loop.Result.Remedy}
	case fits > 0:
		return headline{Level: moving, Text: placed(fits), Detail: causes[0].Message}
	case len(groups) > 0 && groups[0].Level == warning:
		return warningOf(groups[0].Group, report.Process.Plugin)
	case len(causes) > 0:
		return headline{Level: calm, Text: "All is well, and no node is launched for " + noun(waiting, "pod"), Detail: causes[0].Message}
	default:
		return headline{Level: calm, Text: "All is well, no pod waits"}
	}
}

// warningOf is the sentence about a group to look at while no pod waits for a node.
func warningOf(g *decision.Group, plugin bool) headline {
	says, why := "cannot grow now", g.Reason
	switch {
	case g.State == decision.GroupCoolDown:
	case len(g.CoolDowns) > 0:
		says, why = "cannot grow everywhere", g.CoolDowns[0].Cause
	default:
		says, why = "needs a look", g.Problems[0]
	}
	text := "No pod waits for a node, but group "
	if plugin { // which sees no pods
		text = "Group "
	}
	return headline{warning, text + g.Name + " " + says, why.Message, why.Remedy}
}

func wait(n int) string {
	if n == 1 {
		return "1 pod waits"
	}
	return count(n) + " pods wait"
}

// placed is about pods that need nothing more.
func placed(n int) string { return wait(n) + ", with a place or with a node on its way" }

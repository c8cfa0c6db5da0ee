package why

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
)

// Paused puts into words what is left alone of a group. The group's Pause has cause and remedy.
func Paused(g *decision.Group, p decision.Pause, cause, remedy string) *decision.Pause {
	text := "group " + quote(g.Name) + " is paused"
	if !p.ScaleDown {
		text = "scale-up of " + text
	} else if !p.ScaleUp {
		text = "scale-down of " + text
	}
	if !p.Until.IsZero() {
		text += " until " + Moment(p.Until)
	}
	p.Reason = decision.Reason{Code: decision.CodePaused, Message: text + cause, Remedy: remedy}
	return &p
}

// AtMin says which minimum keeps a group from having a node fewer.
func AtMin(g *decision.Group) string { return atLimit(g, "minimum", g.Min, g.AtMin) }

// atLimit says which limit a group has reached. A zone group reaches one of its own, or its Auto Scaling group's.
func atLimit(g *decision.Group, limit string, size int, reached []decision.Limit) string {
	text := fmt.Sprintf("group %s has its %s size of %d", quote(g.Name), limit, size)
	if len(reached) == 0 {
		return text
	}
	first := reached[0]
	if name := autoScaling(g); name != g.Name && !strings.HasSuffix(first.Flag, ":"+g.Name) {
		text = fmt.Sprintf("group %s is a zone of Auto Scaling group %s, which has its %s size of %d", quote(g.Name), quote(name), limit, first.Size)
	}
	if first.Flag != "" {
		text += " (--nodes=" + clean(first.Flag, maxName) + ")"
	} else if first.Clock != "" {
		text += " (" + clean(first.Clock, maxGroup) + ")"
	}
	if limit == "maximum" && first.Size == 0 {
		text += ": nobody may grow it"
	}
	return text
}

// Resize is the next step where a group has reached limits: it changes each of them where it comes from. size is "max" or "min".
func Resize(g *decision.Group, size string, reached []decision.Limit) string {
	change, command := "raise the maximum", ""
	if size == "min" {
		change = "lower the minimum"
	} else if slices.ContainsFunc(reached, func(l decision.Limit) bool { return l.Size == 0 }) {
		change = "if nobody closed it on purpose, " + change
	}
	var flags []string // and what limits it by the clock
	for _, l := range reached {
		switch {
		case l.Flag != "":
			flags = append(flags, "--nodes="+clean(l.Flag, maxGroup))
		case l.Clock != "":
			flags = append(flags, clean(l.Clock, maxGroup))
		case g.EKS != nil:
			command = fmt.Sprintf(" to %d: aws eks update-nodegroup-config --cluster-name %s --nodegroup-name %s --scaling-config %sSize=%d",
				l.Needs, shell(g.EKS.Cluster), shell(g.EKS.Name), size, l.Needs)
		default:
			command = fmt.Sprintf(" to %d: aws autoscaling update-auto-scaling-group --auto-scaling-group-name %s --%s-size %d",
				l.Needs, shell(autoScaling(g)), size, l.Needs)
		}
	}
	switch {
	case len(reached) == 0:
		return ""
	case len(flags) == 0:
		return change + command
	case command != "":
		command = ", and in AWS" + command
	}
	return change + " in " + enumerate(flags) + command
}

// spendCap is the reason of a group whose next node would exceed a spend cap.
func spendCap(c decision.SpendCap, g *decision.Group) decision.Reason {
	money := func(perHour float64) string { return strconv.FormatFloat(math.Round(perHour*1e4)/1e4, 'f', -1, 64) }
	of, change := "nodes with "+quote(c.Of), "raise --asg-max-hourly-cost="+shell(c.Of+":"+money(c.PerHour))
	switch {
	case c.Group != "":
		of, change = "group "+quote(c.Of), "raise its tag: "+tagCommand(c.Group, "asg-autoscaler.github.io/max-hourly-cost", "<amount>")
	case c.Of == decision.WholeCluster:
		of, change = "the cluster", "raise --asg-max-hourly-cost="+money(c.PerHour)
	}
	name, limit, spent := quote(g.Name), fmt.Sprintf("the spend cap of %s an hour on %s", money(c.PerHour), of), money(c.Spent)
	if c.Unpriced {
		remedy := "state the price in --asg-price-file"
		if len(g.Types) == 0 { // its launch template is unread
			remedy = blocked(g).Remedy
		}
		return decision.Reason{Code: decision.CodeSpendCap, Remedy: remedy,
			Message: fmt.Sprintf("group %s does not grow under %s, because the price of its nodes is not known", name, limit)}
	}
	if c.About {
		spent = "about " + spent
	}
	price := g.NodePrice
	if c.Dearest > 0 {
		price += ", counted like the dearest, " + money(c.Dearest)
	}
	return decision.Reason{Code: decision.CodeSpendCap, Remedy: change,
		Message: fmt.Sprintf("another node of group %s (%s) would exceed %s, of which %s is spent or asked for", name, price, limit, spent)}
}

// Replaced is the reason of a node that is to be replaced first, made from the reason that it has otherwise.
func Replaced(r decision.Reason, g *decision.Group) decision.Reason {
	switch {
	case r.Code != decision.CodeMinSize && r.Code != decision.CodeMinQuota && (r.Code != decision.CodeNoPlace || r.Remedy != ""):
	case g.Starting > 0:
		r.Message, r.Remedy = fmt.Sprintf("a node of group %s must be ready first, which starts", quote(g.Name)), ""
	case g.State != decision.GroupReady:
		r.Message += ", and no replacement can come: " + g.Reason.Message
		r.Remedy = g.Reason.Remedy
	}
	return r
}

package options

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/assert"

	"github.com/asg-autoscaler/asg-autoscaler/test/repo/document"
)

const flagsHead = `# Flags

This file is generated from the program's own flags. Change the text of a flag in the code, then run ` + "`make docs`" + `.

Every flag of the stock autoscaler works here as it does there, except the flags in [Flags that do nothing here](#flags-that-do-nothing-here).
` + "`cluster-autoscaler --help`" + ` prints the same texts. A duration has a unit: ` + "`500ms`, `30s`, `10m`, `1h30m`" + `.
`

// The sections of the document, in their order.
const (
	sectionOurs   = "Flags of ours"
	sectionUnset  = "Stock flags with another value here"
	sectionOther  = "Flags of other stock releases"
	sectionStock  = "Stock flags"
	sectionInert  = "Flags that do nothing here"
	sectionAbsent = "" // flags of packages that are linked by accident
)

var sectionText = map[string]string{
	sectionOurs: `The stock autoscaler does not have these flags. [Zones](zones.md), [Prices](prices.md), [Expanders](expanders.md) and
[Interruptions](interruptions.md) explain the flags of these names.`,
	sectionUnset: `These flags exist in the stock autoscaler. If you do not give them, another value counts here. A value that you give counts as it is.`,
	sectionOther: `Releases 1.36 and 1.37 of the stock autoscaler add these flags, or releases before 1.35 have them. They are obeyed here.`,
	sectionStock: `The text comes from the stock autoscaler.`,
	sectionInert: `The program accepts these flags, so that the Deployment of another release starts with only its image changed. The log names those
that are given and belong to another release.`,
}

// ofOthers are the stock flags that mean nothing for AWS.
var ofOthers = map[string]string{
	"async-node-groups":                       "the autoscaler creates no node groups",
	"bulk-mig-instances-listing-enabled":      "a flag for Google Cloud",
	"clusterapi-cloud-config-authoritative":   "a flag for Cluster API",
	"cluster-snapshot-parallelism":            "the core has the flag and does not read it",
	"gce-concurrent-refreshes":                "a flag for Google Cloud",
	"gce-mig-instances-min-refresh-wait-time": "a flag for Google Cloud",
	"leader-elect-resource-namespace":         "the lease is in --namespace, as in stock",
	"regional":                                "a flag for Google Cloud",
	"scale-down-candidates-pool-min-count":    "the core has the flag and does not read it",
	"scale-down-candidates-pool-ratio":        "the core has the flag and does not read it",
	"scale-down-non-empty-candidates-count":   "the core has the flag and does not read it",
	"user-agent":                              "a flag for Google Cloud",
}

// units are the units of the numbers that have no type of their own, and the forms of some texts.
var units = map[string]string{
	"asg-least-cost-penalty": "ratio",
	"asg-move-budget":        "nodes",
	"asg-move-window":        "window",
	"asg-repair-rule":        "rule",
	"asg-preference-percent": "percent",
	"asg-record-loops":       "loops",
	"asg-scale-ups-per-loop": "scale-ups",
	"check-capacity-provisioning-request-max-batch-size": "requests",
	"cores-total":                                 "cores, min:max",
	"expendable-pods-priority-cutoff":             "priority",
	"gce-concurrent-refreshes":                    "calls",
	"kube-client-burst":                           "calls",
	"kube-client-qps":                             "calls per second",
	"log-file-max-size":                           "MB",
	"max-allocatable-difference-ratio":            "ratio",
	"max-bulk-soft-taint-count":                   "nodes",
	"max-drain-parallelism":                       "nodes",
	"max-empty-bulk-delete":                       "nodes",
	"max-free-difference-ratio":                   "ratio",
	"max-graceful-termination-sec":                "seconds",
	"max-nodes-per-scaleup":                       "nodes",
	"max-nodes-total":                             "nodes, 0: no limit",
	"max-scale-down-parallelism":                  "nodes",
	"max-total-unready-percentage":                "percent",
	"memory-difference-ratio":                     "ratio",
	"memory-total":                                "GiB, min:max",
	"min-replica-count":                           "replicas",
	"ok-total-unready-count":                      "nodes",
	"pod-injection-limit":                         "pods",
	"predicate-parallelism":                       "goroutines",
	"provisioning-request-max-backoff-cache-size": "requests",
	"scale-down-candidates-pool-min-count":        "nodes",
	"scale-down-candidates-pool-ratio":            "ratio",
	"scale-down-gpu-utilization-threshold":        "ratio",
	"scale-down-non-empty-candidates-count":       "nodes",
	"scale-down-utilization-threshold":            "ratio",
	"scheduler-verbosity":                         "level",
}

// unit returns the unit or the form of a flag's values, "" for a number that units lacks.
func unit(f *pflag.Flag) string {
	if named, ok := units[f.Name]; ok {
		return named
	}
	switch kind := f.Value.Type(); kind {
	case "bool":
		return "true, false"
	case "duration":
		return "duration"
	case "string", "severity", "traceLocation", "pattern=N,...":
		return "text"
	case "stringSlice":
		return "list"
	case "MultiStringFlag":
		return "text, may be repeated"
	case "mapStringBool":
		return "name=true, ..."
	case "quantity":
		return "bytes"
	case "Level":
		return "level"
	default:
		return ""
	}
}

func section(t *testing.T, f *pflag.Flag) string {
	stock, other := readLines(t, "stock_flags.txt"), readLines(t, "other_flags.txt")
	in := func(lines []string) bool {
		return slices.ContainsFunc(lines, func(line string) bool { return strings.HasPrefix(line, "--"+f.Name+" ") })
	}
	switch {
	case foreign(f.Name):
		return sectionAbsent
	case why(f) != "":
		return sectionInert
	case in(other):
		return sectionOther
	case !in(stock):
		return sectionOurs
	default:
		return sectionStock
	}
}

// why returns the reason why a flag does nothing, "" if it does something.
func why(f *pflag.Flag) string {
	if i := slices.IndexFunc(inert, func(i Inert) bool { return i.Name == f.Name }); i >= 0 {
		return inert[i].Why
	}
	return ofOthers[f.Name]
}

// usage returns the help of a flag without the list of all feature gates.
func usage(f *pflag.Flag) string {
	text, _, listed := strings.Cut(f.Usage, "Options are:\n")
	if listed {
		text += "`--help` lists them."
	}
	return text
}

func flagsDocument(t *testing.T) string {
	t.Helper()
	fs, _ := register(t)
	rows := map[string][][]string{}
	fs.VisitAll(func(f *pflag.Flag) {
		name, standard := document.Code("--"+f.Name), document.Code(strings.TrimSuffix(f.DefValue, "[]"))
		switch where := section(t, f); where {
		case sectionAbsent:
		case sectionInert:
			rows[where] = append(rows[where], []string{name, document.Text(why(f))})
		default:
			assert.Truef(t, unit(f) != "", "--%s is a %s: name its unit in this file", f.Name, f.Value.Type())
			rows[where] = append(rows[where], []string{name, standard, unit(f), document.Text(usage(f))})
		}
	})
	for _, u := range unset {
		f := fs.Lookup(u.name)
		rows[sectionUnset] = append(rows[sectionUnset], []string{document.Code("--" + u.name), document.Code(f.DefValue), document.Text(fmt.Sprint(u.value)), document.Text(u.why)})
	}
	text := flagsHead
	for _, s := range []string{sectionOurs, sectionUnset, sectionOther, sectionInert, sectionStock} {
		head := []string{"flag", "default", "unit", "meaning"}
		switch s {
		case sectionInert:
			head = []string{"flag", "why"}
		case sectionUnset:
			head = []string{"flag", "stock", "here", "why"}
		}
		text += "\n## " + s + "\n\n" + sectionText[s] + "\n\n" + document.Table(head, rows[s])
	}
	return text
}

// make docs writes the document.
func TestFlagsDocument(t *testing.T) {
	document.Check(t, "../../..", "flags.md", flagsDocument(t), *update)
}

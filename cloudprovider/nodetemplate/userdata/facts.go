package userdata

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate"
)

// Facts holds the facts that user data states about a node.
type Facts struct {
	nodetemplate.UserData

	ClusterName string // "" when not stated, with an unresolved expression when only the node can know it

	// InstanceStore means that the node joins its local disks into the volume for pods, Mirrored that this keeps everything twice.
	InstanceStore, Mirrored bool
}

// AMIFamily returns the family of images that the Form is written for, or "". It is a guess: a known image overrules it.
func (f Facts) AMIFamily() nodetemplate.AMIFamily {
	return map[string]nodetemplate.AMIFamily{FormBootstrap: nodetemplate.AL2, FormNodeConfig: nodetemplate.AL2023,
		FormBottlerocket: nodetemplate.Bottlerocket, FormPowerShell: nodetemplate.Windows}[f.Form]
}

const (
	FormBootstrap    = "bootstrap.sh"
	FormNodeConfig   = "nodeadm NodeConfig"
	FormBottlerocket = "Bottlerocket settings"
	FormPowerShell   = "PowerShell bootstrap"
	FormKubelet      = "kubelet settings" // kubelet's arguments or configuration, without any form above
)

// Bounds on the input. EC2 keeps 16 KiB of user data, 21.3 KiB of base64. Text that gzip unpacks may be larger.
const (
	maxRawBytes      = 64 << 10
	maxInflatedBytes = 256 << 10
	maxNesting       = 8 // documents within documents
	maxProblems      = 32
	maxTaints        = 128
	maxLabels        = 256
	maxShown         = 80 // bytes of a setting that a Problem repeats
)

// maxWork bounds the work on one user data, in steps. A step takes about 10 ns and 16 bytes of memory, so the whole takes less
// than 50 ms and 64 MiB. The samples in testdata take at most a twentieth of it.
const (
	maxWork  = 2 << 20 // to read the documents
	formWork = 1 << 18 // and to evaluate each form in them
)

// Steps for pieces of work beside the steps for their bytes. BenchmarkHostile shows whether they are still right.
const (
	documentWork   = 256  // a document, a script or a part, however short
	parserWork     = 1024 // the parser of a YAML stream, of TOML or of a script
	shellWork      = 16   // a byte of a script for its parser
	gzipWork       = 8192 // the tables of a decoder
	packedWork     = 16   // a byte of gzip, which may unpack to nothing
	wordWork       = 8    // a word of a command
	settingWork    = 200  // a label, a taint or an amount
	expressionWork = 64   // a byte of maxPodsExpression
)

// clusterName matches what EKS accepts (EKS API reference, CreateCluster), and dots, which other clusters use.
var clusterName = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z._-]{0,99}$`)

// Cluster returns the name of the cluster that user data joins, or "" where it names none or only the node can know it.
func Cluster(data string) string {
	if facts, _ := Parse(data, ""); clusterName.MatchString(facts.ClusterName) {
		return facts.ClusterName
	}
	return ""
}

// Common returns the facts that two user data share, and their differences as Problems. It changes f.
func Common(f, other Facts) (Facts, []nodetemplate.Problem) {
	r := &reader{}
	r.intersect(&f, other, "the same in all launch templates of the group's overrides")
	f.Form = cmp.Or(f.Form, other.Form)
	return f, r.problems
}

type reader struct {
	budget

	conditions int // around the current text

	calls       []call // of the bootstrap script, Linux and Windows
	kubeletEnv  string // arguments in the environment, which a call may overrule
	kubeletArgs []string
	eksctlVars  map[string]string // of eksctl's file
	nodeConfigs []any             // specs
	dropIns     []any             // specs in files that user data writes
	branches    []any             // specs in branches of a script
	kubelet     map[string]any    // a kubelet configuration written by user data
	settings    map[string]any    // settings.kubernetes

	kubeletBranches []map[string]any // kubelet configurations in branches of a script
	kubeletInBranch map[string]any   // the one of them that is evaluated

	bottlerocketDisks bool   // Bottlerocket lays its local disks under kubelet's folder
	localDisks        string // raid0 or raid10, by a script that joins them

	others   []string // other documents, Bottlerocket takes any of them for its settings
	unmarked bool     // one of them looks like a script without its first line
}

// budget bounds the work on one user data. It collects the Problems, which cost work as well.
type budget struct {
	work     int // steps that may still be spent
	tooMuch  bool
	problems []nodetemplate.Problem
}

const tooMuchWork = "user data that takes less work to read, the rest of it was left out"

func (b *budget) spend(n int) bool {
	if b.tooMuch {
		return false
	}
	if b.work -= n; b.work < 0 {
		b.tooMuch = true
		b.unreadable("", tooMuchWork)
	}
	return !b.tooMuch
}

func (b *budget) problem(key, value string, reason nodetemplate.Reason, expected string) {
	b.report(nodetemplate.Problem{Key: key, Value: value, Reason: reason, Expected: expected})
}

func (b *budget) report(p nodetemplate.Problem) {
	if len(b.problems) >= maxProblems {
		return
	}
	b.work -= settingWork // the next spend notices
	p.Subject, p.Key, p.Value = "user data", show(p.Key), show(p.Value)
	if p.Value == "" && p.Key == "" {
		p.Expected = "in user data " + p.Expected
	}
	if !slices.Contains(b.problems, p) {
		b.problems = append(b.problems, p)
	}
}

// unreadable reports a document that cannot be parsed, without its text.
func (b *budget) unreadable(what, expected string) {
	b.problem(what, "", nodetemplate.ReasonUnreadable, expected)
}

func show(s string) string {
	const marks = len(markStart) + len(markEnd)
	s = s[:min(len(s), marks*maxShown)]
	s = marksShown.Replace(s)
	return strings.ToValidUTF8(s[:min(len(s), maxShown)], "")
}

package userdata

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate"
)

// Facts are what user data tells of a node.
type Facts struct {
	nodetemplate.UserData

	// AMIFamily is the family of image this user data is written for, "" when nothing was found; Form says what it was
	// told by. It is a guess: where the image itself is known, that decides.
	AMIFamily   nodetemplate.AMIFamily
	ClusterName string // "" when not told

	// InstanceStore tells that the node joins its local disks into the volume for pods, Mirrored that this keeps everything twice.
	InstanceStore, Mirrored bool
}

// Found reports whether anything was understood that tells how a node joins its cluster.
func (f Facts) Found() bool { return f.Form != "" }

// Forms of user data, as Facts.Form.
const (
	FormBootstrap    = "bootstrap.sh"
	FormNodeConfig   = "nodeadm NodeConfig"
	FormBottlerocket = "Bottlerocket settings"
	FormPowerShell   = "PowerShell bootstrap"
	FormKubelet      = "kubelet settings" // kubelet's arguments or configuration, with none of the above
)

// Bounds on what is read. EC2 keeps 16 KiB of user data, 21.3 KiB of base64. Text that gzip unpacks may be larger.
const (
	maxRawBytes      = 64 << 10
	maxInflatedBytes = 256 << 10
	maxNesting       = 8 // documents within documents
	maxProblems      = 32
	maxTaints        = 128
	maxLabels        = 256
	maxShown         = 80 // bytes of a setting that a Problem repeats
)

// maxWork bounds the work on one user data, in steps. A step takes about 10 ns and 16 bytes of memory, so that the whole takes
// less than 50 ms and 64 MiB. The samples in testdata take at most a twentieth of it.
const (
	maxWork    = 2 << 20 // to read the documents
	judgedWork = 1 << 18 // and for each form in them, to judge its settings
)

// Steps that a piece of work costs beside those for its bytes. BenchmarkHostile shows whether they are still right.
const (
	documentWork = 256  // a document, a script or a part, however short
	parserWork   = 1024 // the parser of a YAML stream or of TOML
	gzipWork     = 8192 // the tables of a decoder
	packedWork   = 16   // a byte of gzip, which may unpack to nothing
	wordWork     = 8    // a word of a command
	settingWork  = 200  // a label, a taint or an amount that is judged
)

// Parse reads user data as EC2 keeps it (base64), or as it was before. family is what is known of the image, "" if
// nothing is: it picks the form that counts where there are several, as an image does, and it tells Ubuntu from Amazon
// Linux, which share bootstrap.sh.
//
// The Problems are without a Group, which Parse does not know. The Facts are complete beside them: a setting with a
// Problem is left out, unless the Problem says it is Used. Facts share their maps and lists with those of every other Parse of
// the same user data: nobody may change them.
func Parse(data string, family nodetemplate.AMIFamily) (Facts, []nodetemplate.Problem) {
	return read(data).facts(family)
}

// clusterName matches what EKS accepts as a cluster's name (EKS API reference, CreateCluster), and dots, which other clusters
// have in theirs.
var clusterName = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z._-]{0,99}$`)

// Cluster is the name of the cluster that user data joins, "" where it names none, or only the node can know it.
func Cluster(data string) string {
	if facts, _ := Parse(data, ""); clusterName.MatchString(facts.ClusterName) {
		return facts.ClusterName
	}
	return ""
}

// Common returns what holds for nodes that start from either of two user data, which f and other tell of, and as Problems
// where these differ.
func Common(f, other Facts) (Facts, []nodetemplate.Problem) {
	r := &reader{}
	f = f.clone()
	r.intersect(&f, other, "the same in all launch templates of the group's overrides")
	f.Form, f.AMIFamily = cmp.Or(f.Form, other.Form), cmp.Or(f.AMIFamily, other.AMIFamily)
	return f, r.problems
}

// reader gathers what the documents of one user data say.
type reader struct {
	work     int // steps that may still be spent
	tooMuch  bool
	problems []nodetemplate.Problem

	conditions int // that what is read now depends on

	calls      []call // of the bootstrap script, Linux and Windows
	kubeletEnv string // arguments in the environment, which a call may overrule
	loose      []string
	useMaxPods string // in the environment
	nodeConfig *nodeConfig
	branches   []*nodeConfig  // the same, in branches of a script
	kubelet    map[string]any // a kubelet configuration written by user data
	edited     map[string]any // settings of the image's own that scripts edit
	rocket     map[string]any // settings.kubernetes

	rocketDisks bool // Bottlerocket lays its local disks under kubelet's folder

	strange  []string // documents that are none of the above; Bottlerocket takes anything for its settings
	unmarked bool     // one of them looks like a script without its first line
}

// spend takes n bytes of work from the budget, and reports whether there were as many left.
func (r *reader) spend(n int) bool {
	if r.tooMuch {
		return false
	}
	if r.work -= n; r.work < 0 {
		r.tooMuch = true
		r.problem("", "", nodetemplate.ReasonUnreadable, "user data that takes less work to read; the rest of it was left out")
	}
	return !r.tooMuch
}

// problem reports setting key with its value; both may be empty.
func (r *reader) problem(key, value string, reason nodetemplate.Reason, expected string) {
	r.report(nodetemplate.Problem{Key: key, Value: value, Reason: reason, Expected: expected})
}

func (r *reader) report(p nodetemplate.Problem) {
	if len(r.problems) >= maxProblems {
		return
	}
	r.work -= settingWork // noticed by who spends next
	p.Subject, p.Key, p.Value = "user data", show(p.Key), show(p.Value)
	if p.Value == "" && p.Key == "" {
		p.Expected = "in user data " + p.Expected
	}
	if !slices.Contains(r.problems, p) {
		r.problems = append(r.problems, p)
	}
}

// unreadable reports a document that cannot be parsed. Its text is not shown.
func (r *reader) unreadable(what, expected string) {
	r.problem(what, "", nodetemplate.ReasonUnreadable, expected)
}

// show makes what a Problem repeats of a setting, however long the setting is.
func show(s string) string {
	const marks = len(markStart) + len(markEnd)
	s = s[:min(len(s), marks*maxShown)]
	s = strings.ToValidUTF8(showUnresolved(s), "")
	for len(s) > maxShown {
		_, size := utf8.DecodeLastRuneInString(s[:maxShown+1])
		s = s[:maxShown+1-size]
	}
	return s
}

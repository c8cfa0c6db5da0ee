package userdata

import (
	"cmp"
	"maps"
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate"
)

// call is one call of bootstrap.sh of the Amazon Linux 2 images, or of Start-EKSBootstrap.ps1.
type call struct {
	windows bool
	cluster string
	args    string // --kubelet-extra-args
	hasArgs bool

	ignoreAddresses bool // --use-max-pods false
	localDisks      string
	conditional     bool // within a condition or loop of the script
}

// bootstrapArgs returns the part of a command that begins with bootstrap.sh, or nil if the command does not run it.
func bootstrapArgs(words []string) []string {
	joins := slices.Contains(words, "--kubelet-extra-args")
	for i, word := range words {
		switch base := path.Base(word); {
		case base == "bootstrap.sh" && (joins || strings.HasSuffix(word, "eks/bootstrap.sh")):
			return words[i:]
		case slices.Contains([]string{"sudo", "bash", "sh", "exec", "nohup", "env", "source", "."}, base),
			strings.HasPrefix(word, "-"), strings.Contains(word, "="):
		default:
			return nil
		}
	}
	return nil
}

// bootstrapOptions are the options of bootstrap.sh, each with a value (awslabs/amazon-eks-ami, read 2026-11). It takes any
// other word for the cluster's name, and does not know the form --option=value.
var bootstrapOptions = []string{
	"--use-max-pods", "--b64-cluster-ca", "--apiserver-endpoint", "--kubelet-extra-args", "--enable-docker-bridge",
	"--aws-api-retry-attempts", "--docker-config-json", "--containerd-config-file", "--pause-container-account",
	"--pause-container-version", "--dns-cluster-ip", "--container-runtime", "--ip-family", "--service-ipv6-cidr",
	"--enable-local-outpost", "--cluster-id", "--mount-bpf-fs", "--local-disks", "--pod-max-pids",
}

func (r *reader) bootstrapCall(args []string) call {
	var c call
	for i := 0; i < len(args); i++ {
		if !slices.Contains(bootstrapOptions, args[i]) {
			name, value, _ := strings.Cut(args[i], "=")
			switch {
			case slices.Contains(bootstrapOptions, name):
				r.problem(name, value, nodetemplate.ReasonKubeletSetting, "option and value of bootstrap.sh as two words, without '='")
			case wholeArray(args[i]), c.cluster != "" && hasUnresolved(args[i]):
				r.problem("bootstrap.sh", args[i], nodetemplate.ReasonUnresolved, literal) // options, maybe
			case c.cluster == "" && !strings.HasPrefix(args[i], "-"):
				c.cluster = args[i]
			}
			continue
		}
		option, value := args[i], ""
		if i++; i < len(args) {
			value = args[i]
		}
		switch option {
		case "--kubelet-extra-args":
			c.args, c.hasArgs = value, true
		case "--use-max-pods":
			c.ignoreAddresses = value == "false"
		case "--local-disks":
			c.localDisks = value
		}
	}
	return c
}

// bootstrapFacts takes the last call. If the last calls stand in branches, only facts that all of them share count.
func (r *reader) bootstrapFacts(windows bool) Facts {
	var calls []call
	for _, c := range r.calls {
		if c.windows != windows {
			continue
		}
		if !c.conditional {
			calls = nil
		}
		calls = append(calls, c)
	}
	const maxCalls = 16
	calls = calls[max(0, len(calls)-maxCalls):]
	return shared(r, calls, r.callFacts)
}

// shared evaluates what stands in the branches of a condition, of which only the node knows which it takes. All facts that differ are reported.
func shared[T any](r *reader, branches []T, evaluate func(T) Facts) Facts {
	f := evaluate(branches[0])
	for _, b := range branches[1:] {
		r.intersect(&f, evaluate(b), "the same in all branches of the script that join the cluster")
	}
	return f
}

func (r *reader) callFacts(c call) Facts {
	f := Facts{AMIFamily: nodetemplate.AL2, ClusterName: c.cluster}
	f.InstanceStore, f.Mirrored = c.localDisks == "raid0" || c.localDisks == "raid10", c.localDisks == "raid10"
	f.Form, f.IgnoreAddresses = FormBootstrap, c.ignoreAddresses
	if c.windows {
		f.Form, f.AMIFamily = FormPowerShell, nodetemplate.Windows
	}
	if hasUnresolved(f.ClusterName) {
		f.ClusterName = ""
	}
	args := c.args
	if !c.hasArgs {
		args = r.kubeletEnv
	}
	r.settingsOf(&f).apply(slices.Concat(r.splitArgs(args), r.kubeletArgs), r.kubelet)
	return f
}

func mostReserved(r *nodetemplate.Reservation, other nodetemplate.Reservation) bool {
	if apiequality.Semantic.DeepEqual(*r, other) {
		return false
	}
	r.Whole = false
	for name, q := range other.Resources {
		if have, ok := r.Resources[name]; !ok || have.Cmp(q) < 0 {
			put(&r.Resources, name, q)
		}
	}
	return true
}

func (r *reader) intersect(f *Facts, other Facts, same string) {
	conditional := func(key, value string, used bool) {
		r.report(nodetemplate.Problem{Key: key, Value: value, Used: used, Reason: nodetemplate.ReasonConditional, Expected: same})
	}
	keys := slices.AppendSeq(slices.Collect(maps.Keys(f.Labels)), maps.Keys(other.Labels))
	for _, key := range slices.Compact(slices.Sorted(slices.Values(keys))) {
		value, ok := f.Labels[key]
		if there, too := other.Labels[key]; !ok || !too || value != there {
			conditional("--node-labels "+key, "", false)
			delete(f.Labels, key)
		}
	}
	for _, taint := range other.Taints { // too many taints keep pods away, too few launch nodes for nothing
		if !slices.Contains(f.Taints, taint) {
			conditional("--register-with-taints "+taint.Key, taint.Value+":"+string(taint.Effect), true)
			if !slices.ContainsFunc(f.Taints, func(t corev1.Taint) bool { return t.MatchTaint(&taint) }) {
				f.Taints = append(f.Taints, taint)
			}
		}
	}
	if f.MaxPods != other.MaxPods || f.MostPods != other.MostPods {
		conditional("--max-pods", "", true)
		for _, stated := range []int{f.MaxPods, other.MaxPods, other.MostPods} {
			f.MostPods = min(cmp.Or(f.MostPods, stated), cmp.Or(stated, f.MostPods))
		}
		f.MaxPods = min(f.MaxPods, other.MaxPods)
	}
	if f.PodsPerCore != other.PodsPerCore {
		conditional("--pods-per-core", "", true)
		f.PodsPerCore = min(cmp.Or(f.PodsPerCore, other.PodsPerCore), cmp.Or(other.PodsPerCore, f.PodsPerCore))
	}
	if mostReserved(&f.KubeReserved, other.KubeReserved) {
		conditional("--kube-reserved", "", true)
	}
	if mostReserved(&f.SystemReserved, other.SystemReserved) {
		conditional("--system-reserved", "", true)
	}
	if !apiequality.Semantic.DeepEqual(f.EvictionHard, other.EvictionHard) {
		conditional("--eviction-hard", "", true)
		f.EvictionHard.Others = append(slices.Clone(f.EvictionHard.Others), other.EvictionHard)
	}
	f.IgnoreAddresses = f.IgnoreAddresses && other.IgnoreAddresses
	f.InstanceStore, f.Mirrored = f.InstanceStore && other.InstanceStore, f.Mirrored || other.Mirrored
	if f.PodsExpression != other.PodsExpression {
		conditional("maxPodsExpression", "", false)
		f.PodsExpression = nodetemplate.UnknownPods
	}
	if f.ClusterName != other.ClusterName {
		f.ClusterName = ""
	}
}

package userdata

import (
	"path"
	"slices"
	"strings"

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
	return runs(words, func(word string) bool {
		return path.Base(word) == "bootstrap.sh" && (joins || strings.HasSuffix(word, "eks/bootstrap.sh"))
	})
}

// runs returns the part of a command that begins with the script, or nil if the command does not run it.
func runs(words []string, script func(word string) bool) []string {
	for i, word := range words {
		switch base := path.Base(word); {
		case script(word):
			return words[i:]
		case slices.Contains([]string{"sudo", "bash", "sh", "exec", "nohup", "env", "source", "."}, base),
			strings.HasPrefix(word, "-"), strings.Contains(word, "="):
		default:
			return nil
		}
	}
	return nil
}

// setupLocalDisks reads a call of the script that bootstrap.sh and nodeadm call for the local disks (awslabs/amazon-eks-ami, read 2026-11).
func (r *reader) setupLocalDisks(words []string, conditional bool) {
	args := runs(words, func(word string) bool { return path.Base(word) == "setup-local-disks" })
	level := slices.IndexFunc(args, func(arg string) bool { return arg == "raid0" || arg == "raid10" })
	switch {
	case level < 0 || slices.Contains(args, "--no-bind-kubelet") || slices.Contains(args, "--no-bind-mounts"):
	case conditional:
		r.problem("local disks", "", nodetemplate.ReasonConditional, inAllBranches)
	default:
		r.localDisks = args[level]
	}
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

func (r *reader) callFacts(c call) Facts {
	f := Facts{ClusterName: c.cluster}
	f.InstanceStore, f.Mirrored = c.localDisks == "raid0" || c.localDisks == "raid10", c.localDisks == "raid10"
	f.IgnoreAddresses = c.ignoreAddresses
	args := c.args
	if !c.hasArgs {
		args = r.kubeletEnv
	}
	r.settingsOf(&f).apply(slices.Concat(r.splitArgs(args), r.kubeletArgs), r.kubelet, r.kubeletInBranch)
	return f
}

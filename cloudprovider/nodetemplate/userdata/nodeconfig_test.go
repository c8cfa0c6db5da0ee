package userdata

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate"
)

// outline writes labels, taints, the most pods, joined disks and the keys of the problems, with a star where the value is used.
func outline(f Facts, problems []nodetemplate.Problem) string {
	var keys []string
	for _, p := range problems {
		if p.Used {
			p.Key += "*"
		}
		keys = append(keys, p.Key)
	}
	slices.Sort(keys)
	out := labelText(f)
	for _, taint := range f.Taints {
		out += " " + taint.ToString()
	}
	return fmt.Sprintf("%s pods %d disks %t: %s", out, cmp.Or(f.MostPods, f.MaxPods), f.InstanceStore, strings.Join(keys, ", "))
}

// nodeadm joins the flags with blanks, and systemd splits and unquotes the whole.
func TestFlagsOfANodeConfigAreSplitAndUnquoted(t *testing.T) {
	const want = "a=1,b=2 dedicated=x:NoSchedule pods 35 disks false: "
	for _, flags := range []string{
		`['--node-labels="a=1,b=2"', '--register-with-taints="dedicated=x:NoSchedule"', "--max-pods='35'"]`,
		`["--node-labels=a=1,b=2 --register-with-taints=dedicated=x:NoSchedule --max-pods=35"]`,
		`['--node-labels "a=1"', "--node-labels b=2", --register-with-taints, "dedicated=x:NoSchedule", --max-pods 35]`,
		`["--node_labels=a=1,b=2", "--register_with-taints dedicated=x:NoSchedule", --max_pods=35]`,
	} {
		got := outline(Parse("apiVersion: node.eks.aws/v1alpha1\nkind: NodeConfig\nspec: {kubelet: {flags: "+flags+"}}\n", ""))
		assert.Equal(t, want, got, flags)
	}
}

// nodeadm lays the files of /etc/eks/nodeadm.d over the NodeConfigs of the user data, wherever the script stands that writes them. Only
// the node knows whether it writes one that stands in a condition.
func TestNodeConfigsInFilesAreLaidOverTheOthers(t *testing.T) {
	const kind = "apiVersion: node.eks.aws/v1alpha1\nkind: NodeConfig\nspec: "
	const base = kind + "{cluster: {name: c}, kubelet: {flags: [--node-labels=a=1], config: {maxPods: 29}}}\n"
	part := func(contentType, text string) string {
		return "--b\nContent-Type: " + contentType + "\n\n" + text + "\n"
	}
	file := func(spec string) string { return "cat > /etc/eks/nodeadm.d/x.yaml <<E\n" + kind + spec + "\nE\n" }
	within := func(script string) string { return "if x; then\n" + script + "fi\n" }
	for _, tt := range []struct{ name, script, want string }{
		{name: "pods", script: file("{kubelet: {config: {maxPods: 110}}}"), want: "a=1 pods 110 disks false: "},
		{name: "taint in a condition", script: within(file("{kubelet: {config: {registerWithTaints: [{key: gpu, effect: NoSchedule}]}}}")),
			want: "a=1 gpu:NoSchedule pods 29 disks false: --register-with-taints gpu*"},
		{name: "label in a condition", script: within(file("{kubelet: {flags: [--node-labels=b=2]}}")),
			want: "a=1 pods 29 disks false: --node-labels b"},
		{name: "disks and pods in a condition", script: within(file("{instance: {localStorage: {strategy: RAID0}}, kubelet: {config: {maxPods: 234}}}")),
			want: "a=1 pods 29 disks false: --max-pods*, local disks"},
		{name: "fewer pods in a condition", script: within(file("{kubelet: {config: {maxPods: 8}}}")),
			want: "a=1 pods 8 disks false: --max-pods*"},
		{name: "one certain, one in a condition", script: file("{kubelet: {config: {maxPods: 50}}}") + within(file("{kubelet: {flags: [--max-pods=40]}}")),
			want: "a=1 pods 40 disks false: --max-pods*"},
	} {
		script := part("text/x-shellscript", "#!/bin/bash\n"+tt.script)
		config := part("application/node.eks.aws", base)
		for _, parts := range []string{script + config, config + script} {
			f, problems := Parse("MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n"+parts+"--b--\n", "")
			assert.Equal(t, tt.want, outline(f, problems), tt.name)
		}
	}
}

// nodeadm decodes a part that is base64, and unpacks it, whatever the header of the part says.
func TestAnEncodedNodeConfigWithoutAHeaderThatSaysSo(t *testing.T) {
	const config = "apiVersion: node.eks.aws/v1alpha1\nkind: NodeConfig\nspec: {kubelet: {flags: [--node-labels=a=1], config: {maxPods: 29}}}\n"
	for _, part := range []string{config, encode(config), inLines(encode(config)), encode(zip(t, config))} {
		got := outline(Parse("MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: application/node.eks.aws\n\n"+part+"\n--b--\n", ""))
		assert.Equal(t, "a=1 pods 29 disks false: ", got, part)
	}
}

// A configuration of kubelet that stands in a condition may not be there either.
func TestKubeletConfigurationInACondition(t *testing.T) {
	const want = "a=1 t:NoSchedule pods 20 disks false: --max-pods*, --register-with-taints t*"
	written := func(pods string) string {
		return "cat > f <<E\nkind: KubeletConfiguration\nmaxPods: " + pods + "\nregisterWithTaints: [{key: t, effect: NoSchedule}]\nE\n"
	}
	for _, join := range []string{
		"/etc/eks/bootstrap.sh c --kubelet-extra-args --node-labels=a=1\n",
		"export KUBELET_EXTRA_ARGS=--node-labels=a=1\n",
		"cat > n <<E\napiVersion: node.eks.aws/v1alpha1\nkind: NodeConfig\nspec: {kubelet: {flags: [--node-labels=a=1]}}\nE\n",
	} {
		f, problems := Parse("#!/bin/bash\n"+join+"if x; then\n"+written("20")+"else\n"+written("110")+"fi\n", "")
		assert.Equal(t, want, outline(f, problems), join)
	}
	f, problems := Parse("#!/bin/bash\nif x; then\n"+written("20")+"fi\n", nodetemplate.AL2)
	assert.Equal(t, want[len("a=1"):], outline(f, problems), "nothing else")
}

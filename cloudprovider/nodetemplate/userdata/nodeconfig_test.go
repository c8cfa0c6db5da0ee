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

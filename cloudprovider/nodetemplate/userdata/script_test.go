package userdata

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestEditsByJqAreReported(t *testing.T) {
	const head, join = "CONFIG=/etc/kubernetes/kubelet/kubelet-config.json\n", "/etc/eks/bootstrap.sh c --use-max-pods false\n"
	edit := func(program string) string { return `echo "$(jq ` + program + ` $CONFIG)" > $CONFIG` + "\n" }
	for _, tt := range []struct{ name, script, problems string }{
		{name: "a number", script: head + join + edit("'.maxPods=58'"), problems: "jq maxPods"},
		{name: "in backquotes", script: head + join + "echo `jq .maxPods=58 $CONFIG` > $CONFIG\n", problems: "jq maxPods"},
		{name: "by way of another file", script: head + join + "sudo jq '.maxPods = 58' $CONFIG > /tmp/x && mv /tmp/x $CONFIG\n", problems: "jq maxPods"},
		{name: "one of several settings", script: head + join + edit(`'.kubeReserved.memory="1Gi"'`), problems: "jq kubeReserved"},
		{name: "quoted keys", script: head + join + edit(`'.["systemReserved"]["cpu"] = "100m"'`), problems: "jq systemReserved"},
		{name: "arguments", script: head + join + edit(`--argjson n 58 '.maxPods |= $n'`), problems: "jq maxPods"},
		{name: "twice", script: head + join + edit("'.maxPods=58'") + edit("'.maxPods=60'"), problems: "jq maxPods"},
		{name: "written to a script", script: "cat > /x <<'EOF'\n" + head + join + edit("'.maxPods=58'") + "EOF\n", problems: "jq maxPods"},

		{name: "huge pages", script: join + "sysctl -w vm.nr_hugepages=2048\n", problems: "huge pages"},
		{name: "huge pages in a file", script: join + "cat > /etc/sysctl.d/1.conf <<E\nvm.nr_hugepages = 2048\nE\n", problems: "huge pages"},
		{name: "huge pages of the kernel", script: join + "echo 4 | sudo tee /sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages\n", problems: "huge pages"},
		{name: "memory of enclaves", script: join + "sed -i 's/512/3072/' /etc/nitro_enclaves/allocator.yaml\nsystemctl start nitro-enclaves-allocator.service\n", problems: "huge pages"},
		{name: "huge pages from the kernel's start on", script: join + "grubby --update-kernel=ALL --args=\"hugepagesz=1G hugepages=8\"\n", problems: "huge pages"},
		{name: "huge pages that are only read", script: join + "cat /proc/sys/vm/nr_hugepages > x\nsysctl -w vm.nr_hugepages=0\ndnf install aws-nitro-enclaves-cli\n"},
		{name: "only read", script: head + join + "N=$(jq .maxPods $CONFIG)\njq -e '.maxPods == 5' $CONFIG\n" + `jq -r 'select(.maxPods >= 5)' $CONFIG` + "\n"},
		{name: "another file", script: join + "jq '.spec.kubelet.config.maxPods=58 | .bridge=\"docker0\"' x > y\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, problems := Parse("#!/bin/bash\n"+tt.script, "")
			var keys []string
			for _, p := range problems {
				keys = append(keys, p.Key)
			}
			assert.Equal(t, tt.problems, strings.Join(keys, ", "), "problems")
			assert.Equal(t, 0, f.MaxPods, "pods that it takes")
		})
	}
}

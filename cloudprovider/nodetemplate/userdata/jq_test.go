package userdata

import (
	"strings"
	"testing"
)

func TestEditsByJq(t *testing.T) {
	const file = "/etc/kubernetes/kubelet/kubelet-config.json"
	edit := func(program string) string { return `echo "$(jq ` + program + ` $CONFIG)" > $CONFIG` + "\n" }
	const head, join = "CONFIG=" + file + "\n", "/etc/eks/bootstrap.sh c --use-max-pods false\n"
	for _, tt := range []struct {
		name, script string
		want         []string // lines of the description
		problems     string   // their keys
	}{
		{name: "a number", script: head + join + edit("'.maxPods=58'"), want: []string{"pods 58, ignore addresses true, instance store false"}},
		{name: "in backquotes", script: head + join + "echo `jq .maxPods=58 $CONFIG` > $CONFIG\n", want: []string{"pods 58, ignore addresses true, instance store false"}},
		{name: "by way of another file", script: head + join + "sudo jq '.maxPods = 58' $CONFIG > /tmp/x && mv /tmp/x $CONFIG\n", want: []string{"pods 58, ignore addresses true, instance store false"}},
		{name: "a variable of the script", script: head + join + "N=58\n" + edit(`".maxPods=$N"`), want: []string{"pods 58, ignore addresses true, instance store false"}},
		{name: "one of several settings", script: head + join + edit(`'.kubeReserved.memory="1Gi"'`), want: []string{"kube-reserved memory=1Gi, whole false"}},
		{name: "quoted keys", script: head + join + edit(`'.evictionHard."memory.available" = "300Mi" | .["systemReserved"]["cpu"] = "100m"'`),
			want: []string{"eviction-hard memory.available<300Mi or 0.00, whole false", "system-reserved cpu=100m, whole false"}},
		{name: "an object", script: head + join + edit(`'. += {"kubeReserved": {"cpu": "90m", memory: "1Gi"}, other: 1}'`),
			want: []string{"kube-reserved cpu=90m, whole false", "kube-reserved memory=1Gi, whole false"}},
		{name: "arguments", script: head + join + edit(`--arg m 1Gi --argjson n 58 '.kubeReserved.memory=$m | .maxPods |= $n'`),
			want: []string{"kube-reserved memory=1Gi, whole false", "pods 58, ignore addresses true, instance store false"}},
		{name: "taints", script: head + join + edit(`'.registerWithTaints=[{"key":"a","value":"b","effect":"NoSchedule"}]'`), want: []string{"taint a=b:NoSchedule"}},
		{name: "the last edit wins", script: head + join + edit("'.maxPods=58'") + edit("'.maxPods=60'"), want: []string{"pods 60, ignore addresses true, instance store false"}},
		{name: "without bootstrap.sh", script: head + edit("'.maxPods=58'"), want: []string{`form "kubelet settings", family "", cluster ""`, "pods 58, ignore addresses false, instance store false"}},

		{name: "before bootstrap.sh sets it anew", script: head + edit(`'.kubeReserved.memory="1Gi" | .evictionHard={} | .systemReserved.cpu="1"'`) + join,
			want: []string{"system-reserved cpu=1, whole false"}, problems: "jq kubeReserved, jq evictionHard"},
		{name: "before bootstrap.sh leaves it", script: head + edit("'.maxPods=58'") + join, want: []string{"pods 58, ignore addresses true, instance store false"}},
		{name: "before bootstrap.sh counts addresses", script: head + edit("'.maxPods=58'") + "/etc/eks/bootstrap.sh c\n", problems: "jq maxPods"},
		{name: "in a branch", script: head + join + "if x; then " + edit("'.maxPods=58'") + "fi\n", problems: "jq maxPods"},
		{name: "what only the node knows", script: head + join + edit(`".maxPods=$(nproc)"`) + edit(`--arg m "$M" '.kubeReserved={memory: $m}'`) + edit(`'.systemReserved=$x'`),
			problems: "jq systemReserved, kubelet maxPods, kubelet kubeReserved memory"},
		{name: "a computation", script: head + join + edit("'.maxPods=(.maxPods + 5)'"), problems: "kubelet maxPods"},
		{name: "taken away", script: head + join + edit("'del(.evictionHard)'"), problems: "jq"},
		{name: "no object", script: head + join + edit("'.kubeReserved=5'"), problems: "jq kubeReserved"},

		{name: "read", script: head + join + "N=$(jq .maxPods $CONFIG)\njq -e '.maxPods == 5' $CONFIG\n" + `jq -r 'select(.maxPods >= 5)' $CONFIG` + "\n"},
		{name: "another file", script: join + "jq '.spec.kubelet.config.maxPods=58 | .bridge=\"docker0\"' x > y\n"},
		{name: "a text of a here-document", script: join + "X=$(cat <<EOF\nKUBELET_EXTRA_ARGS=--max-pods=3\njq '.maxPods=58' f\nEOF\n)\n"},
		{name: "written to a script", script: "cat > /x <<'EOF'\n" + head + join + edit("'.maxPods=58'") + "EOF\n", want: []string{"pods 58, ignore addresses true, instance store false"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, problems := Parse("#!/bin/bash\n"+tt.script, "")
			var keys []string
			for _, p := range problems {
				keys = append(keys, p.Key)
			}
			if got := strings.Join(keys, ", "); got != tt.problems {
				t.Errorf("problems of %q, want %q", got, tt.problems)
			}
			described := describe(f, nil)
			for _, line := range tt.want {
				if !strings.Contains(described, line+"\n") {
					t.Errorf("no %q in\n%s", line, described)
				}
			}
			if tt.want == nil && strings.Contains(described, "pods 58") {
				t.Errorf("it takes 58 pods:\n%s", described)
			}
		})
	}
}

// nodeadm writes the configuration after the scripts have run.
func TestEditsByJqAreLostOnAL2023(t *testing.T) {
	const data = "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/x-shellscript\n\n#!/bin/bash\njq .maxPods=58 /etc/kubernetes/kubelet/config.json\n" +
		"--b\nContent-Type: application/node.eks.aws\n\napiVersion: node.eks.aws/v1alpha1\nkind: NodeConfig\nspec: {}\n--b--\n"
	if f, problems := Parse(data, ""); f.MaxPods != 0 || len(problems) != 1 || problems[0].Key != "jq maxPods" {
		t.Errorf("%d pods, problems %v", f.MaxPods, problems)
	}
}

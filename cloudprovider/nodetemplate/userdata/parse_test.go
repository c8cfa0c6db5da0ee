package userdata

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate"
	"github.com/asg-autoscaler/asg-autoscaler/test/bench/costlimit"
)

func zip(t testing.TB, s string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err := z.Write([]byte(s))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	return b.String()
}

func encode(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// wrapped in lines of 76, as some tools do.
func inLines(s string) string {
	var b strings.Builder
	for len(s) > 76 {
		b.WriteString(s[:76] + "\r\n")
		s = s[76:]
	}
	return b.String() + s
}

func TestWrappingsDoNotMatter(t *testing.T) {
	for _, file := range samples(t) {
		raw := sample(t, file)
		want := describe(Parse(raw, ""))
		for name, data := range map[string]string{
			"base64":               encode(raw),
			"base64 in lines":      inLines(encode(raw)),
			"gzip":                 zip(t, raw),
			"gzip, base64":         encode(zip(t, raw)),
			"gzip twice, base64":   encode(zip(t, zip(t, raw))),
			"Windows line ends":    strings.ReplaceAll(raw, "\n", "\r\n"),
			"byte order mark":      "\ufeff" + raw,
			"one part":             "Content-Type: multipart/mixed; boundary=b\nMIME-Version: 1.0\n\n--b\nContent-Type: text/plain\n\n" + raw + "\n--b--\n",
			"base64 part":          "MIME-Version: 1.0\nContent-Type: multipart/mixed;\n boundary=\"b\"\n\n--b\nContent-Transfer-Encoding: base64\n\n" + inLines(encode(raw)) + "\n--b--\n",
			"gzip part in a part":  "Content-Type: multipart/mixed; boundary=b\n\npreamble\n--b\nContent-Type: multipart/mixed; boundary=c\n\n--c\nContent-Transfer-Encoding: base64\n\n" + encode(zip(t, raw)) + "\n--c--\n--b--\nepilogue",
			"file of cloud-config": "#cloud-config\nwrite_files:\n- path: /x\n  encoding: gz+b64\n  content: " + encode(zip(t, raw)) + "\n",
		} {
			if name == "file of cloud-config" && strings.Contains(file, "bottlerocket") {
				continue // no file of a node
			}
			assert.Emptyf(t, cmp.Diff(want, describe(Parse(data, ""))), "%s, %s: facts differ (-plain +wrapped)", file, name)
		}
	}
}

func TestScripts(t *testing.T) {
	const bootstrap = "/etc/eks/bootstrap.sh c --kubelet-extra-args "
	for _, tt := range []struct {
		name, script string
		want         string // labels, sorted, then the keys of problems
	}{
		{name: "single quotes", script: bootstrap + `'--node-labels=a=1,b=2'`, want: "a=1 b=2"},
		{name: "two words", script: bootstrap + `'--node-labels a=1'`, want: "a=1"},
		{name: "flag repeated adds", script: bootstrap + `"--node-labels=a=1 --node-labels=b=2,a=3"`, want: "a=3 b=2"},
		{name: "inner quotes", script: bootstrap + `"--node-labels='a=1' --v=2"`, want: "a=1"},
		{name: "escaped quotes", script: bootstrap + `"--node-labels=\"a=1\""`, want: "a=1"},
		{name: "adjacent quotes", script: bootstrap + `'--node-labels='"a=1",b='2'`, want: "a=1 b=2"},
		{name: "continued lines", script: "/etc/eks/bootstrap.sh \\\n  c \\\n --kubelet-extra-args \\\n '--node-labels=a=1'", want: "a=1"},
		{name: "continued within quotes", script: bootstrap + "\"--node-labels=a=1,\\\nb=2 \\\n  --max-pods=3\"", want: "a=1 b=2"},
		{name: "arguments first", script: "/etc/eks/bootstrap.sh --kubelet-extra-args '--node-labels=a=1' --use-max-pods false c", want: "a=1"},
		{name: "last argument wins", script: bootstrap + "'--node-labels=a=1' --kubelet-extra-args '--node-labels=b=1'", want: "b=1"},
		{name: "last call wins", script: bootstrap + "'--node-labels=a=1'\n" + bootstrap + "'--node-labels=b=1'", want: "b=1"},
		{name: "comment", script: "# " + bootstrap + "'--node-labels=a=1'\n" + bootstrap + "x # '--node-labels=b=1'", want: ""},
		{name: "not run", script: "echo " + bootstrap + "'--node-labels=a=1'", want: ""},
		{name: "sudo and environment", script: "sudo -E FOO=1 bash -x " + bootstrap + "'--node-labels=a=1' >/tmp/log 2>&1 &", want: "a=1"},
		{name: "shell in a shell", script: `bash -c "` + bootstrap + `'--node-labels=a=1'"`, want: "a=1"},
		{name: "equals sign", script: "/etc/eks/bootstrap.sh c --kubelet-extra-args='--node-labels=a=1'", want: " ! --kubelet-extra-args"},
		{name: "variable", script: "X='a=1'\nL=\"--node-labels=$X\"\n" + bootstrap + `"${L},b=${X#a=}"`, want: "a=1 ! --node-labels b"},
		{name: "single quotes do not expand", script: "X=1\n" + bootstrap + `'--node-labels=a=$X'`, want: " ! --node-labels a"},
		{name: "exported", script: "export KUBELET_EXTRA_ARGS='--node-labels=a=1'\n/etc/eks/bootstrap.sh c", want: "a=1"},
		{name: "exported several times", script: "export KUBELET_EXTRA_ARGS='--node-labels=a=1'\nexport KUBELET_EXTRA_ARGS=\"$KUBELET_EXTRA_ARGS --node-labels=b=2\"\n/etc/eks/bootstrap.sh c", want: "a=1 b=2"},
		{name: "appended", script: "KUBELET_EXTRA_ARGS='--node-labels=a=1'\nKUBELET_EXTRA_ARGS+=' --node-labels=b=2'\n/etc/eks/bootstrap.sh c --kubelet-extra-args \"$KUBELET_EXTRA_ARGS\"", want: "a=1 b=2"},
		{name: "exported, then overruled", script: "export KUBELET_EXTRA_ARGS='--node-labels=a=1'\n" + bootstrap + "'--node-labels=b=2'", want: "b=2"},
		{name: "prefix", script: "KUBELET_EXTRA_ARGS='--node-labels=a=1' /etc/eks/bootstrap.sh c", want: "a=1"},
		{name: "exports alone", script: "export KUBELET_EXTRA_ARGS='--node-labels=a=1'", want: "a=1"},
		{name: "underscores", script: bootstrap + `'--node_labels=a=1'`, want: "a=1"},
		{name: "conditional edit with underscores", script: "if x; then echo 'KUBELET_EXTRA_ARGS=--node_labels=a=1' >> f; fi\n" + bootstrap + "'--node-labels=b=2'", want: "b=2 ! --node-labels"},
		{name: "edited in", script: `sed -i 's/KUBELET_EXTRA_ARGS=$2/KUBELET_EXTRA_ARGS="$2 --node-labels=a=1"/' /etc/eks/bootstrap.sh`, want: "a=1"},
		{name: "written", script: `echo 'KUBELET_EXTRA_ARGS="--node-labels=a=1"' > /etc/default/kubelet`, want: "a=1"},
		{name: "written with spaces", script: `echo 'KUBELET_EXTRA_ARGS="--node-labels a=1 --v --register-with-taints t=v:NoSchedule --node-labels b=2"' > /etc/default/kubelet`, want: "a=1 b=2"},
		{name: "edited in with a space", script: `sed -i 's/^KUBELET_EXTRA_ARGS=.*/KUBELET_EXTRA_ARGS="--max-pods 20 --node-labels a=1"/' /etc/eks/bootstrap.sh`, want: "a=1"},
		{name: "written with a value that only the node knows", script: `echo "KUBELET_EXTRA_ARGS='--node-labels $(x) --node-labels b=2'" > f`, want: "b=2 ! --node-labels $(…)"},
		{name: "kops", script: "DAEMON_ARGS=\"--v=2 --node-labels=kops.k8s.io/instancegroup=x,a=1\"", want: "a=1 ! --node-labels kops.k8s.io/instancegroup"},
		{name: "kubelet itself", script: "exec /usr/bin/true; /usr/bin/kubelet --node-labels=a=1 --v 2", want: "a=1"},
		{name: "conditional variable", script: "T=od\nif spot; then T=spot; fi\n" + bootstrap + `"--node-labels=a=1,type=$T"`, want: "a=1 ! --node-labels type"},
		{name: "short condition", script: "T=od\nspot && T=spot\n" + bootstrap + `"--node-labels=a=1,type=$T"`, want: "a=1 ! --node-labels type"},
		{name: "same in both branches", script: "if x; then T=1\nelse T=1; fi\n" + bootstrap + `"--node-labels=a=$T"`, want: " ! --node-labels a"},
		{name: "only call is conditional", script: "if [ -x /etc/eks/bootstrap.sh ]; then\n" + bootstrap + "'--node-labels=a=1'\nfi", want: "a=1"},
		{name: "branches", script: "case $(type) in\nspot) " + bootstrap + "'--node-labels=a=1,t=s' ;;\n*) " + bootstrap + "'--node-labels=a=1,t=o' ;;\nesac", want: "a=1 ! --node-labels t"},
		{name: "conditional edit", script: "if x; then echo 'KUBELET_EXTRA_ARGS=--node-labels=a=1' >> f; fi\n" + bootstrap + "'--node-labels=b=2'", want: "b=2 ! --node-labels"},
		{name: "loop", script: "for T in a b; do\nL=$T\ndone\n" + bootstrap + `"--node-labels=a=1,l=$L"`, want: "a=1 ! --node-labels l"},
		{name: "function", script: "join() {\n  local L=a=1\n  " + bootstrap + "\"--node-labels=$L\"\n}\njoin", want: "a=1"},
		{name: "arguments of a function", script: "join() {\n  " + bootstrap + "\"--node-labels=a=1,b=$1 $2\"\n}\njoin x", want: "a=1 ! --node-labels b kubelet arguments"},
		{name: "arguments of a script", script: bootstrap + `"--node-labels=a=1 $1 $@"`, want: "a=1 ! kubelet arguments kubelet arguments"},
		{name: "array", script: "ARGS=(--kubelet-extra-args '--node-labels=a=1')\n/etc/eks/bootstrap.sh c \"${ARGS[@]}\"", want: " ! bootstrap.sh"},
		{name: "array alone", script: "/etc/eks/bootstrap.sh ${ARGS[*]}", want: " ! bootstrap.sh"},
		{name: "options in a variable", script: "/etc/eks/bootstrap.sh $CLUSTER $MORE", want: " ! bootstrap.sh"},
		{name: "cluster in a variable", script: "/etc/eks/bootstrap.sh $CLUSTER --kubelet-extra-args --node-labels=a=1", want: "a=1"},
		{name: "evaluated", script: "X=1\neval \"" + bootstrap + "'--node-labels=a=$X'\"", want: "a=1"},
		{name: "substitution with quotes", script: "X=$(echo \")\" ')' | awk '{print $1}')\n" + bootstrap + "\"--node-labels=a=1,x=$X,y=`id`\"", want: "a=1 ! --node-labels x --node-labels y"},
		{name: "here-document of data", script: "cat <<'EOF' >/etc/motd\n/etc/eks/no.sh it's \"open\nEOF\n" + bootstrap + "'--node-labels=a=1'", want: "a=1"},
		{name: "here-document of a script", script: "cat > /x <<EOF\n#!/bin/sh\n" + bootstrap + "'--node-labels=a=1,b=\\$X'\nEOF\nsh /x", want: "a=1 ! --node-labels b"},
		{
			name: "NodeConfig in branches", want: "a=1 ! --node-labels t",
			script: "if spot; then cat > n <<EOF\napiVersion: node.eks.aws/v1alpha1\nkind: NodeConfig\nspec: {kubelet: {flags: [\"--node-labels=a=1,t=s\"]}}\nEOF\n" +
				"else cat > n <<EOF\napiVersion: node.eks.aws/v1alpha1\nkind: NodeConfig\nspec: {kubelet: {flags: [\"--node-labels=a=1,t=o\"]}}\nEOF\nfi",
		},
		{name: "kubeadm", script: "cat >a <<A\napiVersion: kubeadm.k8s.io/v1beta3\nkind: JoinConfiguration\nnodeRegistration: {kubeletExtraArgs: {node-labels: \"a=1,b=$(x)\"}}\nA\n", want: "a=1 ! --node-labels b"},
		{name: "kubeadm in a branch", script: "if x; then cat >a <<A\nkind: JoinConfiguration\nnodeRegistration: {kubeletExtraArgs: [{name: node-labels, value: a=1}]}\nA\nfi\n" + bootstrap + "'--node-labels=b=2'", want: "b=2 ! --node-labels"},
		{name: "kubeadm that is not YAML", script: "cat >a <<A\nkind: JoinConfiguration\n: : -\n\t-\nA\n", want: " ! JoinConfiguration"},
		{name: "unknown arguments", script: bootstrap + `"--node-labels=a=1 $MORE"`, want: "a=1 ! kubelet arguments"},
		{name: "unfinished", script: bootstrap + `"--node-labels=a=1`, want: " ! shell script"}, // a shell does not run it
		{name: "after a line that is no shell", script: "x )\n" + bootstrap + `"--node-labels=a=1"`, want: "a=1 ! shell script"},
		{name: "two here-documents", script: "cat >a <<A; cat >b <<'B'\nKUBELET_EXTRA_ARGS=--node-labels=a=1\nA\nEnvironment=\"KUBELET_EXTRA_ARGS=--node-labels=b=2\" \"B=2\"\nB\n", want: "a=1 b=2"},
		{name: "environment file", script: "cat >/etc/default/kubelet <<A\nB=2\nKUBELET_EXTRA_ARGS=--v 2 --node-labels=a=1 --eviction-hard=memory.available<100Mi --node-labels='b=2'\nC=3\nA\n", want: "a=1 b=2"},
		{name: "environment file with a continued line", script: "cat >/etc/default/kubelet <<'A'\n KUBELET_EXTRA_ARGS= --node-labels=a=1 \\\n  --node-labels=b=2\nA\n", want: "a=1 b=2"},
		{name: "environment file with a variable", script: "cat >/etc/default/kubelet <<A\nKUBELET_EXTRA_ARGS=--v=2 --node-labels=a=1,b=$(hostname)\nA\n", want: "a=1 ! --node-labels b"},
		{name: "file of a shell", script: "cat >/f <<'A'\nKUBELET_EXTRA_ARGS=--node-labels=a=1; B=2\nA\n", want: "a=1"},
		{name: "systemd unit", script: "cat >a <<A\n; note (x)\nDescription=Kubelet's (local)\nExecStart=/usr/bin/kubelet --node-labels=a=1\nA\n", want: "a=1"},
		{name: "exported in quotes", script: "export \"KUBELET_EXTRA_ARGS=--node-labels=a=1\"", want: "a=1"},
		{name: "Latin-1", script: "# Gr\xf6\xdfe\n" + bootstrap + "--node-labels=a=1", want: "a=1"},
		{name: "archive behind the script", script: bootstrap + "--node-labels=a=1\nexit 0\n\x00\xfdPK\x03\x04\x00\xff\n", want: "a=1"},
		{name: "block after a condition", script: "T=a\nspot && { echo; T=b; }\n" + bootstrap + `"--node-labels=a=1,t=$T"`, want: "a=1 ! --node-labels t"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, data := range []string{"#!/bin/bash\n" + tt.script, encode("#!/bin/bash\n" + tt.script)} {
				f, problems := Parse(data, "")
				got := strings.ReplaceAll(labelText(f), ",", " ")
				for i, p := range problems {
					if i == 0 {
						got += " !"
					}
					got += " " + p.Key
				}
				assert.Truef(t, got == tt.want, "got %q, want %q\n%s", got, tt.want, describe(f, problems))
			}
		})
	}
}

func TestBottlerocketOnLocalDisks(t *testing.T) {
	const settings = "[settings.kubernetes]\ncluster-name = 'c'\n[settings.bootstrap-commands.disks]\nmode = 'always'\ncommands = "
	for _, tt := range []struct {
		name, data string
		want       bool
	}{
		{name: "no commands", data: "[settings.kubernetes]\ncluster-name = 'c'\n"},
		{name: "bound to kubelet's folder", data: settings + `[["apiclient", "ephemeral-storage", "init"], ["apiclient", "ephemeral-storage", "bind", "--dirs", "/var/lib/containerd", "/var/lib/kubelet"]]`, want: true},
		{name: "bound to another folder", data: settings + `[["apiclient", "ephemeral-storage", "init"], ["apiclient", "ephemeral-storage", "bind", "--dirs", "/var/lib/containerd"]]`},
		{name: "bound to all folders", data: settings + `[["apiclient", "ephemeral-storage", "init"], ["apiclient", "ephemeral-storage", "bind"]]`, want: true},
		{name: "formatted only", data: settings + `[["apiclient", "ephemeral-storage", "init", "/var/lib/kubelet"]]`},
		{name: "never run", data: strings.Replace(settings, "always", "off", 1) + `[["apiclient", "ephemeral-storage", "bind", "--dirs", "/var/lib/kubelet"]]`},
		{name: "no list", data: settings + `[1, "x", ["apiclient"], []]`},
		{name: "no table", data: "[settings]\nbootstrap-commands = 3\n[settings.kubernetes]\ncluster-name = 'c'\n"},
	} {
		f, problems := Parse(tt.data, nodetemplate.Bottlerocket)
		assert.Truef(t, f.InstanceStore == tt.want && f.Form != "" && len(problems) == 0,
			"%s: local disks hold the pods' data: %t, want %t; problems %v", tt.name, f.InstanceStore, tt.want, problems)
	}
}

// The image writes reserved-cpus to kubelet's reservedSystemCPUs.
func TestBottlerocketReservesCPUs(t *testing.T) {
	f, problems := Parse("[settings.kubernetes]\nreserved-cpus = '0-3'\n[settings.kubernetes.kube-reserved]\ncpu = '100m'\n", "")
	system, kube := f.SystemReserved.Amounts["cpu"].Quantity, f.KubeReserved.Amounts["cpu"].Quantity
	got := []int64{system.MilliValue(), kube.MilliValue()}
	assert.Equal(t, []int64{4000, 0}, got, "CPUs of both reservations")
	assert.Empty(t, problems)
}

func TestSettingsOfBottlerocketThatOnlyATagStates(t *testing.T) {
	const nvidia = "[settings.kubelet-device-plugins.nvidia]\n"
	const slicing, mps, mig = nvidia + "device-sharing-strategy = 'time-slicing'\n", nvidia + "device-sharing-strategy = 'mps'\n", "device-partitioning-strategy = 'mig'\n"
	keepName := func(strategy string) string {
		return "[settings.kubelet-device-plugins.nvidia." + strategy + "]\nrename-by-default = false\n"
	}
	for _, tt := range []struct{ name, settings, problem string }{
		{name: "huge pages by sysctl", settings: "[settings.kernel.sysctl]\n\"vm.nr_hugepages\" = \"1024\"\n", problem: HugePages},
		{name: "huge pages from the start on", settings: "[settings.boot.kernel-parameters]\n\"hugepagesz\" = [\"1G\"]\n\"hugepages\" = [\"8\"]\n", problem: HugePages},
		{name: "no huge pages", settings: "[settings.kernel.sysctl]\n\"vm.nr_hugepages\" = \"0\"\n"},
		{name: "time slices of a GPU", settings: slicing, problem: "nvidia.com/gpu.shared"},
		{name: "time slices that keep the name", settings: slicing + keepName("time-slicing"), problem: "nvidia.com/gpu"},
		{name: "MPS", settings: mps, problem: "nvidia.com/gpu.shared"},
		{name: "MPS that keeps the name", settings: mps + keepName("mps"), problem: "nvidia.com/gpu"},
		{name: "MIG", settings: nvidia + mig, problem: "nvidia.com/gpu"},
		{name: "time slices of MIG", settings: slicing + mig, problem: "nvidia.com/gpu.shared"},
		{name: "a GPU as it is", settings: nvidia + "pass-device-specs = true\ndevice-sharing-strategy = 'none'\ndevice-partitioning-strategy = 'none'\n"},
	} {
		f, problems := Parse(tt.settings+"[settings.kubernetes]\nmax-pods = 30\n", nodetemplate.Bottlerocket)
		assert.Equal(t, " pods 30 disks false: "+tt.problem, outline(f, problems), tt.name)
	}
}

func labelText(f Facts) string {
	var list []string
	for line := range strings.SplitSeq(describe(f, nil), "\n") {
		if label, ok := strings.CutPrefix(line, "label "); ok {
			list = append(list, label)
		}
	}
	return strings.Join(list, ",")
}

func TestOtherForms(t *testing.T) {
	const rocket, kubelet = "settings.kubernetes.max-pods = 30\n", "#!/bin/bash\nexport KUBELET_EXTRA_ARGS=--v=2\n"
	const config = "apiVersion: node.eks.aws/v1alpha1\nkind: NodeConfig\nspec: {kubelet: {config: {maxPods: 20}}}\n"
	const script = "#!/bin/bash\n/etc/eks/bootstrap.sh c --kubelet-extra-args --max-pods=10\n"
	both := "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: application/node.eks.aws\n\n" + config +
		"\n--b\nContent-Type: text/x-shellscript\n\n" + script + "\n--b--\n"
	for _, tt := range []struct {
		name, data string
		family     nodetemplate.AMIFamily
		form       string
		pods       int
		want       nodetemplate.AMIFamily
		problems   int
		kubelets   bool // pods are kubelet's own, where it is given no number
	}{
		{name: "nothing"},
		{name: "words", data: "hello world"},
		{name: "kubelet alone", data: kubelet, form: FormKubelet, pods: 0, kubelets: true},
		{name: "kubelet alone, and a number", data: kubelet + "echo KUBELET_EXTRA_ARGS=--max-pods=9 > f\n", form: FormKubelet, pods: 9, kubelets: true},
		{name: "kubelet alone, and a number that only the node knows", data: kubelet + "KUBELET_EXTRA_ARGS=--max-pods=$(x)\n", form: FormKubelet, problems: 1},
		{name: "kubelet alone on an image that counts addresses", data: kubelet, family: nodetemplate.AL2, form: FormKubelet},
		{name: "base64 of nothing known", data: "aGVsbG8gd29ybGQ="},
		{name: "other interpreter", data: "#!/usr/bin/python3\n'/etc/eks/bootstrap.sh c --kubelet-extra-args --max-pods=10'"},
		{name: "shell by env", data: strings.Replace(script, "/bin/bash", "/usr/bin/env bash", 1), form: FormBootstrap, pods: 10, want: nodetemplate.AL2},
		{name: "boothook", data: strings.Replace(script, "#!/bin/bash", "#cloud-boothook", 1), form: FormBootstrap, pods: 10, want: nodetemplate.AL2},
		{name: "no first line", data: "/etc/eks/bootstrap.sh c", problems: 1},
		{name: "Ubuntu", data: script, family: nodetemplate.Ubuntu, form: FormBootstrap, pods: 10, want: nodetemplate.AL2},
		{name: "dotted TOML", data: rocket, form: FormBottlerocket, pods: 30, want: nodetemplate.Bottlerocket},
		{name: "broken TOML", data: "[settings.kubernetes\n", problems: 1},
		{name: "broken YAML", data: config + "  : : -\n\t-", problems: 1},
		{name: "JSON NodeConfig", data: `{"apiVersion":"node.eks.aws/v1alpha1","kind":"NodeConfig","spec":{"kubelet":{"config":{"maxPods":20}}}}`, form: FormNodeConfig, pods: 20, want: nodetemplate.AL2023},
		{name: "arguments in a hash table", data: "<powershell>\n$p = @{KubeletExtraArgs='--max-pods=9'}\n& 'C:\\EKS\\Start-EKSBootstrap.ps1' @p\n</powershell>", form: FormPowerShell, want: nodetemplate.Windows, problems: 1},
		{name: "expression", data: strings.Replace(config, "config: {maxPods: 20}", "maxPodsExpression: 'max_pods - 5'", 1), form: FormNodeConfig, want: nodetemplate.AL2023},
		{name: "expression that is not understood", data: strings.Replace(config, "config: {maxPods: 20}", "maxPodsExpression: 'gpus * 2'", 1), form: FormNodeConfig, want: nodetemplate.AL2023, problems: 1},
		{name: "expression beside a number", data: strings.Replace(config, "config:", "maxPodsExpression: 'gpus * 2', config:", 1), form: FormNodeConfig, pods: 20, want: nodetemplate.AL2023, problems: 1},
		{name: "newer form of two", data: both, form: FormNodeConfig, pods: 20, want: nodetemplate.AL2023},
		{name: "the image's form of two", data: both, family: nodetemplate.AL2, form: FormBootstrap, pods: 10, want: nodetemplate.AL2},
		{name: "broken gzip", data: "\x1f\x8b\x08broken", problems: 1},
		{name: "quoted-printable part", data: "MIME-Version: 1.0\nContent-Type: text/x-shellscript\nContent-Transfer-Encoding: quoted-printable\n\n" + strings.ReplaceAll(script, "=", "=3D"), form: FormBootstrap, pods: 10, want: nodetemplate.AL2},
		{name: "part that is not base64", data: "MIME-Version: 1.0\nContent-Type: text/x-shellscript\nContent-Transfer-Encoding: base64\n\n" + script, problems: 1},
		{name: "part in another encoding", data: strings.Replace(both, "#!/bin/bash\n", "#!/bin/bash\n# Gr\xf6\xdfe\n", 1), form: FormNodeConfig, pods: 20, want: nodetemplate.AL2023},
		{name: "YAML in another encoding", data: "# \xbd\xda\xb5\xe3\n" + config, form: FormNodeConfig, pods: 20, want: nodetemplate.AL2023},
		{name: "TOML in another encoding", data: "# \xbd\xda\xb5\xe3\n" + rocket, form: FormBottlerocket, pods: 30, want: nodetemplate.Bottlerocket},
		{name: "no boundary", data: "MIME-Version: 1.0\nContent-Type: multipart/mixed\n\n--b\n\n" + script, problems: 1},
		{name: "too large", data: strings.Repeat("#", maxRawBytes+1), problems: 1},
	} {
		for _, data := range []string{tt.data, encode(tt.data)} {
			f, problems := Parse(data, tt.family)
			assert.Falsef(t, f.Form != tt.form || f.MaxPods != tt.pods || f.AMIFamily() != tt.want || f.IgnoreAddresses != tt.kubelets || len(problems) != tt.problems,
				"%s: want form %q, pods %d (kubelet's own: %t), family %q, %d problems, got\n%s", tt.name, tt.form, tt.pods, tt.kubelets, tt.want, tt.problems, describe(f, problems))
		}
	}
}

// hostile are inputs that are short and could cost much, by name: all are 64 KiB at most.
func hostile(t testing.TB) map[string]string {
	laughs := "a0: &a0 [" + strings.Repeat("x", 1000) + "]\n"
	for i := range 12 {
		laughs += fmt.Sprintf("a%d: &a%d [%s]\n", i+1, i+1, strings.Repeat(fmt.Sprintf("*a%d, ", i), 10))
	}
	nested, parts := "cat <<E0\n", ""
	for i := range 40 {
		nested += fmt.Sprintf("cat <<E%d\n", i+1)
	}
	for i := range 500 {
		parts += fmt.Sprintf("Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n", i, i)
	}
	var taints, labels, keys, tables strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&taints, "a%d=:NoSchedule,", i)
		fmt.Fprintf(&labels, "a%d=1,", i)
	}
	for i := range 8_000 {
		fmt.Fprintf(&keys, "k%d=1\n", i)
		fmt.Fprintf(&tables, "[t%d]\n", i)
	}
	const script = "#!/bin/bash\n"
	const mime = "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n"
	const join = script + "/etc/eks/bootstrap.sh c --kubelet-extra-args "
	variable := script + "A='" + strings.Repeat("a=1 ", 4000) + "'\n"
	bomb := encode(zip(t, strings.Repeat("#", 8<<20)))
	all := map[string]string{
		"assignments":            zip(t, script+strings.Repeat("a=1 ", 60_000)+"x"),
		"assignments, expanded":  variable + strings.Repeat("b=2 $A$A$A$A x\n", 3000),
		"long names":             script + "A=" + strings.Repeat("a", 8000) + "'= " + strings.Repeat("b ", 3900) + "'\n" + strings.Repeat("$A\n", 10_000),
		"delimiter":              zip(t, script+"cat <<"+strings.Repeat("a", 200_000)),
		"many here-documents":    script + strings.Repeat("<<a ", 15_000) + "\n",
		"nested here-documents":  script + nested,
		"same names":             script + "- " + strings.Repeat("a=/bootstrap.sh ", 4000),
		"mentions":               zip(t, script+"echo '"+strings.Repeat("KUBELET_ARGS ", 18_000)+"'"),
		"kubelet in branches":    script + "A='" + strings.Repeat("--max-pods ", 1400) + "'\nif x; then\n" + strings.Repeat("kubelet $A\n", 4000),
		"words":                  script + "A='" + strings.Repeat("a ", 4000) + "'\n" + strings.Repeat("B=$A$A$A$A\necho $A $A $A\n", 500),
		"variables":              script + "A=aaaaaaaaaaaaaaaa\n" + strings.Repeat("A=$A$A\n", 40) + strings.Repeat("echo $A $A $A $A\n", 2000),
		"scripts in scripts":     script + strings.Repeat("eval eval eval eval eval eval eval a=1\n", 1600),
		"many calls":             zip(t, strings.Repeat(join+"'"+strings.Repeat("a ", 5000)+"'\n", 20)),
		"first line":             zip(t, "#!/"+strings.Repeat("a", 250_000)),
		"continued header":       zip(t, "Content-Type: text/plain\n"+strings.Repeat(" a\n", 80_000)),
		"many headers":           zip(t, mime+"\n"+strings.Repeat("--b\n"+"a:\n"+strings.Repeat(" a\n", 600), 130)),
		"boundary":               zip(t, "Content-Type: multipart/mixed; boundary="+strings.Repeat("b", 100_000)+"\n\n"+strings.Repeat("--\n", 50_000)),
		"many parts":             zip(t, mime+"\n"+strings.Repeat("--b\n", 60_000)),
		"parts in parts":         parts,
		"gzip":                   zip(t, script+strings.Repeat("#", 8<<20)),
		"gzip given up":          "#cloud-config\nbomb: &b " + bomb + "\nwrite_files:\n" + strings.Repeat("- {encoding: gz+b64, content: *b}\n", 500),
		"small gzips given up":   "#cloud-config\nbomb: &b " + encode(zip(t, strings.Repeat("#", maxInflatedBytes+1))) + "\nwrite_files:\n" + strings.Repeat("- {encoding: gz+b64, content: *b}\n", 1600),
		"many gzips":             "#cloud-config\na: &a " + encode(zip(t, "x")) + "\nwrite_files:\n" + strings.Repeat("- {encoding: gz+b64, content: *a}\n", 1700),
		"edits":                  script + "jq '" + strings.Repeat(".maxPods=1|", 5500) + "' f",
		"edits in edits":         script + strings.Repeat("$(jq ", 10_000),
		"gzip of nothing":        strings.Repeat(zip(t, ""), 2700),
		"files in a file":        zip(t, "#cloud-config\nwrite_files:\n"+strings.Repeat("- {path: /x, encoding: gzip+b64, content: "+encode(zip(t, strings.Repeat("#", 100<<10)))+"}\n", 100)),
		"YAML aliases":           "apiVersion: node.eks.aws/v1alpha1\n" + laughs,
		"YAML depth":             "#cloud-config\nruncmd: " + strings.Repeat("[", 30000),
		"YAML nodes":             "#cloud-config\nruncmd: [" + strings.Repeat("a,", 32_000) + "]",
		"YAML lists":             "#cloud-config\nruncmd: [" + strings.Repeat("[],", 21_000) + "]",
		"YAML comments":          "#cloud-config\n" + strings.Repeat("#\n", 32_000) + "a: 1",
		"YAML comments, packed":  zip(t, "#cloud-config\n"+strings.Repeat("#\n", 120_000)+"a: 1"),
		"YAML comments of items": "#cloud-config\n" + strings.Repeat("- #\n", 16_000),
		"YAML comments at ends":  "#cloud-config\n" + strings.Repeat("- ", 4_000) + "a\n" + strings.Repeat("#\n #\n", 10_000),
		"YAML keys":              "#cloud-config\n" + strings.Repeat("?\n", 32_000),
		"YAML documents":         "#cloud-config\n" + strings.Repeat("---\n", 16_000),
		"YAML dashes":            "#cloud-config\n" + strings.Repeat("- ", 9_000),
		"NodeConfigs":            zip(t, mime+"\n"+strings.Repeat("--b\n\napiVersion: node.eks.aws/\nkind: NodeConfig\nspec: {kubelet: {flags: [a]}}\n", 3000)),
		"TOML depth":             "[settings.kubernetes]\na = " + strings.Repeat("[", 30000),
		"TOML dots":              "[settings.kubernetes]\n" + strings.Repeat("a.", 30000) + "a = 1",
		"TOML keys":              "[settings.kubernetes]\n" + keys.String()[:60_000],
		"TOML tables":            "[settings.kubernetes]\n" + tables.String()[:60_000],
		"TOML values":            "[settings.kubernetes]\na = [" + strings.Repeat("1,", 31_000) + "]",
		"TOML arrays":            "[settings.kubernetes]\na = [" + strings.Repeat("[],", 21_000) + "]",
		"taints":                 zip(t, join+"'--register-with-taints="+taints.String()[:250_000]+"'"),
		"labels":                 zip(t, join+"'--node-labels="+labels.String()+"'"),
		"long keys":              zip(t, join+"'--node-labels="+strings.Repeat(strings.Repeat("a", 317)+",", 780)+"'"),
		"expressions":            "#!/bin/bash\n" + strings.Repeat("if x; then\ncat > f <<EOF\napiVersion: node.eks.aws/v1alpha1\nkind: NodeConfig\nspec: {kubelet: {maxPodsExpression: '"+strings.Repeat("1<1?1:", 150)+"1'}}\nEOF\nfi\n", 60),
		"config in conditions": zip(t, script+strings.Repeat("cat <<E\napiVersion: node.eks.aws/v1\nkind: NodeConfig\nE\n", 50)+
			"cat <<E\napiVersion: node.eks.aws/v1\nkind: NodeConfig\nspec: {kubelet: {config: {"+strings.ReplaceAll(keys.String()[:24_000], "=1\n", ": 1, ")+"}}}\nE\n"+
			strings.Repeat("if x; then\ncat <<E\napiVersion: node.eks.aws/v1\nkind: NodeConfig\nE\ncat <<E\nkind: KubeletConfiguration\nE\nfi\n", 8)),
		"PowerShell dollars":   "<powershell>\n\"" + strings.Repeat("$", 60_000),
		"PowerShell blocks":    zip(t, strings.Repeat("<powershell>", 20_000)),
		"PowerShell comments":  zip(t, "<powershell>"+strings.Repeat("<#", 120_000)),
		"PowerShell variables": "<powershell>\n$a='" + strings.Repeat("a", 16_000) + "'\n" + strings.Repeat("x $a$a$a$a\n", 4000),
		"brackets":             zip(t, strings.Repeat("<", 250_000)),
		"settings":             zip(t, strings.Repeat("[ settings ", 22_000)),
		"environment":          zip(t, script+"cat <<''\n"+strings.Repeat("KUBELET_ARGS=-"+strings.Repeat("'", 100)+"\n", 2000)),
		"templates":            zip(t, "## template: jinja\n#cloud-config\na: "+strings.Repeat("{{}}", 60_000)),
		"open templates":       zip(t, "## template: jinja\n"+strings.Repeat("{{ ", 80_000)),
		"kinds":                script + "cat <<''\n" + strings.Repeat(" KubeletConfiguration", 3000) + "\n",
	}
	for _, opener := range []string{"$(", "((", "$((", "{ ", "(", "`\\", "\"$(", "${a:-", "a&&", "a|", "! ", "((-", "if ", "case x in x) ", "f()", "[[ (", "<(",
		"a=(", "a[", "a[a[", "$[", "time ", "coproc ", "((a=", "((a?", "$A", "<a ", "a;", "while a;do ", "$'", "a\n)\n", "a 'b\n) "} {
		all["opened "+opener] = zip(t, script+strings.Repeat(opener, 250_000/len(opener)))
	}
	for name, data := range all {
		require.Truef(t, len(data) <= maxRawBytes, "%s has %d bytes", name, len(data))
	}
	return all
}

// cloud-init renders user data with this header alone, as Cluster API's. In other user data kubelet gets the braces as they are.
func TestJinjaIsLeftToTheNode(t *testing.T) {
	const header, config = "## template: jinja\n", "#cloud-config\nwrite_files:\n- path: /run/kubeadm/join.yaml\n  content: |\n" +
		"    kind: JoinConfiguration\n    nodeRegistration:\n      name: {{ ds.meta_data.local_hostname }}\n" +
		"      taints: [{key: a, value: '{{ v1.zone }}', effect: NoSchedule}]\n      kubeletExtraArgs:\n" +
		"        max-pods: {{ ds.meta_data.pods }}\n        node-labels: \"a=1,rack={{ ds.meta_data.availability_zone }}\"\n"
	const script = "#!/bin/bash\n/etc/eks/bootstrap.sh c --kubelet-extra-args '--node-labels=a=1,rack={{ v1.availability_zone }}'\n"
	quoted := strings.Replace(config, "name: {{ ds.meta_data.local_hostname }}", "name: n", 1)
	quoted = strings.Replace(quoted, "{{ ds.meta_data.pods }}", "'{{ ds.meta_data.pods }}'", 1)
	for _, tt := range []struct {
		name, data string
		want       []nodetemplate.Reason
		kubelets   bool // pods are kubelet's own
	}{
		{name: "Cluster API", data: header + config, want: []nodetemplate.Reason{nodetemplate.ReasonUnresolved, nodetemplate.ReasonUnresolved, nodetemplate.ReasonUnresolved}},
		{name: "a part", data: "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/jinja2\n\n" + header + config + "--b--\n", want: []nodetemplate.Reason{nodetemplate.ReasonUnresolved, nodetemplate.ReasonUnresolved, nodetemplate.ReasonUnresolved}},
		{name: "script", data: header + script, want: []nodetemplate.Reason{nodetemplate.ReasonUnresolved}},
		{name: "script without the header", data: script, want: []nodetemplate.Reason{nodetemplate.ReasonLabelValue}},
		{name: "cloud-config without the header", data: quoted, kubelets: true,
			want: []nodetemplate.Reason{nodetemplate.ReasonKubeletSetting, nodetemplate.ReasonLabelValue, nodetemplate.ReasonTaintValue}},
	} {
		facts, problems := Parse(tt.data, "")
		var reasons []nodetemplate.Reason
		for _, p := range problems {
			reasons = append(reasons, p.Reason)
		}
		slices.Sort(reasons)
		assert.Equalf(t, tt.want, reasons, "%s: reasons of %v", tt.name, problems)
		assert.Equalf(t, map[string]string{"a": "1"}, facts.Labels, "%s: labels", tt.name)
		assert.Equalf(t, tt.kubelets, facts.IgnoreAddresses, "%s: pods are kubelet's own", tt.name)
	}
}

func TestHostileUserDataEndsInAProblem(t *testing.T) {
	all := hostile(t)
	for _, name := range []string{"assignments, expanded", "nested here-documents", "words", "variables", "many parts", "parts in parts", "gzip",
		"gzip given up", "files in a file", "YAML aliases", "YAML comments, packed", "YAML depth", "TOML depth", "TOML dots", "TOML keys", "taints"} {
		_, problems := Parse(all[name], "")
		assert.Falsef(t, len(problems) == 0, "%s: no problem", name)
	}
}

// The budget for hostile user data must not be felt by any other.
func TestSamplesTakeLittleOfTheBudget(t *testing.T) {
	for _, file := range samples(t) {
		r := readUncached(zip(t, sample(t, file)))
		used := maxWork - r.work
		assert.Truef(t, used <= maxWork/20, "%s takes %d of %d steps", file, used, maxWork)
		for family := range formOfFamily {
			if _, problems := r.judge(family); slices.ContainsFunc(problems, func(p nodetemplate.Problem) bool { return strings.HasSuffix(p.Expected, tooMuchWork) }) {
				t.Errorf("%s: to judge it for %s takes too many steps", file, family)
			}
		}
	}
}

// BenchmarkHostile reads the most expensive inputs that are known. The budget is right while none takes more than 50 ms or
// 64 MiB: go test -run - -bench Hostile ./cloudprovider/nodetemplate/userdata
func BenchmarkHostile(b *testing.B) {
	all := hostile(b)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				readUncached(all[name]).judge("")
			}
		})
	}
}

// A label that the node gets and the template lacks keeps pods from it, but nobody has so many labels.
func TestLabelsAreCapped(t *testing.T) {
	list := ""
	for i := range maxLabels + 10 {
		list += fmt.Sprintf("a%d=1,", i)
	}
	f, problems := Parse("#!/bin/bash\n/etc/eks/bootstrap.sh c --kubelet-extra-args '--node-labels="+list+"'", "")
	assert.Truef(t, len(f.Labels) == maxLabels && len(problems) == 1,
		"%d labels with problems %v, want %d and one problem", len(f.Labels), problems, maxLabels)
	f, problems = Parse("[settings.kubernetes.node-labels]\n"+strings.ReplaceAll(list, ",", "\n"), "")
	assert.Truef(t, len(f.Labels) == maxLabels && len(problems) == 1,
		"%d labels of Bottlerocket with problems %v, want %d and one problem", len(f.Labels), problems, maxLabels)
}

func TestLocalDisks(t *testing.T) {
	const join, config = "#!/bin/bash\n/etc/eks/bootstrap.sh c --local-disks ", "apiVersion: node.eks.aws/v1alpha1\nkind: NodeConfig\nspec: {instance: {localStorage: {strategy: "
	const script, start = "#!/bin/bash\n", "\n/etc/eks/bootstrap.sh c"
	const part = "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/x-shellscript\n\n" + script + "setup-local-disks raid0\n--b\n"
	for _, tt := range []struct {
		data             string
		joined, mirrored bool
		problem          bool
	}{
		{data: script + "setup-local-disks raid0" + start, joined: true},
		{data: script + "sudo /bin/setup-local-disks -d /mnt/disks raid10 || echo none" + start, joined: true, mirrored: true},
		{data: part + "\n" + config + "Mount}}}\n--b--\n", joined: true},
		{data: part + "\nsettings.kubernetes.max-pods = 3\n--b--\n"},
		{data: script + "setup-local-disks mount" + start},
		{data: script + "setup-local-disks raid0 --no-bind-kubelet" + start},
		{data: script + "setup-local-disks --no-bind-mounts raid0" + start},
		{data: script + "echo setup-local-disks raid0" + start},
		{data: script + "if lsblk; then setup-local-disks raid0; fi" + start, problem: true},
		{data: join + "raid0", joined: true},
		{data: join + "raid10", joined: true, mirrored: true},
		{data: join + "mount"},
		{data: config + "RAID0}}}", joined: true},
		{data: config + "RAID10}}}", joined: true, mirrored: true},
		{data: config + "Mount}}}"},
		{data: "#!/bin/bash\nif x; then\n/etc/eks/bootstrap.sh c --local-disks raid10\nelse\n/etc/eks/bootstrap.sh c --local-disks raid0\nfi", joined: true, mirrored: true},
	} {
		f, problems := Parse(tt.data, "")
		assert.Falsef(t, f.InstanceStore != tt.joined || f.Mirrored != tt.mirrored || len(problems) > 0 != tt.problem,
			"%q: joined %t, mirrored %t, problems %v", tt.data, f.InstanceStore, f.Mirrored, problems)
	}
}

func FuzzParse(f *testing.F) {
	for _, file := range samples(f) {
		f.Add(sample(f, file), "")
	}
	f.Add("<powershell>\n[string]$A='1'\n$B = \"$(x)${A}`\"\"\"\n& Start-EKSBootstrap.ps1 -KubeletExtraArgs:\"$A\"", "Windows")
	f.Add("settings.kubernetes.max-pods = 3", "Bottlerocket")
	f.Add("#!/bin/bash\n/etc/eks/bootstrap.sh c --kubelet-extra-args '--node-labels="+strings.Repeat("x", 300)+"="+strings.Repeat("ä$", 3000)+
		strings.Repeat(",bad key!=1,=", 100)+"'", "")
	f.Add("#!/bin/sh\nA=$(jq --arg m 1Gi '.kubeReserved.memory=$m | . += {\"maxPods\": 3} | .[\"a b\"].c|=1 | del(.maxPods)' f)\n", "AL2")
	f.Add("#!/bin/sh\nA=(1 2)\necho ${A[@]} $((1+2)) <(x) <<<y <<-'E'\n\tz\n\tE\n`a\\`b` $'\\n' ${A:-${B}}\\", "AL2")
	f.Add(zip(f, "<powershell>\n"+strings.Repeat("#\n", 120_000)+"</powershell>"), "Windows")
	for _, data := range hostile(f) {
		f.Add(data, "")
	}
	f.Fuzz(func(t *testing.T, data, family string) {
		var facts Facts
		var problems []nodetemplate.Problem
		costlimit.Check(t, func() { facts, problems = readUncached(data).judge(nodetemplate.AMIFamily(family)) })
		for key, value := range facts.Labels {
			assert.Truef(t, !restricted(key) && !hasUnresolved(key+value) && len(value) <= 63, "label %q=%q", key, value)
		}
		assert.LessOrEqual(t, len(problems), maxProblems, "problems")
		for _, p := range problems {
			assert.Truef(t, len(p.Key) <= maxShown && len(p.Value) <= maxShown && utf8.ValidString(p.Key+p.Value), "problem repeats %q %q", p.Key, p.Value)
		}
		again, _ := readUncached(data).judge(nodetemplate.AMIFamily(family))
		assert.Equal(t, describe(facts, nil), describe(again, nil), "not the same twice")
	})
}

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

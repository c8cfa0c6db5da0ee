package docblocks

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/controlplane"
	"github.com/asg-autoscaler/asg-autoscaler/test/repo/document"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// stubs stand in for the programs of the commands that install. They render what helm and kubectl would install into $OUT, and write down the others'
// arguments. An upgrade has the values of the last installation. PARTITION is the caller's.
var stubs = map[string]string{
	"helm": `case $1 in
install) printf '%q ' "${@:4}" > $OUT/values; $HELM template "${@:2}" --kube-version 1.35 > $OUT/$$.yaml;;
upgrade) new=(); for word in "${@:4}"; do [ $word = --reset-then-reuse-values ] || new+=($word); done
  eval "old=($(cat $OUT/values))"; $HELM template $2 $3 "${old[@]}" "${new[@]}" --kube-version 1.35 > $OUT/$$.yaml;;
esac`,
	"kubectl": `if [ "$1 $2" = "apply -k" ]; then $KUBECTL kustomize $3 > $OUT/$$.yaml; fi`,
	"aws": `echo $* >> $OUT/aws
case "$*" in
*"--query Account"*) echo 123456789012;;
*"--query Arn"*) echo "arn:${PARTITION:-aws}:sts::123456789012:assumed-role/reader/reader";;
*issuer*) echo https://oidc.eks.us-east-1.amazonaws.com/id/EXAMPLED539D4633E53DE1B71EXAMPLE;;
esac`,
	"crane": `case $1 in push) echo $3 >> $OUT/pushed;; auth) echo $3 >> $OUT/logins;; esac`, "go": "", "skopeo": `echo ${4#docker://} >> $OUT/pushed`, "oras": `echo $4 >> $OUT/pushed`, "git": "echo v1",
	"asgctl": "", "terraform": "", "eksctl": "", "kops": "",
}

// An installation is what a reader has after the commands of a document.
type installation struct {
	deployments []appsv1.Deployment
	accounts    map[string]map[string]string // annotations, by namespace/name
	subjects    []rbacv1.Subject
	patches     bool // a role has the rule of nominations
	deletes     bool // a role has the rules of interruptions, of which that rule is one
	pushed      []string
	roles       map[string]madeRole // by name
	associated  map[string]string   // roles by namespace/ServiceAccount
}

type madeRole struct{ trust, policy string }

// concerns are the blocks that make the installation.
var concerns = regexp.MustCompile(`(?m)^(export|helm (install|upgrade)|kubectl apply -k|aws (iam|sts|eks (describe-cluster|create-pod))|crane|skopeo|oras)\b`)

// Every way of the documents leads to an image that somebody has pushed, and to an account that its role trusts.
func TestInstallationsAgreeWithTheirRoles(t *testing.T) {
	helm, err := helmPath()
	require.NoError(t, err)
	programs, err := controlplane.Build(t.Context(), os.Stderr)
	require.NoError(t, err)
	bin, first := stubPrograms(t), ""
	roles := map[string]madeRole{}
	found := 0
	for _, blocks := range documents(t) {
		if len(blocks) == 0 {
			continue
		}
		t.Run(blocks[0].Document, func(t *testing.T) {
			raw, err := os.ReadFile(filepath.Join(root, blocks[0].Document))
			require.NoError(t, err)
			text, out := string(raw), t.TempDir()
			r := &reader{env: append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "OUT="+out, "HELM="+helm, "KUBECTL="+programs.Kubectl)}
			r.copyRepository(t)
			require.NoError(t, os.WriteFile(filepath.Join(out, "values"), []byte(first), 0o600))
			fillIn(t, text, r.dir, blocks)
			for _, b := range blocks {
				if b.Language == "sh" && !needsRelease(b) && concerns.MatchString(b.Text) {
					printed, err := r.bash(t, replaced(b.Text))
					require.NoErrorf(t, err, "%s\n%s", b, printed)
				}
			}
			got := readInstallation(t, r.dir, out)
			maps.Copy(roles, got.roles)
			got.check(t, text, roles)
			found += len(got.deployments)
			if values, err := os.ReadFile(filepath.Join(out, "values")); err == nil && first == "" {
				first = string(values) // README.md comes first
			}
		})
	}
	assert.Truef(t, found >= 12, "%d installations found: documents install in another way now", found)
}

// stubPrograms returns a folder with the stubs.
func stubPrograms(t *testing.T) string {
	bin := t.TempDir()
	for name, script := range stubs {
		require.NoError(t, os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/bash\nset -eu\n"+script+"\n"), 0o755))
	}
	return bin
}

var shippedFile = regexp.MustCompile(`file://(manifests/iam/[a-z-]+\.json)`)

// fillIn writes the cluster's name into the shipped files that the commands name, where the document asks for it.
func fillIn(t *testing.T, text, dir string, blocks []document.Block) {
	t.Helper()
	for _, b := range blocks {
		for _, file := range shippedFile.FindAllStringSubmatch(b.Text, -1) {
			if !strings.Contains(text, "rite your cluster's name into") {
				t.Errorf("%s uses %s, and nobody is asked to write a name into it", b, file[1])
				continue
			}
			path := filepath.Join(dir, file[1])
			raw, err := os.ReadFile(path)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(path, []byte(strings.ReplaceAll(string(raw), "CLUSTER_NAME", placeholders["CLUSTER_NAME"])), 0o600))
		}
	}
}

// readInstallation reads what the stubs have left.
func readInstallation(t *testing.T, dir, out string) installation {
	t.Helper()
	got := installation{accounts: map[string]map[string]string{}, roles: map[string]madeRole{}, associated: map[string]string{}}
	rendered, err := filepath.Glob(filepath.Join(out, "*.yaml"))
	require.NoError(t, err)
	for _, path := range rendered {
		raw, err := os.ReadFile(path)
		require.NoError(t, err)
		for text := range strings.SplitSeq("\n"+string(raw), "\n---") {
			got.take(t, text)
		}
	}
	if raw, err := os.ReadFile(filepath.Join(out, "pushed")); err == nil {
		got.pushed = strings.Fields(string(raw))
	}
	calls, err := os.ReadFile(filepath.Join(out, "aws"))
	require.Truef(t, err == nil || os.IsNotExist(err), "%v", err)
	for line := range strings.Lines(string(calls)) {
		words := strings.Fields(line)
		flags := map[string]string{}
		for i := 2; i+1 < len(words); i += 2 {
			flags[words[i]] = words[i+1]
			if file, ok := strings.CutPrefix(words[i+1], "file://"); ok {
				raw, err := os.ReadFile(filepath.Join(dir, file))
				require.NoError(t, err)
				flags[words[i]] = string(raw)
			}
		}
		role := got.roles[flags["--role-name"]]
		switch words[1] {
		case "create-role":
			role.trust = flags["--assume-role-policy-document"]
			got.roles[flags["--role-name"]] = role
		case "put-role-policy":
			role.policy = flags["--policy-document"]
			got.roles[flags["--role-name"]] = role
		case "create-pod-identity-association":
			got.associated[flags["--namespace"]+"/"+flags["--service-account"]] = flags["--role-arn"]
		}
	}
	return got
}

// take adds an object that would be installed.
func (i *installation) take(t *testing.T, text string) {
	var is struct{ Kind string }
	read := func(into any) { require.NoErrorf(t, yaml.Unmarshal([]byte(text), into), "in\n%s", text) }
	read(&is)
	switch is.Kind {
	case "Deployment":
		var d appsv1.Deployment
		read(&d)
		i.deployments = append(i.deployments, d)
	case "ServiceAccount":
		var account corev1.ServiceAccount
		read(&account)
		i.accounts[account.Namespace+"/"+account.Name] = account.Annotations
	case "ClusterRole":
		var role rbacv1.ClusterRole
		read(&role)
		for _, rule := range role.Rules {
			i.patches = i.patches || slices.Contains(rule.Resources, "pods/status") && slices.Contains(rule.Verbs, "patch")
			i.deletes = i.deletes || slices.Contains(rule.Resources, "pods") && slices.Contains(rule.Verbs, "delete")
		}
	case "RoleBinding", "ClusterRoleBinding":
		var binding rbacv1.RoleBinding // a ClusterRoleBinding has the same fields
		read(&binding)
		i.subjects = append(i.subjects, binding.Subjects...)
	}
}

var (
	namedDeployment = regexp.MustCompile("\\bkube-system\\b[^\n`]*?\\bdeploy(?:ment)?[/ ]([a-z-]+)")
	unfilled        = regexp.MustCompile(`\b(CLUSTER_NAME|REGION|ACCOUNT_ID|OIDC_ID)\b`)
)

// check compares the names with each other. The roles are those of the documents so far.
func (i installation) check(t *testing.T, text string, roles map[string]madeRole) {
	image := placeholders["REPOSITORY"] + ":" + placeholders["TAG"]
	for _, pushed := range i.pushed {
		assert.Truef(t, pushed == image, "%s is pushed, and %s is installed", pushed, image)
	}
	for name, role := range i.roles {
		assert.Containsf(t, name, placeholders["CLUSTER_NAME"], "the role of another cluster has this name, too")
		assert.Truef(t, role.trust != "" && role.policy != "", "role %s has no trust policy or no policy", name)
		assert.Equalf(t, "", unfilled.FindString(role.trust+role.policy), "the policies of role %s still have", name)
	}
	deployed := []string{"cluster-autoscaler"} // by README.md
	for _, d := range i.deployments {
		deployed = append(deployed, d.Name)
		assert.Equalf(t, image, d.Spec.Template.Spec.Containers[0].Image, "Deployment %s has the image", d.Name)
		on := true // by default, and the last flag wins
		for _, flag := range d.Spec.Template.Spec.Containers[0].Command {
			if value, given := strings.CutPrefix(flag, "--asg-nominate="); given {
				on = value != "off"
			}
		}
		assert.Truef(t, i.patches == (on || i.deletes), "Deployment %s nominates: %t, it deletes pods: %t, and its roles allow patches of their status: %t",
			d.Name, on, i.deletes, i.patches)
		account := d.Namespace + "/" + d.Spec.Template.Spec.ServiceAccountName
		annotations, ok := i.accounts[account]
		assert.Truef(t, ok,
			"Deployment %s has the ServiceAccount %s, which nothing makes: %q", d.Name, account, slices.Collect(maps.Keys(i.accounts)))
		assert.Truef(t, slices.ContainsFunc(i.subjects, func(s rbacv1.Subject) bool { return s.Namespace+"/"+s.Name == account }),
			"nothing is bound to ServiceAccount %s", account)
		i.checkRole(t, text, account, annotations["eks.amazonaws.com/role-arn"], roles)
	}
	for account, role := range i.associated {
		i.checkRole(t, text, account, role, roles)
	}
	for _, named := range namedDeployment.FindAllStringSubmatch(text, -1) {
		assert.Truef(t, slices.Contains(deployed, named[1]), "%q names another Deployment than %q", named[0], deployed)
	}
}

// checkRole wants the role of a ServiceAccount to trust it. Without a role the document must speak of the nodes' role, and where nobody makes the role
// it must name the account.
func (i installation) checkRole(t *testing.T, text, account, role string, roles map[string]madeRole) {
	namespace, name, _ := strings.Cut(account, "/")
	if role == "" {
		assert.Truef(t, strings.Contains(text, "install.md#credentials") && (strings.Contains(text, "odes' role") || strings.Contains(text, "the nodes on which the autoscaler runs")),
			"ServiceAccount %s has no role, and the document says nothing about the nodes' role", account)
		return
	}
	made, ok := roles[strings.TrimPrefix(role, "arn:aws:iam::"+placeholders["ACCOUNT_ID"]+":role/")]
	if !ok {
		assert.Truef(t, strings.Contains(text, "`"+name+"`"), "no document makes role %s, and this one does not say that it trusts %s", role, name)
		return
	}
	irsa := strings.Contains(made.trust, `:sub": "system:serviceaccount:`+namespace+":"+name+`"`)
	association := strings.Contains(made.trust, `kubernetes-namespace": "`+namespace+`"`) && strings.Contains(made.trust, `kubernetes-service-account": "`+name+`"`)
	assert.Truef(t, irsa || association, "role %s does not trust %s:\n%s", role, account, made.trust)
}

var fillCommand = regexp.MustCompile(`(?m)^sed .*> (trust|policy)\.json$`)

// README.md's commands fill in the files of each partition.
func TestREADMEFillsTheFilesOfEveryPartition(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join(root, "README.md"))
	require.NoError(t, err)
	commands := fillCommand.FindAllString(string(readme), -1)
	require.Len(t, commands, 2, "commands, want one for the trust policy and one for the policy")
	for partition, provider := range map[string]string{"aws": "oidc.eks.eu-west-1.amazonaws.com/id/A1", "aws-us-gov": "oidc.eks.us-gov-west-1.amazonaws.com/id/A1",
		"aws-cn": "oidc.eks.cn-north-1.amazonaws.com.cn/id/A1"} {
		t.Run(partition, func(t *testing.T) {
			r := &reader{env: append(os.Environ(), "cluster=main.example.com", "account=123456789012", "partition="+partition, "issuer=https://"+provider)}
			r.copyRepository(t)
			out, err := r.bash(t, strings.Join(commands, "\n"))
			require.NoErrorf(t, err, "%s", out)
			for name, want := range map[string]string{
				"trust.json":  `"arn:` + partition + `:iam::123456789012:oidc-provider/` + provider + `"`,
				"policy.json": `"aws:ResourceTag/k8s.io/cluster-autoscaler/main.example.com": "owned"`,
			} {
				raw, err := os.ReadFile(filepath.Join(r.dir, name))
				require.NoError(t, err)
				left := unfilled.FindString(string(raw))
				assert.Truef(t, left == "" && strings.Contains(string(raw), want), "%s still has %q, or lacks %s:\n%s", name, left, want, raw)
			}
		})
	}
}

// README.md's commands make the repository, log in to its registry and push into it. China's registries have another domain.
func TestREADMEPushesInEveryPartition(t *testing.T) {
	bin, readme := stubPrograms(t), documents(t)[0]
	for partition, registry := range map[string]string{"aws": "123456789012.dkr.ecr.eu-west-1.amazonaws.com",
		"aws-us-gov": "123456789012.dkr.ecr.us-gov-west-1.amazonaws.com", "aws-cn": "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn"} {
		t.Run(partition, func(t *testing.T) {
			out, region := t.TempDir(), strings.Split(registry, ".")[3]
			r := &reader{dir: t.TempDir(), env: append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "OUT="+out, "PARTITION="+partition)}
			for _, b := range readme {
				if b.Language != "sh" || !strings.Contains(b.Text, "export ") && !strings.Contains(b.Text, "crane ") {
					continue
				}
				printed, err := r.bash(t, strings.ReplaceAll(replaced(b.Text), placeholders["REGION"], region))
				require.NoErrorf(t, err, "%s\n%s", b, printed)
			}
			for file, want := range map[string]string{"aws": "ecr create-repository --repository-name cluster-autoscaler", "logins": registry,
				"pushed": registry + "/cluster-autoscaler:" + placeholders["TAG"]} {
				if written, err := os.ReadFile(filepath.Join(out, file)); err != nil || !slices.Contains(strings.Split(string(written), "\n"), want) {
					t.Errorf("%s: %q (%v), want the line %q", file, written, err, want)
				}
			}
		})
	}
}

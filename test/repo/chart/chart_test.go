package chart

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	_ "k8s.io/autoscaler/cluster-autoscaler/config/flags" // the core's flags
	"k8s.io/component-base/featuregate"
	"sigs.k8s.io/yaml"

	"github.com/asg-autoscaler/asg-autoscaler/cmd/cluster-autoscaler/options"
	"github.com/asg-autoscaler/asg-autoscaler/manifests"
)

// renderings are the value files that have a golden each, by the golden's name.
var renderings = map[string]string{
	"stock-defaults": "testdata/stock-defaults.values.yaml",
	"groups":         "testdata/groups.values.yaml",
	"s0":             chartDir + "/examples/s0-gpu-spot-china.yaml",
	"s3":             chartDir + "/examples/s3-eks-irsa.yaml",
	"plugin":         chartDir + "/examples/plugin.yaml",
	"everything":     "testdata/everything.values.yaml",
}

func TestLintFindsNothing(t *testing.T) {
	for _, version := range helmVersions {
		mustHelm(t, version, "lint", "--strict", chartDir) // without values, as repositories of charts do it
		for _, values := range renderings {
			mustHelm(t, version, "lint", "--strict", chartDir, "--values", values)
		}
	}
}

// chartLabel is the label with the chart's version. The goldens have VERSION there, so that a release changes none of them.
var chartLabel = regexp.MustCompile(`(helm\.sh/chart: "asg-autoscaler-)\d+\.\d+\.\d+"`)

// The manifests are the same whichever helm renders them.
func TestRenderingsMatchTheGoldens(t *testing.T) {
	for name, values := range renderings {
		for _, version := range helmVersions {
			t.Run(name+"/"+version, func(t *testing.T) {
				got := mustHelm(t, version, "template", "test", chartDir, "--namespace", namespace, "--values", image, "--values", values)
				objects(t, got) // no key twice
				got = chartLabel.ReplaceAllString(got, `${1}VERSION"`)
				golden := filepath.Join("testdata", name+".golden.yaml")
				if *update {
					require.NoError(t, os.WriteFile(golden, []byte(got), 0o644))
				}
				want, err := os.ReadFile(golden)
				require.NoError(t, err)
				assert.Empty(t, cmp.Diff(string(want), got), "(-want +got)")
			})
		}
	}
}

func renderFile(t *testing.T, path string) []object {
	values, err := os.ReadFile(path)
	require.NoError(t, err)
	return mustRender(t, string(values))
}

func container(t *testing.T, rendered []object) corev1.Container {
	t.Helper()
	var d appsv1.Deployment
	find(t, rendered, "Deployment", &d)
	return d.Spec.Template.Spec.Containers[0]
}

func TestTheProgramKnowsEveryRenderedFlag(t *testing.T) {
	stock := flag.NewFlagSet("stock", flag.ContinueOnError)
	flag.CommandLine.VisitAll(func(f *flag.Flag) {
		if !strings.HasPrefix(f.Name, "test.") && f.Name != "update" {
			stock.Var(f.Value, f.Name, f.Usage)
		}
	})
	fs := pflag.NewFlagSet("cluster-autoscaler", pflag.ContinueOnError)
	fs.AddFlagSet(pflag.CommandLine)
	options.Register(fs, stock, featuregate.NewFeatureGate())
	for name, values := range renderings {
		command := container(t, renderFile(t, values)).Command
		assert.NoErrorf(t, fs.Parse(command[1:]), "%s", name)
		assert.Truef(t, fs.NArg() <= 0, "%s: arguments that are no flags: %q", name, fs.Args())
	}
}

// posture is how the pods of a Deployment run, whatever they do.
type posture struct {
	Replicas              *int32
	Annotations           map[string]string
	Priority              string
	Pod                   *corev1.PodSecurityContext
	Container             *corev1.SecurityContext
	Liveness, Readiness   *corev1.Probe
	Ports                 []corev1.ContainerPort
	Resources             corev1.ResourceRequirements
	Spread                []corev1.TopologySpreadConstraint // without their selectors
	MaxUnavailable        *intstr.IntOrString
	AutomountsCredentials bool
}

func postureOf(t *testing.T, rendered []object) posture {
	t.Helper()
	var d appsv1.Deployment
	find(t, rendered, "Deployment", &d)
	var budget policyv1.PodDisruptionBudget
	find(t, rendered, "PodDisruptionBudget", &budget)
	var account corev1.ServiceAccount
	find(t, rendered, "ServiceAccount", &account)
	pod := d.Spec.Template.Spec
	c := pod.Containers[0]
	for i := range pod.TopologySpreadConstraints {
		pod.TopologySpreadConstraints[i].LabelSelector = nil
	}
	return posture{
		Replicas: d.Spec.Replicas, Annotations: d.Spec.Template.Annotations, Priority: pod.PriorityClassName,
		Pod: pod.SecurityContext, Container: c.SecurityContext, Liveness: c.LivenessProbe, Readiness: c.ReadinessProbe,
		Ports: c.Ports, Resources: c.Resources, Spread: pod.TopologySpreadConstraints, MaxUnavailable: budget.Spec.MaxUnavailable,
		AutomountsCredentials: account.AutomountServiceAccountToken == nil || *account.AutomountServiceAccountToken,
	}
}

// The shipped Deployments come from the kustomize base. The scenarios run them, so the examples must give the program the same flags
// and variables.
func TestExamplesMatchTheShippedDeployments(t *testing.T) {
	for shipped, example := range map[string]string{"s0-gpu-spot-china": renderings["s0"], "s3-eks-addons": renderings["s3"]} {
		raw, err := manifests.FS.ReadFile("deploy/" + shipped + ".yaml")
		require.NoError(t, err)
		kustomized, rendered := objects(t, string(raw)), renderFile(t, example)
		assert.Emptyf(t, cmp.Diff(postureOf(t, kustomized), postureOf(t, rendered)), "%s: (-kustomize +chart)", shipped)
		want, got := container(t, kustomized), container(t, rendered)
		flags := slices.DeleteFunc(got.Command, func(flag string) bool {
			return flag == "--namespace="+namespace || flag == "--logtostderr=true" // their defaults
		})
		slices.Sort(flags)
		slices.Sort(want.Command)
		assert.Emptyf(t, cmp.Diff(want.Command, flags), "%s: flags (-deployment +chart)", shipped)
		for _, variable := range want.Env {
			assert.Truef(t, slices.Contains(got.Env, variable), "%s: the chart sets no variable %s=%s", shipped, variable.Name, variable.Value)
		}
	}
}

func TestRulesMatchTheShippedRoles(t *testing.T) {
	const all = "autoDiscovery: {clusterName: c}\nextraArgs: {enable-provisioning-requests: true, capacity-buffer-controller-enabled: true, capacity-quotas-enabled: true}\nrbac: {nominations: true}"
	const queue = "autoDiscovery: {clusterName: c}\nasg: {interruptionQueue: q}"
	for _, tt := range []struct {
		name, values, kind string
		files              []string
		without            []string // rules of the files
	}{
		{"cluster", "autoDiscovery: {clusterName: c}", "ClusterRole", []string{"rbac.yaml"}, nil},
		{"cluster with all features", all, "ClusterRole", []string{"rbac.yaml", "rbac-optional.yaml"}, nil},
		{"buffers without dry runs", strings.Replace(all, "extraArgs: {", "extraArgs: {capacity-buffer-pod-dry-run-enabled: false, ", 1), "ClusterRole",
			[]string{"rbac.yaml", "rbac-optional.yaml"}, []string{"create /pods "}},
		{"buffers of another controller", strings.Replace(all, "buffer-controller", "buffer-pod-injection", 1), "ClusterRole",
			[]string{"rbac.yaml", "rbac-optional.yaml"}, []string{"create /pods ", "create /podtemplates ", "update /podtemplates "}},
		{"cluster with a queue", queue, "ClusterRole", []string{"rbac.yaml", "rbac-interruption.yaml"}, nil},
		{"queue and the pods are left", queue + "\nextraArgs: {asg-interruption-deadline: leave}", "ClusterRole", []string{"rbac.yaml"}, nil},
		{"queue and conservative", queue + "\nprofile: conservative", "ClusterRole", []string{"rbac.yaml"}, nil},
		{"queue and conservative and the pods are deleted", queue + "\nprofile: conservative\nextraArgs: {asg-interruption-deadline: force}", "ClusterRole",
			[]string{"rbac.yaml", "rbac-interruption.yaml"}, nil},
		{"underscores for hyphens", "autoDiscovery: {clusterName: c}\nrbac: {nominations: true}\ncustomArgs: [--asg_interruption_queue=q, --enable_provisioning_requests, " +
			"--capacity_buffer-controller_enabled=true, --capacity_quotas_enabled]", "ClusterRole", []string{"rbac.yaml", "rbac-optional.yaml", "rbac-interruption.yaml"}, nil},
		{"features switched off", strings.ReplaceAll(all, "true", "false"), "ClusterRole", []string{"rbac.yaml"}, nil},
		{"namespace", "autoDiscovery: {clusterName: c}", "Role", []string{"rbac.yaml"}, nil},
		{"cluster of a shadow", all + "\nshadow: true", "ClusterRole", []string{"rbac-shadow.yaml"}, nil},
		{"namespace of a shadow", queue + "\nshadow: true", "Role", []string{"rbac-shadow.yaml"}, nil},
		{"namespace of the plugin", "autoDiscovery: {clusterName: c}\nextraArgs: {asg-plugin-address: 127.0.0.1:8087}", "Role", []string{"rbac.yaml", "rbac-plugin.yaml"}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var want []string
			for _, file := range tt.files {
				raw, err := manifests.FS.ReadFile("deploy/" + file)
				require.NoError(t, err)
				want = append(want, rules(t, objects(t, string(raw)), tt.kind)...)
			}
			want = slices.DeleteFunc(want, func(rule string) bool { return slices.Contains(tt.without, rule) })
			slices.Sort(want)
			want = slices.Compact(want)
			assert.Empty(t, cmp.Diff(want, rules(t, mustRender(t, tt.values), tt.kind)), "rules (-files +chart)")
		})
	}
}

// rules lists what the role of the kind grants: one line for each resource and verb, sorted.
func rules(t *testing.T, rendered []object, kind string) []string {
	t.Helper()
	var role rbacv1.ClusterRole // a Role has the same fields
	find(t, rendered, kind, &role)
	var lines []string
	for _, rule := range role.Rules {
		for _, group := range rule.APIGroups {
			for _, resource := range rule.Resources {
				for _, verb := range rule.Verbs {
					lines = append(lines, strings.Join([]string{verb, group + "/" + resource, strings.Join(rule.ResourceNames, ",")}, " "))
				}
			}
		}
	}
	slices.Sort(lines)
	return slices.Compact(lines)
}

// The golden "everything" has the flags of our keys.
func TestOnlyOurKeysMakeOurFlags(t *testing.T) {
	for _, flag := range container(t, mustRender(t, "autoDiscovery: {clusterName: c}\nrbac: {create: false}")).Command {
		assert.Falsef(t, strings.HasPrefix(flag, "--asg-"), "without values of ours there is %s", flag)
	}
}

// A shadow reads the priorities of the leader, whose release has them.
func TestShadowHasNoPriorities(t *testing.T) {
	const values = "extraArgs: {expander: priority}\nexpanderPriorities: {10: ['.*']}\nshadow: "
	for shadow, want := range map[string]int{"true": 0, "false": 1} {
		assert.Lenf(t, ofKind(mustRender(t, values+shadow), "ConfigMap"), want, "shadow: %s", shadow)
	}
}

func TestPrioritiesComeWithTheirExpander(t *testing.T) {
	for _, given := range []string{"extraArgs: {expander: 'least-cost, priority'}", "extraArgs: {expander: 'priority,least-cost'}",
		"extraArgs: {expander: ' priority , random'}", "customArgs: ['--expander=priority']"} {
		assert.Lenf(t, ofKind(mustRender(t, "autoDiscovery: {clusterName: c}\nexpanderPriorities: {10: ['.*']}\n"+given), "ConfigMap"), 1, "%s", given)
	}
}

// YAML makes true and false of these words where they have no quotes.
func TestOnAndOffNeedNoQuotes(t *testing.T) {
	c := container(t, mustRender(t, "autoDiscovery: {clusterName: c}\nextraArgs: {asg-consolidate: on, asg-nominate: off, asg-spot-prices: off, "+
		"asg-status-page: off, asg-zonal-groups: off, asg-rotate: on}"))
	for _, want := range []string{"--asg-consolidate=on", "--asg-nominate=off", "--asg-spot-prices=off", "--asg-status-page=off", "--asg-zonal-groups=off", "--asg-rotate=true"} {
		assert.Contains(t, c.Command, want)
	}
}

// A mount of the whole directory, without subPath, is what the kubelet keeps up to date.
func TestPricesAreMountedFromTheirConfigMap(t *testing.T) {
	for name, tt := range map[string]struct{ values, configMap, file string }{
		"content":  {"{content: '# region: us-west-2'}", "test-aws-cluster-autoscaler-prices", "prices"},
		"existing": {"{existingConfigMap: mine, key: a.csv}", "mine", "a.csv"},
	} {
		t.Run(name, func(t *testing.T) {
			var d appsv1.Deployment
			find(t, mustRender(t, "autoDiscovery: {clusterName: c}\nasg: {prices: "+tt.values+"}"), "Deployment", &d)
			pod := d.Spec.Template.Spec
			assert.Equal(t, tt.configMap, pod.Volumes[0].ConfigMap.Name, "the volume is of ConfigMap")
			mount := pod.Containers[0].VolumeMounts[0]
			assert.Truef(t, mount.Name == pod.Volumes[0].Name && mount.SubPath == "", "mount = %+v", mount)
			want := "--asg-price-file=" + mount.MountPath + "/" + tt.file
			assert.Truef(t, slices.Contains(pod.Containers[0].Command, want), "%q lacks %s", pod.Containers[0].Command, want)
		})
	}
}

func TestValuesAreRefusedWithASentence(t *testing.T) {
	const base = "autoDiscovery: {clusterName: c}\n"
	for _, tt := range []struct{ name, values, want string }{
		{"misspelt key", "autodiscovery: {clusterName: c}", "autodiscovery"},
		{"misspelt key of ours", "autoDiscovery: {clusterName: c}\nasg: {zonal: all}", "zonal"},
		{"misspelt key of a group", base + "autoscalingGroups: [{name: a, minSize: 0, maxSize: 1, max: 2}]", "max"},
		{"misspelt key of the image", base + "image: {repo: mine}", "repo"},
		{"misspelt key of the account", base + "rbac: {serviceAccount: {annotation: {}}}", "annotation"},
		{"misspelt key of the roles", base + "rbac: {nomination: true}", "nomination"},
		{"misspelt key of the Service", base + "service: {port: 80}", "port"},
		{"misspelt key of the ServiceMonitor", base + "serviceMonitor: {enable: true}", "enable"},
		{"misspelt key of the NetworkPolicy", base + "networkPolicy: {ingress: []}", "ingress"},
		{"misspelt key of the budget", base + "podDisruptionBudget: {maxUnavailabe: 1}", "maxUnavailabe"},
		{"misspelt key of a mount", base + "extraVolumeSecrets: {a: {mountPath: /a, secret: b}}", "secret"},
		{"wrong type", "autoDiscovery: {clusterName: c}\nreplicaCount: two", "replicaCount"},
		{"wrong choice", "autoDiscovery: {clusterName: c}\nasg: {zonalGroups: some}", "zonalGroups"},
		{"another cloud", "autoDiscovery: {clusterName: c}\ncloudProvider: gce", `cloudProvider is "gce"`},
		{"no image", base + "image: {repository: null}", "crane push bin/image REPOSITORY:TAG"},
		{"no tag", base + "image: {tag: null}", "--set image.repository=REPOSITORY --set image.tag=TAG"},
		{"fraction as tag", base + "image: {tag: 1.15}", "got number"},
		{"tag in the repository", base + "image: {repository: 'example.com:5000/ca:v1'}", "example.com:5000/ca:v1 has a tag or a digest"},
		{"digest in the repository", base + "image: {repository: 'ca@sha256:1'}", "image.digest to the rest"},
		{"no digest", base + "image: {digest: v1}", "digest"},
		{"stock tag", base + "image: {repository: null, tag: v1.35.0}", "a tag of the stock autoscaler"},
		{"stock tag beside the repository of a release", base + "image: {repository: ghcr.io/asg-autoscaler/asg-autoscaler, tag: v1.29.5}", "a tag of the stock autoscaler"},
		{"stock image", base + "image: {repository: mirror.example.com/autoscaling/cluster-autoscaler, tag: v1.35.0}", "a tag of the stock autoscaler"},
		{"stock image and the digest of a release", base + "image: {repository: registry.k8s.io/autoscaling/cluster-autoscaler, tag: v1.35.0, digest: 'sha256:" +
			strings.Repeat("0", 64) + "'}", "a tag of the stock autoscaler"},
		{"values of the stock chart", "asg: null", "--reset-then-reuse-values"},
		{"two replicas without a lease", base + "extraArgs: {leader-elect: false}", "Set replicaCount: 1"},
		{"two replicas without a lease in other letters", base + "customArgs: ['--leader_elect=F']", "Set replicaCount: 1"},
		{"another namespace by the flag", base + "extraArgs: {namespace: other}", "leave the flag --namespace out"},
		{"another namespace by an argument", base + "customArgs: ['--namespace=other']", "leave the flag --namespace out"},
		{"two replicas of the plugin", base + "extraArgs: {asg-plugin-address: ':8087'}", "the same process of the plugin"},
		{"shadow as a flag", base + "extraArgs: {shadow: true}", "Set the value shadow: true"},
		{"lease of its own in another place", base + "customArgs: ['--leader-elect-resource-name=mine']", "extraArgs.leader-elect-resource-name"},
		{"status of its own in another place", base + "customArgs: ['--status_config-map-name=mine']", "extraArgs.status-config-map-name"},
		{"tags without a cluster", "autoDiscovery: {tags: [team-a]}", "extraArgs.node-group-auto-discovery"},
		{"two budgets", "autoDiscovery: {clusterName: c}\npodDisruptionBudget: {minAvailable: 1}", "set maxUnavailable to null"},
		{"two price files", "autoDiscovery: {clusterName: c}\nasg: {prices: {content: a, existingConfigMap: b}}", "Set only one of asg.prices"},
		{"volume without path", "autoDiscovery: {clusterName: c}\nextraVolumeSecrets: {a: {}}", "mountPath"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, version := range helmVersions {
				_, err := helm(t, version, "template", "test", chartDir, "--values", image, "--values", writeValues(t, tt.values))
				assert.Truef(t, err != nil && strings.Contains(err.Error(), tt.want), "helm %s: error %v, want one with %q", version, err, tt.want)
			}
		})
	}
}

// Image and role are enough: without a flag the program finds its groups itself.
func TestChartNeedsNoGroups(t *testing.T) {
	for _, flag := range container(t, mustRender(t, "")).Command {
		assert.Truef(t, !strings.HasPrefix(flag, "--nodes") && !strings.HasPrefix(flag, "--node-group-auto-discovery") && flag != "",
			"flag %q, want none that selects groups", flag)
	}
}

// The stock chart's documents promise it, and that chart leaves the template as it is.
func TestClusterNameMayBeATemplate(t *testing.T) {
	rendered := mustRender(t, "global: {cluster: main}\nautoDiscovery: {clusterName: '{{ .Values.global.cluster }}'}")
	assert.Contains(t, container(t, rendered).Command, "--node-group-auto-discovery=asg:tag=k8s.io/cluster-autoscaler/enabled,k8s.io/cluster-autoscaler/main")
}

func TestGroupsMayComeFromFlags(t *testing.T) {
	for _, values := range []string{
		"autoDiscovery: {tags: [team-a]}\nextraArgs: {nodes_1: '0:3:a', nodes_2: '0:3:b'}",
		"customArgs: ['--node-group-auto-discovery=asg:tag=mine']",
	} {
		mustRender(t, values)
	}
}

func TestLargeNumbersStayWhole(t *testing.T) {
	c := container(t, mustRender(t, "autoDiscovery: {clusterName: c}\nextraArgs: {max-nodes-total: 1000000}\nextraEnv: {COUNT: 1000000}"))
	want := "--max-nodes-total=1000000"
	assert.Truef(t, slices.Contains(c.Command, want), "%q lacks %s", c.Command, want)
	if want := (corev1.EnvVar{Name: "COUNT", Value: "1000000"}); !slices.Contains(c.Env, want) {
		t.Errorf("%v lacks %v", c.Env, want)
	}
}

func TestImageHasItsTagAndItsDigest(t *testing.T) {
	const digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	for _, tt := range []struct{ name, values, want string }{
		{"tag", "{repository: example.com:5000/ca, tag: v1}", "example.com:5000/ca:v1"},
		{"number as tag", "{repository: ca, tag: 20261123}", "ca:20261123"},
		{"digest", "{repository: ca, tag: null, digest: '" + digest + "'}", "ca@" + digest},
		{"both", "{repository: ca, tag: v1, digest: '" + digest + "'}", "ca:v1@" + digest},
		{"tag of a release", "{repository: ca, tag: 'v1.0.0@" + digest + "'}", "ca:v1.0.0@" + digest},
		{"tag of a release and another digest", "{repository: ca, tag: 'v1.0.0@sha256:0', digest: '" + digest + "'}", "ca:v1.0.0@" + digest},
		{"own numbers", "{repository: example/mine, tag: v1.0.0}", "example/mine:v1.0.0"},
		{"own numbers like stock's", "{repository: example/mine, tag: v1.35.0}", "example/mine:v1.35.0"},
		{"release", "{repository: ghcr.io/asg-autoscaler/asg-autoscaler, tag: v1.0.0}", "ghcr.io/asg-autoscaler/asg-autoscaler:v1.0.0"},
		{"stock's tag beside a digest", "{repository: ghcr.io/asg-autoscaler/asg-autoscaler, tag: v1.35.0, digest: '" + digest + "'}",
			"ghcr.io/asg-autoscaler/asg-autoscaler:v1.35.0@" + digest},
	} {
		assert.Equalf(t, tt.want, container(t, mustRender(t, "autoDiscovery: {clusterName: c}\nimage: "+tt.values)).Image, "%s: image", tt.name)
	}
}

// Nominations need a rule. Flag and rule come together, unless the values give the flag.
func TestNominationsAreOnWithTheirRule(t *testing.T) {
	const rule = "patch /pods/status "
	for _, tt := range []struct {
		name, values string
		flags        []string
		rule         bool
	}{
		{"default", "", []string{"--asg-nominate=off"}, false},
		{"rule", "rbac: {nominations: true}", []string{"--asg-nominate=on"}, true},
		{"rule and a profile", "rbac: {nominations: true}\nprofile: conservative", []string{"--asg-nominate=on"}, true},
		{"own rule", "extraArgs: {asg-nominate: 'on'}", []string{"--asg-nominate=on"}, false},
		{"rule of interruptions", "asg: {interruptionQueue: q}", []string{"--asg-nominate=off"}, true},
		{"own roles", "rbac: {clusterScoped: false}", nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rendered := mustRender(t, "autoDiscovery: {clusterName: c}\n"+tt.values)
			given := slices.DeleteFunc(container(t, rendered).Command, func(flag string) bool { return !strings.HasPrefix(flag, "--asg-nominate") })
			assert.ElementsMatch(t, tt.flags, given)
			assert.Equal(t, tt.rule, len(ofKind(rendered, "ClusterRole")) > 0 && slices.Contains(rules(t, rendered, "ClusterRole"), rule),
				"the rule is given")
		})
	}
}

func TestProbesAndGraceFollowTheValues(t *testing.T) {
	var d appsv1.Deployment
	find(t, mustRender(t, "autoDiscovery: {clusterName: c}\nlivenessProbe: {timeoutSeconds: 7}\nreadinessProbe: null\nterminationGracePeriodSeconds: 12"), "Deployment", &d)
	pod := d.Spec.Template.Spec
	live := pod.Containers[0].LivenessProbe
	assert.Truef(t, live.TimeoutSeconds == 7 && live.PeriodSeconds == 30 && live.HTTPGet.Path == "/health-check", "liveness probe %+v", live)
	probe := pod.Containers[0].ReadinessProbe
	assert.Truef(t, probe == nil, "readiness probe %+v, want none", probe)
	got := pod.TerminationGracePeriodSeconds
	assert.Truef(t, got != nil && *got == 12, "grace period %v, want 12", got)
}

// Figures of ours beside a user's own could contradict them: a request above a limit is refused half-way through an upgrade.
func TestResourcesAreTheUsersOrOurs(t *testing.T) {
	const ours = "{limits: {memory: 600Mi}, requests: {cpu: 100m, memory: 300Mi}}"
	for values, want := range map[string]string{
		"{}": ours, "null": "{}", "{limits: null}": ours,
		"{requests: {memory: 1Gi}}": "{requests: {memory: 1Gi}}",
		"{limits: {memory: 200Mi}}": "{limits: {memory: 200Mi}}",
	} {
		var r corev1.ResourceRequirements
		require.NoError(t, yaml.Unmarshal([]byte(want), &r))
		assert.Emptyf(t, cmp.Diff(r, container(t, mustRender(t, "resources: "+values)).Resources), "resources: %s (-want +got)", values)
	}
}

// Two pods on the host's network cannot share a node, so a rollout on two nodes would never end if the new pod came first.
func TestRolloutOnTheHostsNetworkMakesRoomFirst(t *testing.T) {
	for values, want := range map[string]string{
		"hostNetwork: false": "{}",
		"replicaCount: 1\nextraArgs: {leader-elect: false}": "{type: Recreate}",
		"hostNetwork: true": "{rollingUpdate: {maxSurge: 0, maxUnavailable: 1}}",
		"hostNetwork: true\nupdateStrategy: {type: Recreate}": "{type: Recreate}",
	} {
		var strategy appsv1.DeploymentStrategy
		require.NoError(t, yaml.Unmarshal([]byte(want), &strategy))
		var d appsv1.Deployment
		find(t, mustRender(t, values), "Deployment", &d)
		assert.Emptyf(t, cmp.Diff(strategy, d.Spec.Strategy), "%s: strategy (-want +got)", values)
	}
}

// The notes after an installation name the account, its role, and commands that reach what was installed.
func TestNotesNameTheAccountAndItsRole(t *testing.T) {
	notes := func(values string) string {
		_, text, found := strings.Cut(mustHelm(t, "v4", "install", "test", chartDir, "--dry-run=client", "--namespace", namespace, "--values", image,
			"--values", writeValues(t, "autoDiscovery: {clusterName: c}\n"+values)), "\nNOTES:\n")
		require.True(t, found, "helm prints no notes")
		return text
	}
	for _, tt := range []struct{ name, values, want string }{
		{"account", "fullnameOverride: scaler", "The ServiceAccount is kube-system/scaler."},
		{"no role", "", "It has no role by annotation."},
		{"role", `rbac: {serviceAccount: {annotations: {eks.amazonaws.com/role-arn: "arn:aws:iam::1:role/r"}}}`, "Its role is arn:aws:iam::1:role/r"},
		{"role beside an access key",
			"awsAccessKeyID: a\nawsSecretAccessKey: b\n" + `rbac: {serviceAccount: {annotations: {eks.amazonaws.com/role-arn: "arn"}}}`,
			"It uses the access key of your values, and not the role arn.\n"},
		{"trust", `rbac: {serviceAccount: {annotations: {eks.amazonaws.com/role-arn: "arn"}}}`, "system:serviceaccount:kube-system:test-aws-cluster-autoscaler"},
		{"doctor, which finds the cluster's name itself", "asg: {clusterName: c}", "kubectl -n kube-system exec deploy/test-aws-cluster-autoscaler -- /asgctl doctor\n"},
		{"page", "", `port-forward "pod/$(kubectl -n kube-system get lease cluster-autoscaler `},
		{"page of the plugin", "extraArgs: {asg-plugin-address: 127.0.0.1:8087}", "get lease cluster-autoscaler-plugin "},
		{"page of a shadow", "shadow: true", "get lease cluster-autoscaler-shadow "},
		{"shadow", "shadow: true\nextraArgs: {leader-elect-resource-name: my-shadow}", `exec "$(kubectl -n kube-system get lease my-shadow -o jsonpath='{.spec.holderIdentity}')" -- /asgctl shadow --url http://127.0.0.1:8085`},
		{"access key without a region", "awsAccessKeyID: a\nawsSecretAccessKey: b", "awsRegion is not set. Older versions of the stock chart set us-east-1"},
		{"open page", "", "Every pod of the cluster may read the status page"},
		{"priorities of no expander", "expanderPriorities: {10: ['.*']}", "expanderPriorities count for nothing without the expander priority."},
		{"what closes the page", "", "networkPolicy.enabled=true, or by asg.statusAddress=127.0.0.1:8086."},
		{"own port of the page", "asg: {statusAddress: '127.0.0.1:8086'}", "Open http://localhost:8086/status after"},
	} {
		assert.Containsf(t, notes(tt.values), tt.want, "%s: the notes lack %q", tt.name, tt.want)
	}
}

package chart

import (
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

// A stockCase is a set of values of the stock chart with their effect, which is the same in both charts.
type stockCase struct {
	name   string
	values string   // beside autoDiscovery.clusterName, which is "c" unless they set it
	want   string   // parts of objects that are rendered, as YAML documents
	gone   []string // kinds that are not rendered
}

var stockCases = []stockCase{
	{
		name: "discovery",
		values: `
autoDiscovery: {clusterName: main, tags: [k8s.io/cluster-autoscaler/enabled, "team/{{ .Values.autoDiscovery.clusterName }}=a"]}`,
		want: `
kind: Deployment
spec: {template: {spec: {containers: [{command: ["--node-group-auto-discovery=asg:tag=k8s.io/cluster-autoscaler/enabled,team/main=a"]}]}}}`,
	},
	{
		name: "groups",
		values: `
autoscalingGroups: [{name: a, minSize: 0, maxSize: 1000}, {name: b, minSize: 1, maxSize: 3}]`,
		want: `
kind: Deployment
spec: {template: {spec: {containers: [{command: ["--nodes=0:1000:a", "--nodes=1:3:b"]}]}}}`,
	},
	{
		name: "flags",
		values: `
cloudConfigPath: /etc/cloud.conf
extraArgs: {v: 2, logtostderr: null, balancing-ignore-label_1: one, balancing-ignore-label_2: two, write-status-configmap: false, status-taint: "", scale-down-utilization-threshold: 0.5, skip-nodes-with-system-pods: null}
customArgs: [--scan-interval=11s, --leader-elect]`,
		want: `
kind: Deployment
spec: {template: {spec: {containers: [{command: [--cloud-config=/etc/cloud.conf, --v=2, --balancing-ignore-label=one, --balancing-ignore-label=two,
  --write-status-configmap=false, --status-taint=, --scale-down-utilization-threshold=0.5, --skip-nodes-with-system-pods, --scan-interval=11s, --leader-elect]}]}}}`,
	},
	{
		name: "keys of AWS",
		values: `
awsRegion: "{{ .Release.Name }}-1"
awsAccessKeyID: id
awsSecretAccessKey: secret`,
		want: `
kind: Secret
metadata: {name: test-aws-cluster-autoscaler, namespace: kube-system}
data: {AwsAccessKeyId: aWQ=, AwsSecretAccessKey: c2VjcmV0}
---
kind: Deployment
spec: {template: {spec: {containers: [{env: [{name: AWS_REGION, value: test-1},
  {name: AWS_ACCESS_KEY_ID, valueFrom: {secretKeyRef: {name: test-aws-cluster-autoscaler, key: AwsAccessKeyId}}},
  {name: AWS_SECRET_ACCESS_KEY, valueFrom: {secretKeyRef: {name: test-aws-cluster-autoscaler, key: AwsSecretAccessKey}}}]}]}}}`,
	},
	{
		name: "own secret",
		values: `
awsRegion: eu-west-1
awsAccessKeyID: any
awsSecretAccessKey: any
secretKeyRefNameOverride: mine`,
		want: `
kind: Deployment
spec: {template: {spec: {containers: [{env: [
  {name: AWS_ACCESS_KEY_ID, valueFrom: {secretKeyRef: {name: mine, key: AwsAccessKeyId}}},
  {name: AWS_SECRET_ACCESS_KEY, valueFrom: {secretKeyRef: {name: mine, key: AwsSecretAccessKey}}}]}]}}}`,
		gone: []string{"Secret"},
	},
	{
		name: "environment",
		values: `
extraEnv: {A: text, B: 7, C: true}
extraEnvConfigMaps: {D: {name: maps, key: d}, E: {key: e}}
extraEnvSecrets: {F: {name: secrets, key: f}, G: {key: g}}
envFromConfigMap: all-maps
envFromSecret: all-secrets`,
		want: `
kind: Deployment
spec: {template: {spec: {containers: [{env: [{name: A, value: text}, {name: B, value: "7"}, {name: C, value: "true"},
  {name: D, valueFrom: {configMapKeyRef: {name: maps, key: d}}},
  {name: E, valueFrom: {configMapKeyRef: {name: test-aws-cluster-autoscaler, key: e}}},
  {name: F, valueFrom: {secretKeyRef: {name: secrets, key: f}}},
  {name: G, valueFrom: {secretKeyRef: {name: test-aws-cluster-autoscaler, key: g}}}],
  envFrom: [{secretRef: {name: all-secrets}}, {configMapRef: {name: all-maps}}]}]}}}`,
	},
	{
		name: "volumes",
		values: `
extraVolumes: [{name: certs, hostPath: {path: /etc/ssl}}]
extraVolumeMounts: [{name: certs, mountPath: /etc/ssl, readOnly: true}]
extraVolumeSecrets: {first: {mountPath: /first}, second: {mountPath: /second, name: other, items: [{key: k, path: p}]}}`,
		want: `
kind: Deployment
spec: {template: {spec: {
  containers: [{volumeMounts: [{name: certs, mountPath: /etc/ssl, readOnly: true}, {name: first, mountPath: /first, readOnly: true}, {name: second, mountPath: /second, readOnly: true}]}],
  volumes: [{name: certs, hostPath: {path: /etc/ssl}}, {name: first, secret: {secretName: test-aws-cluster-autoscaler}}, {name: second, secret: {secretName: other, items: [{key: k, path: p}]}}]}}}`,
	},
	{
		name: "priorities as a map",
		values: `
extraArgs: {expander: "priority,least-waste"}
expanderPriorities: {10: [".*"], 50: [".*spot.*", ".*cheap.*"]}
priorityConfigMapAnnotations: {note: mine}`,
		want: `
kind: ConfigMap
metadata: {name: cluster-autoscaler-priority-expander, namespace: kube-system, annotations: {note: mine}}
data: {priorities: {10: [".*"], 50: [".*spot.*", ".*cheap.*"]}}`,
	},
	{
		name: "priorities as text",
		values: `
extraArgs: {expander: priority}
expanderPriorities: |
  10:
    - .*
  50:
    - .*spot.*`,
		want: `
kind: ConfigMap
metadata: {name: cluster-autoscaler-priority-expander}
data: {priorities: {10: [".*"], 50: [".*spot.*"]}}`,
	},
	{
		name:   "priorities for another expander",
		values: `expanderPriorities: {10: [".*"]}`,
		gone:   []string{"ConfigMap"},
	},
	{
		name: "image",
		values: `
image: {repository: example/mine, tag: mine-1, pullPolicy: Always, pullSecrets: [one, two]}`,
		want: `
kind: Deployment
spec: {template: {spec: {imagePullSecrets: [{name: one}, {name: two}], containers: [{image: "example/mine:mine-1", imagePullPolicy: Always}]}}}`,
	},
	{
		name: "deployment",
		values: `
replicaCount: 5
revisionHistoryLimit: 3
updateStrategy: {type: Recreate}
deployment: {annotations: {note: mine}}
additionalLabels: {team: blue}
podLabels: {shape: round}
podAnnotations: {colour: red}`,
		want: `
kind: Deployment
metadata: {annotations: {note: mine}, labels: {team: blue}}
spec:
  replicas: 5
  revisionHistoryLimit: 3
  strategy: {type: Recreate}
  selector: {matchLabels: {shape: round, app.kubernetes.io/instance: test, app.kubernetes.io/name: aws-cluster-autoscaler}}
  template: {metadata: {annotations: {colour: red}, labels: {team: blue, shape: round}}}
---
kind: Service
metadata: {labels: {team: blue}}
---
kind: ClusterRole
metadata: {labels: {team: blue}}`,
	},
	{
		name: "pods",
		values: `
priorityClassName: mine
dnsPolicy: Default
dnsConfig: {nameservers: [1.2.3.4]}
hostNetwork: true
nodeSelector: {role: infra}
tolerations: [{key: infra, operator: Exists}]
affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: a, operator: Exists}]}]}}}
topologySpreadConstraints: [{maxSkew: 2, topologyKey: zone, whenUnsatisfiable: DoNotSchedule, labelSelector: {matchLabels: {a: b}}}]
securityContext: {runAsUser: 1234}
containerSecurityContext: {privileged: false}
resources: {requests: {cpu: 1234m}, limits: {memory: 1Gi}}
initContainers: [{name: first, image: example/first}]`,
		want: `
kind: Deployment
spec: {template: {spec: {
  priorityClassName: mine, dnsPolicy: Default, dnsConfig: {nameservers: [1.2.3.4]}, hostNetwork: true, nodeSelector: {role: infra},
  tolerations: [{key: infra, operator: Exists}],
  affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: a, operator: Exists}]}]}}},
  topologySpreadConstraints: [{maxSkew: 2, topologyKey: zone, whenUnsatisfiable: DoNotSchedule, labelSelector: {matchLabels: {a: b}}}],
  securityContext: {runAsUser: 1234},
  initContainers: [{name: first, image: example/first}],
  containers: [{securityContext: {privileged: false}, resources: {requests: {cpu: 1234m}, limits: {memory: 1Gi}}}]}}}`,
	},
	{
		name: "names",
		values: `
nameOverride: scaler
extraObjects: [{apiVersion: v1, kind: ConfigMap, metadata: {name: "{{ .Release.Name }}-extra"}}]`,
		want: `
kind: Deployment
metadata: {name: test-scaler}
spec: {template: {spec: {serviceAccountName: test-scaler, containers: [{name: scaler}]}}}
---
kind: ConfigMap
metadata: {name: test-extra}`,
	},
	{
		name:   "full name",
		values: `fullnameOverride: all-of-it`,
		want: `
kind: Deployment
metadata: {name: all-of-it}
---
kind: ClusterRoleBinding
metadata: {name: all-of-it}
roleRef: {name: all-of-it}
subjects: [{name: all-of-it, namespace: kube-system}]`,
	},
	{
		name: "selectors",
		values: `
deployment: {selector: {a: b}}
service: {selector: {c: d}}
podDisruptionBudget: {selector: {e: f}}`,
		want: `
kind: Deployment
spec: {selector: {matchLabels: {a: b}}}
---
kind: Service
spec: {selector: {c: d}}
---
kind: PodDisruptionBudget
spec: {selector: {matchLabels: {e: f}}}`,
	},
	{
		name: "disruption budget",
		values: `
podDisruptionBudget: {annotations: {note: mine}, maxUnavailable: null, minAvailable: 2}`,
		want: `
kind: PodDisruptionBudget
metadata: {annotations: {note: mine}}
spec: {minAvailable: 2}`,
	},
	{
		name:   "disruption budget with another maximum",
		values: `podDisruptionBudget: {maxUnavailable: 50%}`,
		want: `
kind: PodDisruptionBudget
spec: {maxUnavailable: 50%, selector: {matchLabels: {app.kubernetes.io/instance: test, app.kubernetes.io/name: aws-cluster-autoscaler}}}`,
	},
	{
		name: "roles",
		values: `
rbac:
  annotations: {"{{ .Release.Name }}/note": "{{ .Release.Namespace }}"}
  additionalRules: [{apiGroups: [mine], resources: [things], verbs: [get]}]
  serviceAccount: {name: account, annotations: {eks.amazonaws.com/role-arn: "arn:{{ .Release.Name }}"}, automountServiceAccountToken: false}`,
		want: `
kind: ClusterRole
metadata: {annotations: {test/note: kube-system}}
rules: [{apiGroups: [mine], resources: [things], verbs: [get]}]
---
kind: Role
metadata: {annotations: {test/note: kube-system}}
rules: [{apiGroups: [mine], resources: [things], verbs: [get]}]
---
kind: RoleBinding
metadata: {annotations: {test/note: kube-system}}
subjects: [{kind: ServiceAccount, name: account, namespace: kube-system}]
---
kind: ClusterRoleBinding
metadata: {annotations: {test/note: kube-system}}
subjects: [{kind: ServiceAccount, name: account, namespace: kube-system}]
---
kind: ServiceAccount
metadata: {name: account, annotations: {eks.amazonaws.com/role-arn: "arn:test"}}
automountServiceAccountToken: false
---
kind: Deployment
spec: {template: {spec: {serviceAccountName: account}}}`,
	},
	{
		name:   "no roles",
		values: `rbac: {create: false}`,
		gone:   []string{"ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding", "ServiceAccount"},
	},
	{
		name:   "roles of the namespace",
		values: `rbac: {clusterScoped: false}`,
		gone:   []string{"ClusterRole", "ClusterRoleBinding"},
	},
	{
		name:   "account of the namespace",
		values: `rbac: {serviceAccount: {create: false}}`,
		want: `
kind: Deployment
spec: {template: {spec: {serviceAccountName: default}}}`,
		gone: []string{"ServiceAccount"},
	},
	{
		name: "service",
		values: `
service: {annotations: {a: b}, labels: {c: d}, type: LoadBalancer, servicePort: 80, portName: metrics, clusterIP: 10.0.0.1, externalIPs: [1.2.3.4], loadBalancerIP: 4.3.2.1, loadBalancerSourceRanges: [10.0.0.0/8]}`,
		want: `
kind: Service
metadata: {annotations: {a: b}, labels: {c: d}}
spec: {type: LoadBalancer, clusterIP: 10.0.0.1, externalIPs: [1.2.3.4], loadBalancerIP: 4.3.2.1, loadBalancerSourceRanges: [10.0.0.0/8],
  ports: [{name: metrics, port: 80, targetPort: 8085, protocol: TCP}]}`,
	},
	{
		name:   "no service",
		values: `service: {create: false}`,
		gone:   []string{"Service"},
	},
	{
		name: "Prometheus Operator",
		values: `
serviceMonitor: {enabled: true, namespace: here, selector: {release: mine, number: 1}, annotations: {a: b}, interval: 1m, path: /m,
  relabelings: [{targetLabel: "{{ .Release.Name }}"}], metricRelabelings: [{action: keep, regex: "{{ .Release.Name }}.*"}]}
prometheusRule: {enabled: true, namespace: there, additionalLabels: {c: d}, interval: 2m, rules: [{alert: A, expr: "up == 0", labels: {name: "{{ .Release.Name }}"}}]}`,
		want: `
kind: ServiceMonitor
metadata: {name: test-aws-cluster-autoscaler, namespace: here, labels: {release: mine, number: "1"}, annotations: {a: b}}
spec:
  selector: {matchLabels: {app.kubernetes.io/instance: test}}
  namespaceSelector: {matchNames: [kube-system]}
  endpoints: [{port: http, interval: 1m, path: /m, relabelings: [{targetLabel: test}], metricRelabelings: [{action: keep, regex: "test.*"}]}]
---
kind: PrometheusRule
metadata: {name: test-aws-cluster-autoscaler, namespace: there, labels: {c: d}}
spec: {groups: [{interval: 2m, rules: [{alert: A, expr: "up == 0", labels: {name: test}}]}]}`,
	},
	{
		name: "VerticalPodAutoscaler",
		values: `
vpa: {enabled: true, updateMode: Initial, recommender: mine, containerPolicy: {minAllowed: {cpu: 20m}}}`,
		want: `
kind: VerticalPodAutoscaler
spec:
  targetRef: {apiVersion: apps/v1, kind: Deployment, name: test-aws-cluster-autoscaler}
  updatePolicy: {updateMode: Initial}
  recommenders: [{name: mine}]
  resourcePolicy: {containerPolicies: [{containerName: aws-cluster-autoscaler, minAllowed: {cpu: 20m}}]}`,
	},
}

func TestStockValuesHaveTheirEffect(t *testing.T) {
	charts := map[string]string{"ours": chartDir, "stock": mustStockChart(t)}
	const base = "autoDiscovery: {clusterName: c}\n"
	plain := mustRender(t, base)
	for _, c := range stockCases {
		values := c.values
		if !strings.Contains(values, "autoDiscovery:") {
			values = base + values
		}
		for name, dir := range charts {
			t.Run(c.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				rendered, err := render(t, dir, values)
				require.NoError(t, err)
				for _, want := range objects(t, c.want) {
					if !slices.ContainsFunc(rendered, func(o object) bool { return holds(map[string]any(o), map[string]any(want)) }) {
						t.Errorf("no object has this part:\n%s\nrendered:\n%s", text(t, want), text(t, ofKind(rendered, want["kind"])))
					}
					assert.Truef(t, !slices.ContainsFunc(plain, func(o object) bool { return holds(map[string]any(o), map[string]any(want)) }),
						"without the values an object has this part, too:\n%s", text(t, want))
				}
				for _, kind := range c.gone {
					assert.Emptyf(t, ofKind(rendered, kind), "a %s is rendered", kind)
				}
			})
		}
	}
}

// holds reports whether got has every key of want, and, for a list, every element, in any order. Text that is wanted as a
// map or a list is YAML.
func holds(got, want any) bool {
	if encoded, ok := got.(string); ok {
		if _, ok := want.(string); !ok {
			return yaml.Unmarshal([]byte(encoded), &got) == nil && got != encoded && holds(got, want)
		}
	}
	switch want := want.(type) {
	case map[string]any:
		got, ok := got.(map[string]any)
		for key, value := range want {
			ok = ok && holds(got[key], value)
		}
		return ok
	case []any:
		got, ok := got.([]any)
		for _, value := range want {
			ok = ok && slices.ContainsFunc(got, func(element any) bool { return holds(element, value) })
		}
		return ok
	}
	return reflect.DeepEqual(got, want)
}

func ofKind(rendered []object, kind any) []object {
	return slices.DeleteFunc(slices.Clone(rendered), func(o object) bool { return o["kind"] != kind })
}

func text(t *testing.T, value any) string {
	raw, err := yaml.Marshal(value)
	require.NoError(t, err)
	return string(raw)
}

// ignored matches the stock chart's keys that do nothing on AWS, or nothing in a Kubernetes of today.
var ignored = regexp.MustCompile(`^(azure|civo|clusterAPI|magnum)|^(autoscalingGroupsnamePrefix|kwokConfigMapName|kubeTargetVersionOverride|rbac\.pspEnabled|autoDiscovery\.(namespace|roles|labels)|cloudProvider)$`)

// A key that a later release of the stock chart adds makes this test fail, so that it gets a case or is ignored on purpose.
func TestEveryStockKeyHasACase(t *testing.T) {
	stock := readValues(t, filepath.Join(mustStockChart(t), "values.yaml"))
	covered := map[string]bool{}
	for _, c := range stockCases {
		var values map[string]any
		require.NoErrorf(t, yaml.Unmarshal([]byte(c.values), &values), "%s", c.name)
		for _, key := range keys(values, "") {
			covered[key] = true
		}
	}
	found := 0
	for _, key := range keys(stock, "") {
		if ignored.MatchString(key) {
			continue
		}
		found++
		assert.Truef(t, covered[key], "no case shows the effect of %s", key)
	}
	assert.Truef(t, found >= 60, "%d keys found: the stock chart has another form now", found)
}

// The stock chart's own values, and keys of later stock releases, pass our schema.
func TestStockValuesPassTheSchema(t *testing.T) {
	stock := readValues(t, filepath.Join(mustStockChart(t), "values.yaml"))
	delete(stock, "image") // it names the stock autoscaler
	stock["autoDiscovery"].(map[string]any)["clusterName"] = "c"
	stock["azureEnableVMSSEtag"] = false
	stock["rbac"].(map[string]any)["pspEnabled"] = true
	assert.Equal(t, 1, len(ofKind(mustRender(t, text(t, stock)), "Deployment")), "Deployments are rendered")
}

func readValues(t *testing.T, path string) map[string]any {
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	var values map[string]any
	require.NoErrorf(t, yaml.UnmarshalStrict(raw, &values), "%s", path)
	return values
}

// keys returns the paths of all values below the prefix, sorted. It looks into fixedMaps alone, because the keys of other maps
// are the user's.
func keys(values map[string]any, prefix string) []string {
	var paths []string
	for _, key := range slices.Sorted(maps.Keys(values)) {
		path := strings.TrimPrefix(prefix+"."+key, ".")
		if inner, ok := values[key].(map[string]any); ok && slices.Contains(fixedMaps, path) {
			paths = append(paths, keys(inner, path)...)
			continue
		}
		paths = append(paths, path)
	}
	return paths
}

// fixedMaps are the maps with fixed keys.
var fixedMaps = []string{
	"asg", "asg.prices", "autoDiscovery", "dashboard", "deployment", "image", "networkPolicy", "podDisruptionBudget", "podMonitor", "prometheusRule", "rbac", "rbac.serviceAccount",
	"service", "serviceMonitor", "vpa",
}

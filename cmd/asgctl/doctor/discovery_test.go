package doctor

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"testing"

	autoscalingtypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/ownership"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/running"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/source"
)

func TestDiscoveryIsThePodsOrWhatItAssumes(t *testing.T) {
	for _, tt := range []struct {
		name   string
		pod    *corev1.Pod
		flags  running.Flags
		given  []string // here
		want   []string
		wanted string // the keys that a group lacks without any tag
		named  string // name of the cluster that is given here
		cilium bool   // takes the VPC CNI's place
		idle   bool   // the autoscaler scales nothing
		hidden bool   // the autoscaler may have other flags than are known
		unsure bool   // which autoscaler is ours
		unread error  // of the pods
	}{
		{name: "flags of the pod", pod: &corev1.Pod{}, flags: running.Flags{"node-group-auto-discovery": {"asg:tag=a"}}, want: []string{"asg:tag=a"}, wanted: "a"},
		{name: "flags given here", pod: &corev1.Pod{}, given: []string{"asg:tag=b"}, want: []string{"asg:tag=b"}, wanted: "b"},
		{name: "pod without flags", pod: &corev1.Pod{}, want: ownership.Assumed("main"), wanted: "k8s.io/cluster-autoscaler/enabled,k8s.io/cluster-autoscaler/main"},
		{name: "pod without flags that does not know its cluster", pod: &corev1.Pod{}, cilium: true, want: ownership.Assumed(""), wanted: "k8s.io/cluster-autoscaler/enabled", idle: true},
		{name: "pod with a name that nobody can read", pod: &corev1.Pod{}, flags: running.Flags{"asg-cluster-name": {"$(CLUSTER)"}}, cilium: true,
			want: ownership.Assumed(""), wanted: "k8s.io/cluster-autoscaler/enabled"},
		{name: "pod that does not know its cluster, whose name is given here", pod: &corev1.Pod{}, named: "main", cilium: true,
			want: ownership.Assumed("main"), wanted: "k8s.io/cluster-autoscaler/enabled,k8s.io/cluster-autoscaler/main", idle: true},
		{name: "pod that starts a shell", cilium: true,
			pod:  new(ofAccount("a", corev1.Container{Command: []string{"sh", "-c", "./cluster-autoscaler --nodes=1:3:web"}})),
			want: ownership.Assumed(""), wanted: "k8s.io/cluster-autoscaler/enabled", hidden: true},
		{name: "core, whose plugin selects the groups", pod: &corev1.Pod{}, flags: running.Flags{"cloud-provider": {"externalgrpc"}}, cilium: true,
			want: ownership.Assumed(""), wanted: "k8s.io/cluster-autoscaler/enabled", hidden: true},
		{name: "flags that nobody can read", pod: &corev1.Pod{}, flags: running.Flags{"nodes": {"$(GROUPS)"}},
			want: ownership.Assumed(""), wanted: "k8s.io/cluster-autoscaler/enabled", hidden: true},
		{name: "a flag of two that nobody can read", pod: &corev1.Pod{}, flags: running.Flags{"node-group-auto-discovery": {"asg:tag=a", "asg:tag=$(TAG)"}},
			want: []string{"asg:tag=a"}, wanted: "a", hidden: true},
		{name: "flags that nobody can read, and others given here", pod: &corev1.Pod{}, flags: running.Flags{"nodes": {"$(GROUPS)"}},
			given: []string{"asg:tag=b"}, want: []string{"asg:tag=b"}, wanted: "b"},
		{name: "pods that cannot be read", unread: errors.New("pods is forbidden"), want: ownership.Assumed(""), wanted: "k8s.io/cluster-autoscaler/enabled", hidden: true},
		{name: "pods that cannot all be read, one without flags", pod: &corev1.Pod{}, unread: errors.New("a page is missing"), want: ownership.Assumed("main"),
			wanted: "k8s.io/cluster-autoscaler/enabled,k8s.io/cluster-autoscaler/main"},
		{name: "pods that cannot all be read, one with flags", pod: &corev1.Pod{}, flags: running.Flags{"node-group-auto-discovery": {"asg:tag=a"}},
			unread: errors.New("a page is missing"), want: []string{"asg:tag=a"}, wanted: "a"},
		{name: "two autoscalers", unsure: true, want: ownership.Assumed(""), wanted: "k8s.io/cluster-autoscaler/enabled", hidden: true},
		{name: "no pod", want: ownership.Assumed(""), wanted: "k8s.io/cluster-autoscaler/enabled"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := &installation{ours: tt.pod, flags: tt.flags, unsure: tt.unsure}
			in.pods.err, in.nodes.value = tt.unread, map[string]*corev1.Node{"i-1": {}}
			in.Read.AutoDiscovery, in.Read.ClusterName = tt.given, tt.named
			if !tt.cilium {
				in.network = "main"
			}
			in.takeDiscovery()
			in.groups.value = &source.Reading{Groups: []*group.Group{{Name: "web"}}}
			c := &Check{}
			checkGroups(t.Context(), in, c)
			assert.Equalf(t, tt.idle, len(c.Findings) == 1, "findings %+v", c.Findings)
			assert.Truef(t, slices.Equal(in.Read.AutoDiscovery, tt.want) && in.wantedKeys() == tt.wanted,
				"discovery %q, wanted tags %s; want %q, %s", in.Read.AutoDiscovery, in.wantedKeys(), tt.want, tt.wanted)

			in.groups.value.Groups, in.nameless = nil, false
			none, tags := &Check{}, &Check{}
			assert.Equal(t, !tt.hidden, checkGroups(t.Context(), in, none), "looked at no group")
			in.undiscovered(tags, "api", autoscalingtypes.AutoScalingGroup{Instances: []autoscalingtypes.Instance{{InstanceId: new("i-1")}},
				Tags: []autoscalingtypes.TagDescription{{Key: new("k8s.io/cluster-autoscaler/node-template/label/team")}}})
			for _, c := range []*Check{none, tags} {
				assert.Equalf(t, !tt.hidden, len(c.Findings) == 1 && len(c.NotChecked) == 0, "%+v", c)
				assert.Equalf(t, tt.hidden, len(c.Findings) == 0 && len(c.NotChecked) == 1 && c.NotChecked[0].Needs == "--node-group-auto-discovery and --nodes, as the autoscaler has them", "%+v", c)
			}
		})
	}
}

func asks(pods ...corev1.Pod) *installation {
	in := &installation{namespace: usualNamespace, serviceAccount: clusterAutoscaler}
	for i := range pods {
		in.pods.value.add(&pods[i])
	}
	return in
}

func ofAccount(name string, c corev1.Container) corev1.Pod {
	c.Name = clusterAutoscaler
	return corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: usualNamespace, Name: name}, Spec: corev1.PodSpec{ServiceAccountName: name, Containers: []corev1.Container{c}}}
}

func TestRegionIsTheFlagsOrThePodsOrTheNodes(t *testing.T) {
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{corev1.LabelTopologyRegion: "eu-north-1"}}}
	for _, tt := range []struct {
		name, given, env, want string
		args                   []string
	}{
		{name: "given here", env: "eu-west-1", given: "us-east-1", args: []string{"--asg-region=us-west-2"}, want: "us-east-1"},
		{name: "flag of the pod", env: "eu-west-1", args: []string{"--asg-region=us-west-2"}, want: "us-west-2"},
		{name: "environment of the pod", env: "eu-west-1", want: "eu-west-1"},
		{name: "label of the nodes", want: "eu-north-1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := asks(ofAccount("a", corev1.Container{Args: tt.args, Env: []corev1.EnvVar{{Name: "AWS_DEFAULT_REGION", Value: tt.env}}}))
			in.Read.Region, in.nodes.value = tt.given, map[string]*corev1.Node{"i-1": node}
			if in.takeFlags(); in.Read.Region != tt.want {
				t.Errorf("region %q, want %q", in.Read.Region, tt.want)
			}
		})
	}
}

// What a role lacks is a fault only where the autoscaler would use it.
func TestRolesAreThoseThatTheFlagsNeed(t *testing.T) {
	const deletion, lease = "deploy/rbac-interruption.yaml: pods", "deploy/rbac.yaml: leases.coordination.k8s.io "
	for _, tt := range []struct {
		name     string
		pod      string // its namespace, kube-system if empty
		args     []string
		shell    bool // starts the autoscaler
		deletion bool
		lease    string
		in       string // namespace of the lease, kube-system if empty
	}{
		{name: "no flag", lease: lease + clusterAutoscaler},
		{name: "pod of another namespace", pod: "autoscaling", lease: lease + clusterAutoscaler},
		{name: "pod and lease of another namespace", pod: "autoscaling", args: []string{"--namespace=autoscaling"}, lease: lease + clusterAutoscaler, in: "autoscaling"},
		{name: "lease in the namespace of a variable", pod: "autoscaling", args: []string{"--namespace=$(POD_NAMESPACE)"}, lease: lease + clusterAutoscaler, in: "autoscaling"},
		{name: "pod of another namespace that starts a shell", pod: "autoscaling", shell: true, lease: lease + clusterAutoscaler, in: "autoscaling"},
		{name: "renamed lease", args: []string{"--leader-elect-resource-name=a"}, lease: lease + "a"},
		{name: "renamed as in stock 1.32.0", args: []string{"--lease-resource-name=a"}, lease: lease + "a"},
		{name: "plugin", args: []string{"--asg-plugin-address=:8087"}, lease: "deploy/rbac-plugin.yaml: leases.coordination.k8s.io cluster-autoscaler-plugin"},
		{name: "queue", args: []string{"--asg-interruption-queue=q"}, deletion: true, lease: lease + clusterAutoscaler},
		{name: "queue, the pods are left", args: []string{"--asg-interruption-queue=q", "--asg-interruption-deadline=leave"}, lease: lease + clusterAutoscaler},
		{name: "queue, conservative", args: []string{"--asg-interruption-queue=q", "--asg-profile=conservative"}, lease: lease + clusterAutoscaler},
		{name: "queue, conservative, the pods are deleted", args: []string{"--asg-interruption-queue=q", "--asg-profile=conservative", "--asg-interruption-deadline=force"},
			deletion: true, lease: lease + clusterAutoscaler},
	} {
		t.Run(tt.name, func(t *testing.T) {
			pod := ofAccount("a", corev1.Container{Args: tt.args})
			pod.Namespace = cmp.Or(tt.pod, usualNamespace)
			if tt.shell {
				pod.Spec.Containers[0].Command = []string{"/bin/sh", "-c", "./cluster-autoscaler --namespace=autoscaling"}
			}
			in := asks(pod)
			in.takeFlags()
			wanted := in.accesses()
			var leases []string
			deletes := false
			for _, a := range wanted {
				deletes = deletes || a.file+": "+a.String() == deletion
				if a.object.Resource == "leases" && a.object.Name != "" {
					leases = append(leases, a.file+": "+a.String())
					elsewhere := cmp.Or(tt.in, usualNamespace) != cmp.Or(tt.pod, usualNamespace)
					assert.Equal(t, elsewhere, strings.HasPrefix(in.remedy("u", a, "get"), "start the autoscaler with --namespace="+tt.pod), "next step")
				}
			}
			assert.Equal(t, tt.deletion, deletes, "deletes pods")
			assert.Equal(t, []string{tt.lease + " in namespace " + cmp.Or(tt.in, usualNamespace)}, leases)
		})
	}
}

func TestOurAutoscalerAndItsRivals(t *testing.T) {
	always := corev1.ContainerRestartPolicyAlways
	plugin := corev1.Container{Name: clusterAutoscaler, Command: []string{"./cluster-autoscaler", "--nodes=0:3:web", "--asg-plugin-address=:8087"}}
	core := corev1.Container{Name: clusterAutoscaler, Args: []string{"--cloud-provider=externalgrpc"}}
	beside := func(change func(*corev1.Container)) corev1.Pod {
		pod, sidecar := ofAccount("one-pod", core), plugin
		sidecar.Name = "plugin"
		change(&sidecar)
		pod.Spec.InitContainers = []corev1.Container{sidecar}
		return pod
	}
	hosted := ofAccount("hosted", corev1.Container{Args: []string{"--kubeconfig=/other", "--shadow=false"}})
	release := ofAccount("default", plugin) // of Helm, with a ServiceAccount of its own name
	release.Namespace = "default"
	replica := func(set string) corev1.Pod {
		pod := ofAccount("stock", corev1.Container{})
		_, hash, _ := strings.Cut(set, "-")
		pod.Labels = map[string]string{"pod-template-hash": hash}
		pod.OwnerReferences = []metav1.OwnerReference{{Kind: "ReplicaSet", Name: set, Controller: new(true)}}
		return pod
	}
	stock := replica("stock-5d8f")
	within := func(namespace string, args ...string) corev1.Pod {
		pod := ofAccount("apart", corev1.Container{Args: args})
		pod.Namespace = namespace
		return pod
	}
	for _, tt := range []struct {
		name, namespace, account, want, nodes, next string
		pods                                        []corev1.Pod
		rivals                                      int
		here                                        string // the account of the pod in which asgctl runs
		unsure                                      bool
	}{
		{name: "apart", pods: []corev1.Pod{ofAccount(clusterAutoscaler, core), ofAccount("plugin", plugin)}, want: "plugin", nodes: "0:3:web"},
		{name: "apart, the core's account is given", account: "core", pods: []corev1.Pod{ofAccount("core", core), ofAccount("plugin", plugin)}, want: "core"},
		{name: "sidecar", pods: []corev1.Pod{beside(func(c *corev1.Container) { c.RestartPolicy = &always })}, want: "one-pod", nodes: "0:3:web"},
		{name: "init container that ends", pods: []corev1.Pod{beside(func(*corev1.Container) {})}, want: clusterAutoscaler, unsure: true},
		{name: "another autoscaler", account: "plugin", pods: []corev1.Pod{ofAccount("plugin", plugin), stock}, want: "plugin", nodes: "0:3:web", rivals: 1,
			next: "kubectl --namespace kube-system scale deployment/stock --replicas=0"},
		{name: "release and a shadow", pods: []corev1.Pod{release, ofAccount("shadow", corev1.Container{Args: []string{"--shadow"}})}, want: "default", nodes: "0:3:web"},
		{name: "autoscaler of another cluster", account: "a", pods: []corev1.Pod{ofAccount("a", corev1.Container{}), hosted}, want: "a"},
		{name: "the namespace of the only autoscaler is given", namespace: usualNamespace, pods: []corev1.Pod{stock}, want: "stock"},
		{name: "another namespace is given", namespace: "other", pods: []corev1.Pod{stock}, want: clusterAutoscaler, unsure: true},
		{name: "one of two is in the given namespace", namespace: "default", pods: []corev1.Pod{stock, release}, want: "default", nodes: "0:3:web", rivals: 1},
		{name: "two autoscalers", pods: []corev1.Pod{stock, ofAccount("plugin", plugin)}, want: clusterAutoscaler, unsure: true},
		{name: "two autoscalers, asgctl runs in one", here: "plugin", pods: []corev1.Pod{stock, ofAccount("plugin", plugin)}, want: "plugin", nodes: "0:3:web", rivals: 1},
		{name: "two autoscalers of one lease", here: "ours", pods: []corev1.Pod{stock, ofAccount("ours", corev1.Container{})},
			want: "ours", rivals: 1, next: "kubectl --namespace kube-system get lease cluster-autoscaler"},
		{name: "two autoscalers of two namespaces and one lease", account: "ours", pods: []corev1.Pod{within("default"), ofAccount("ours", corev1.Container{})},
			want: "ours", rivals: 1, next: "kubectl --namespace kube-system get lease cluster-autoscaler"},
		{name: "two autoscalers of one namespace, with leases in two", account: "ours",
			pods: []corev1.Pod{within(usualNamespace, "--namespace=other"), ofAccount("ours", corev1.Container{})},
			want: "ours", rivals: 1, next: "kubectl --namespace kube-system describe pod apart"},
		{name: "two Deployments of one account, while ours is rolled out", pods: []corev1.Pod{stock, replica("stock-7c9b"), replica("twin-5d8f"), replica("twin-5d8f")},
			want: "stock", rivals: 1, next: "kubectl --namespace kube-system get lease cluster-autoscaler"},
		{name: "two autoscalers, one has the usual names", pods: []corev1.Pod{stock, ofAccount(clusterAutoscaler, plugin)}, want: clusterAutoscaler, nodes: "0:3:web", rivals: 1},
		{name: "an account that runs nothing is given with its namespace", namespace: usualNamespace, account: "a", pods: []corev1.Pod{stock}, want: "a", rivals: 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("POD_NAMESPACE", usualNamespace)
			t.Setenv("SERVICE_ACCOUNT", tt.here)
			in := asks(tt.pods...)
			if in.Running.Namespace = tt.namespace; tt.namespace != "" {
				in.namespace = tt.namespace
			}
			if in.Account = tt.account; tt.account != "" {
				in.serviceAccount = tt.account
			}
			in.takeFlags()
			c, roles := &Check{}, &Check{}
			in.rivalPods(c)
			assert.Equal(t, tt.unsure, len(c.NotChecked) == 1, "rivals are not checked")
			if tt.unsure {
				assert.False(t, checkRBAC(t.Context(), in, roles), "looked at roles")
				assert.Equal(t, "--autoscaler-namespace and --service-account", roles.NotChecked[0].Needs)
			}
			assert.Equal(t, tt.want == "default", in.namespace == "default", "namespace")
			assert.Truef(t, tt.next == "" || tt.next == c.Findings[0].Next, "%+v", c.Findings)
			assert.Truef(t, in.serviceAccount == tt.want && in.flags.Last("nodes") == tt.nodes && len(c.Findings) == tt.rivals,
				"account %s, --nodes=%s, rivals %+v; want %s, %s, %d", in.serviceAccount, in.flags.Last("nodes"), c.Findings, tt.want, tt.nodes, tt.rivals)
		})
	}
}

// The leader's lease names a pod that knows nothing of the shadow.
func TestShadowHasItsOwnLease(t *testing.T) {
	for lease, flags := range map[string]running.Flags{
		"cluster-autoscaler-shadow": {"shadow": {""}}, "a-shadow": {"shadow": {"true"}, "leader-elect-resource-name": {"a"}},
		"b-shadow": {"shadow": {""}, "leader-elect-resource-name": {"b-shadow"}}, "cluster-autoscaler": {"shadow": {"false"}},
	} {
		assert.Equalf(t, lease, leaseOf(flags), "%v", flags)
	}
}

// Messages may come from EventBridge or through SNS. The shipped queue denies what is not encrypted to everybody, which lets nobody in.
func TestPoliciesThatLetInterruptionsIn(t *testing.T) {
	const unencrypted = `{"Effect":"Deny","Principal":"*","Action":"sqs:*","Resource":"arn:aws:sqs:us-west-2:123456789012:q"}`
	for policy, want := range map[string]bool{
		``:                                    false,
		`{"Statement":[` + unencrypted + `]}`: false,
		`{"Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::123456789012:role/events"},"Action":"sqs:SendMessage"}]}`:          false,
		`{"Statement":[` + unencrypted + `,{"Effect":"Allow","Principal":{"Service":["events.amazonaws.com"]},"Action":"sqs:SendMessage"}]}`: true,
		`{"Statement":{"Effect":"Allow","Principal":{"Service":"sns.amazonaws.com"},"Action":"sqs:SendMessage"}}`:                            true,
		`{"Statement":[{"Effect":"Allow","Principal":"*","Action":"sqs:SendMessage",` +
			`"Condition":{"ArnEquals":{"aws:SourceArn":"arn:aws-cn:events:cn-north-1:123456789012:rule/spot"}}}]}`: true,
		`{"Statement":[{"Effect":"Allow","Principal":"*","Action":"SQS:SendMessage",` +
			`"Condition":{"ArnLike":{"aws:SourceArn":["arn:aws:sns:us-west-2:123456789012:topic"]}}}]}`: true,
	} {
		assert.Equal(t, want, sender.MatchString(policy), policy)
	}
}

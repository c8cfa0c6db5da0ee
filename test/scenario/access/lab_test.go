package access

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/yaml"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
	"github.com/asg-autoscaler/asg-autoscaler/test/scenario"
)

const (
	region = "cn-northwest-1"
	// patience bounds each wait, on a busy machine.
	patience = 2 * time.Minute
	// account is the name of the ServiceAccount, the roles and their bindings of a replica.
	account = "cluster-autoscaler"
)

// A lab is a cluster with an AWS account, in which each replica has its namespace, ServiceAccount, roles, lease, group and queue.
type lab struct {
	env     *scenario.Env
	dir     string
	client  kubernetes.Interface
	dynamic dynamic.Interface
	asgctl  string // its path
}

// startLab starts one with a group of two nodes, and a queue, for each name. The nodes of a group have the label team=<name>.
func startLab(t *testing.T, names ...string) *lab {
	require.NoError(t, scenario.LookAtSources("../../.."))
	dir := t.TempDir()
	binary, err := scenario.BuildAutoscaler(t.Context(), dir)
	require.NoError(t, err)
	env, err := scenario.Start(t.Context(), scenario.Options{Dir: dir, Binary: binary, Progress: os.Stderr,
		LeaseRenewal: time.Minute, // no node is lost here, and eighty leases would keep the API server busy
		// Kubernetes streams the objects of a list in answers to watch, if it knows how to. Older releases answer to list.
		FeatureGates: map[string]bool{"WatchList": false}})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, env.Close()) })
	config := fakeaws.Config{Region: region, Delays: fakeaws.Delays{Register: fakeaws.Duration(time.Second)},
		LaunchTemplates: []fakeaws.LaunchTemplate{{Name: "workers", Versions: []fakeaws.LaunchTemplateVersion{{InstanceType: "m5.large", ImageID: "ami-1", Spot: true}}}}}
	for _, name := range names {
		nodes := fakeaws.NodeConfig{NodeLabels: map[string]string{"team": name}}
		if slices.Contains(kopsReleases, name) {
			nodes.ReadyAfter = fakeaws.Duration(5 * time.Second) // a pod that runs before its node is looked at needs no nomination
		}
		config.Queues = append(config.Queues, fakeaws.Queue{Name: name})
		config.AutoScalingGroups = append(config.AutoScalingGroups, fakeaws.AutoScalingGroup{
			Name: name, Max: 5, Desired: 2, Zones: []string{region + "a"}, LaunchTemplate: &fakeaws.LaunchTemplateRef{Name: "workers"},
			Tags: map[string]string{"k8s.io/cluster-autoscaler/enabled": "true", "k8s.io/cluster-autoscaler/eksworkshop": "owned", "replica-" + name: "",
				"KubernetesCluster": "eksworkshop",
				"k8s.io/cluster-autoscaler/node-template/label/team": name},
			NodeConfig: nodes,
		})
	}
	require.NoError(t, env.StartAWS(t.Context(), config))
	definitions, err := filepath.Abs("../../../manifests/crds")
	require.NoError(t, err)
	_, err = env.Cluster.RunKubectl(t.Context(), "", "apply", "-k", definitions)
	require.NoError(t, err)
	asgctl := filepath.Join(dir, "asgctl")
	require.NoError(t, os.Symlink(binary, asgctl)) // the autoscaler is asgctl under this name
	objects, err := dynamic.NewForConfig(env.Cluster.RESTConfig())
	require.NoError(t, err)
	return &lab{env: env, dir: dir, client: env.Cluster.Client(), dynamic: objects, asgctl: asgctl}
}

// A replica is an autoscaler with a namespace, group and queue of its name.
type replica struct {
	*lab
	name, log, kubeconfig string
	disturbed             bool                 // somebody else writes its nodes while it does
	process               *scenario.Autoscaler // nil if it does not run or has ended before it was healthy
}

// replica makes the namespace and the ServiceAccount of a replica, and gives it the rules.
func (l *lab) replica(t *testing.T, name string, g grants) *replica {
	return &replica{lab: l, name: name, log: filepath.Join(l.dir, name+".log"), kubeconfig: l.grant(t, name, g)}
}

// start runs the autoscaler as the shipped Deployment of S0 does, but quicker to remove nodes.
func (r *replica) start(t *testing.T, flags ...string) {
	process, err := r.env.StartReplica(t.Context(), r.name, r.log, "s0-gpu-spot-china", append([]string{
		"--kubeconfig=" + r.kubeconfig, "--namespace=" + r.name, "--node-group-auto-discovery=asg:tag=replica-" + r.name,
		"--scan-interval=1s", "--scale-down-unneeded-time=1s", "--scale-down-delay-after-add=1s", "--unremovable-node-recheck-timeout=1s",
		"--node-delete-delay-after-taint=0s", "--asg-interruption-queue=" + r.name, "--asg-nominate=on",
	}, flags...)...)
	if err == nil {
		r.process = process
		t.Cleanup(func() {
			if process.Running() {
				process.Kill()
			}
		})
	}
	t.Cleanup(func() {
		assert.Empty(t, scenario.OwnRaces(readFile(t, r.log)), "data races")
		if t.Failed() {
			t.Logf("the end of the log:\n%s", tail(readFile(t, r.log), 60))
		}
	})
}

func tail(text string, lines int) string {
	all := strings.Split(text, "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// grant makes the replica's namespace and ServiceAccount, gives it the rules, and returns its kubeconfig.
func (l *lab) grant(t *testing.T, name string, g grants) string {
	ctx, in := t.Context(), metav1.ObjectMeta{Name: account, Namespace: name}
	subjects := []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: account, Namespace: name}}
	_, err := l.client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	require.NoError(t, err)
	_, err = l.client.CoreV1().ServiceAccounts(name).Create(ctx, &corev1.ServiceAccount{ObjectMeta: in}, metav1.CreateOptions{})
	require.NoError(t, err)
	_, err = l.client.RbacV1().ClusterRoles().Create(ctx, &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: g.cluster}, metav1.CreateOptions{})
	require.NoError(t, err)
	_, err = l.client.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: name},
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name}, Subjects: subjects}, metav1.CreateOptions{})
	require.NoError(t, err)
	_, err = l.client.RbacV1().Roles(name).Create(ctx, &rbacv1.Role{ObjectMeta: in, Rules: g.namespace}, metav1.CreateOptions{})
	require.NoError(t, err)
	_, err = l.client.RbacV1().RoleBindings(name).Create(ctx, &rbacv1.RoleBinding{ObjectMeta: in,
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: account}, Subjects: subjects}, metav1.CreateOptions{})
	require.NoError(t, err)
	kubeconfig, err := l.env.Cluster.ServiceAccountKubeconfig(ctx, name, account)
	require.NoError(t, err)
	return kubeconfig
}

// eventually waits until check returns "", and fails with its last answer.
func eventually(t *testing.T, check func(context.Context) string) {
	last := "no answer"
	err := wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, patience, true, func(context.Context) (bool, error) {
		last = check(t.Context()) // a context that ends with the poll would make its end the last answer
		return last == "", nil
	})
	require.True(t, err == nil, last)
}

// awaitLog waits for a line of the log.
func (r *replica) awaitLog(t *testing.T, line string) {
	pattern := regexp.MustCompile(line)
	eventually(t, func(context.Context) string {
		if pattern.MatchString(readFile(t, r.log)) {
			return ""
		}
		return fmt.Sprintf("the log has no line like %q", line)
	})
}

// awaitDesired waits for a desired capacity of the replica's group.
func (r *replica) awaitDesired(t *testing.T, want int) {
	eventually(t, func(context.Context) string {
		group, _ := r.env.AWS.Group(r.name)
		if group.Desired == want {
			return ""
		}
		return fmt.Sprintf("the group's desired capacity is %d, want %d", group.Desired, want)
	})
}

// nodes waits until the replica's group has so many nodes that are ready, and returns them.
func (r *replica) nodes(t *testing.T, want int) []corev1.Node {
	var ready []corev1.Node
	eventually(t, func(ctx context.Context) string {
		nodes, err := r.client.CoreV1().Nodes().List(ctx, metav1.ListOptions{LabelSelector: "team=" + r.name})
		if err != nil {
			return err.Error()
		}
		ready = ready[:0]
		for _, node := range nodes.Items {
			for _, condition := range node.Status.Conditions {
				if condition.Type == corev1.NodeReady && condition.Status == corev1.ConditionTrue {
					ready = append(ready, node)
				}
			}
		}
		if len(ready) == want {
			return ""
		}
		return fmt.Sprintf("%d nodes are ready, want %d", len(ready), want)
	})
	return ready
}

// apply applies objects in the replica's namespace, as kubectl does, which would read all schemas of the API server each time.
func (r *replica) apply(t *testing.T, objects ...string) {
	for _, text := range objects {
		var object unstructured.Unstructured
		require.NoError(t, yaml.Unmarshal([]byte(text), &object.Object), text)
		resource, _ := meta.UnsafeGuessKindToResource(object.GroupVersionKind())
		_, err := r.dynamic.Resource(resource).Namespace(r.name).Apply(t.Context(), object.GetName(), &object, metav1.ApplyOptions{FieldManager: "test", Force: true})
		require.NoError(t, err, text)
	}
}

// awaitRunning waits until the pod runs.
func (r *replica) awaitRunning(t *testing.T, pod string) {
	eventually(t, func(ctx context.Context) string {
		p, err := r.client.CoreV1().Pods(r.name).Get(ctx, pod, metav1.GetOptions{})
		if err != nil {
			return err.Error()
		}
		if p.Status.Phase == corev1.PodRunning {
			return ""
		}
		return fmt.Sprintf("pod %s is %s", pod, p.Status.Phase)
	})
}

// pod is a pod for the replica's nodes that may be evicted. It is bound to the node, unless that is empty.
func (r *replica) pod(name, node, cpu string) string {
	return fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: %s, labels: {app: %s}, annotations: {cluster-autoscaler.kubernetes.io/safe-to-evict: "true"}}
spec:
  nodeName: %q
  nodeSelector: {team: %s}
  terminationGracePeriodSeconds: 1
  containers: [{name: main, image: registry.example.com/web:dev, resources: {requests: {cpu: %s}}}]
`, name, name, node, r.name, cpu)
}

// interrupt tells the replica of a spot interruption of the node, of which EC2 has warned 108 seconds ago.
func (r *replica) interrupt(t *testing.T, node corev1.Node) {
	warned := time.Now().Add(-108 * time.Second).UTC().Format(time.RFC3339)
	require.NoError(t, r.env.AWS.SendMessage(r.name, fmt.Sprintf(`{"version":"0","id":%q,"detail-type":"EC2 Spot Instance Interruption Warning","source":"aws.ec2","time":%q,`+
		`"detail":{"instance-id":%q,"instance-action":"terminate"}}`, r.name, warned, path.Base(node.Spec.ProviderID))))
}

// moduleDir is the directory of a module.
func moduleDir(t *testing.T, module string) string {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	require.NoError(t, err)
	return strings.TrimSpace(string(out))
}

package doctor_test

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/command"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/doctor"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/running"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/loopback"
	"github.com/stretchr/testify/require"
)

func TestSoundInstallation(t *testing.T) {
	newSite(t, nil)
	code, report, complaints := run(t, "--url", reporting(t, decision.Report{Reading: decision.Reading{At: time.Now()}}))
	assert.Equalf(t, command.ExitFine, code, "exit code: %s", complaints)
	var names []string
	for _, c := range report.Checks {
		names = append(names, c.Name)
		assert.Equalf(t, doctor.Sound, c.Outcome, "%s: %+v, not checked: %+v", c.Name, c.Findings, c.NotChecked)
		if want := map[string]string{"iam": "iam simulate-principal-policy", "queue": "events list-rule-names-by-target"}[c.Name]; want == "" {
			assert.Emptyf(t, c.NotChecked, "%s did not check", c.Name)
		} else if parts := map[string]int{"iam": 2, "queue": 1}[c.Name]; len(c.NotChecked) != parts ||
			slices.ContainsFunc(c.NotChecked, func(u doctor.Unchecked) bool { return !strings.Contains(u.Needs, want) }) {
			t.Errorf("%s did not check %+v, want parts with the command %q", c.Name, c.NotChecked, want)
		}
	}
	assert.Truef(t, slices.Equal(names, doctor.Names()), "checks %q, want %q", names, doctor.Names())
	assert.Truef(t, report.Version == "v1" && report.Region == "us-west-2" && report.Cluster == `"prod" (--asg-cluster-name)`,
		"version %q, region %q, cluster %q", report.Version, report.Region, report.Cluster)
}

func reporting(t *testing.T, r decision.Report) string {
	t.Helper()
	r.Version, r.Process.Leader, r.Loop.Number = decision.Version, true, 1
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(r) }))
	t.Cleanup(server.Close)
	return server.URL
}

// The autoscaler's own credentials are wrong, and the caller's are right.
func TestOldFactsOfTheRunningAutoscaler(t *testing.T) {
	newSite(t, nil)
	_, report, complaints := run(t, "--skip", "iam,rbac", "--url", reporting(t, decision.Report{
		Reading: decision.Reading{At: time.Now().Add(-4*time.Minute - time.Second), Failure: decision.Reason{Message: "AWS denies it", Remedy: "allow it"}},
		Groups:  []decision.Group{{Name: "gpu", Problems: []decision.Reason{{Message: "a tag"}, {Code: decision.CodeAccelerator, Message: "nodes without GPUs", Remedy: "look"}}}}}))
	const from = "its /status.json"
	found := report.Checks[0].Findings
	if len(found) != 2 || !strings.HasPrefix(found[0].Problem, "These facts are 4m") || !strings.HasSuffix(found[0].Problem, " old: AWS denies it") ||
		found[0].Next != "allow it" || found[1] != (doctor.Finding{Object: "node group gpu", Problem: "nodes without GPUs", Evidence: from, Next: "look"}) {
		t.Errorf("first findings %+v %s", found, complaints)
	}
}

// It adds and removes no node then.
func TestRunningAutoscalerOfAnUnhealthyCluster(t *testing.T) {
	newSite(t, nil)
	_, report, complaints := run(t, "--skip", "iam,rbac", "--url", reporting(t, decision.Report{Reading: decision.Reading{At: time.Now()},
		Loop: decision.Loop{Result: decision.Reason{Code: decision.CodeUnhealthy, Message: "too many nodes are not ready", Remedy: "kubectl get nodes"}}}))
	want := doctor.Finding{Object: "the running autoscaler", Problem: "too many nodes are not ready", Evidence: "its /status.json", Next: "kubectl get nodes"}
	assert.Containsf(t, report.Checks[0].Findings, want, "%s", complaints)
}

// An autoscaler that hangs leaves the other checks their time.
func TestAutoscalerThatDoesNotAnswer(t *testing.T) {
	newSite(t, nil)
	url := loopback.Silent(t)
	_, report, complaints := run(t, "--skip", "rbac", "--timeout", "20s", "--url", url)
	if found := report.Checks[0].Findings; len(found) != 1 || found[0].Problem != "it does not answer within 5s" || found[0].Next != "kubectl --namespace kube-system logs deployment/cluster-autoscaler" {
		t.Errorf("findings %+v %s", found, complaints)
	}
	areSound(t, report, "iam")
}

func quoted(c *fakeaws.Config, name string) *fakeaws.AutoScalingGroup {
	return &c.AutoScalingGroups[slices.IndexFunc(c.AutoScalingGroups, func(g fakeaws.AutoScalingGroup) bool { return g.Name == name })]
}

// other adds a group like web under another name, without instances.
func other(c *fakeaws.Config, change func(*fakeaws.AutoScalingGroup)) {
	g := *quoted(c, "web")
	g.Name, g.Desired, g.Tags = "other", 0, maps.Clone(g.Tags)
	change(&g)
	c.AutoScalingGroups = append(c.AutoScalingGroups, g)
}

func TestFaultsInAWS(t *testing.T) {
	for _, tt := range []struct {
		name, check string
		account     func(*fakeaws.Config)
		then        func(*testing.T, *site)
		args        []string
		want        string // in object and problem
		next        string // in the next command
	}{
		{name: "denied action", check: "iam", then: func(_ *testing.T, s *site) { s.aws.Deny("DescribeImages") },
			want: "is not authorized to perform: ec2:DescribeImages because no identity-based policy allows the ec2:DescribeImages action. " +
				"Effect: the operating system", next: "aws iam put-role-policy --role-name ROLE " +
				`--policy-name cluster-autoscaler-reads --policy-document '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["autoscaling:DescribeAutoScalingGroups","ec2:DescribeLaunchTemplateVersions",`},
		{name: "denied reading of groups", check: "iam", then: func(_ *testing.T, s *site) { s.aws.Deny("DescribeAutoScalingGroups") },
			want: "autoscaling:DescribeAutoScalingGroups: it is denied", next: `"Action":["autoscaling:DescribeAutoScalingGroups","ec2:DescribeLaunchTemplateVersions",`},
		{name: "one group lacks the owned tag", check: "ownership", account: func(c *fakeaws.Config) { delete(quoted(c, "gpu").Tags, owned) },
			want: `group "gpu": it lacks the tag ` + owned + " = owned", next: "create-or-update-tags"},
		{name: "owned tag with another value", check: "ownership", account: func(c *fakeaws.Config) { quoted(c, "gpu").Tags[owned] = "true" },
			want: `it has the value "true" at the tag ` + owned, next: `"Value":"owned"`},
		{name: "malformed tag", check: "tags", account: func(c *fakeaws.Config) {
			quoted(c, "web").Tags["k8s.io/cluster-autoscaler/node-template/taint/dedicated"] = "web"
		}, want: `group "web": `, next: "state the taint that the nodes have"},
		{name: "missing discovery tag", check: "tags", account: func(c *fakeaws.Config) { delete(quoted(c, "web").Tags, enabled) },
			want: `group "web": it lacks the discovery tag "` + enabled + `"`, next: enabled},
		{name: "missing discovery tag of the cluster", check: "tags", account: func(c *fakeaws.Config) { delete(quoted(c, "web").Tags, owned) },
			args: []string{"--node-group-auto-discovery", "asg:tag=" + enabled + "," + owned}, want: `it lacks the discovery tag "` + owned + `"`, next: `"Value":"owned"`},
		{name: "group of another cluster", check: "identity", account: func(c *fakeaws.Config) {
			other(c, func(g *fakeaws.AutoScalingGroup) { g.Tags["eks:cluster-name"] = "test" })
		}, want: `group "other": it is left alone`, next: "make a group of this cluster for the pods"},
		{name: "no node has EC2's provider ID", check: "identity", then: func(t *testing.T, s *site) { s.keepsNodeElsewhere(t) },
			want: "node control: no node has a provider ID of EC2", next: "cloud controller manager for AWS"},
		{name: "name not known", check: "identity", account: func(c *fakeaws.Config) {
			for _, name := range []string{"a", "b"} {
				other(c, func(g *fakeaws.AutoScalingGroup) {
					g.Name, g.Tags = name, map[string]string{"only": "these", "kubernetes.io/cluster/" + name: "owned"}
				})
			}
		}, args: []string{"--node-group-auto-discovery", "asg:tag=only", "--service-account", "none"}, want: "groups state 2 clusters", next: "--asg-cluster-name=NAME"},
		{name: "no group is discovered", check: "groups", args: []string{"--node-group-auto-discovery", "asg:tag=none"},
			want: "no Auto Scaling group matches the discovery flags", next: "Name=key,Values=none"},
		{name: "named group does not exist", check: "groups", args: []string{"--nodes", "0:3:gone"}, want: `group "gone": --nodes names it`, next: "describe-auto-scaling-groups"},
		{name: "launch template is gone", check: "groups", then: func(t *testing.T, s *site) { require.NoError(t, s.aws.DeleteLaunchTemplate("web")) },
			want: `group "web": `, next: "give it to the group: aws autoscaling update-auto-scaling-group"},
		{name: "AZRebalance", check: "processes", account: func(c *fakeaws.Config) { quoted(c, "web").SuspendedProcesses = nil },
			want: "its process AZRebalance runs over 2 zones", next: "aws autoscaling suspend-processes --region us-west-2 --auto-scaling-group-name web --scaling-processes AZRebalance"},
		{name: "AZRebalance and one unprotected instance", check: "processes", account: func(c *fakeaws.Config) {
			quoted(c, "web").SuspendedProcesses, quoted(c, "web").ProtectNewInstances = nil, true
		}, then: func(t *testing.T, s *site) {
			g, _ := s.aws.Group("web")
			require.NoError(t, s.aws.ProtectInstance(g.Instances[0].ID, false))
		}, want: "AZRebalance runs", next: "suspend-processes"},
		{name: "AZRebalance keeps a protected group from being scaled by zone", check: "processes", account: func(c *fakeaws.Config) {
			web := quoted(c, "web")
			web.SuspendedProcesses, web.ProtectNewInstances, web.Tags["asg-autoscaler.github.io/zonal"] = nil, true, "true"
		}, want: "so it is one node group until a pod needs one of its zones", next: "AZRebalance"},
		{name: "suspended termination", check: "processes", then: func(t *testing.T, s *site) { require.NoError(t, s.aws.Suspend("web", "Terminate")) },
			want: "its process Terminate is suspended, so that unneeded nodes stay", next: "aws autoscaling resume-processes"},
		{name: "suspended launch", check: "processes", then: func(t *testing.T, s *site) { require.NoError(t, s.aws.Suspend("web", "Launch")) },
			want: `group "web": `, next: "resume-processes"},
		{name: "equal minimum and maximum", check: "limits", account: func(c *fakeaws.Config) { other(c, func(g *fakeaws.AutoScalingGroup) { g.Max = 0 }) },
			want: "minimum and maximum are both 0", next: "aws autoscaling update-auto-scaling-group --region us-west-2 --auto-scaling-group-name other --max-size 1"},
		{name: "unknown type", check: "types", account: func(c *fakeaws.Config) {
			c.InstanceTypes = []fakeaws.InstanceType{{Name: "z9.large", VCPU: 2, MemoryMiB: 8192}}
			c.LaunchTemplates = append(c.LaunchTemplates, fakeaws.LaunchTemplate{Name: "new", Versions: []fakeaws.LaunchTemplateVersion{{ImageID: "ami-0a", InstanceType: "z9.large"}}})
			other(c, func(g *fakeaws.AutoScalingGroup) {
				g.LaunchTemplate = &fakeaws.LaunchTemplateRef{Name: "new", Version: "$Latest"}
			})
		}, then: func(_ *testing.T, s *site) { s.aws.Deny("DescribeInstanceTypes") }, want: "z9.large", next: "aws ec2 describe-instance-types --region us-west-2 --output json --instance-types z9.large"},
		{name: "types of very different sizes", check: "types", account: func(c *fakeaws.Config) {
			web := quoted(c, "web")
			web.LaunchTemplate, web.MixedInstancesPolicy = nil, &fakeaws.MixedInstancesPolicy{LaunchTemplate: *web.LaunchTemplate,
				Overrides: []fakeaws.Override{{InstanceType: "m5.large"}, {InstanceType: "m5.4xlarge"}}}
		}, want: `m5.4xlarge`, next: "asgctl template --region us-west-2 web"},
		{name: "label of an accelerator without one", check: "accelerators", account: func(c *fakeaws.Config) {
			quoted(c, "web").Tags["k8s.io/cluster-autoscaler/node-template/label/k8s.amazonaws.com/accelerator"] = "nvidia-tesla-t4"
		}, want: "its types have no accelerator", next: "asgctl template --region us-west-2 web"},
		{name: "missing queue", check: "queue", args: []string{"--asg-interruption-queue", "gone"}, want: "it does not exist in us-west-2", next: "aws sqs list-queues"},
		{name: "missing queue by URL", check: "queue", args: []string{"--asg-interruption-queue", "https://sqs.us-west-2.amazonaws.com/123456789012/gone"},
			want: "it does not exist", next: "aws sqs list-queues"},
		{name: "queue that refuses EventBridge", check: "queue", account: func(c *fakeaws.Config) { c.Queues[0].Events = nil },
			want: "its policy lets neither EventBridge nor SNS send", next: "manifests/interruption/cloudformation.yaml --capabilities CAPABILITY_IAM --parameter-overrides ClusterName=CLUSTER_NAME"},
		{name: "queue that drops its messages early", check: "queue", account: func(c *fakeaws.Config) { c.Queues[0].Retention = fakeaws.Duration(5 * time.Minute) },
			want: "it drops messages after 5m0s", next: "/interruptions --attributes MessageRetentionPeriod=86400"},
		{name: "queue with a dead-letter queue", check: "queue", account: func(c *fakeaws.Config) {
			c.Queues[0].RedrivePolicy = `{"deadLetterTargetArn":"arn:aws:sqs:us-west-2:123456789012:dead","maxReceiveCount":25}`
		}, want: "after 25 receptions", next: `/interruptions --attributes '{"RedrivePolicy":""}'`},
		{name: "queue that nobody reads", check: "queue", then: func(t *testing.T, s *site) {
			for range 1001 {
				require.NoError(t, s.aws.SendMessage("interruptions", "{}"))
			}
		}, want: "1001 messages wait", next: "logs deployment/cluster-autoscaler"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSite(t, tt.account)
			if tt.then != nil {
				tt.then(t, s)
			}
			expect(t, tt.check, tt.want, tt.next, tt.args...)
		})
	}
}

func expect(t *testing.T, name, want, next string, args ...string) {
	t.Helper()
	code, report, complaints := run(t, args...)
	c := checkOf(t, report, name)
	f := said(c, want)
	switch {
	case f == nil:
		t.Fatalf("no finding %q: %+v, not checked: %+v, complaints %s", want, c.Findings, c.NotChecked, complaints)
	case !strings.Contains(f.Next, next):
		t.Errorf("next is %q, want %q", f.Next, next)
	case f.Evidence == "" || c.Outcome != doctor.Faulty || code != command.ExitFindings:
		t.Errorf("evidence %q, outcome %s, exit code %d", f.Evidence, c.Outcome, code)
	}
}

func TestFaultsInTheCluster(t *testing.T) {
	for _, tt := range []struct {
		name, check string
		account     func(*fakeaws.Config)
		then        func(*testing.T, *site)
		args        []string
		later       time.Duration // how long after the start doctor runs, by its clock
		want, next  string
	}{
		{name: "role without a rule", check: "rbac", then: func(t *testing.T, s *site) { s.withoutAccess(t, account, "create", "pods/eviction") },
			want: "system:serviceaccount:kube-system:cluster-autoscaler: it may not create pods/eviction", next: "kubectl apply -f manifests/deploy/rbac.yaml"},
		{name: "role of interruptions", check: "rbac", then: func(t *testing.T, s *site) { s.withoutAccess(t, account+"-interruption", "delete", "pods") },
			want: "it may not delete pods", next: "kubectl apply -f manifests/deploy/rbac-interruption.yaml"},
		{name: "role of interruptions of an older release", check: "rbac", then: func(t *testing.T, s *site) { s.withoutAccess(t, account+"-interruption", "patch", "pods/status") },
			want: "it may not patch pods/status", next: "kubectl apply -f manifests/deploy/rbac-interruption.yaml"},
		{name: "another account without roles", check: "rbac", args: []string{"--service-account", "other"},
			want: "it may not get, list, watch, update nodes", next: "kubectl auth can-i get nodes --as system:serviceaccount:kube-system:other"},
		{name: "group at its maximum", check: "limits", account: func(c *fakeaws.Config) { quoted(c, "web").Max = 2 },
			then: func(t *testing.T, s *site) { s.waitingPod(t) }, want: `group "web": its maximum size of 2 may keep 1 pod waiting`, next: "--max-size 4"},
		{name: "managed node group at its maximum", check: "limits", account: func(c *fakeaws.Config) {
			web := quoted(c, "web")
			web.Max, web.Tags["eks:cluster-name"], web.Tags["eks:nodegroup-name"] = 2, "prod", "workers"
		}, then: func(t *testing.T, s *site) { s.waitingPod(t) }, want: `group "web": its maximum size of 2 may keep`,
			next: "aws eks update-nodegroup-config --region us-west-2 --cluster-name prod --nodegroup-name workers --scaling-config maxSize=4"},
		{name: "maximum of a flag", check: "limits", args: []string{"--nodes=0:2:web"},
			then: func(t *testing.T, s *site) { s.waitingPod(t) }, want: `group "web": its maximum size of 2 may keep`, next: "raise the maximum in --nodes=0:2:web"},
		{name: "node without its GPU", check: "accelerators", account: func(c *fakeaws.Config) { c.Delays.GPU = fakeaws.Never }, later: time.Hour,
			then: func(t *testing.T, s *site) { s.addDriver(t) }, // for other claims than GPUs, beside the device plugin
			want: `it does not publish nvidia.com/gpu, which its group "gpu" promises`, next: "kubectl describe node"},
		{name: "no device plugin", check: "accelerators", account: func(c *fakeaws.Config) { quoted(c, "gpu").Desired = 0 },
			then: func(t *testing.T, s *site) { s.removePlugin(t) }, want: "no DaemonSet of a device plugin publishes it", next: "kubectl get daemonsets"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSite(t, tt.account)
			if tt.then != nil {
				tt.then(t, s)
			}
			if tt.later == 0 {
				expect(t, tt.check, tt.want, tt.next, tt.args...)
				return
			}
			report, err := doctor.Run(klog.NewContext(t.Context(), klog.New(nil)), doctor.Options{Running: running.Options{Namespace: namespace},
				Account: account, Timeout: patience, Now: func() time.Time { return time.Now().Add(tt.later) }})
			require.NoError(t, err)
			c := checkOf(t, *report, tt.check)
			f := said(c, tt.want)
			require.Truef(t, f != nil && strings.Contains(f.Next, tt.next) && f.Evidence != "", "want finding %q with %q: %+v", tt.want, tt.next, c)
		})
	}
}

func TestNodesWithPartsOfAGPUOrADriverForClaimsAreSound(t *testing.T) {
	for name, then := range map[string]func(*testing.T, *site){
		"parts": func(t *testing.T, s *site) {
			nodes, err := s.nodes(t.Context())
			require.NoError(t, err)
			for _, n := range nodes {
				if n.Labels[corev1.LabelInstanceTypeStable] == "g4dn.xlarge" {
					require.NoError(t, s.aws.SetNodeResources(t.Context(), n.Name, map[string]string{"nvidia.com/mig-1g.10gb": "7"}))
				}
			}
		},
		"a driver": func(t *testing.T, s *site) {
			s.removePlugin(t)
			s.addDriver(t)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, func(c *fakeaws.Config) { c.Delays.GPU = fakeaws.Never })
			then(t, s)
			report, err := doctor.Run(klog.NewContext(t.Context(), klog.New(nil)), doctor.Options{Running: running.Options{Namespace: namespace},
				Account: account, Timeout: patience, Now: func() time.Time { return time.Now().Add(time.Hour) }})
			require.NoError(t, err)
			areSound(t, *report, "accelerators")
		})
	}
}

// A node has some minutes for its device plugin, and a minimum size for its first pods. Instances with scale-in protection are safe from AZRebalance.
func TestYoungAndProtectedNodesAreSound(t *testing.T) {
	newSite(t, func(c *fakeaws.Config) {
		web := quoted(c, "web")
		c.Delays.GPU, web.Min, web.SuspendedProcesses, web.ProtectNewInstances = fakeaws.Never, 2, nil, true
	})
	_, report, _ := run(t)
	areSound(t, report, "accelerators", "limits", "processes")
}

// withoutAccess takes rules about a resource from a ClusterRole, waits until the API server denies the autoscaler the access, and gives them back in
// the end.
func (s *site) withoutAccess(t *testing.T, role, verb, resource string) {
	t.Helper()
	roles := s.client.RbacV1().ClusterRoles()
	set := func(ctx context.Context, change func([]rbacv1.PolicyRule) []rbacv1.PolicyRule) (before []rbacv1.PolicyRule) {
		role, err := roles.Get(ctx, role, metav1.GetOptions{})
		require.NoError(t, err)
		before, role.Rules = role.Rules, change(slices.Clone(role.Rules))
		_, err = roles.Update(ctx, role, metav1.UpdateOptions{})
		require.NoError(t, err)
		return before
	}
	before := set(t.Context(), func(rules []rbacv1.PolicyRule) []rbacv1.PolicyRule {
		return slices.DeleteFunc(rules, func(r rbacv1.PolicyRule) bool { return slices.Contains(r.Resources, resource) })
	})
	t.Cleanup(func() {
		set(context.Background(), func([]rbacv1.PolicyRule) []rbacv1.PolicyRule { return before })
	})
	s.until(t, "the API server has the changed role", func(ctx context.Context) (bool, error) {
		kubectl := exec.CommandContext(ctx, s.cluster.Kubectl(), "--kubeconfig", s.cluster.Kubeconfig(), "auth", "can-i", verb, resource,
			"--as", "system:serviceaccount:kube-system:cluster-autoscaler")
		out, _ := kubectl.Output()
		return strings.TrimSpace(string(out)) == "no", nil
	})
}

func (s *site) create(t *testing.T, pod *corev1.Pod) *corev1.Pod {
	t.Helper()
	created, err := s.client.CoreV1().Pods(pod.Namespace).Create(t.Context(), pod, metav1.CreateOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { s.remove(t, created) })
	return created
}

func (s *site) remove(t *testing.T, pod *corev1.Pod) {
	pods := s.client.CoreV1().Pods(pod.Namespace)
	require.NoError(t, pods.Delete(context.Background(), pod.Name, metav1.DeleteOptions{GracePeriodSeconds: new(int64)}))
	err := wait.PollUntilContextTimeout(context.Background(), 20*time.Millisecond, patience, true, func(ctx context.Context) (bool, error) {
		_, err := pods.Get(ctx, pod.Name, metav1.GetOptions{})
		return apierrors.IsNotFound(err), nil
	})
	require.NoError(t, err)
}

func (s *site) waitingPod(t *testing.T) {
	t.Helper()
	pod := s.create(t, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "large", Namespace: "default"}, Spec: corev1.PodSpec{
		Containers: []corev1.Container{{Name: "main", Image: "x", Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("100")}}}}}})
	s.until(t, "the pod is unschedulable", func(ctx context.Context) (bool, error) {
		now, err := s.client.CoreV1().Pods("default").Get(ctx, pod.Name, metav1.GetOptions{})
		return err == nil && slices.ContainsFunc(now.Status.Conditions, func(c corev1.PodCondition) bool { return c.Reason == corev1.PodReasonUnschedulable }), err
	})
}

func (s *site) addDriver(t *testing.T) {
	t.Helper()
	sets, driver := s.client.AppsV1().DaemonSets(namespace), daemonSet("nvidia-dra-driver-gpu-kubelet-plugin", corev1.Container{Name: "a", Image: "a"})
	_, err := sets.Create(t.Context(), driver, metav1.CreateOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, sets.Delete(context.Background(), driver.Name, metav1.DeleteOptions{})) })
}

func (s *site) removePlugin(t *testing.T) {
	t.Helper()
	sets := s.client.AppsV1().DaemonSets(namespace)
	before, err := sets.Get(t.Context(), "nvidia-device-plugin", metav1.GetOptions{})
	require.NoError(t, err)
	require.NoError(t, sets.Delete(t.Context(), before.Name, metav1.DeleteOptions{}))
	t.Cleanup(func() {
		_, err := sets.Create(context.Background(), &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Name: before.Name}, Spec: before.Spec}, metav1.CreateOptions{})
		require.NoError(t, err)
	})
}

package aws_test

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient/lookup"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/autoscaler/cluster-autoscaler/utils/taints"
)

func TestInstancesThatDoNotJoinAreAProblemOfTheirGroup(t *testing.T) {
	broken := awsworld.Group("g", "m5.large", 0, 2, 5, nil)
	broken.Impaired, broken.Console = "instance", "kernel panic"
	w := newWorld(t, nil, broken)
	w = w.restartedWith(func(_ *asg.Options, o *aws.Options) {
		o.Admission.AWSAuth = func(context.Context) ([]string, error) { return nil, nil }
	})
	state, _ := w.AWS.Group("g")
	first, second := state.Instances[0].ID, state.Instances[1].ID
	w.register(awsworld.Node("a", nodemeta.ProviderID("cn-northwest-1a", first)))
	since := time.Date(2026, 11, 1, 10, 0, 0, 0, time.UTC)
	late := func(ids ...string) map[string]time.Time {
		m := map[string]time.Time{"i-gone": since}
		for _, id := range ids {
			m[id] = since
		}
		return m
	}
	problem := func() string {
		w.NextLoop()
		for _, p := range w.Problems() {
			if p.Reason == aws.ReasonNotJoining {
				return p.Message
			}
		}
		return ""
	}
	w.SetLate(late(second))
	w.waitWhile("no problem", func() bool { return problem() == "" })
	want := `Auto Scaling group "g": its instance ` + second + " has been seen without a node since 10:00:00 UTC: EC2's instance status check fails"
	got := problem()
	assert.Truef(t, strings.HasPrefix(got, want), "problem %q, want %q", got, want)
	if l := w.View().Late(second); !strings.HasPrefix(l.Cause, "EC2's instance status check fails") || l.Remedy != "" || strings.Join(l.Console, "") != "kernel panic" {
		t.Errorf("why: %+v", l)
	}
	assert.Empty(t, w.View().Late(first).Cause, "why for an instance that is not late")

	// It stays when the core ends the instance, though the others have joined, and goes once another one joins.
	w.SetLate(late())
	w.stopLaunching("g")
	require.NoError(t, w.AWS.Reclaim(second))
	w.waitWhile("the instance is there", func() bool {
		require.NoError(t, w.Cache.Refresh(t.Context()))
		return len(w.Cache.Snapshot().Group("g").Instances) > 1
	})
	assert.NotEmpty(t, problem(), "the problem once the instance is gone, want that it stays until a node joins")
	require.NoError(t, w.AWS.Resume("g", "Launch"))
	third := ""
	w.waitWhile("no other instance", func() bool {
		require.NoError(t, w.Cache.Refresh(t.Context()))
		for _, i := range w.Cache.Snapshot().Group("g").Instances {
			if i.ID != first {
				third = i.ID
			}
		}
		return third == ""
	})
	w.register(awsworld.Node("a", nodemeta.ProviderID("cn-northwest-1a", first)), awsworld.Node("b", nodemeta.ProviderID("cn-northwest-1a", third)))
	w.SetLate(late(first))
	w.SetLate(late())
	assert.Equal(t, "", problem(), "problem, want none once another instance has joined")
	assert.LessOrEqual(t, w.AWS.Calls()["DescribeInstanceStatus"], 2, "calls for the status, want one for each late instance")
}

// Somebody runs kubectl delete node. The kubelet registers no new one before its restart, and nothing is wrong with the group.
func TestInstanceWhoseNodeWasDeletedIsNoProblemOfItsGroup(t *testing.T) {
	w := newWorld(t, nil, awsworld.Group("g", "m5.large", 0, 3, 5, nil))
	nodes := w.Nodes("g")
	deleted, stopped, never := nodemeta.InstanceOf(nodes[0]), nodemeta.InstanceOf(nodes[1]), nodemeta.InstanceOf(nodes[2])
	problems := func() (found []string) {
		for _, p := range w.Problems() {
			if p.Reason == aws.ReasonNotJoining {
				found = append(found, p.Message)
			}
		}
		return found
	}
	since := time.Now().Add(-time.Hour)
	late := map[string]time.Time{deleted: since, stopped: since}
	w.register(nodes[:2]...)
	w.register()
	w.SetLate(maps.Clone(late))
	w.waitWhile("no explanation", func() bool { w.NextLoop(); return w.View().Late(deleted).Cause == "" })
	l := w.View().Late(deleted)
	assert.Equal(t, "its node was deleted from Kubernetes", l.Cause)
	assert.Regexp(t, "^restart its kubelet, or terminate the instance: .* --instance-id "+deleted+" ", l.Remedy)
	assert.Empty(t, problems(), "problems")
	assert.Equal(t, []bool{true, true, false}, []bool{w.NodeDeleted(deleted), w.NodeDeleted(stopped), w.NodeDeleted(never)}, "their nodes were deleted")

	// Another instance has never joined. The node that registers again is no proof that others can.
	late[never] = time.Now()
	w.SetLate(maps.Clone(late))
	w.waitWhile("no problem", func() bool { w.NextLoop(); return len(problems()) == 0 })
	w.register(nodes[0])
	assert.False(t, w.NodeDeleted(deleted), "its node was deleted, once it has registered again")
	require.Len(t, problems(), 1)
	assert.Contains(t, problems()[0], "its instance "+never+" has been seen")

	// The cloud controller manager deletes nodes of instances that end.
	w.stopLaunching("g")
	require.NoError(t, w.AWS.Reclaim(stopped))
	w.waitWhile("the instance counts", func() bool {
		require.NoError(t, w.Cache.Refresh(t.Context()))
		i, _ := w.Cache.Snapshot().Instance(stopped)
		return i != nil && i.Lifecycle.Counts()
	})
	w.NextLoop()
	assert.False(t, w.NodeDeleted(stopped), "an instance that is gone is remembered")
}

// The bootstrap completes the hook of such a group, which may wait for longer than the core does.
func TestInstanceBehindALaunchHookThatDoesNotJoinIsAProblem(t *testing.T) {
	hooked := awsworld.Group("g", "m5.large", 0, 0, 5, nil)
	hooked.Impaired = "instance"
	hooked.LifecycleHooks = []fakeaws.LifecycleHook{{Name: "bootstrap", Transition: "launching", HeartbeatTimeout: fakeaws.Duration(time.Hour)}}
	w := newWorld(t, nil, hooked)
	require.NoError(t, w.AWS.SetDesired("g", 1))
	late := map[string]time.Time{}
	w.waitWhile("no instance waits", func() bool {
		require.NoError(t, w.Cache.Refresh(t.Context()))
		for _, i := range w.Cache.Snapshot().Group("g").Instances {
			if i.Lifecycle == "Pending:Wait" {
				late[i.ID] = time.Now()
			}
		}
		return len(late) == 0
	})
	w.SetLate(late)
	w.waitWhile("no problem", func() bool {
		w.NextLoop()
		return !slices.ContainsFunc(w.Problems(), func(p aws.Problem) bool { return p.Reason == aws.ReasonNotJoining })
	})
}

// A node whose provider ID is not EC2's may be any instance. Once EC2 shows names and addresses, and others have EC2's provider ID, it is
// the instance that has its own.
func TestInstanceOfANodeWithoutEC2sProviderIDIsNotTerminated(t *testing.T) {
	for _, tt := range []struct {
		name, id string // the provider ID of the node
		change   func(node *corev1.Node, first lookup.Network)
		alone    bool // no other node is registered
		left     int  // of three instances, two of which are removed
	}{
		{name: "with its address", id: "k3s://server-1", left: 2, change: func(n *corev1.Node, first lookup.Network) {
			n.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: first.Names[3]}}
		}},
		{name: "with the name of its host", left: 2, change: func(n *corev1.Node, first lookup.Network) { n.Name = first.Names[1] }},
		{name: "Ready, with its address, and named by an instance that is gone", id: "aws:///cn-northwest-1a/i-0123456789abcdef0", left: 2,
			change: func(n *corev1.Node, first lookup.Network) {
				n.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: first.Names[3]}}
				n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
			}},
		{name: "with its name, and left by an instance that is gone", id: "aws:///cn-northwest-1a/i-0123456789abcdef0", left: 1,
			change: func(n *corev1.Node, first lookup.Network) { n.Name = first.Names[1] }},
		{name: "Ready, of an instance outside of all groups", id: "aws:///cn-northwest-1a/i-0123456789abcdef0", left: 1,
			change: func(n *corev1.Node, first lookup.Network) {
				n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
			}},
		{name: "drained by the core, with the name of an instance that is gone", id: "aws:///cn-northwest-1a/i-0123456789abcdef0", left: 1,
			change: func(n *corev1.Node, first lookup.Network) {
				n.Name, n.Spec.Taints = first.Names[1], []corev1.Taint{{Key: taints.ToBeDeletedTaint}}
				n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
			}},
		{name: "hybrid", id: "eks-hybrid:///us-west-2/prod/mi-1", left: 1},
		{name: "on Fargate", id: "aws:///cn-northwest-1a/0123abc/fargate-ip-10-0-0-1", alone: true, left: 1},
		{name: "alone", id: "rke2://server-1", alone: true, left: 3},
		{name: "alone and older", id: "rke2://server-1", alone: true, left: 1, change: func(n *corev1.Node, first lookup.Network) {
			n.CreationTimestamp.Time = first.Launched.Add(-time.Minute)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, nil, awsworld.Group("g", "m5.large", 0, 3, 5, nil))
			late, node := withoutNode(w.Nodes("g")...), awsworld.Node("server-1", tt.id)
			node.CreationTimestamp.Time = time.Now()
			registered := []*corev1.Node{node}
			if !tt.alone {
				registered = append(registered, awsworld.Node("other", late[2].Spec.ProviderID))
			}
			w.register(registered...)
			if _, onEC2 := nodemeta.Instance(tt.id); !onEC2 {
				require.NoError(t, w.NodeGroup("g").DeleteNodes(late[:2]))
				w.desires("g", 3) // EC2 has not been asked
			}
			first, second := nodemeta.InstanceOf(late[0]), nodemeta.InstanceOf(late[1])
			w.WantStarts(first, second)
			var start lookup.Start
			require.Eventually(t, func() bool {
				_, known := w.Start(second)
				start, _ = w.Start(first)
				return known && len(start.Names) == 4
			}, 10*time.Second, 10*time.Millisecond)
			if tt.change != nil {
				tt.change(node, start.Network)
			}
			w.register(registered...)
			w.SetLate(map[string]time.Time{first: time.Now()})
			w.NextLoop()
			if stays := tt.left > 1; stays {
				assert.Contains(t, w.View().Late(first).Cause, `it may be node "`+node.Name+`"`)
				assert.True(t, w.View().Late(first).Stays, "it is said to be given up")
				require.NotEmpty(t, w.Problems())
				assert.Regexp(t, `^Auto Scaling group "g".* may be node .*; to mend it, (run a cloud .* --provider-id=|drain the node, and terminate the instance: )`,
					w.Problems()[0].String())
			}
			require.NoError(t, w.NodeGroup("g").DeleteNodes(late[:2]))
			w.desires("g", tt.left)
		})
	}
}

// EC2 has shown no names and addresses.
func TestControlPlaneAndInstancesOutsideOfGroupsKeepNoInstance(t *testing.T) {
	controlPlane := awsworld.Node("kind-control-plane", "kind://docker/kind/kind-control-plane")
	controlPlane.Labels = map[string]string{"node-role.kubernetes.io/control-plane": ""}
	for _, node := range []*corev1.Node{controlPlane, awsworld.M5Large("other", "aws:///cn-northwest-1a/i-0123456789abcdef0", nil)} {
		w := newWorld(t, nil, awsworld.Group("g", "m5.large", 0, 2, 5, nil))
		late := withoutNode(w.Nodes("g")...)
		w.register(node)
		require.NoError(t, w.NodeGroup("g").DeleteNodes(late[:1]))
		w.desires("g", 1)
	}
}

// Each row adds a fact that is more certain than all before.
func TestMostCertainReasonOfAnInstanceWithoutNodeCounts(t *testing.T) {
	i := &group.Instance{ID: "i-1", Zone: "a", Origin: "t version 1"}
	g := &group.Group{Name: "g", LaunchSpec: &launchspec.LaunchSpec{}, Instances: []group.Instance{*i, {ID: "i-2", Origin: "t version 1"}, {ID: "i-3", Origin: "t version 2"}}}
	registered := map[string]string{"i-3": "aws:///a/i-3"} // it started from another version in another zone
	start, ours := lookup.Start{}, ""
	joins := func(cluster string) {
		g.LaunchStated = []launchspec.Statement{{Cluster: cluster, Source: launchspec.SourceUserData}}
	}
	for _, tt := range []struct {
		add  func()
		want string
	}{
		{func() {}, "nothing wrong was found in AWS, and its state could not be checked, and whether the cluster lets in its role could not be checked"},
		{func() {
			start.Network = lookup.Network{Subnet: "subnet-1", VPC: "vpc-1", Table: "rtb-1", Route: "none"}
		},
			"its subnet subnet-1 has no route to the internet: a private cluster needs VPC endpoints for EC2, ECR, EKS, STS"},
		{func() { start.Full = true }, "its subnet subnet-1 has no free addresses, so that pods may get none"},
		{func() {
			start.AWSAuth, g.LaunchSpec.Nodegroup = true, &launchspec.Nodegroup{Role: "arn:aws:iam::1:role/nodes"}
		},
			`no line of aws-auth lets in the role "nodes", and access entries of EKS could not be checked`},
		{func() { joins("two") }, `its user data joins cluster "two", and the name of this one is not known`},
		{func() {
			ours, start.Entries = "one", true
			joins("one")
			start.Roles = []string{"arn:aws:iam::1:role/other-nodes"}
		}, `neither an access entry of EKS nor aws-auth lets in the role "nodes"`},
		{func() { start.Route = "blackhole" }, "the default route of its subnet subnet-1 leads to a target that is gone"},
		{func() { start.Groups, start.Closed = []string{"sg-1", "sg-2"}, true }, "its security groups let nothing out: sg-1, sg-2"},
		{func() { start.Check = "instance" }, "EC2's instance status check fails, so it has not booted or has no network"},
		{func() { start.State = "stopped" }, "EC2 shows it as stopped"},
		{func() {
			g.LaunchSpec.Image = &launchspec.Image{Name: "amazon-eks-node-al2023-x86_64-standard-1.35-v20260801"}
		},
			"it has no user data, and its image joins no cluster without"},
		{func() { joins("two") }, `its user data joins cluster "two", and this one is "one"`},
	} {
		tt.add()
		cause, _ := aws.WhyNotJoining(start, g, i, ours, registered)
		assert.Equal(t, tt.want, cause)
	}
	joins("one")
	start.State, start.Check, start.Network = "running", "", lookup.Network{}
	self := *g // EKS does not manage it, and a profile may be called unlike its role
	self.LaunchSpec = &launchspec.LaunchSpec{Profile: "arn:aws:iam::1:instance-profile/workers"}
	const doubt = `nothing wrong was found in AWS, but no role called like its instance profile "workers" is let in (its role may have another name)`
	cause, remedy := aws.WhyNotJoining(start, &self, i, ours, registered)
	assert.Equal(t, doubt, cause)
	assert.Regexp(t, "(?s)get-instance-profile --instance-profile-name workers\n.*create-access-entry --type EC2_LINUX .* the group system:nodes: ", remedy)
	for _, spec := range []launchspec.LaunchSpec{{Image: &launchspec.Image{Windows: true}}, {Nodegroup: &launchspec.Nodegroup{AMIType: "WINDOWS_CORE_2022_x86_64"}}} {
		spec.Profile = self.LaunchSpec.Profile
		windows := *g
		windows.LaunchSpec = &spec
		_, remedy = aws.WhyNotJoining(start, &windows, i, ours, registered)
		assert.Regexp(t, "(?s)create-access-entry --type EC2_WINDOWS .* the groups system:nodes and eks:kube-proxy-windows: ", remedy)
	}
	for _, network := range []lookup.Network{{Subnet: "subnet-1", Full: true}, {Subnet: "subnet-1", Route: "none"}} {
		start.Network = network
		cause, _ = aws.WhyNotJoining(start, &self, i, ours, registered)
		assert.Contains(t, cause, "its subnet subnet-1 has no ", "a guess comes after what is known")
	}
	start.Network = lookup.Network{}
	joins("two")
	registered["i-1"] = "aws:///a/i-1" // somebody deleted its node
	for state, want := range map[string]string{"running": "its node was deleted from Kubernetes", "terminated": "EC2 shows it as terminated"} {
		start.State = state
		cause, _ = aws.WhyNotJoining(start, g, i, ours, registered)
		assert.Equal(t, want, cause)
	}
	start.State, start.Check = "running", "system"
	cause, _ = aws.WhyNotJoining(start, g, i, ours, registered)
	assert.Equal(t, "EC2's system status check fails, so its host is broken", cause)
	delete(registered, "i-1")
	joins("one")
	start.Check = ""
	registered["i-2"] = "aws:///a/i-2"
	cause, _ = aws.WhyNotJoining(start, g, i, ours, registered)
	assert.Equal(t, "nothing wrong was found in AWS", cause, "want no reason that the node of the same start refutes")
	delete(registered, "i-2")
	start.Roles = append(start.Roles, "arn:aws:iam::1:role/nodes")
	g.LaunchSpec.UserData = "eA=="
	cause, _ = aws.WhyNotJoining(start, g, i, ours, registered)
	assert.NotContainsf(t, cause, "role", "%q, want nothing about a role that is let in", cause)
	g.LaunchStated = nil // the user data of an image of EKS only installs an agent
	cause, _ = aws.WhyNotJoining(start, g, i, ours, registered)
	assert.Equal(t, "nothing wrong was found in AWS, but its user data names no cluster that could be found", cause)
}

// A private cluster needs no default route. A node that has joined from the same zone shows that.
func TestSubnetWithoutRouteIsNoReasonWhereANodeHasJoined(t *testing.T) {
	i := &group.Instance{ID: "i-1", Zone: "a"}
	start := lookup.Start{State: "running", AWSAuth: true, Network: lookup.Network{Subnet: "subnet-1", VPC: "vpc-1", Table: "rtb-1", Route: "none"}}
	for zone, want := range map[string]bool{"a": false, "b": true} {
		g := &group.Group{Name: "g", Instances: []group.Instance{*i, {ID: "i-2", Zone: zone}}}
		cause, remedy := aws.WhyNotJoining(start, g, i, "one", map[string]string{"i-2": "aws:///z/i-2"})
		assert.Truef(t, strings.Contains(cause, "no route") == want && strings.Contains(remedy, "Values=vpc-1\n") == want,
			"with a node in zone %s: %q and %q, want the route: %t", zone, cause, remedy, want)
	}
}

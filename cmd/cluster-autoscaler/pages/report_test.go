package pages

import (
	"fmt"
	"strings"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
)

// now is the moment of every report here.
var now = time.Date(2026, 11, 21, 14, 32, 8, 0, time.UTC)

func ago(d time.Duration) time.Time { return now.Add(-d) }

// busy is a report with something in every part of the page: a scale-up, an interruption, a cool-down and pods that wait for different causes.
func busy() *decision.Report {
	noGPU := decision.Reason{Code: decision.CodeAccelerator, Message: "no group has a node with 8 nvidia.com/gpu, the most is 4 in group g4dn-spot",
		Remedy: "Add a group with an instance type of 8 GPUs, such as p4d.24xlarge, or ask for at most 4"}
	full := decision.Reason{Code: decision.CodeMaxSize, Message: "group dsp-8c64g-kmax-large has its maximum of 12 nodes",
		Remedy: "aws autoscaling update-auto-scaling-group --region cn-northwest-1 --auto-scaling-group-name dsp-8c64g-kmax-large --max-size 16"}
	launching := decision.Reason{Code: decision.CodeLaunching, Message: "3 nodes were asked for in group g4dn-spot 41 s ago"}
	malformed := decision.Reason{Code: decision.CodeDegraded, Message: "tag k8s.io/cluster-autoscaler/node-template/taint/dedicated has the value nvidia.com/gpu=true without an effect, and is ignored",
		Remedy: "aws autoscaling create-or-update-tags --region cn-northwest-1 --tags ResourceId=g4dn-spot,ResourceType=auto-scaling-group,Key=k8s.io/cluster-autoscaler/node-template/taint/dedicated,Value=true:NoSchedule,PropagateAtLaunch=false"}
	capacity := decision.Reason{Code: decision.CodeCoolDown, Message: "AWS has no capacity for g4dn.xlarge in zone cn-northwest-1b"}
	template := decision.Reason{Code: decision.CodeDegraded, Message: "launch template lt-0f3c9a27be418d650 does not exist",
		Remedy: "aws autoscaling update-auto-scaling-group --region cn-northwest-1 --auto-scaling-group-name dsp-8c64g-kmax-small --launch-template LaunchTemplateName=dsp-8c64g-kmax-small"}
	r := &decision.Report{
		Version: decision.Version, At: ago(2 * time.Second),
		Process: decision.Process{Version: "v1.4.0", Cluster: "eksworkshop", Region: "cn-northwest-1", Started: ago(53 * time.Hour), Leader: true, Expander: "least-cost",
			Flags: []string{"--asg-interruption-queue=eksworkshop", "--cloud-provider=aws", "--expander=least-cost",
				"--node-group-auto-discovery=asg:tag=k8s.io/cluster-autoscaler/enabled,k8s.io/cluster-autoscaler/eksworkshop", "--skip-nodes-with-local-storage=false"}},
		Loop: decision.Loop{Number: 19084, Started: ago(2 * time.Second), Duration: 182 * time.Millisecond, Trigger: "scan interval"},
		Groups: []decision.Group{
			{Name: "basic", Zones: []string{"cn-northwest-1a", "cn-northwest-1b", "cn-northwest-1c"}, Types: []string{"m5.large"}, CapacityType: "on-demand",
				Min: 2, Max: 6, Desired: 3, Ready: 3, State: decision.GroupReady, NodePrice: "about 1.013 CNY", Spend: 3.04, AboutSpend: true},
			{Name: "dsp-8c64g-kmax-large", Zones: []string{"cn-northwest-1a"}, Types: []string{"r5.2xlarge"}, CapacityType: "spot", Max: 12, Desired: 12, Ready: 12,
				State: decision.GroupFull, Reason: decision.Reason{Code: decision.CodeMaxSize, Message: "it has its maximum of 12 nodes"}, NodePrice: "about 1.706 CNY", Spend: 20.47, AboutSpend: true},
			{Name: "dsp-8c64g-kmax-medium", Zones: []string{"cn-northwest-1a"}, Types: []string{"r5.xlarge"}, CapacityType: "spot", Max: 20, State: decision.GroupReady, NodePrice: "about 0.853 CNY"},
			{Name: "dsp-8c64g-kmax-small", Zones: []string{"cn-northwest-1b"}, Types: []string{"r5.large"}, CapacityType: "spot", Max: 20, State: decision.GroupDegraded, Reason: template},
			{Name: "g4dn-spot", Zones: []string{"cn-northwest-1a"}, Types: []string{"g4dn.xlarge", "g4dn.2xlarge"}, CapacityType: "spot", Max: 8, Desired: 5, Ready: 2, Starting: 3,
				State: decision.GroupReady, Problems: []decision.Reason{malformed}, NodePrice: "about 1.828 CNY", Spend: 9.14, AboutSpend: true},
			{Name: "ng-1", Zones: []string{"cn-northwest-1b", "cn-northwest-1c"}, Types: []string{"t3.small", "t3.medium", "t3.large"}, CapacityType: "mixed", Min: 4, Max: 8, Desired: 6, Ready: 5, Starting: 1,
				State: decision.GroupReady, NodePrice: "about 0.046 CNY", Spend: 0.84, AboutSpend: true},
			{Name: "resnet", Zones: []string{"cn-northwest-1b"}, Types: []string{"g4dn.xlarge"}, CapacityType: "on-demand", Max: 10, Desired: 1, Ready: 1,
				State: decision.GroupCoolDown, Reason: decision.Reason{Code: decision.CodeCoolDown, Message: `group "resnet" is left alone until 14:35:58 UTC: ` + capacity.Message}, NodePrice: "about 5.223 CNY", Spend: 5.22, AboutSpend: true,
				CoolDowns: []decision.CoolDown{{Zone: "cn-northwest-1b", Type: "g4dn.xlarge", Cause: capacity, Since: ago(70 * time.Second), Until: now.Add(230 * time.Second)}}},
			{Name: "web", Zones: []string{"cn-northwest-1a", "cn-northwest-1b"}, Types: []string{"c5.xlarge", "c5a.xlarge", "c6i.xlarge"}, CapacityType: "spot", Min: 1, Max: 60, Desired: 24, Ready: 24,
				State: decision.GroupReady, NodePrice: "about 0.465 CNY", Spend: 12.08, AboutSpend: true},
		},
		Searches: []decision.Search{
			{At: ago(2 * time.Second), Answers: []decision.Answer{
				{Group: "dsp-8c64g-kmax-large", Verdict: decision.Skipped, Reason: full},
				{Group: "basic", Verdict: decision.Rejected, Reason: decision.Reason{Code: decision.CodeResources, Message: "the pod asks for 48 GiB of memory, a node offers 6.9 GiB"}},
				{Group: "g4dn-spot", Verdict: decision.Rejected, Reason: decision.Reason{Code: decision.CodeTaint, Message: "taint nvidia.com/gpu=true:NoSchedule is not tolerated"}},
				{Group: "web", Verdict: decision.Rejected, Reason: decision.Reason{Code: decision.CodeNodeSelector, Message: "node selector node.spotmax/team=dsp does not match"}}}},
			{At: ago(43 * time.Second), Answers: []decision.Answer{
				{Group: "g4dn-spot", Verdict: decision.Chosen, Nodes: 3, Pods: 3, Expander: "about 5.48 CNY per hour for 3 pods"},
				{Group: "resnet", Verdict: decision.Skipped, Reason: decision.Reason{Code: decision.CodeCoolDown, Message: "it is left alone for 3 min 50 s after a failed launch"}}}},
		},
		Nodes: []decision.Node{
			{Name: "i-0a61e8f2b7c94d351", InstanceID: "i-0a61e8f2b7c94d351", Group: "g4dn-spot", Zone: "cn-northwest-1a", InstanceType: "g4dn.xlarge", CapacityType: "spot", State: decision.NodeStarting,
				Since: ago(41 * time.Second), Reason: decision.Reason{Code: decision.CodeStarting, Message: "the instance is launching"}, Utilization: -1, PerHour: 1.828, About: true},
			{Name: "ip-10-0-1-17.cn-northwest-1.compute.internal", InstanceID: "i-0b2d77c1e05fa9684", Group: "g4dn-spot", Zone: "cn-northwest-1a", InstanceType: "g4dn.xlarge", CapacityType: "spot", State: decision.NodeStarting,
				Since: ago(12 * time.Second), Reason: decision.Reason{Code: decision.CodeStarting, Message: "the device plugin has not published nvidia.com/gpu yet"}, Utilization: -1, PerHour: 1.828, About: true},
			{Name: "ip-10-0-2-91.cn-northwest-1.compute.internal", InstanceID: "i-0c9f4aa83d7710e25", Group: "ng-1", Zone: "cn-northwest-1b", InstanceType: "t3.medium", CapacityType: "spot", State: decision.NodeDraining,
				Since: ago(24 * time.Second), Reason: decision.Reason{Code: decision.CodeInterruption, Message: "EC2 takes the instance at 14:33:44, 2 of 7 pods are still to move"}, Utilization: 0.62, PerHour: 0.092, About: true},
			{Name: "ip-10-0-3-40.cn-northwest-1.compute.internal", InstanceID: "i-0de1b6670fc2a9413", Group: "web", Zone: "cn-northwest-1b", InstanceType: "c5a.xlarge", CapacityType: "spot", State: decision.NodeUnneeded,
				Since: ago(6 * time.Minute), Reason: decision.Reason{Code: decision.CodeUnneeded, Message: "its 3 pods fit on other nodes"}, Utilization: 0.18, RemovalAt: now.Add(4 * time.Minute), PerHour: 0.4648, About: true},
			{Name: "ip-10-0-3-77.cn-northwest-1.compute.internal", InstanceID: "i-0f5c33e9b1d84a706", Group: "web", Zone: "cn-northwest-1a", InstanceType: "c5.xlarge", CapacityType: "spot", State: decision.NodeBlocked,
				Since: ago(3 * time.Hour), Reason: decision.Reason{Code: decision.CodePod, Message: "a disruption budget allows no eviction", Remedy: "kubectl -n shop get poddisruptionbudget cart"}, Pod: "shop/cart-0", Utilization: 0.09, PerHour: 0.5177, About: true},
			{Name: "ip-10-0-1-5.cn-northwest-1.compute.internal", InstanceID: "i-01aa3c52e9bd7f648", Group: "basic", Zone: "cn-northwest-1a", InstanceType: "m5.large", State: decision.NodeNeeded, Since: ago(50 * time.Hour), Utilization: 0.71, PerHour: 1.013, About: true},
		},
		Launches: []decision.Launch{
			{Group: "g4dn-spot", Zone: "cn-northwest-1a", Mode: "LaunchInstances", Asked: 3, Launched: 3, Started: ago(43 * time.Second), Duration: 1840 * time.Millisecond, Outcome: decision.Reason{Message: "all launched"}},
			{Group: "resnet", Zone: "cn-northwest-1b", Mode: "LaunchInstances", Asked: 3, Started: ago(72 * time.Second), Duration: 2210 * time.Millisecond, Outcome: capacity},
			{Group: "ng-1", Mode: "SetDesiredCapacity", Asked: 1, Launched: 1, Started: ago(95 * time.Second), Duration: 310 * time.Millisecond, Outcome: decision.Reason{Message: "desired capacity 6"}},
		},
		Timeline: []decision.Entry{
			{At: ago(43 * time.Second), Kind: decision.ScaleUp, Group: "g4dn-spot", Reason: decision.Reason{Code: decision.CodeLaunching, Message: "3 nodes for 3 pods of ml/resnet-train, at about 5.48 CNY per hour the cheapest of 2 groups"}},
			{At: ago(70 * time.Second), Kind: decision.LaunchFailed, Group: "resnet", Reason: decision.Reason{Code: decision.CodeCoolDown, Message: "EC2 had no capacity for g4dn.xlarge in cn-northwest-1b, the group is left alone for 5 min"}},
			{At: ago(96 * time.Second), Kind: decision.Interrupted, Group: "ng-1", Node: "ip-10-0-2-91", Reason: decision.Reason{Code: decision.CodeInterruption, Message: "EC2 takes the spot instance in 2 min, a replacement was asked for"}},
			{At: ago(11 * time.Minute), Kind: decision.ScaleDown, Group: "web", Node: "ip-10-0-3-12", Reason: decision.Reason{Code: decision.CodeUnneeded, Message: "not needed for 10 min, its 2 pods moved"}},
			{At: ago(26 * time.Minute), Kind: decision.Problem, Group: "dsp-8c64g-kmax-small", Reason: template},
			{At: ago(2*time.Hour + 4*time.Minute), Kind: decision.Mended, Group: "basic", Reason: decision.Reason{Message: "the tag for the label workload can be read again"}},
		},
		Calls: []decision.Call{
			{Action: "autoscaling:DescribeAutoScalingGroups", Count: 31842, Throttled: 3}, {Action: "autoscaling:LaunchInstances", Count: 214, Failed: 6},
			{Action: "autoscaling:SetDesiredCapacity", Count: 38}, {Action: "autoscaling:TerminateInstanceInAutoScalingGroup", Count: 187},
			{Action: "ec2:DescribeImages", Count: 12}, {Action: "ec2:DescribeLaunchTemplateVersions", Count: 64, Failed: 52}, {Action: "sqs:ReceiveMessage", Count: 9540},
		},
		Spend: decision.Spend{Currency: "CNY", PerHour: 50.79, About: true},
	}
	pods := func(n int, state decision.PodState, prefix, owner string, cause decision.Reason, since time.Duration, search int, group string) {
		for i := range n {
			namespace, name, _ := strings.Cut(prefix, "/")
			r.Pods = append(r.Pods, decision.Pod{Namespace: namespace, Name: fmt.Sprintf("%s-%s", name, suffix(i)), UID: fmt.Sprintf("%s-%d", prefix, i), Owner: owner,
				Since: ago(since + time.Duration(i)*time.Second), State: state, Cause: cause, Group: group, Search: search})
		}
	}
	pods(4, decision.PodHelpless, "dsp/bidder-7d9c5b6f4", "Deployment/bidder", full, 7*time.Minute, 0, "")
	pods(1, decision.PodHelpless, "ml/llm-finetune", "Job/llm-finetune", noGPU, 95*time.Minute, -1, "")
	pods(3, decision.PodLaunching, "ml/resnet-train-5f7b8", "Deployment/resnet-train", launching, 44*time.Second, 1, "g4dn-spot")
	pods(2, decision.PodFits, "shop/cart-6c4f9", "Deployment/cart", decision.Reason{Code: decision.CodeFits, Message: "there is room on node ip-10-0-3-61.cn-northwest-1.compute.internal"}, 3*time.Second, -1, "")
	return r
}

// old is a report whose facts are old, with a group whose nodes come up without their GPUs.
func old() *decision.Report {
	r := busy()
	r.Reading = decision.Reading{At: ago(4*time.Minute + 20*time.Second), Failure: decision.Reason{Code: decision.CodeStale,
		Message: "AWS denies DescribeAutoScalingGroups (AccessDenied)",
		Remedy:  "allow autoscaling:DescribeAutoScalingGroups in the autoscaler's IAM policy, or correct its credentials, and look: asgctl account"}}
	missing := decision.Reason{Code: decision.CodeAccelerator, Message: `Auto Scaling group "resnet": its nodes came up without nvidia.com/gpu`,
		Remedy: "see whether the vendor's device plugin runs on its nodes: kubectl get daemonsets --all-namespaces"}
	for i := range r.Groups {
		if g := &r.Groups[i]; g.Name == "resnet" {
			g.State, g.Reason, g.Problems, g.CoolDowns = decision.GroupDegraded, missing, []decision.Reason{missing}, nil
		}
	}
	return r
}

// suffix is the last part of a pod's name.
func suffix(i int) string {
	const letters = "bcdfghjklmnpqrstvwxz2456789"
	var s strings.Builder
	for n := i*7919 + 123457; s.Len() < 5; n /= 3 {
		s.WriteByte(letters[n%len(letters)])
	}
	return s.String()
}

// quiet is a report of a cluster in which nothing happens.
func quiet() *decision.Report {
	r := busy()
	r.Pods, r.Searches, r.Nodes = nil, nil, nil
	for i := range r.Groups {
		g := &r.Groups[i]
		*g = decision.Group{Name: g.Name, Zones: g.Zones, Types: g.Types, CapacityType: g.CapacityType, Min: g.Min, Max: g.Max, Desired: g.Ready, Ready: g.Ready,
			State: decision.GroupReady, NodePrice: g.NodePrice, Spend: g.Spend}
	}
	return r
}

// large is a report of the given sizes in which every list is full.
func large(groups, pods, nodes int) *decision.Report {
	like := busy()
	r := busy()
	r.Groups, r.Pods, r.Nodes = nil, nil, nil
	for i := range groups {
		g := like.Groups[i%len(like.Groups)]
		g.Name = fmt.Sprintf("%s-%04d", g.Name, i)
		r.Groups = append(r.Groups, g)
	}
	var answers []decision.Answer
	for i := range groups {
		answers = append(answers, decision.Answer{Group: r.Groups[i].Name, Verdict: decision.Rejected, Reason: like.Searches[0].Answers[1].Reason})
	}
	r.Searches = nil
	for i := range pods {
		p := like.Pods[i%len(like.Pods)]
		p.Name, p.UID = fmt.Sprintf("%s-%05d", p.Name, i), fmt.Sprint(i)
		if i%20 == 0 {
			r.Searches = append(r.Searches, decision.Search{At: now, Answers: answers})
		}
		p.Search = i / 20
		p.Cause.Message = fmt.Sprintf("%s (%d)", p.Cause.Message, i/20) // four causes for each 20 pods
		r.Pods = append(r.Pods, p)
	}
	for i := range nodes {
		n := like.Nodes[i%len(like.Nodes)]
		n.Name, n.InstanceID = fmt.Sprintf("ip-10-%d-%d-%d", i>>16, i>>8&255, i&255), fmt.Sprintf("i-%017x", i)
		r.Nodes = append(r.Nodes, n)
	}
	for len(r.Timeline) < 500 {
		r.Timeline = append(r.Timeline, like.Timeline...)
		r.Launches = append(r.Launches, like.Launches...)
	}
	return r
}

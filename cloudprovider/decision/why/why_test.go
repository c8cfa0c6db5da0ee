package why

import (
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/podzone"
)

var noon = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

func list(pairs ...string) corev1.ResourceList {
	l := corev1.ResourceList{}
	for i := 0; i < len(pairs); i += 2 {
		l[corev1.ResourceName(pairs[i])] = resource.MustParse(pairs[i+1])
	}
	return l
}

func cause(pod *corev1.Pod, answers []decision.Answer, groups map[string]*decision.Group, nodes ...*GroupNode) decision.Reason {
	need, _ := podzone.Of(pod, nil, func(string) string { return "" })
	return Pod(pod, need, answers, groups, nodes...)
}

func podOf(pairs ...string) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"}, Spec: corev1.PodSpec{
		Containers: []corev1.Container{{Resources: corev1.ResourceRequirements{Requests: list(pairs...)}}}}}
}

func nodeOf(group string, pairs ...string) *GroupNode {
	return &GroupNode{Group: group, Labels: map[string]string{}, Allocatable: list(append(pairs, "pods", "110")...)}
}

func (n *GroupNode) tainted(key, value string) *GroupNode {
	n.Taints = append(n.Taints, corev1.Taint{Key: key, Value: value, Effect: corev1.TaintEffectNoSchedule})
	return n
}

func (n *GroupNode) labelled(key, value string) *GroupNode { n.Labels[key] = value; return n }

func rejected(group string, r decision.Reason) decision.Answer {
	return decision.Answer{Group: group, Verdict: decision.Rejected, Reason: r}
}

func skipped(group string, r Refusal, g *decision.Group) decision.Answer {
	return decision.Answer{Group: group, Verdict: decision.Skipped, Reason: Skipped(r, g)}
}

func TestSkippedGroupIsNamedWithItsFigures(t *testing.T) {
	g := &decision.Group{Name: "web", AutoScaling: "web", Min: 1, Max: 5, Desired: 4, Ready: 1}
	priced := &decision.Group{Name: "web", AutoScaling: "web", NodePrice: "about 0.35 USD"}
	unread := &decision.Group{Name: "web", Problems: []decision.Reason{{Message: "its launch template could not be read", Remedy: "allow ec2:DescribeLaunchTemplateVersions"}}}
	copied, noDevice := *g, *g // it grows by the copy of a node, or its nodes lack their GPU
	copied.State, copied.Reason = decision.GroupDegraded, decision.Reason{Code: decision.CodeDegraded, Message: "its launch template could not be read"}
	noDevice.State, noDevice.Reason = decision.GroupDegraded, decision.Reason{Code: decision.CodeAccelerator, Message: "its nodes come up without their GPU"}
	broken := &decision.Group{Name: "web", AutoScaling: "web", Problems: []decision.Reason{{Message: `Auto Scaling group "web": its Launch process is suspended`, Remedy: "resume it"}}}
	cooling := &decision.Group{Name: "web", AutoScaling: "web", CoolDowns: []decision.CoolDown{
		{Cause: CoolDown("quota", "limit of 32", Attempt{}), Until: noon.Add(time.Hour)}, {Cause: CoolDown("no-capacity", "none here", Attempt{}), Until: noon}}}
	for _, tt := range []struct {
		refusal Refusal
		group   *decision.Group
		code    decision.Code
		message string
		remedy  string // a part
	}{
		{Refusal{Kind: RefusedNotReady}, g, decision.CodeNotReady, `group "web" has too many nodes that are not ready: only 1 of 4 are ready`, "kubectl get nodes"},
		{Refusal{Kind: RefusedNotReady}, &copied, decision.CodeNotReady, `group "web" has too many nodes that are not ready: only 1 of 4 are ready`, "kubectl get nodes"},
		{Refusal{Kind: RefusedNotReady}, &noDevice, decision.CodeAccelerator, "its nodes come up without their GPU", ""},
		{Refusal{Kind: RefusedBackoff}, &copied, decision.CodeDegraded, `group "web" can launch nothing: its launch template could not be read`, ""},
		{Refusal{Kind: RefusedCoolDown, Class: "no-capacity"}, g, decision.CodeCoolDown, `group "web" cannot grow now: AWS has no capacity`, "wait"},
		{Refusal{Kind: RefusedCoolDown, Class: "no-capacity"}, cooling, decision.CodeAccountLimit, `group "web" cannot grow now: the AWS account has no more of its quota: limit of 32 (next try at 13:00:00 UTC)`, "ask AWS"},
		{Refusal{Kind: RefusedCoolDown, Class: "no-capacity", Until: noon}, cooling, decision.CodeAccountLimit,
			`group "web" cannot grow now: the AWS account has no more of its quota: limit of 32 (next try at 12:00:00 UTC)`, "ask AWS"},
		{Refusal{Kind: RefusedCoolDown, Class: "permission"}, g, decision.CodeDenied, `group "web" cannot grow now: AWS denied a launch`, "asgctl account"},
		{Refusal{Kind: RefusedCoolDown, Class: "something new"}, g, decision.CodeCoolDown, `group "web" cannot grow now: a launch failed (something new)`, "wait"},
		{Refusal{Kind: RefusedDegraded}, broken, decision.CodeDegraded, `group "web" can launch nothing: its Launch process is suspended`, "resume it"},
		{Refusal{Kind: RefusedDegraded}, g, decision.CodeDegraded, `group "web" can launch nothing`, "asgctl template web"},
		{Refusal{Kind: RefusedUnread}, g, decision.CodeStale, "the groups have not been read for minutes, so that no group may grow", "asgctl account"},
		{Refusal{Kind: RefusedQuota, Text: `exceeded quota: "cluster-wide", resources: cpu, memory`}, g, decision.CodeQuota, `another node of group "web" would exceed the cluster's limit of cpu, memory (--cores-total and --memory-total)`, "raise --cores-total and --memory-total"},
		{Refusal{Kind: RefusedQuota, Text: `exceeded quota: "a", resources: cpu, exceeded quota: "b", resources: nodes`}, g, decision.CodeQuota, `another node of group "web" would exceed the CapacityQuota "a" (cpu)`, "capacityquota a"},
		{Refusal{Kind: RefusedAtomic}, g, decision.CodeMaxNodesTotal, `group "web" grows to its maximum at once, and that is more than --max-nodes-total allows`, "raise"},
		{Refusal{Kind: RefusedAllOrNothing}, g, decision.CodeAllOrNothing, `group "web" has no room for all pods of the request at once`, ""},
		{Refusal{Kind: RefusedSpendCap, Cap: decision.SpendCap{Of: decision.WholeCluster, PerHour: 10, Spent: 9.2}}, priced, decision.CodeSpendCap,
			`another node of group "web" (about 0.35 USD) would exceed the spend cap of 10 an hour on the cluster, of which 9.2 is spent or asked for`, "raise"},
		{Refusal{Kind: RefusedSpendCap, Cap: decision.SpendCap{Of: decision.WholeCluster, PerHour: 10, Spent: 9.2, Dearest: 1.013}}, priced, decision.CodeSpendCap,
			`another node of group "web" (about 0.35 USD, counted like the dearest, 1.013) would exceed the spend cap of 10 an hour on the cluster, of which 9.2 is spent or asked for`, "raise"},
		{Refusal{Kind: RefusedSpendCap, Cap: decision.SpendCap{Of: decision.WholeCluster, PerHour: 10, Unpriced: true}}, &decision.Group{Name: "web", Types: []string{"m9z.large"}},
			decision.CodeSpendCap, `group "web" does not grow under the spend cap of 10 an hour on the cluster, because the price of its nodes is not known`, "--asg-price-file"},
		{Refusal{Kind: RefusedSpendCap, Cap: decision.SpendCap{Of: decision.WholeCluster, PerHour: 10, Unpriced: true}}, unread,
			decision.CodeSpendCap, `group "web" does not grow under the spend cap of 10 an hour on the cluster, because the price of its nodes is not known`, "allow ec2:Desc"},
		{Refusal{Text: "something new"}, nil, decision.CodeOther, "something new", ""},
	} {
		got := Skipped(tt.refusal, tt.group)
		assert.Truef(t, got.Code == tt.code && got.Message == tt.message && strings.Contains(got.Remedy, tt.remedy),
			"%s: got %+v, want %s %q with the remedy %q", strings.Join(tt.refusal.Reasons(), " "), got, tt.code, tt.message, tt.remedy)
	}
}

func TestLimitIsChangedWhereItComesFrom(t *testing.T) {
	group := func(name string, reached ...decision.Limit) *decision.Group {
		return &decision.Group{Name: name, AutoScaling: "web", Max: 5, AtMax: reached}
	}
	managed := group("web", decision.Limit{Size: 5, Needs: 6})
	managed.EKS = &decision.Nodegroup{Cluster: "shop", Name: "work ers"}
	for _, tt := range []struct {
		name            string
		group           *decision.Group
		message, remedy string // remedy is the whole text
	}{
		{"closed group", &decision.Group{Name: "web", AutoScaling: "web", AtMax: []decision.Limit{{Size: 0, Needs: 1}}}, `group "web" has its maximum size of 0: nobody may grow it`,
			"if nobody closed it on purpose, raise the maximum to 1: aws autoscaling update-auto-scaling-group --auto-scaling-group-name web --max-size 1"},
		{"capacity units", group("web", decision.Limit{Size: 20, Needs: 24}), `group "web" has its maximum size of 5`,
			"raise the maximum to 24: aws autoscaling update-auto-scaling-group --auto-scaling-group-name web --max-size 24"},
		{"managed node group", managed, `group "web" has its maximum size of 5`,
			"raise the maximum to 6: aws eks update-nodegroup-config --cluster-name shop --nodegroup-name 'work ers' --scaling-config maxSize=6"},
		{"Auto Scaling group and flag", group("web", decision.Limit{Size: 5, Needs: 6}, decision.Limit{Flag: "0:5:web", Size: 5, Needs: 6}), `group "web" has its maximum size of 5`,
			"raise the maximum in --nodes=0:5:web, and in AWS to 6: aws autoscaling update-auto-scaling-group --auto-scaling-group-name web --max-size 6"},
		{"zone of a group with a flag", group("web/eu-central-1a", decision.Limit{Flag: "0:9:web", Size: 9, Needs: 10}),
			`group "web/eu-central-1a" is a zone of Auto Scaling group "web", which has its maximum size of 9 (--nodes=0:9:web)`, "raise the maximum in --nodes=0:9:web"},
		{"zone with a flag", group("web/eu-central-1a", decision.Limit{Flag: "0:5:web/eu-central-1a", Size: 5, Needs: 6}),
			`group "web/eu-central-1a" has its maximum size of 5 (--nodes=0:5:web/eu-central-1a)`, "raise the maximum in --nodes=0:5:web/eu-central-1a"},
		{"zone without a subnet", group("web/eu-central-1a"), `group "web/eu-central-1a" has its maximum size of 5`, ""},
	} {
		want := decision.Reason{Code: decision.CodeMaxSize, Message: tt.message, Remedy: tt.remedy}
		assert.Emptyf(t, cmp.Diff(want, Skipped(Refusal{Kind: RefusedFull}, tt.group)), "%s: at the maximum (-want +got)", tt.name)
	}
}

func TestGroupWhoseInstancesDoNotJoinSaysWhy(t *testing.T) {
	g := &decision.Group{Name: "web/a", AutoScaling: "web"}
	for _, tt := range []struct {
		instances, unready []string
		says, command      string
	}{
		{[]string{"i-1", "i-2"}, []string{"n-1"}, "2 instances came up and registered no node within 1m30s", "aws ec2 get-console-output --instance-id i-1 --output text\nusual causes: "},
		{nil, []string{"n-2", "n-1"}, "2 nodes registered and did not get ready within 1m30s", "kubectl describe node n-1"},
		{nil, nil, "no node got ready within 1m30s", "aws autoscaling describe-scaling-activities --auto-scaling-group-name web"},
	} {
		r := Unjoined(g, tt.instances, tt.unready, 90*time.Second, "--max-node-provision-time", noon)
		if want := `group "web/a" cannot grow now: ` + tt.says + " (--max-node-provision-time) (next try at 12:00:00 UTC)"; r.Message != want || !strings.Contains(r.Remedy, tt.command) {
			t.Errorf("%d instances: %+v, want %q and %q", len(tt.instances), r, want, tt.command)
		}
	}
}

func TestInstanceThatMayBeANodeIsNotSaidToBeGivenUp(t *testing.T) {
	got := Late("i-1", "g", noon, noon.Add(time.Hour), "", "it may be node n, so it is not terminated", "give it EC2's provider ID")
	assert.Equal(t, decision.Reason{Code: decision.CodeNotReady, Remedy: "give it EC2's provider ID",
		Message: `instance i-1 of group "g" has been seen without a node since 12:00:00 UTC: it may be node n, so it is not terminated`}, got)
}

func TestBackoffSaysWhatFailed(t *testing.T) {
	for _, tt := range []struct {
		code, message string
		want          decision.Code
		says, remedy  string
	}{
		{"AccessDenied", "User: arn:aws:iam::1:user/x is not authorized to perform: autoscaling:SetDesiredCapacity on resource: y", decision.CodeDenied,
			`group "web" cannot grow now: AWS denied autoscaling:SetDesiredCapacity (next try at 12:00:00 UTC)`, `allow autoscaling:SetDesiredCapacity: add {"Effect":"Allow",` +
				`"Action":"autoscaling:SetDesiredCapacity","Resource":"*"} to the policy of user "x"` + "\nAWS says: User: arn:aws:iam::1:user/x is not authorized to perform: autoscaling:SetDesiredCapacity on resource: y"},
		{"InternalFailure", "try again", decision.CodeBackoff, `group "web" cannot grow now: AWS failed or did not answer: try again (next try at 12:00:00 UTC)`, "wait"},
		{"cloudProviderError", "failed to increase node group size: operation error Auto Scaling: SetDesiredCapacity, https response error StatusCode: 403, RequestID: 4711, " +
			"api error AccessDenied: User: x is not authorized to perform: autoscaling:SetDesiredCapacity", decision.CodeDenied,
			`group "web" cannot grow now: AWS denied autoscaling:SetDesiredCapacity (next try at 12:00:00 UTC)`, "allow"},
		{"cloudProviderError", "failed to increase node group size: operation error Auto Scaling: SetDesiredCapacity, exceeded maximum number of attempts, 3, " +
			"https response error StatusCode: 400, RequestID: 4711, api error Throttling: Rate exceeded", decision.CodeBackoff,
			`group "web" cannot grow now: AWS throttles SetDesiredCapacity (next try at 12:00:00 UTC)`, "lookup-events"},
		{"Odd", "a new thing", decision.CodeBackoff, `group "web" cannot grow now: a launch failed: a new thing (next try at 12:00:00 UTC)`, "wait"},
	} {
		got := Backoff(&decision.Group{Name: "web"}, noon, tt.code, tt.message)
		assert.Truef(t, got.Code == tt.want && got.Message == tt.says && strings.Contains(got.Remedy, tt.remedy),
			"%s: got %+v, want %s %q with the remedy %q", tt.code, got, tt.want, tt.says, tt.remedy)
	}
}

func TestAFailedLaunchNamesItsNextStep(t *testing.T) {
	web := &decision.Group{Name: "web/a", AutoScaling: "web"}
	const denied = "AccessDenied: User: arn:aws:sts::1:assumed-role/ca/x is not authorized to perform: autoscaling:SetDesiredCapacity on resource: arn:aws:autoscaling:us-east-1:1:autoScalingGroup:b44f-1:autoScalingGroupName/web "
	for _, tt := range []struct {
		name, class, message string
		attempt              Attempt
		says, remedy         string
	}{
		{"addresses of an unnamed subnet", "no-capacity", "The specified subnet does not have enough free addresses to satisfy the request.", Attempt{Group: web},
			"a subnet of group web has no free IP addresses", "free addresses in it, or add another subnet to group web: aws autoscaling update-auto-scaling-group --auto-scaling-group-name web --vpc-zone-"},
		{"addresses of a managed group", "no-capacity", "There are not enough free addresses in subnet 'subnet-12ab'.", Attempt{Group: &decision.Group{Name: "x", EKS: &decision.Nodegroup{Name: "ng"}}},
			"subnet subnet-12ab has no free IP addresses", "free addresses in it, or make an EKS node group in another subnet, because ng keeps its own"},
		{"a key", "config-error", "Instance became unhealthy while waiting for instance to be in InService state. Termination Reason: Client.InvalidKMSKey.InvalidState: " +
			"Client.InvalidKMSKey.InvalidState: The KMS key provided is in an incorrect state", Attempt{}, "the KMS key of the volumes is in an incorrect state", "enable it, or use another key"},
		{"GPUs on-demand", "quota", "VcpuLimitExceeded: your current vCPU limit of 0 allows", Attempt{InstanceType: "g4dn.xlarge"},
			"the AWS account has no more of its quota: VcpuLimitExceeded: your current vCPU limit of 0 allows", "ask AWS for more than 0 vCPUs: aws service-quotas request-service-quota-increase --service-code ec2 --quota-code L-DB2E81BA --desired-value 32"},
		{"spot, the group has one type", "spot-limit", "Max spot instance count exceeded", Attempt{Group: &decision.Group{Types: []string{"m5.large"}}},
			"the AWS account has all spot instances that it may have: Max spot instance count exceeded", "--quota-code L-34B43A08 --desired-value VCPUS\nthe value now: aws service-quotas get-service-quota"},
		{"an unknown family", "quota", "your current vCPU limit of 0 allows", Attempt{InstanceType: "hpc6a.48xlarge"}, "the AWS account has no more of its quota: your current vCPU limit of 0 allows",
			"ask AWS for more, the quotas are: aws service-quotas list-service-quotas --service-code ec2"},
		{"volumes", "quota", "Volume limit exceeded", Attempt{InstanceType: "m5.large"}, "the AWS account has no more of its quota: Volume limit exceeded",
			"list-service-quotas --service-code ebs"},
		{"storage", "quota", "You have exceeded your maximum gp3 storage limit of 50 TiB", Attempt{},
			"the AWS account has no more of its quota: You have exceeded your maximum gp3 storage limit of 50 TiB", "--service-code ebs"},
		{"a suspended process", "", "ValidationError: The Launch process of the AutoScalingGroup is suspended", Attempt{Group: web},
			"the Launch process of group web is suspended", "if nobody suspended it on purpose, resume it: aws autoscaling resume-processes --scaling-processes Launch --auto-scaling-group-name web"},
		{"a hook that nobody completes", "config-error", "Instance failed to complete user's Lifecycle Action: Lifecycle Action with token 95c60857 was abandoned: Heartbeat Timeout", Attempt{Group: web},
			"a lifecycle hook of group web abandoned the launched instance: Heartbeat Timeout",
			"have the hook's action completed with CONTINUE, or delete the hook: aws autoscaling describe-lifecycle-hooks --auto-scaling-group-name web"},
		{"a throttled call", "throttle", "Throttling: Rate exceeded", Attempt{Call: "SetDesiredCapacity"}, "AWS throttles SetDesiredCapacity",
			"it is tried again by itself, look for other callers: aws cloudtrail lookup-events --lookup-attributes 'AttributeKey=EventName,AttributeValue=SetDesiredCapacity'"},
		{"a low spot price", "no-capacity", "Your Spot request price of 0.02 is lower than the minimum required Spot request fulfillment price of 0.0413.", Attempt{},
			"the maximum spot price of the group is below the market's: Your Spot request price of 0.02 is lower than the minimum required Spot request fulfillment price of 0.0413",
			"raise that price in the group's policy or launch template"},
		{"no policy allows it", "permission", denied + "because no permissions boundary allows the autoscaling:SetDesiredCapacity action", Attempt{}, "AWS denied autoscaling:SetDesiredCapacity",
			`add {"Effect":"Allow","Action":"autoscaling:SetDesiredCapacity","Resource":"arn:aws:autoscaling:us-east-1:1:autoScalingGroup:*:autoScalingGroupName/*"} to the permissions boundary of role "ca"`},
		{"a policy denies it", "permission", denied + "with an explicit deny in a service control policy", Attempt{}, "AWS denied autoscaling:SetDesiredCapacity",
			`except role "ca" from the explicit deny of autoscaling:SetDesiredCapacity in a service control policy`},
		{"a role with other characters", "permission", "User: arn:aws:sts::1:assumed-role/$(id)/x is not authorized to perform: ec2:RunInstances on resource: arn:aws:`id`", Attempt{},
			"AWS denied ec2:RunInstances", `"Resource":"*"} to the policy of the autoscaler's role`},
	} {
		got := CoolDown(tt.class, tt.message, tt.attempt)
		assert.Truef(t, got.Message == tt.says && strings.Contains(got.Remedy, tt.remedy),
			"%s: got %q %q, want %q and in the remedy %q", tt.name, got.Message, got.Remedy, tt.says, tt.remedy)
	}
}

func TestSchedulersReasonsHaveCodes(t *testing.T) {
	for _, tt := range []struct {
		plugin, reason string
		want           decision.Code
	}{
		{"NodeVolumeLimits", "node(s) exceed max volume count", decision.CodeVolume},
		{"NodeDeclaredFeatures", "node declared features check failed", decision.CodeScheduling},
	} {
		got := Scheduling(tt.plugin, []string{tt.reason}, "")
		assert.Truef(t, got.Code == tt.want && got.Message != "", "%s: got %+v, want the code %s", tt.plugin+" "+tt.reason, got, tt.want)
	}
}

func TestTagIsForGroupsWithoutReadyNodes(t *testing.T) {
	nodes := []*GroupNode{nodeOf("live", "cpu", "2"), nodeOf("zero", "cpu", "2")}
	pod := podOf("cpu", "1")
	pod.Spec.NodeSelector = map[string]string{"pool": "db"}
	groups := map[string]*decision.Group{"live": {Name: "live", Ready: 1}, "zero": {Name: "zero"}}
	answers := []decision.Answer{rejected("live", decision.Reason{Code: decision.CodeNodeSelector}), rejected("zero", decision.Reason{Code: decision.CodeNodeSelector})}
	got := cause(pod, answers, groups, nodes...).Remedy
	assert.Containsf(t, got, `"ResourceId":"zero"`, "the remedy %q does not tag the group without nodes", got)
	groups["zero"].Ready = 1
	want := "correct the pod's node selector, or make an Auto Scaling group whose nodes have the label pool=db"
	assert.Equal(t, want, cause(pod, answers, groups, nodes...).Remedy, "got")
}

// A tag on a group that cannot grow brings no node.
func TestTagIsForAGroupThatMayGrow(t *testing.T) {
	pod := podOf("cpu", "1")
	pod.Spec.NodeSelector = map[string]string{"pool": "db"}
	groups := map[string]*decision.Group{"full": {Name: "full", State: decision.GroupFull}, "gone": {Name: "gone", State: decision.GroupDegraded}, "own": {Name: "own"}}
	full, gone := skipped("full", Refusal{Kind: RefusedFull}, groups["full"]), skipped("gone", Refusal{Kind: RefusedDegraded}, groups["gone"])
	own := rejected("own", decision.Reason{Code: decision.CodeNodeSelector})
	next := func(ready int, answers ...decision.Answer) string {
		groups["own"].Ready = ready
		return cause(pod, answers, groups, nodeOf("full", "cpu", "2"), nodeOf("gone", "cpu", "2"), nodeOf("own", "cpu", "2")).Remedy
	}
	assert.Contains(t, next(0, full, own, gone), `"ResourceId":"own"`)
	assert.Contains(t, next(1, full, own, gone), `"ResourceId":"full"`, "no other group lacks nodes")
	assert.Equal(t, "correct the pod's node selector, or make an Auto Scaling group whose nodes have the label pool=db", next(1, own, gone))
	pod.Spec.NodeSelector = nil
	pod.Spec.Containers[0].Resources.Requests = list("example.com/fpga", "1")
	own.Reason.Code = decision.CodeResources
	assert.Contains(t, next(1, full, own, gone), `"ResourceId":"own"`)
}

// Nothing is known of the nodes of another cluster's group.
func TestGroupOfAnotherClusterHidesNoCause(t *testing.T) {
	theirs := &decision.Group{Name: "theirs", Reason: decision.Reason{Code: decision.CodeOtherCluster, Message: `it is left alone, for it states cluster "green"`}}
	foreign := skipped("theirs", Refusal{Kind: RefusedDegraded}, theirs)
	selector := rejected("own", Scheduling("NodeAffinity", nil, ""))
	misspelt := podOf("cpu", "1")
	misspelt.Spec.NodeSelector = map[string]string{"pool": "db", "team": "ml", "disk": "ssd"}
	for _, tt := range []struct {
		name    string
		pod     *corev1.Pod
		need    podzone.Need
		answers []decision.Answer
		nodes   []*GroupNode
		want    string
	}{
		{"several labels", misspelt, podzone.Need{}, []decision.Answer{selector, foreign}, []*GroupNode{nodeOf("own", "cpu", "2")},
			"no group has nodes with the label disk=ssd, and no group has nodes with the label pool=db, and 1 more requirement fails"},
		{"zone of a volume", podOf("cpu", "1"), podzone.Need{Zone: "c", OfVolume: true, Said: "by claim x"},
			[]decision.Answer{rejected("own", Scheduling("VolumeBinding", []string{"node(s) didn't match PersistentVolume's node affinity"}, "")), foreign},
			[]*GroupNode{nodeOf("own", "cpu", "2").labelled(corev1.LabelTopologyZone, "a")}, "the pod needs zone c (by claim x), and no group has it"},
		{"no nodes are known", misspelt, podzone.Need{}, []decision.Answer{selector, foreign}, nil, "the nodes do not match the pod's node selector or node affinity"},
		{"no other group", misspelt, podzone.Need{}, []decision.Answer{foreign}, nil, `group "theirs" is left alone, for it states cluster "green"`},
		{"a group that would take it", podOf("cpu", "1"), podzone.Need{}, []decision.Answer{skipped("full", Refusal{Kind: RefusedFull}, &decision.Group{Name: "full", Max: 1}), foreign}, nil,
			`group "full" has its maximum size of 1`},
	} {
		got := Pod(tt.pod, tt.need, tt.answers, map[string]*decision.Group{"theirs": theirs, "own": {Name: "own"}}, tt.nodes...).Message
		assert.Truef(t, strings.HasPrefix(got, tt.want), "%s: got %s, want %s", tt.name, got, tt.want)
	}
}

func TestStepIsAboutTheRuleThatRefuses(t *testing.T) {
	pod := podOf("cpu", "1")
	pod.Spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{TopologyKey: "rack", MaxSkew: 1, WhenUnsatisfiable: corev1.DoNotSchedule}}
	for _, tt := range []struct{ plugin, reason, want string }{
		{"InterPodAffinity", "node(s) didn't satisfy existing pods anti-affinity rules", "loosen the anti-affinity of the running pods, or prefer it instead of requiring it"},
		{"InterPodAffinity", "node(s) didn't match pod anti-affinity rules", "loosen the pod's affinity, or prefer it instead of requiring it"},
		{"PodTopologySpread", "node(s) didn't match pod topology spread constraints (missing required label)",
			"give the nodes of a group that label, and state it by its tag k8s.io/cluster-autoscaler/node-template/label/LABEL, or set whenUnsatisfiable: ScheduleAnyway"},
		{"PodTopologySpread", "node(s) didn't match pod topology spread constraints", "raise maxSkew, or set whenUnsatisfiable: ScheduleAnyway"},
		{"NodePorts", "node(s) didn't have free ports for the requested pod ports", "let the pod use another host port, or none"},
	} {
		said := rejected("own", Scheduling(tt.plugin, []string{tt.reason}, ""))
		assert.Equal(t, tt.want, cause(pod, []decision.Answer{said}, nil, nodeOf("own", "cpu", "2")).Remedy, tt.reason)
	}
}

func TestClosestGroupIsTheCause(t *testing.T) {
	gpu := func(pod *corev1.Pod) *corev1.Pod {
		pod.Spec.NodeSelector = map[string]string{"gpu": "a100"}
		return pod
	}
	elsewhere := podOf("cpu", "4")
	elsewhere.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{
		NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchFields: []corev1.NodeSelectorRequirement{
			{Key: "metadata.name", Operator: corev1.NodeSelectorOpNotIn, Values: []string{"ip-10-0-0-7"}}}}}}}}
	small, large := nodeOf("small", "cpu", "2"), nodeOf("large", "cpu", "64")
	for _, tt := range []struct {
		name  string
		pod   *corev1.Pod
		nodes []*GroupNode
		tag   string // of the first group, and bad
		want  string
	}{
		{"largest of several", podOf("cpu", "100"), []*GroupNode{small, large}, "", `the pod asks for 100 CPUs, the largest node of groups "small" and "large" has 64`},
		{"two tainted groups before a small one", podOf("cpu", "4"), []*GroupNode{nodeOf("a", "cpu", "2").labelled("x", "y").tainted("t", "1").tainted("u", "1"),
			nodeOf("b", "cpu", "64").tainted("team", "ml"), nodeOf("c", "cpu", "64").tainted("team", "ml")}, "",
			`the pod does not tolerate the taint team=ml:NoSchedule of groups "b" and "c"`},
		{"selected group though it fails thrice", gpu(podOf("cpu", "4", "memory", "8Gi")), []*GroupNode{nodeOf("a100", "cpu", "2", "memory", "4Gi").labelled("gpu", "a100").tainted("gpu", "true"),
			nodeOf("large", "cpu", "64", "memory", "64Gi")}, "",
			`the pod does not tolerate the taint gpu=true:NoSchedule of group "a100", and asks for 4 CPUs, the largest node of group "a100" has 2, and 1 more requirement fails`},
		{"label with other values", gpu(podOf("cpu", "1")), []*GroupNode{nodeOf("a", "cpu", "2").labelled("gpu", "t4"), nodeOf("b", "cpu", "2").labelled("gpu", "v100")}, "",
			"no group has nodes with the label gpu=a100, groups have gpu=v100 and gpu=t4"},
		{"keeps off a node by its name", elsewhere, []*GroupNode{small}, "", `the pod asks for 4 CPUs, the largest node of group "small" has 2`},
		{"bad tag", gpu(podOf("cpu", "1")), []*GroupNode{small}, "label/gpu", `group "small": its tag is bad`},
		{"bad tag, misspelt", gpu(podOf("cpu", "1")), []*GroupNode{small}, "labels/gpu", `group "small": its tag is bad`},
		{"bad tag of another label", gpu(podOf("cpu", "1")), []*GroupNode{small}, "label/example.com/gpu", "no group has nodes with the label gpu=a100"},
		{"bad tag of a taint", gpu(podOf("cpu", "1")), []*GroupNode{small}, "taint/gpu", "no group has nodes with the label gpu=a100"},
		{"tag that is used and differs from EKS", gpu(podOf("cpu", "1")), []*GroupNode{nodeOf("a", "cpu", "2").labelled("gpu", "t4")}, "label/gpu",
			"no group has nodes with the label gpu=a100, groups have gpu=t4"},
		{"more than three groups", podOf("cpu", "100"), []*GroupNode{nodeOf("a", "cpu", "1"), nodeOf("b", "cpu", "2"), nodeOf("c", "cpu", "3"), nodeOf("d", "cpu", "4")}, "",
			"the pod asks for 100 CPUs, the largest node of 4 groups has 4"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var answers []decision.Answer
			groups := map[string]*decision.Group{}
			for i, n := range tt.nodes {
				answers = append(answers, rejected(n.Group, decision.Reason{Code: firstCode(n, tt.pod)}))
				groups[n.Group] = &decision.Group{Name: n.Group, AutoScaling: n.Group}
				if i == 0 && tt.tag != "" {
					groups[n.Group].Problems = []decision.Reason{{Code: decision.CodeDegraded, Message: "its tag is bad", About: "k8s.io/cluster-autoscaler/node-template/" + tt.tag}}
				}
			}
			got := cause(tt.pod, answers, groups, tt.nodes...)
			assert.Truef(t, got.Message == tt.want, "got  %s\nwant %s", got.Message, tt.want)
		})
	}
}

// firstCode is the code of the plugin at which the scheduler would stop: taints come before selectors, and those before sizes.
func firstCode(n *GroupNode, pod *corev1.Pod) decision.Code {
	for _, code := range []decision.Code{decision.CodeTaint, decision.CodeNodeSelector, decision.CodeResources, decision.CodeAccelerator} {
		for _, r := range n.failing(pod, nodemeta.Requests(pod), podzone.Need{}, nil) {
			if r.code == code {
				return code
			}
		}
	}
	return decision.CodeNone
}

func TestFittingGroupComesFirst(t *testing.T) {
	full := &decision.Group{Name: "full", AutoScaling: "full", Max: 3}
	groups := map[string]*decision.Group{"full": full}
	taint := rejected("other", Scheduling("TaintToleration", []string{"node(s) had untolerated taint(s)"}, ""))
	for _, tt := range []struct {
		name  string
		nodes []*GroupNode
		want  string
	}{
		{"it fits", []*GroupNode{nodeOf("full", "cpu", "4"), nodeOf("other", "cpu", "4").tainted("a", "b")}, `group "full" has its maximum size of 3`},
		{"it does not", []*GroupNode{nodeOf("full", "cpu", "1"), nodeOf("other", "cpu", "4").tainted("a", "b")}, `the pod asks for 2 CPUs, the largest node of group "full" has 1`},
		{"nothing is known of the nodes", nil, `group "full" has its maximum size of 3`},
		{"nothing is known of its nodes", []*GroupNode{nodeOf("other", "cpu", "4").tainted("a", "b")}, `the pod does not tolerate the taint a=b:NoSchedule of group "other"`},
	} {
		got := cause(podOf("cpu", "2"), []decision.Answer{skipped("full", Refusal{Kind: RefusedFull}, full), taint}, groups, tt.nodes...)
		assert.Truef(t, got.Message == tt.want, "%s: got  %s\nwant %s", tt.name, got.Message, tt.want)
	}
}

// The scheduler looks at no group that cannot grow. A claim that is not bound keeps the pod off every node all the same.
func TestReasonOfThePodHoldsForFullGroups(t *testing.T) {
	full := &decision.Group{Name: "full", AutoScaling: "full", Max: 3}
	unbound := rejected("small", Scheduling("VolumeBinding", []string{"pod has unbound immediate PersistentVolumeClaims"}, ""))
	pod := podOf("cpu", "2")
	pod.Spec.Volumes = []corev1.Volume{{VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data"}}}}
	got := cause(pod, []decision.Answer{skipped("full", Refusal{Kind: RefusedFull}, full), unbound}, map[string]*decision.Group{"full": full},
		nodeOf("full", "cpu", "4"), nodeOf("small", "cpu", "1"))
	want := `a volume claim of the pod is not bound: claim "data"`
	assert.Truef(t, got.Message == want && got.Remedy == "kubectl -n default describe pvc data", "got %+v, want %q", got, want)
}

// The template of the group has one GPU, and its nodes came up without it.
func TestMissingDeviceHidesNoOtherCause(t *testing.T) {
	g := &decision.Group{Name: "gpu", AutoScaling: "gpu", Problems: []decision.Reason{{Code: decision.CodeAccelerator, About: "nvidia.com/gpu",
		Message: `Auto Scaling group "gpu": its nodes came up without nvidia.com/gpu`}}}
	tooLittle := Scheduling("NodeResourcesFit", []string{"Insufficient nvidia.com/gpu"}, "")
	for _, tt := range []struct {
		asks string
		said decision.Reason
		want string
	}{
		{"1", tooLittle, `group "gpu": its nodes came up without nvidia.com/gpu`},
		{"8", tooLittle, `the pod asks for 8 GPUs (nvidia.com/gpu), the largest node of group "gpu" has 1`},
		{"1", Scheduling("VolumeBinding", []string{"pod has unbound immediate PersistentVolumeClaims"}, ""), "a volume claim of the pod is not bound"},
	} {
		got := cause(podOf("nvidia.com/gpu", tt.asks), []decision.Answer{rejected("gpu", tt.said)}, map[string]*decision.Group{"gpu": g},
			nodeOf("gpu", "nvidia.com/gpu", "1"))
		assert.Equalf(t, tt.want, got.Message, "%s GPUs, %s", tt.asks, tt.said.Message)
	}
}

func TestHeldBackGroupsAreSummedUp(t *testing.T) {
	var answers []decision.Answer
	for _, name := range []string{"a", "b", "c", "d"} {
		answers = append(answers, skipped(name, Refusal{Kind: RefusedFull}, &decision.Group{Name: name, Max: 1}))
	}
	answers = append(answers, skipped("e", Refusal{Kind: RefusedCoolDown, Class: "no-capacity"}, &decision.Group{Name: "e"}),
		skipped("f", Refusal{Kind: RefusedCoolDown, Class: "no-capacity"}, &decision.Group{Name: "f"}), skipped("g", Refusal{Kind: RefusedNotReady}, &decision.Group{Name: "g"}))
	got := cause(podOf("cpu", "1"), answers, nil)
	want := `4 groups have their maximum size, and group "e" cannot grow now: AWS has no capacity, likewise group "f", and 1 more group cannot grow either`
	assert.Truef(t, got.Message == want && got.Code == decision.CodeMaxSize, "got  %s %s\nwant %s", got.Code, got.Message, want)
}

func TestGroupsOfATeamAreSummedUp(t *testing.T) {
	var answers []decision.Answer
	groups := map[string]*decision.Group{}
	for _, name := range []string{"team/a", "team/b"} {
		groups[name+"/us-east-1a"] = &decision.Group{Name: name + "/us-east-1a", AutoScaling: name}
		denied := decision.Reason{Code: decision.CodeDenied, Message: "AWS denies launches", Remedy: "aws iam " + name}
		answers = append(answers, decision.Answer{Group: name + "/us-east-1a", Verdict: decision.Skipped, Reason: denied})
	}
	want := `AWS denies launches, likewise group "team/b/us-east-1a"`
	assert.Equal(t, want, cause(podOf("cpu", "1"), answers, groups).Message)
}

func TestSecondCauseThatLastsHasItsStep(t *testing.T) {
	answers := []decision.Answer{skipped("spot", Refusal{Kind: RefusedCoolDown, Class: "config-error"}, &decision.Group{Name: "spot"}),
		skipped("full", Refusal{Kind: RefusedFull}, &decision.Group{Name: "full", Max: 1, AtMax: []decision.Limit{{Size: 1, Needs: 2}}})}
	got := cause(podOf("cpu", "1"), answers, nil)
	steps := strings.Split(got.Remedy, "\n")
	if last := `or, for group "spot": correct the group's launch template`; len(steps) != 2 || !strings.Contains(steps[0], "--max-size 2") || steps[1] != last {
		t.Errorf("got %q, want the higher maximum and %q", steps, last)
	}
	passes := skipped("spot", Refusal{Kind: RefusedCoolDown, Class: "throttle"}, &decision.Group{Name: "spot"})
	if got := cause(podOf("cpu", "1"), []decision.Answer{passes, answers[1]}, nil); strings.Contains(got.Remedy, "\n") {
		t.Errorf("got %q, want no step for a cause that passes", got.Remedy)
	}
}

func TestDeniedCallsOfAGroupAreAllNamed(t *testing.T) {
	g := &decision.Group{Name: "web", AutoScaling: "web", Problems: []decision.Reason{{Code: decision.CodeDenied, Remedy: "allow the other call\nin full"},
		{Code: decision.CodeDegraded, Remedy: "mend the tag"}, {Code: decision.CodeDenied}}} // its own denial has no step of its own
	const denied = "api error AccessDenied: User: arn:aws:sts::123456789012:assumed-role/ca/x is not authorized to perform: autoscaling:SetDesiredCapacity"
	for _, got := range []decision.Reason{Skipped(Refusal{Kind: RefusedCoolDown, Class: "permission"}, g), Backoff(g, noon, "cloudProviderError", denied)} {
		assert.Truef(t, strings.HasSuffix(got.Remedy, "\nthen also allow the other call"),
			"got %q, want the step about the other call, too", got.Remedy)
	}
	got := Skipped(Refusal{Kind: RefusedCoolDown, Class: "no-capacity"}, g)
	assert.NotContainsf(t, got.Remedy, "the other call", "got %q for a lack of capacity", got.Remedy)
	g.Problems = []decision.Reason{{Code: decision.CodeDenied, Remedy: "asgctl account"}}
	assert.Equal(t, "asgctl account", Skipped(Refusal{Kind: RefusedCoolDown, Class: "permission"}, g).Remedy, "the group's problem is the same denial")
}

func TestRequestsCountLikeTheScheduler(t *testing.T) {
	pod := podOf("cpu", "1", "memory", "1Gi")
	pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Resources: corev1.ResourceRequirements{Requests: list("cpu", "1")}})
	always := ptr.To(corev1.ContainerRestartPolicyAlways)
	pod.Spec.InitContainers = []corev1.Container{
		{Resources: corev1.ResourceRequirements{Requests: list("cpu", "2")}},
		{RestartPolicy: always, Resources: corev1.ResourceRequirements{Requests: list("cpu", "500m")}},
		{Resources: corev1.ResourceRequirements{Requests: list("cpu", "3")}},
	}
	pod.Spec.Overhead = list("cpu", "250m")
	got := nodemeta.Requests(pod)
	if cpu := got[corev1.ResourceCPU]; cpu.MilliValue() != 3750 { // the last step beside the sidecar, and the overhead
		t.Errorf("%v CPUs, want 3.75", cpu.AsApproximateFloat64())
	}
	pod.Spec.Resources = &corev1.ResourceRequirements{Requests: list("cpu", "8", "nvidia.com/gpu", "1")}
	got = nodemeta.Requests(pod)
	if cpu, gpus := got[corev1.ResourceCPU], got["nvidia.com/gpu"]; cpu.MilliValue() != 8250 || !gpus.IsZero() {
		t.Errorf("%v CPUs and %v GPUs of a pod as a whole, want 8.25 and none", cpu.AsApproximateFloat64(), gpus.Value())
	}
}

func TestSelectorsHoldLikeTheScheduler(t *testing.T) {
	expression := func(op corev1.NodeSelectorOperator, values ...string) corev1.NodeSelectorRequirement {
		return corev1.NodeSelectorRequirement{Key: "n", Operator: op, Values: values}
	}
	for _, tt := range []struct {
		e            corev1.NodeSelectorRequirement
		five, absent bool
	}{
		{expression(corev1.NodeSelectorOpIn, "4", "5"), true, false},
		{expression(corev1.NodeSelectorOpIn, "4"), false, false},
		{expression(corev1.NodeSelectorOpNotIn, "4"), true, true},
		{expression(corev1.NodeSelectorOpNotIn, "5"), false, true},
		{expression(corev1.NodeSelectorOpExists), true, false},
		{expression(corev1.NodeSelectorOpDoesNotExist), false, true},
		{expression(corev1.NodeSelectorOpGt, "4"), true, false},
		{expression(corev1.NodeSelectorOpLt, "4"), false, false},
		{expression(corev1.NodeSelectorOpLt, "x"), false, false},
	} {
		if five, absent := holds(tt.e, "5", true), holds(tt.e, "", false); five != tt.five || absent != tt.absent {
			t.Errorf("%v holds for 5: %t, without the label: %t, want %t and %t", tt.e, five, absent, tt.five, tt.absent)
		}
	}
}

func TestForeignTextIsBoundedAndPlain(t *testing.T) {
	evil := "x\x1b[31m\n\u202e'; rm -rf / #\"" + strings.Repeat("y", 5000)
	g := &decision.Group{Name: evil, AutoScaling: evil, Max: 1, AtMax: []decision.Limit{{}, {Flag: evil}}, EKS: &decision.Nodegroup{Cluster: evil, Name: evil}, Zones: []string{evil, evil}, Reason: decision.Reason{Message: evil},
		Problems:  []decision.Reason{{Message: evil + "/" + evil}},
		CoolDowns: []decision.CoolDown{{Cause: CoolDown("no-capacity", evil, Attempt{}), Until: noon}}}
	pod := podOf(evil, "1")
	pod.Namespace, pod.Name = evil, evil
	pod.Spec.NodeSelector = map[string]string{evil: evil, corev1.LabelTopologyZone: evil}
	pod.Spec.Volumes = []corev1.Volume{{VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: evil}}}}
	node := nodeOf(evil, "cpu", "1").tainted(evil, evil).labelled("a", evil)
	groups := map[string]*decision.Group{evil: g}
	all := []decision.Reason{Backoff(&decision.Group{Name: evil}, noon, evil, evil), CoolDown(evil, evil, Attempt{Group: &decision.Group{Name: evil}, InstanceType: evil}), Scheduling(evil, []string{evil}, evil), Scheduling("DynamicResources", []string{evil}, evil),
		cause(pod, []decision.Answer{rejected(evil, Scheduling("VolumeBinding", []string{evil}, ""))}, groups, node),
		cause(pod, []decision.Answer{rejected(evil, Scheduling("VolumeBinding", []string{evil}, ""))}, groups)}
	for _, refusal := range []Refusal{{Text: evil}, {Kind: RefusedFull}, {Kind: RefusedCoolDown, Class: evil}, {Kind: RefusedDegraded},
		{Kind: RefusedQuota, Text: `exceeded quota: "` + evil + `", resources: ` + evil}, {Kind: RefusedBackoff}, {Kind: RefusedNotReady}} {
		r := Skipped(refusal, g)
		all = append(all, r, cause(podOf(), []decision.Answer{{Group: evil, Verdict: decision.Skipped, Reason: r}}, groups))
	}
	for i, r := range all {
		for _, text := range []string{r.Message, r.Remedy} {
			assert.Truef(t, len(text) <= map[bool]int{true: 1024, false: 2048}[text == r.Message] && !strings.ContainsFunc(text, func(c rune) bool { return !unicode.IsGraphic(c) }),
				"%d: %d bytes: %.300q", i, len(text), text)
			_, command, _ := strings.Cut(text, "aws ")
			assert.Truef(t, strings.Count(command, "'; rm") == strings.Count(command, `'\''; rm`),
				"%d: a command that a name breaks out of: %.300s", i, text)
		}
	}
}

func TestAReadingThatFailedNamesItsNextStep(t *testing.T) {
	for _, tt := range []struct{ reason, text, message, remedy string }{
		{"unauthenticated", "unreachable", "the autoscaler has no valid credentials for AWS (unreachable)",
			"check the role of its ServiceAccount, and that its pod reaches STS, EKS Pod Identity or the instance metadata"},
		{"throttled", "Throttling: Rate exceeded", "AWS throttles DescribeAutoScalingGroups", "it is tried again after --asg-refresh-interval, " +
			"look for other callers: aws cloudtrail lookup-events --lookup-attributes 'AttributeKey=EventName,AttributeValue=DescribeAutoScalingGroups'"},
	} {
		assert.Equal(t, decision.Reason{Code: decision.CodeStale, Message: tt.message, Remedy: tt.remedy}, Unread(tt.reason, tt.text))
	}
}

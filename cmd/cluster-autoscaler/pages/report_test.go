package pages

import (
	_ "embed"
	"fmt"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
)

var now = time.Date(2026, 11, 21, 14, 32, 8, 0, time.UTC)

func ago(d time.Duration) time.Time { return now.Add(-d) }

//go:embed testdata/busy.yaml
var busyYAML []byte

// busy is a report with something in every part of the page: a scale-up, an interruption, a cool-down and pods that wait for different causes.
func busy() *decision.Report {
	var r decision.Report
	if err := yaml.UnmarshalStrict(busyYAML, &r); err != nil {
		panic(err)
	}
	return &r
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

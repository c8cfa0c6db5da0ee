package doctor

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	podutil "k8s.io/kubernetes/pkg/api/v1/pod"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/shellword"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/running"
)

// answerTimeout leaves the other checks their time.
const answerTimeout = 15 * time.Second

// checkRunning asks the running autoscaler, because its credentials and its network may not be the caller's. One that does not answer
// the API server while one of its pods is Ready is no finding: the API server may not reach the pod.
func checkRunning(ctx context.Context, in *installation, c *Check) (looked bool) {
	for _, word := range in.flags[""] {
		c.find("the autoscaler's flags", fmt.Sprintf("the word %q counts for nothing", word), "its pod", "write --flag=value in "+in.ourDeployment())
	}
	from := in.Running
	from.Namespace, from.Lease, from.LeaseIn, from.Leading = in.namespace, leaseOf(in.flags), in.leaseNamespace(), true
	bound := min(answerTimeout, in.Timeout/4)
	limited, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	r, err := running.Read(limited, from)
	if err != nil && limited.Err() != nil && ctx.Err() == nil && from.URL != "" {
		c.find("the running autoscaler", fmt.Sprintf("it does not answer within %s", bound), "the request for its /status.json: "+brief(err),
			"kubectl --namespace "+shellword.Quote(in.namespace)+" logs "+shellword.Quote(in.ourDeployment()))
		return true
	}
	if r != nil {
		if stale, old := r.Reading.Stale(in.Now()); old {
			c.find("the running autoscaler", stale.Message, "its /status.json", stale.Remedy)
		}
	}
	if err != nil {
		if !in.findUnready(c) || r != nil { // without a report, the error would blame the network
			c.skip("the report of the running autoscaler", brief(err), "get on pods/proxy in its namespace, or --url after kubectl port-forward")
		}
		return len(c.Findings) > 0
	}
	if result := r.Loop.Result; result.Code == decision.CodeUnhealthy || result.Code == decision.CodeNoGroups {
		c.find("the running autoscaler", result.Message, "its /status.json", strings.TrimSuffix(result.Remedy, ": asgctl doctor"))
	}
	for _, g := range r.Groups {
		for _, p := range g.Problems {
			if p.Code == decision.CodeAccelerator || p.Code == decision.CodeNotReady {
				c.find("node group "+g.Name, p.Message, "its /status.json", p.Remedy)
			}
		}
	}
	return true
}

// findUnready finds that none of the autoscaler's pods is Ready, and reports whether it does. A young one may still become Ready.
func (in *installation) findUnready(c *Check) (found bool) {
	if len(in.replicas) == 0 || in.pods.err != nil || slices.ContainsFunc(in.replicas, func(pod corev1.Pod) bool {
		return podutil.IsPodReady(&pod) || in.Now().Sub(pod.CreationTimestamp.Time) < time.Minute
	}) {
		return false
	}
	pod, none := in.replicas[0], &corev1.PodCondition{}
	_, scheduled := podutil.GetPodCondition(&pod.Status, corev1.PodScheduled)
	_, ready := podutil.GetPodCondition(&pod.Status, corev1.PodReady)
	why := cmp.Or(cmp.Or(scheduled, none).Message, cmp.Or(ready, none).Message, "its status says no reason")
	kubectl, name, logs := "kubectl --namespace "+shellword.Quote(pod.Namespace), shellword.Quote(pod.Name), ""
	for _, s := range slices.Backward(slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses)) {
		if waits := s.State.Waiting; waits != nil {
			why = strings.TrimSuffix(waits.Reason+": "+waits.Message, ": ")
		}
		switch log := name + " --container " + shellword.Quote(s.Name); {
		case s.Ready:
		case s.RestartCount > 0:
			logs = "\n" + kubectl + " logs --previous " + log
		case s.State.Running != nil && logs == "":
			logs = "\n" + kubectl + " logs " + log
		}
	}
	c.find("pod "+pod.Namespace+"/"+pod.Name, "no pod of the autoscaler is Ready: "+why, "the status of the pod", kubectl+" describe pod "+name+logs)
	return true
}

package doctor

import (
	"context"
	"encoding/json"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/shellword"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/running"
)

const karpenterGroup = "karpenter.sh"

func checkRivals(ctx context.Context, in *installation, c *Check) (looked bool) {
	if !in.pods.missing(c) {
		looked = true
		in.rivalPods(c)
	}
	if in.kubeErr == nil {
		looked = in.nodePools(ctx, c) || looked
	}
	return looked
}

// rivalPods finds pods of other autoscalers. Each Deployment of a ServiceAccount counts once. A shadow is nobody's rival, a plugin and its core
// are one autoscaler, and one with a kubeconfig serves another cluster.
func (in *installation) rivalPods(c *Check) {
	ours := [3]string{in.namespace, in.serviceAccount, deployment(in.ours)}
	seen := map[[3]string]bool{ours: true}
	for _, pod := range in.pods.value.autoscalers {
		of := [3]string{pod.Namespace, pod.Spec.ServiceAccountName, deployment(&pod)}
		container, _ := running.AutoscalerIn(&pod.Spec)
		f := running.FlagsOf(container)
		if seen[of] || in.flags.Shadows() || f.Shadows() || in.flags.Plugin() && f.Core() || in.flags.Core() && f.Plugin() || f.Last("kubeconfig") != "" {
			continue
		}
		seen[of] = true
		if in.unsure {
			in.skipUnsure(c, "other Cluster Autoscalers")
			continue
		}
		where, next := of[0], "describe pod "+shellword.Quote(pod.Name)
		if of[2] != "" {
			next = "scale " + shellword.Quote(of[2]) + " --replicas=0"
		}
		problem := "two autoscalers answer the same pods, and each may remove the other's nodes"
		lease := leaseOf(f)
		if in.ours != nil && leaseNamespaceOf(&pod) == in.leaseNamespace() && lease == leaseOf(in.flags) && f.Last("leader-elect") != "false" {
			problem = fmt.Sprintf("it shares the lease %s with this autoscaler, so only the holder of the lease works", lease)
			where, next = in.leaseNamespace(), "get lease "+shellword.Quote(lease)
		}
		how := fmt.Sprintf("while this autoscaler has %s/%s", ours[0], ours[1])
		if of[0] == ours[0] && of[1] == ours[1] {
			how = "which this autoscaler has, too, in another Deployment"
		}
		c.find(fmt.Sprintf("pod %s/%s", pod.Namespace, pod.Name), "it runs another "+clusterAutoscaler+": "+problem,
			fmt.Sprintf("its image is %q, and its ServiceAccount %s/%s, %s", container.Image, of[0], of[1], how),
			"kubectl --namespace "+shellword.Quote(where)+" "+next)
	}
}

// nodePools finds Karpenter's node pools, which answer the same pods with instances outside the groups.
func (in *installation) nodePools(ctx context.Context, c *Check) (looked bool) {
	get := func(version string) ([]byte, error) {
		return in.kube.Discovery().RESTClient().Get().AbsPath("/apis", karpenterGroup, version, "nodepools").
			SetHeader("Accept", "application/json").Param("limit", "1").DoRaw(ctx)
	}
	raw, err := get("v1")
	if apierrors.IsNotFound(err) { // as with Karpenter before 1.0
		raw, err = get("v1beta1")
	}
	if apierrors.IsNotFound(err) {
		return true
	}
	var list metav1.PartialObjectMetadataList
	if err == nil {
		err = json.Unmarshal(raw, &list)
	}
	if err != nil {
		c.skip("Karpenter's node pools", brief(err), "list nodepools."+karpenterGroup)
		return false
	}
	if len(list.Items) > 0 {
		c.find(fmt.Sprintf("NodePool %q", list.Items[0].Name), "Karpenter launches nodes for the same pods, beside the groups", "the list of nodepools."+karpenterGroup,
			"kubectl get nodepools."+karpenterGroup)
	}
	return true
}

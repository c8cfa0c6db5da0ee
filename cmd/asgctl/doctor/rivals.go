package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/shellword"
)

// karpenterGroup is the API group of Karpenter.
const karpenterGroup = "karpenter.sh"

func checkRivals(ctx context.Context, in *installation, c *Check) (looked bool) {
	if !in.pods.missing(c) {
		looked = true
		in.rivalPods(c)
	}
	if !in.leases.missing(c) {
		looked = true
		in.rivalLeases(c)
	}
	if in.kubeErr == nil {
		looked = in.nodePools(ctx, c) || looked
	}
	return looked
}

// rivalPods finds pods of other autoscalers. Each ServiceAccount counts once.
func (in *installation) rivalPods(c *Check) {
	seen := map[[2]string]bool{{in.namespace, in.serviceAccount}: true}
	for _, pod := range in.pods.value.autoscalers {
		of := [2]string{pod.Namespace, pod.Spec.ServiceAccountName}
		if seen[of] {
			continue
		}
		seen[of] = true
		kind, container := autoscalerIn(&pod)
		next := "describe pod " + shellword.Quote(pod.Name)
		if name := deployment(&pod); name != "" {
			next = "scale " + shellword.Quote(name) + " --replicas=0"
		}
		c.find(fmt.Sprintf("pod %s/%s", pod.Namespace, pod.Name), "it runs another "+kind+": two autoscalers answer the same pods, and each may remove the other's nodes",
			fmt.Sprintf("its image is %q, and its ServiceAccount %s/%s, while this autoscaler has %s/%s", container.Image, of[0], of[1], in.namespace, in.serviceAccount),
			"kubectl --namespace "+shellword.Quote(pod.Namespace)+" "+next)
	}
}

// maxSkew is how much the clock of this machine may differ from the clocks of the lease holders.
const maxSkew = 30 * time.Second

// rivalLeases finds several leases that are held now. One is as it should be, because all replicas share it.
func (in *installation) rivalLeases(c *Check) {
	var held []coordinationv1.Lease
	for _, lease := range in.leases.value {
		if lease.Spec.HolderIdentity == nil || *lease.Spec.HolderIdentity == "" || lease.Spec.RenewTime == nil || lease.Spec.LeaseDurationSeconds == nil {
			continue
		}
		end := lease.Spec.RenewTime.Add(time.Duration(*lease.Spec.LeaseDurationSeconds) * time.Second)
		if in.Now().Before(end.Add(maxSkew)) {
			held = append(held, lease)
		}
	}
	if len(held) < 2 {
		return
	}
	slices.SortFunc(held, func(a, b coordinationv1.Lease) int { return a.Spec.RenewTime.Compare(b.Spec.RenewTime.Time) })
	a, b := held[0], held[1]
	c.find(fmt.Sprintf("leases %s/%s and %s/%s", a.Namespace, a.Name, b.Namespace, b.Name), "both are held: two autoscalers lead at once",
		fmt.Sprintf("the holders %q and %q have renewed them", *a.Spec.HolderIdentity, *b.Spec.HolderIdentity),
		"kubectl get leases.coordination.k8s.io --all-namespaces --field-selector metadata.name="+shellword.Quote(a.Name)+", then stop one")
}

// nodePools finds Karpenter's node pools, which answer the same pods with instances outside the groups.
func (in *installation) nodePools(ctx context.Context, c *Check) (looked bool) {
	const subject = "Karpenter's node pools"
	groups, err := in.kube.Discovery().ServerGroups()
	if err != nil {
		c.skip(subject, brief(err), "get on the path /apis")
		return false
	}
	at := slices.IndexFunc(groups.Groups, func(g metav1.APIGroup) bool { return g.Name == karpenterGroup })
	if at < 0 {
		return true
	}
	raw, err := in.kube.Discovery().RESTClient().Get().AbsPath("/apis", groups.Groups[at].PreferredVersion.GroupVersion, "nodepools").
		SetHeader("Accept", "application/json").Param("limit", "1").DoRaw(ctx)
	if apierrors.IsNotFound(err) {
		return true
	}
	var list struct {
		Items []struct{ Metadata metav1.ObjectMeta }
	}
	if err == nil {
		err = json.Unmarshal(raw, &list)
	}
	if err != nil {
		c.skip(subject, brief(err), "list nodepools."+karpenterGroup)
		return false
	}
	if len(list.Items) > 0 {
		c.find(fmt.Sprintf("NodePool %q", list.Items[0].Metadata.Name), "Karpenter launches nodes for the same pods, beside the groups", "the list of nodepools."+karpenterGroup,
			"kubectl get nodepools."+karpenterGroup)
	}
	return true
}

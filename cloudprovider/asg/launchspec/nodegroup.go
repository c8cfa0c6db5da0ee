package launchspec

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
)

// EKS marks the Auto Scaling groups of its managed node groups with these tags.
const (
	tagEKSCluster   = "eks:cluster-name"
	tagEKSNodegroup = "eks:nodegroup-name"
)

// Nodegroup is an EKS managed node group, as far as it decides about nodes.
type Nodegroup struct {
	Cluster      string
	Name         string
	CapacityType string // ON_DEMAND, SPOT or CAPACITY_BLOCK
	AMIType      string // such as AL2023_x86_64_STANDARD, or CUSTOM where the launch template has its own image
	Role         string // ARN of the nodes' role
	Labels       map[string]string
	Taints       []Taint
	Tags         map[string]string // that may describe nodes
	DiskSizeGiB  int               // 0 where the launch template states it
}

// Taint is a taint in EKS's words: Effect is NO_SCHEDULE, NO_EXECUTE or PREFER_NO_SCHEDULE.
type Taint struct{ Key, Value, Effect string }

// describedNodegroup is a Nodegroup with its state, on which no launch depends.
type describedNodegroup struct {
	Nodegroup
	operation Operation // EKS's
	problems  []Problem // that EKS finds
	repairs   bool      // EKS itself repairs its nodes
}

type NodegroupKey struct{ Cluster, Name string }

// ManagedNodegroup returns the EKS managed node group behind g, the zero key for none.
func (g *Group) ManagedNodegroup() NodegroupKey {
	key := NodegroupKey{g.Tags[tagEKSCluster], g.Tags[tagEKSNodegroup]}
	if key.Cluster == "" || key.Name == "" {
		return NodegroupKey{}
	}
	return key
}

func (r *Resolver) describeNodegroup(ctx context.Context, key NodegroupKey) (*describedNodegroup, error) {
	ctx, cancel := context.WithTimeout(ctx, optionalTimeout)
	defer cancel()
	out, err := r.apis.EKS.DescribeNodegroup(ctx, &eks.DescribeNodegroupInput{ClusterName: aws.String(key.Cluster), NodegroupName: aws.String(key.Name)})
	if err != nil {
		return nil, fmt.Errorf("describe EKS node group: %w", err)
	}
	n := &describedNodegroup{Nodegroup: Nodegroup{Cluster: key.Cluster, Name: key.Name}}
	if out.Nodegroup == nil {
		return n, nil
	}
	n.CapacityType, n.AMIType, n.Role = string(out.Nodegroup.CapacityType), string(out.Nodegroup.AmiType), aws.ToString(out.Nodegroup.NodeRole)
	n.Labels, n.Tags = maps.Clone(out.Nodegroup.Labels), maps.Clone(out.Nodegroup.Tags)
	// Terraform may change other tags, such as a commit, at every apply. The group launches the same then.
	maps.DeleteFunc(n.Tags, func(key, _ string) bool { return !strings.Contains(key, "node-template/") })
	n.operation, n.problems = stateOf(out.Nodegroup, key)
	n.repairs = out.Nodegroup.NodeRepairConfig != nil && aws.ToBool(out.Nodegroup.NodeRepairConfig.Enabled)
	n.DiskSizeGiB = int(aws.ToInt32(out.Nodegroup.DiskSize))
	for _, t := range out.Nodegroup.Taints {
		n.Taints = append(n.Taints, Taint{Key: aws.ToString(t.Key), Value: aws.ToString(t.Value), Effect: string(t.Effect)})
	}
	slices.SortFunc(n.Taints, func(a, b Taint) int { return cmp.Compare(a.Key, b.Key) })
	return n, nil
}

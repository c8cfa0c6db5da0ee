package fakeaws

import (
	"fmt"
	"net/http"
	"net/url"
)

// eksAction is the action of a REST path below /clusters. An action that is not served is named by method and path.
func eksAction(method string, escaped []string) (path []string, action string) {
	for _, part := range escaped {
		plain, err := url.PathUnescape(part)
		if err != nil {
			plain = part
		}
		path = append(path, plain)
	}
	if method == http.MethodGet && len(path) == 4 && path[2] == "node-groups" {
		return path, "DescribeNodegroup"
	}
	if method == http.MethodGet && len(path) == 3 && path[2] == "access-entries" {
		return path, "ListAccessEntries"
	}
	if method == http.MethodGet && len(path) == 2 {
		return path, "DescribeCluster"
	}
	return path, method + " /" + first(path...)
}

type (
	eksNodegroup struct {
		NodegroupName string            `json:"nodegroupName"`
		ClusterName   string            `json:"clusterName"`
		Version       string            `json:"version"`
		Status        string            `json:"status"`
		CapacityType  string            `json:"capacityType"`
		InstanceTypes []string          `json:"instanceTypes"`
		Subnets       []string          `json:"subnets"`
		AMIType       string            `json:"amiType"`
		NodeRole      string            `json:"nodeRole"`
		Labels        map[string]string `json:"labels,omitempty"`
		Taints        []EKSTaint        `json:"taints,omitempty"`
		Resources     eksResources      `json:"resources"`
		DiskSize      *int              `json:"diskSize"`
		Health        eksHealth         `json:"health"`
		NodeRepair    *eksNodeRepair    `json:"nodeRepairConfig,omitempty"`
		Tags          map[string]string `json:"tags"`
	}
	eksNodeRepair struct {
		Enabled bool `json:"enabled"`
	}
	eksResources struct {
		AutoScalingGroups []eksGroup `json:"autoScalingGroups"`
	}
	eksGroup struct {
		Name string `json:"name"`
	}
	eksHealth struct {
		Issues []eksIssue `json:"issues"`
	}
	eksIssue struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
)

func (a *account) describeNodegroup(r *request) (any, error) {
	cluster, name := r.path[1], r.path[3]
	ng, ok := a.nodegroups[cluster+"/"+name]
	if !ok {
		return nil, a.nodegroupNotFound(cluster, name)
	}
	x := eksNodegroup{
		NodegroupName: name, ClusterName: cluster,
		Version: first(ng.Version, "1.35"), Status: first(ng.Status, "ACTIVE"), CapacityType: first(ng.CapacityType, "ON_DEMAND"),
		InstanceTypes: ng.InstanceTypes, AMIType: first(ng.AMIType, "AL2023_x86_64_STANDARD"),
		NodeRole: "arn:" + a.partition + ":iam::" + a.id + ":role/node", Labels: ng.Labels, Taints: ng.Taints,
		Health: eksHealth{[]eksIssue{}}, Tags: ng.Tags,
	}
	if ng.Issue != "" {
		x.Health.Issues = append(x.Health.Issues, eksIssue{ng.Issue, "You are not able to launch instances."})
	}
	if ng.NodeRepair {
		x.NodeRepair = &eksNodeRepair{Enabled: true}
	}
	if ng.DiskSizeGiB > 0 {
		x.DiskSize = &ng.DiskSizeGiB
	}
	if ng.AutoScalingGroup != "" {
		x.Resources.AutoScalingGroups = []eksGroup{{ng.AutoScalingGroup}}
	}
	if g, ok := a.groups[ng.AutoScalingGroup]; ok {
		for _, zone := range g.Zones {
			x.Subnets = append(x.Subnets, subnetID(zone))
		}
	}
	return map[string]any{"nodegroup": x}, nil
}

// SetNodegroupStatus changes the status of the EKS node group behind an Auto Scaling group, as EKS does while it works on it.
func (s *Server) SetNodegroupStatus(group, status, issue string) error {
	s.account.mu.Lock()
	defer s.account.mu.Unlock()
	for key, ng := range s.account.nodegroups {
		if ng.AutoScalingGroup == group {
			ng.Status, ng.Issue = status, issue
			s.account.nodegroups[key] = ng
			return nil
		}
	}
	return fmt.Errorf("no EKS node group has auto scaling group %q", group)
}

// nodegroupNotFound distinguishes an unknown cluster from an unknown node group.
func (a *account) nodegroupNotFound(cluster, name string) *apiError {
	for _, ng := range a.nodegroups {
		if ng.Cluster == cluster {
			return &apiError{Code: "ResourceNotFoundException", Message: "No node group found for name: " + name + ".", Status: http.StatusNotFound}
		}
	}
	return &apiError{Code: "ResourceNotFoundException", Message: "No cluster found for name: " + cluster + ".", Status: http.StatusNotFound}
}

package nodetemplate

import "strings"

// family returns the family of the group's image from the Input or the EKS node group, or "".
func (in *Input) family() AMIFamily {
	if in.AMIFamily != "" || in.Nodegroup == nil {
		return in.AMIFamily
	}
	return in.Nodegroup.AMIFamily()
}

// AMIFamily returns the family that the node group's AMI type names, or "" for a custom image.
func (n *Nodegroup) AMIFamily() AMIFamily {
	for prefix, family := range map[string]AMIFamily{
		"AL2_": AL2, "AL2023_": AL2023, "BOTTLEROCKET_": Bottlerocket, "WINDOWS_": Windows,
	} {
		if strings.HasPrefix(n.AMIType, prefix) {
			return family
		}
	}
	return ""
}

// os returns the operating system of the group's nodes as Kubernetes names it.
func (in *Input) os() string {
	if in.OS == "" && in.family() == Windows {
		return "windows"
	}
	if in.OS == "" {
		return "linux"
	}
	return in.OS
}

// managed reports whether EKS decides how the nodes of this group start: a managed node group with an image of EKS.
func (in *Input) managed(d Declared) bool {
	if in.Nodegroup != nil {
		return in.Nodegroup.AMIType != "CUSTOM"
	}
	return d.ManagedNodegroup != ""
}

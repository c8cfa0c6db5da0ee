package nodetemplate

import "strings"

// Family returns the family of the group's image from the Input or the EKS node group, or "".
func (in *Input) Family() AMIFamily {
	if in.AMIFamily != "" || in.Nodegroup == nil {
		return in.AMIFamily
	}
	return in.Nodegroup.AMIFamily()
}

// AMIFamily returns the family that the node group's AMI type names, or "" for a custom image.
func (n *Nodegroup) AMIFamily() AMIFamily {
	prefix := n.AMIType[:strings.IndexByte(n.AMIType, '_')+1]
	return map[string]AMIFamily{"AL2_": AL2, "AL2023_": AL2023, "BOTTLEROCKET_": Bottlerocket, "WINDOWS_": Windows}[prefix]
}

func (in *Input) os() string {
	if in.Family() == Windows {
		return "windows"
	}
	return "linux"
}

// windowsBuilds maps the year in the name of Windows Server to the build that kubelet puts on its node (Microsoft, "Windows
// Server release information", read 2026-11).
var windowsBuilds = map[string]string{"2019": "10.0.17763", "2022": "10.0.20348", "2025": "10.0.26100"}

// windowsBuild returns the build that Windows nodes will show, with its source, or "" on other nodes and where it is unknown.
func (in *Input) windowsBuild() (string, Source) {
	if in.Family() != Windows {
		return "", Source{}
	}
	if in.Nodegroup != nil {
		words := strings.Split(in.Nodegroup.AMIType, "_") // WINDOWS_CORE_2022_x86_64
		if len(words) > 2 && words[0] == "WINDOWS" && windowsBuilds[words[2]] != "" {
			return windowsBuilds[words[2]], Source{Kind: SourceNodegroup, Detail: "AMI type"}
		}
	}
	return windowsBuilds[in.WindowsRelease], Source{Kind: SourceGroup, Detail: "its image of Windows Server " + in.WindowsRelease}
}

// managed reports whether EKS decides how the nodes of this group start: a managed node group with an image of EKS.
func (in *Input) managed(d Declared) bool {
	if in.Nodegroup != nil {
		return in.Nodegroup.AMIType != "CUSTOM"
	}
	return d.ManagedNodegroup != ""
}

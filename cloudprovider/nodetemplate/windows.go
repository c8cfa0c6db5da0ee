package nodetemplate

import "strings"

// windowsBuilds are the builds of Windows Server by the year in its name, as kubelet puts them on its node (Microsoft,
// "Windows Server release information", read 2026-11).
var windowsBuilds = map[string]string{
	"2019": "10.0.17763",
	"2022": "10.0.20348",
	"2025": "10.0.26100",
}

// windowsBuild is the build that nodes of Windows will show, and what tells; "" on other nodes, and where nothing does.
func (in *Input) windowsBuild() (string, Source) {
	if in.os() != "windows" {
		return "", Source{}
	}
	if in.Nodegroup != nil {
		if build := windowsBuilds[windowsReleaseOf(in.Nodegroup.AMIType)]; build != "" {
			return build, Source{Kind: SourceNodegroup, Detail: "AMI type"}
		}
	}
	return windowsBuilds[in.WindowsRelease], Source{Kind: SourceGroup, Detail: "its image of Windows Server " + in.WindowsRelease}
}

// windowsReleaseOf is the year in an AMI type such as WINDOWS_CORE_2022_x86_64, or "".
func windowsReleaseOf(amiType string) string {
	rest, found := strings.CutPrefix(amiType, "WINDOWS_")
	if !found {
		return ""
	}
	_, rest, _ = strings.Cut(rest, "_") // CORE or FULL
	year, _, _ := strings.Cut(rest, "_")
	return year
}

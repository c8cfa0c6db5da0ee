package nodetemplate

import "strings"

// windowsBuilds maps the year in the name of Windows Server to the build that kubelet puts on its node (Microsoft, "Windows
// Server release information", read 2026-11).
var windowsBuilds = map[string]string{
	"2019": "10.0.17763",
	"2022": "10.0.20348",
	"2025": "10.0.26100",
}

// windowsBuild returns the build that Windows nodes will show, with its source, or "" on other nodes and where it is unknown.
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

// windowsReleaseOf returns the year in an AMI type such as WINDOWS_CORE_2022_x86_64, or "".
func windowsReleaseOf(amiType string) string {
	rest, found := strings.CutPrefix(amiType, "WINDOWS_")
	if !found {
		return ""
	}
	_, rest, _ = strings.Cut(rest, "_") // CORE or FULL
	year, _, _ := strings.Cut(rest, "_")
	return year
}

package userdata

import (
	"regexp"
	"strings"
)

// maxFirstLine bounds the search for the first line of a text.
const maxFirstLine = 256

const nodeConfigType = "application/node.eks.aws"

var (
	mimeHeader = regexp.MustCompile(`(?i)^\s*(mime-version|content-type)[ \t]*:`)
	shellLine  = regexp.MustCompile(`^#![ \t]*\S*?/?(?:env[ \t]+(?:-S[ \t]+)?)?(?:\S*/)?(?:ba|da|z|k|a)?sh\b`)
	// A line or a map in braces begins with apiVersion: node.eks.aws/….
	nodeConfigKind = regexp.MustCompile(`(?m)(?:^|[{,])[ \t]*"?apiVersion"?:[ \t]*["']?node\.eks\.aws/`)
	// A line begins with a table or a key within Bottlerocket's settings.
	settingsKey = regexp.MustCompile(`(?m)^[ \t]*(?:\[+[ \t]*"?settings"?[ \t]*[\].]|settings[ \t]*[.=])`)
	kubeletKind = regexp.MustCompile(`kind["']?:[ \t]*["']?(KubeletConfiguration|JoinConfiguration)\b`)
)

// kind returns the kind of a document, or "" if nothing here reads it.
func kind(text, contentType string) string {
	switch contentType {
	case nodeConfigType:
		return "node-config"
	case "text/x-shellscript", "text/cloud-boothook", "text/x-shellscript-per-boot", "text/x-shellscript-per-instance",
		"text/x-shellscript-per-once":
		if strings.HasPrefix(text, "#!") && !isShell(text) {
			return ""
		}
		return "script"
	case "text/cloud-config", "text/jinja2":
		return "cloud-config"
	}
	text = strings.TrimLeft(text, " \t\n")
	if rest, ok := strings.CutPrefix(text, "## template:"); ok {
		_, text, _ = strings.Cut(rest, "\n")
	}
	switch {
	case mimeHeader.MatchString(text[:min(len(text), maxFirstLine)]):
		return "mime"
	case strings.HasPrefix(text, "#cloud-config"):
		return "cloud-config"
	case strings.HasPrefix(text, "#cloud-boothook"), isShell(text):
		return "script"
	case strings.HasPrefix(text, "#!"):
		return ""
	case indexFold(text, powerShellStart) >= 0:
		return "powershell"
	case matches(text, "node.eks.aws/", nodeConfigKind):
		return "node-config"
	case matches(text, "settings", settingsKey):
		return "toml"
	case strings.Contains(text, "eks/bootstrap.sh"):
		return "unmarked"
	}
	return ""
}

// matches reports whether an expression matches, which takes far longer to find out than whether a word of it is there.
func matches(text, word string, expression *regexp.Regexp) bool {
	return strings.Contains(text, word) && expression.MatchString(text)
}

func isShell(text string) bool { return shellLine.MatchString(text[:min(len(text), maxFirstLine)]) }

// indexFold is the position of a tag in text, in any case, or -1. A tag is ASCII, in lower case, and begins with '<'.
func indexFold(text, tag string) int {
	for at := 0; ; at++ {
		next := strings.IndexByte(text[at:], '<')
		if next < 0 || len(text)-at-next < len(tag) {
			return -1
		}
		if at += next; strings.EqualFold(text[at:at+len(tag)], tag) {
			return at
		}
	}
}

package userdata

import (
	"regexp"
	"strings"
)

// maxFirstLine bounds the search for the first line of a text.
const maxFirstLine = 256

var (
	nameGoesOn = regexp.MustCompile(`^\w`)
	mimeHeader = regexp.MustCompile(`(?i)^\s*(mime-version|content-type)[ \t]*:`)
	shellLine  = regexp.MustCompile(`^#![ \t]*\S*?/?(?:env[ \t]+(?:-S[ \t]+)?)?(?:\S*/)?(?:ba|da|z|k|a)?sh\b`)
)

// kind returns the kind of a document, or "" if nothing here reads it.
func kind(text, contentType string) string {
	switch contentType {
	case "application/node.eks.aws":
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
	case isNodeConfig(text):
		return "node-config"
	case hasSettings(text):
		return "toml"
	case strings.Contains(text, "eks/bootstrap.sh"):
		return "unmarked"
	}
	return ""
}

// isShell reports whether the first line names a shell.
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

// anyAround reports whether right holds around any occurrence of the word in text.
func anyAround(text, word string, right func(before, behind string) bool) bool {
	for at := 0; ; {
		next := strings.Index(text[at:], word)
		if next < 0 {
			return false
		}
		if at += next + len(word); right(text[:at-len(word)], text[at:]) {
			return true
		}
	}
}

// The functions below look for one line of a document by its rarest word, and from there to both sides. A regular expression
// over the whole text would take ten times as long.

// isNodeConfig reports whether a line or a map in braces begins with apiVersion: node.eks.aws/….
func isNodeConfig(text string) bool {
	return anyAround(text, "node.eks.aws/", func(before, _ string) bool {
		before, colon := strings.CutSuffix(strings.TrimRight(withoutQuote(before), " \t"), ":")
		before, key := strings.CutSuffix(strings.TrimSuffix(before, `"`), "apiVersion")
		before = strings.TrimRight(before, " \t\"")
		return colon && key && (before == "" || strings.HasSuffix(before, "\n") || strings.HasSuffix(before, "{") || strings.HasSuffix(before, ","))
	})
}

// hasSettings reports whether a line begins with a table or a key within Bottlerocket's settings.
func hasSettings(text string) bool {
	return anyAround(text, "settings", func(before, behind string) bool {
		start := strings.TrimRight(strings.TrimSuffix(before, `"`), " \t")
		ends := ".="
		if table := strings.TrimRight(start, "["); table != start {
			before, behind, ends = table, strings.TrimPrefix(behind, `"`), "]."
		}
		before, behind = strings.TrimRight(before, " \t"), strings.TrimLeft(behind, " \t")
		return (before == "" || strings.HasSuffix(before, "\n")) && behind != "" && strings.Contains(ends, behind[:1])
	})
}

// isKubeletConfig reports whether a text holds kind: KubeletConfiguration.
func isKubeletConfig(text string) bool {
	return anyAround(text, "KubeletConfiguration", func(before, behind string) bool {
		before, colon := strings.CutSuffix(strings.TrimRight(withoutQuote(before), " \t"), ":")
		return colon && strings.HasSuffix(withoutQuote(before), "kind") && !nameGoesOn.MatchString(behind)
	})
}

// withoutQuote takes one quote off the end of a text.
func withoutQuote(s string) string {
	if strings.HasSuffix(s, `"`) || strings.HasSuffix(s, "'") {
		return s[:len(s)-1]
	}
	return s
}

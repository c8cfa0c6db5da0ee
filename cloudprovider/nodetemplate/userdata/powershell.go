package userdata

import (
	"regexp"
	"strings"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate"
)

const (
	powerShellStart = "<powershell>"
	powerShellEnd   = "</powershell>"
)

// powerShell reads the <powershell> blocks of Windows user data, in the form in which EKS documents its bootstrap (EKS User Guide,
// "Launching self-managed Windows nodes"): one line calls Start-EKSBootstrap.ps1. It evaluates nothing, so a value with a variable
// is unresolved.
func (r *reader) powerShell(text string) {
	for start := indexFold(text, powerShellStart); start >= 0 && r.spend(documentWork); start = indexFold(text, powerShellStart) {
		text = text[start+len(powerShellStart):]
		block := text
		if end := indexFold(text, powerShellEnd); end >= 0 {
			block, text = text[:end], text[end+len(powerShellEnd):]
		} else {
			text = ""
		}
		block = powerShellComment.ReplaceAllString(block, " ")
		depth := 0                                                               // of braces
		for line := range strings.Lines(strings.ReplaceAll(block, "`\n", " ")) { // a backquote continues the line
			if !r.spend(wordWork + 8*len(line)) {
				return
			}
			if line = strings.TrimSpace(line); powerShellCall.MatchString(line) && !powerShellAssignment.MatchString(line) {
				r.powerShellCall(line, depth > 0)
			}
			depth = max(0, depth+strings.Count(line, "{")-strings.Count(line, "}"))
		}
	}
}

var (
	powerShellComment    = regexp.MustCompile(`(?s)<#.*?(?:#>|$)`)
	powerShellAssignment = regexp.MustCompile(`^(?:\[[\w.]+\]\s*)?\$\w+\s*=`)
	powerShellCall       = regexp.MustCompile(`(?i)^&?\s*["']?[^"'#]*(?:Start-EKSBootstrap\.ps1|\$EKSBootstrapScriptFile)\b`)
	powerShellOption     = regexp.MustCompile(`(?i)\s-(EKSClusterName|KubeletExtraArgs)(?::\s*|\s+)("[^"]*"?|'[^']*'?|\S+)`)
	powerShellHashTable  = regexp.MustCompile(`\s@\w+`)
	powerShellVariable   = regexp.MustCompile(`(?i)\$(?:\([^)]*\)?|\{[^}]*\}?|(?:env:)?\w+)`)
)

func (r *reader) powerShellCall(line string, conditional bool) {
	c := call{windows: true, conditional: conditional}
	for _, option := range powerShellOption.FindAllStringSubmatch(line, -1) {
		if value := powerShellWord(option[2]); strings.EqualFold(option[1], "EKSClusterName") {
			c.cluster = value
		} else {
			c.args, c.hasArgs = value, true
		}
	}
	if table := powerShellHashTable.FindString(line); table != "" {
		r.problem("Start-EKSBootstrap.ps1", strings.TrimSpace(table), nodetemplate.ReasonUnresolved, literal) // its options are there
	}
	r.calls = append(r.calls, c)
}

// powerShellWord returns a word without its quotes. A word with escapes is unresolved.
func powerShellWord(word string) string {
	switch {
	case strings.Contains(word, "`"):
		return unresolved("")
	case strings.HasPrefix(word, "'"):
		return strings.Trim(word, "'")
	}
	return powerShellVariable.ReplaceAllStringFunc(strings.Trim(word, `"`), func(variable string) string {
		if strings.HasPrefix(variable, "$(") {
			return unresolved("")
		}
		return unresolved(strings.Trim(variable, "${}"))
	})
}

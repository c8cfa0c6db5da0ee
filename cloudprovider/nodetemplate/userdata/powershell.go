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

// powerShell reads the <powershell> blocks of Windows user data.
func (r *reader) powerShell(text string) {
	for start := indexFold(text, powerShellStart); start >= 0 && r.spend(documentWork); start = indexFold(text, powerShellStart) {
		text = text[start+len(powerShellStart):]
		block := text
		if end := indexFold(text, powerShellEnd); end >= 0 {
			block, text = text[:end], text[end+len(powerShellEnd):]
		} else {
			text = ""
		}
		p := &powerShell{r: r, variables: map[string]string{}}
		block = powerShellComment.ReplaceAllString(block, " ")
		for line := range strings.Lines(strings.ReplaceAll(block, "`\n", " ")) { // a backquote continues the line
			if !r.spend(wordWork + 8*len(line)) {
				return
			}
			p.line(strings.TrimSpace(line))
		}
	}
}

// powerShell reads the forms in which EKS documents its bootstrap for Windows (EKS User Guide, "Launching self-managed
// Windows nodes"): lines that assign one literal, and one that calls Start-EKSBootstrap.ps1. It does not evaluate anything else.
type powerShell struct {
	r         *reader
	variables map[string]string // by name in lower case
	depth     int               // of braces
}

var (
	powerShellComment    = regexp.MustCompile(`(?s)<#.*?(?:#>|$)`)
	powerShellAssignment = regexp.MustCompile(`^(?:\[[\w.]+\]\s*)?\$(\w+)\s*=\s*`)
	powerShellLiteral    = regexp.MustCompile("^(\"[^\"`]*\"|'[^']*'|[\\w./:\\\\$-]+)\\s*(?:#.*)?$")
	powerShellCall       = regexp.MustCompile(`(?i)^&?\s*["']?[^"'#]*(?:Start-EKSBootstrap\.ps1|\$EKSBootstrapScriptFile)\b`)
	powerShellOption     = regexp.MustCompile(`(?i)\s-(EKSClusterName|KubeletExtraArgs)(?::\s*|\s+)("[^"]*"?|'[^']*'?|\S+)`)
	powerShellHashTable  = regexp.MustCompile(`\s@\w+`)
	powerShellPart       = regexp.MustCompile(`'[^']*'?|"[^"]*"?|[^'"]+`)
	powerShellVariable   = regexp.MustCompile(`(?i)\$(?:\([^)]*\)?|\{[^}]*\}?|(?:env:)?\w+)`)
)

// line reads an assignment or a call of the bootstrap script.
func (p *powerShell) line(line string) {
	if at := powerShellAssignment.FindStringSubmatchIndex(line); at != nil {
		name, value := line[at[2]:at[3]], unresolved(line[at[2]:at[3]])
		if literal := powerShellLiteral.FindStringSubmatch(line[at[1]:]); literal != nil && p.depth == 0 {
			value = p.expand(literal[1])
		}
		if len(value) > maxVariableBytes {
			value = unresolved(name)
		}
		p.variables[strings.ToLower(name)] = value
	} else if powerShellCall.MatchString(line) {
		p.call(line)
	}
	p.depth = max(0, p.depth+strings.Count(line, "{")-strings.Count(line, "}"))
}

func (p *powerShell) call(line string) {
	c := call{windows: true, conditional: p.depth > 0}
	for _, option := range powerShellOption.FindAllStringSubmatch(line, -1) {
		if value := p.expand(option[2]); strings.EqualFold(option[1], "EKSClusterName") {
			c.cluster = value
		} else {
			c.args, c.hasArgs = value, true
		}
	}
	if table := powerShellHashTable.FindString(line); table != "" {
		p.r.problem("Start-EKSBootstrap.ps1", strings.TrimSpace(table), nodetemplate.ReasonUnresolved, literal) // its options are there
	}
	p.r.calls = append(p.r.calls, c)
}

// expand returns a word without its quotes and with the values of variables. A word with escapes is unresolved.
func (p *powerShell) expand(word string) string {
	if strings.Contains(word, "`") {
		return unresolved("")
	}
	return powerShellPart.ReplaceAllStringFunc(word, func(part string) string {
		if !p.r.spend(4 * len(part)) {
			return ""
		}
		if part[0] == '\'' {
			return strings.Trim(part, "'")
		}
		return powerShellVariable.ReplaceAllStringFunc(strings.Trim(part, `"`), p.value)
	})
}

// value returns the value of a variable, written with its dollar sign.
func (p *powerShell) value(variable string) string {
	name := strings.Trim(variable, "${}")
	if strings.HasPrefix(name, "(") {
		name = ""
	}
	value, known := p.variables[strings.ToLower(name)]
	if !known {
		value = unresolved(name)
	}
	if !p.r.spend(len(value) + wordWork) {
		return ""
	}
	return value
}

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
		p.run(powerShellComment.ReplaceAllString(block, " "))
	}
}

// powerShell reads the forms in which EKS documents its bootstrap for Windows (EKS User Guide, "Launching self-managed
// Windows nodes"): assignments of one literal, and one call of Start-EKSBootstrap.ps1. It does not evaluate anything else.
type powerShell struct {
	r         *reader
	variables map[string]string // by name in lower case
	depth     int               // of braces
}

var (
	powerShellComment    = regexp.MustCompile(`(?s)<#.*?(?:#>|$)`)
	powerShellAssignment = regexp.MustCompile(`^(?:\[[\w.]+\] ?)?\$(\w+) ?=`)
	powerShellLiteral    = regexp.MustCompile("^ ?(?:\"[^\"`]*\"|'[^']*'|[\\w./:\\\\$-]+)$")
	powerShellPart       = regexp.MustCompile(`'[^']*'?|"[^"]*"?|[^'"]+`)
	powerShellVariable   = regexp.MustCompile(`(?i)\$(?:\([^)]*\)?|\{[^}]*\}?|(?:env:)?\w+)`)
)

// run splits a script into statements, and those into words with their quotes.
func (p *powerShell) run(src string) {
	var words []string
	start, quote := -1, byte(0)
	endWord := func(i int) {
		if start >= 0 && p.r.spend(wordWork) {
			words = append(words, src[start:i])
		}
		start = -1
	}
	for i := 0; i < len(src) && p.r.spend(2); i++ {
		c := src[i]
		switch {
		case c == '`' && quote == 0 && strings.HasPrefix(src[i+1:], "\n"): // the statement continues in the next line
			endWord(i)
			i++
			continue
		case quote == 0 && strings.IndexByte(" \t\r\n;|{}", c) >= 0:
			endWord(i)
		case quote == 0 && c == '#' && start < 0:
			line, _, _ := strings.Cut(src[i:], "\n")
			i += len(line) - 1
			p.r.spend(len(line))
			continue
		case start < 0:
			start = i
		}
		switch {
		case c == '`' && quote != '\'':
			i++
		case c == quote:
			quote = 0
		case quote != 0:
		case c == '\'' || c == '"':
			quote = c
		case strings.IndexByte("\n;|{}", c) >= 0:
			p.statement(words)
			words = words[:0]
			switch c {
			case '{':
				p.depth++
			case '}':
				p.depth = max(0, p.depth-1)
			}
		}
	}
	endWord(len(src))
	p.statement(words)
}

// statement reads an assignment or a call of the bootstrap script.
func (p *powerShell) statement(words []string) {
	if len(words) == 0 {
		return
	}
	if words[0][0] == '$' || words[0][0] == '[' {
		p.assign(strings.Join(words, " "))
		return
	}
	if !p.bootstrap(words) {
		return
	}
	c := call{windows: true, conditional: p.depth > 0}
	for i, word := range words {
		name, value, joined := strings.Cut(word, ":")
		if !joined && i+1 < len(words) {
			value = words[i+1]
		}
		switch strings.ToLower(name) {
		case "-eksclustername":
			c.cluster = p.expand(value)
		case "-kubeletextraargs":
			c.args, c.hasArgs = p.expand(value), true
		}
		if variable, ok := strings.CutPrefix(word, "@"); ok && isName(variable) {
			p.r.problem("Start-EKSBootstrap.ps1", word, nodetemplate.ReasonUnresolved, literal) // options in a hash table
		}
	}
	p.r.calls = append(p.r.calls, c)
}

// assign keeps the variable that a statement sets. Its value is known if it is a literal outside all braces.
func (p *powerShell) assign(statement string) {
	at := powerShellAssignment.FindStringSubmatchIndex(statement)
	if at == nil || !p.r.spend(4*len(statement)) {
		return
	}
	name, value := statement[at[2]:at[3]], statement[at[1]:]
	if p.depth == 0 && powerShellLiteral.MatchString(value) {
		value = p.expand(strings.TrimPrefix(value, " "))
	} else {
		value = unresolved(name)
	}
	if len(value) > maxVariableBytes {
		value = unresolved(name)
	}
	p.variables[strings.ToLower(name)] = value
}

// bootstrap reports whether a statement calls the bootstrap script: by its name, or through the variable that EKS
// documents for it.
func (p *powerShell) bootstrap(words []string) bool {
	for _, word := range words[:min(2, len(words))] {
		word = strings.ToLower(p.expand(strings.TrimPrefix(word, "&")))
		if strings.HasSuffix(word, "start-eksbootstrap.ps1") || strings.Contains(word, "eksbootstrapscriptfile") {
			return true
		}
	}
	return false
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

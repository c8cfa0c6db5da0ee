package userdata

import (
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
		p := &powerShell{r: r, src: withoutComments(block), vars: map[string]string{}}
		p.run()
	}
}

// withoutComments puts a space in the place of each <# … #>.
func withoutComments(block string) string {
	var b strings.Builder
	for {
		code, comment, found := strings.Cut(block, "<#")
		b.WriteString(code)
		if !found {
			return b.String()
		}
		b.WriteByte(' ')
		_, block, _ = strings.Cut(comment, "#>")
	}
}

// powerShell splits a PowerShell script into commands, with variables that were assigned plain text put in.
type powerShell struct {
	r     *reader
	src   string
	pos   int
	depth int // of braces
	vars  map[string]string
	words []string
	cur   strings.Builder
	open  bool
}

func (p *powerShell) run() {
	for p.pos < len(p.src) && p.r.spend(1) {
		c := p.src[p.pos]
		p.pos++
		switch c {
		case '\n', ';', '|', '{', '}':
			p.endCommand()
			switch c {
			case '{':
				p.depth++
			case '}':
				p.depth = max(0, p.depth-1)
			}
		case ' ', '\t', '\r':
			p.endWord()
		case '#':
			if p.open {
				p.add("#")
				continue
			}
			if end := strings.IndexByte(p.src[p.pos:], '\n'); end >= 0 {
				p.pos += end
			} else {
				p.pos = len(p.src)
			}
		case '`':
			p.backquote()
		case '\'', '"':
			p.quoted(c)
		case '$':
			p.variable(false)
		default:
			p.add(p.src[p.pos-1 : p.pos])
		}
	}
	p.endCommand()
}

func (p *powerShell) add(text string) {
	p.open = true
	if p.r.spend(len(text)/2 + 1) {
		p.cur.WriteString(text)
	}
}

func (p *powerShell) endWord() {
	if p.open && p.r.spend(wordWork) {
		p.words = append(p.words, p.cur.String())
	}
	p.cur.Reset()
	p.open = false
}

// backquote reads an escaped character; before the end of a line it continues the command in the next one.
func (p *powerShell) backquote() {
	if p.pos >= len(p.src) {
		return
	}
	c := p.src[p.pos]
	p.pos++
	if c == '\n' {
		p.endWord()
		return
	}
	p.add(string(rune(c)))
}

// quoted reads a string after its first quote. A quote is escaped by doubling it.
func (p *powerShell) quoted(quote byte) {
	p.add("")
	for p.pos < len(p.src) && !p.r.tooMuch {
		c := p.src[p.pos]
		p.pos++
		switch {
		case c == quote && p.pos < len(p.src) && p.src[p.pos] == quote:
			p.pos++
			p.add(string(rune(quote)))
		case c == quote:
			return
		case c == '`' && quote == '"':
			p.backquote()
		case c == '$' && quote == '"':
			p.variable(true)
		default:
			p.add(p.src[p.pos-1 : p.pos])
		}
	}
}

// variable reads what follows a dollar sign. At the front of a command the name itself is kept: it may be assigned to.
func (p *powerShell) variable(inString bool) {
	rest := p.src[p.pos:]
	switch {
	case strings.HasPrefix(rest, "("):
		depth := 0
		for ; p.pos < len(p.src); p.pos++ {
			switch p.src[p.pos] {
			case '(':
				depth++
			case ')':
				depth--
			}
			if depth == 0 {
				p.pos++
				break
			}
		}
		p.add(unresolved(""))
		return
	case strings.HasPrefix(rest, "{"):
		end := strings.IndexByte(rest, '}')
		if end < 0 {
			end = len(rest) - 1
		}
		p.pos += end + 1
		p.add(p.value(strings.Trim(rest[:end], "{}")))
		return
	}
	end := 0
	for end < len(rest) && (isNameByte(rest[end], true) || rest[end] == ':' && !inString) {
		end++
	}
	if inString && strings.EqualFold(rest[:min(len(rest), 4)], "env:") {
		for end = 4; end < len(rest) && isNameByte(rest[end], true); {
			end++
		}
	}
	p.pos += end
	name := rest[:end]
	if !inString && p.mayAssign() {
		p.add("$" + name)
		return
	}
	p.add(p.value(name))
}

// mayAssign reports whether a variable here may be the one that an assignment sets: it is the first word, but for a type.
func (p *powerShell) mayAssign() bool {
	before := p.cur.String()
	if len(p.words) == 1 && before == "" {
		before = p.words[0]
	} else if len(p.words) > 0 {
		return false
	}
	return before == "" || before[0] == '[' && before[len(before)-1] == ']'
}

func (p *powerShell) value(name string) string {
	if value, ok := p.vars[strings.ToLower(name)]; ok {
		return value
	}
	return unresolved(name)
}

// endCommand takes in one command: an assignment, or a call of the bootstrap script.
func (p *powerShell) endCommand() {
	p.endWord()
	words := p.words
	p.words = nil
	if len(words) == 0 {
		return
	}
	if name, value, ok := powerShellAssignment(words); ok {
		key := strings.ToLower(name)
		if old, set := p.vars[key]; len(value) > maxVariableBytes || p.depth > 0 && (!set || old != value) {
			value = unresolved(name)
		}
		p.vars[key] = value
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
			c.cluster = value
		case "-kubeletextraargs":
			c.args, c.hasArgs = value, true
		}
		if variable, ok := strings.CutPrefix(word, "@"); ok && isName(variable) {
			p.r.problem("Start-EKSBootstrap.ps1", word, nodetemplate.ReasonUnresolved, literal) // options in a hash table
		}
	}
	p.r.calls = append(p.r.calls, c)
}

// bootstrap reports whether a command calls the bootstrap script: by its name, or through the variable that is customary
// for it.
func (p *powerShell) bootstrap(words []string) bool {
	for _, word := range words[:min(2, len(words))] {
		word = strings.ToLower(strings.TrimPrefix(word, "&"))
		value := strings.ToLower(p.vars[strings.TrimPrefix(word, "$")])
		if strings.HasSuffix(word, "start-eksbootstrap.ps1") || strings.HasSuffix(value, "start-eksbootstrap.ps1") ||
			strings.Contains(word, "eksbootstrapscriptfile") {
			return true
		}
	}
	return false
}

// powerShellAssignment splits $Name = value and [string]$Name = value. A value of several words is an expression.
func powerShellAssignment(words []string) (name, value string, ok bool) {
	line := words[0]
	if at := strings.IndexByte(line, ']'); strings.HasPrefix(line, "[") && at >= 0 {
		line = line[at+1:]
		if line == "" && len(words) > 1 { // [string] $Name
			words = words[1:]
			line = words[0]
		}
	}
	if !strings.HasPrefix(line, "$") {
		return "", "", false
	}
	name, value, ok = strings.Cut(strings.TrimPrefix(line, "$"), "=")
	rest := words[1:]
	if !ok && len(rest) > 0 && strings.HasPrefix(rest[0], "=") {
		value, ok = strings.TrimPrefix(rest[0], "="), true
		rest = rest[1:]
	}
	if !ok || !isName(name) {
		return "", "", false
	}
	if value == "" && len(rest) > 0 {
		value, rest = rest[0], rest[1:]
	}
	if len(rest) > 0 || strings.ContainsAny(value, "(@") {
		value = unresolved(name)
	}
	return name, value, true
}

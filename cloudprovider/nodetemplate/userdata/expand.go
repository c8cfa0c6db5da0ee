package userdata

import "strings"

// Expansions can make a short script long.
const (
	maxVariableBytes = 16 << 10
	expansionWork    = 4 // for every byte
)

// expansion reads what follows a dollar sign or backquote and returns its value, or an unresolved mark.
func (s *shell) expansion(c byte) string {
	if c == '`' {
		s.skipPast('`')
		return unresolved("")
	}
	switch next := s.peek(); {
	case next == '(':
		s.pos++
		s.skipParens()
		return unresolved("")
	case next == '{':
		s.pos++
		return s.braced()
	case next == '\'': // $'…'
		s.pos++
		text := s.until('\'')
		if strings.Contains(text, "\\") {
			return unresolved("")
		}
		return text
	case next == '"':
		return ""
	case next != 0 && strings.IndexByte("0123456789@*#?!-$", next) >= 0:
		s.pos++
		if next == '#' || next == '?' || next == '!' || next == '$' || next == '-' {
			return unresolved("")
		}
		if s.functions {
			return unresolved(string(next))
		}
		return "" // arguments, a script run at boot has none
	}
	name := leadingName(s.src[s.pos:])
	if name == "" {
		return "$"
	}
	s.pos += len(name)
	return s.value(name, false)
}

// braced reads ${…} after the brace.
func (s *shell) braced() string {
	start, depth := s.pos, 1
	for s.pos < len(s.src) && depth > 0 {
		switch s.src[s.pos] {
		case '\\':
			s.pos++ // this may pass the end of the text, see below
		case '{':
			depth++
		case '}':
			depth--
		}
		s.pos++
	}
	s.pos = min(s.pos, len(s.src))
	text := strings.TrimSuffix(s.src[start:s.pos], "}")
	name := leadingName(text)
	operator := text[len(name):]
	switch {
	case name == "":
		return unresolved("")
	case operator == "":
		return s.value(name, false)
	case operator == ":-" || operator == "-": // ${NAME:-}
		return s.value(name, true)
	case operator == "[@]" || operator == "[*]":
		return unresolved(name + operator)
	case strings.HasPrefix(operator, ":-") || strings.HasPrefix(operator, ":?"):
		if value, ok := s.vars[name]; ok && value != "" {
			return value
		}
	}
	return unresolved(name)
}

// value returns the known value of a variable. kubelet's arguments are empty where nobody sets them, and so are others if the
// script says that they may be.
func (s *shell) value(name string, mayBeUnset bool) string {
	value, ok := s.vars[name]
	switch {
	case ok && s.r.spend(expansionWork*len(value)):
		return value
	case mayBeUnset || kubeletVariable(name):
		return ""
	}
	return unresolved(name)
}

// skipParens reads past the parenthesis that closes the one just read. Quotes hide parentheses.
func (s *shell) skipParens() {
	for depth := 1; s.pos < len(s.src) && depth > 0; {
		c := s.src[s.pos]
		s.pos++
		switch c {
		case '(':
			depth++
		case ')':
			depth--
		case '\\':
			s.pos = min(len(s.src), s.pos+1)
		case '\'':
			s.until('\'')
		case '"':
			s.skipPast('"')
		}
	}
}

// skipPast reads past the next quote that no backslash precedes.
func (s *shell) skipPast(quote byte) {
	for s.pos < len(s.src) && s.src[s.pos] != quote {
		if s.src[s.pos] == '\\' {
			s.pos++
		}
		s.pos++
	}
	s.pos = min(len(s.src), s.pos+1)
}

// assign sets a variable. If the assignment may not happen, the value is known only if it does not change.
func (s *shell) assign(name, value string, conditional bool) {
	old, set := s.vars[name]
	switch {
	case len(value) > maxVariableBytes, conditional && (!set || old != value):
		value = unresolved(name)
	}
	s.vars[name] = value
}

func isNameByte(c byte, digits bool) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || digits && c >= '0' && c <= '9'
}

// leadingName returns the name of a variable with which s begins, or "".
func leadingName(s string) string {
	for i := range len(s) {
		if !isNameByte(s[i], i > 0) {
			return s[:i]
		}
	}
	return s
}

func isName(s string) bool { return s != "" && leadingName(s) == s }

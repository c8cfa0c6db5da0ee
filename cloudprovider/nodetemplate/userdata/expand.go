package userdata

import (
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// Expansions can make a short script long.
const (
	maxVariableBytes = 16 << 10
	expansionWork    = 4 // for every byte
)

// Characters that a backslash quotes in a text, all of them in words without quotes.
const (
	quotedInWord         = ""
	quotedInDoubleQuotes = "$`\"\\"
	quotedInHereDocument = "$`\\"
)

// fields expands words as a shell does, each to none, one or several.
func (s *shell) fields(words []*syntax.Word) []string {
	var list []string
	for _, word := range words {
		var field strings.Builder
		open := false // there is a field, if an empty one
		end := func() {
			if open && s.r.spend(wordWork+field.Len()/2) {
				list = append(list, field.String())
			}
			field.Reset()
			open = false
		}
		for _, part := range word.Parts {
			text := s.part(part, quotedInWord)
			if _, split := part.(*syntax.ParamExp); !split {
				field.WriteString(text)
				open = true
				continue
			}
			for _, c := range text {
				if strings.ContainsRune(" \t\n", c) {
					end()
					continue
				}
				field.WriteRune(c)
				open = true
			}
		}
		end()
	}
	return list
}

// text expands parts of a word to one text. quoted are the characters that a backslash quotes in it.
func (s *shell) text(parts []syntax.WordPart, quoted string) string {
	var b strings.Builder
	for _, part := range parts {
		if text := s.part(part, quoted); s.r.spend(len(text)/2 + 1) {
			b.WriteString(text)
		}
	}
	return b.String()
}

func (s *shell) part(part syntax.WordPart, quoted string) string {
	switch part := part.(type) {
	case *syntax.Lit:
		return withoutBackslashes(part.Value, quoted)
	case *syntax.SglQuoted:
		if !part.Dollar || !strings.Contains(part.Value, `\`) {
			return part.Value
		}
	case *syntax.DblQuoted:
		return s.text(part.Parts, quotedInDoubleQuotes)
	case *syntax.ParamExp:
		return s.parameter(part)
	}
	return unresolved("") // $(…), $((…)), <(…) and patterns
}

// withoutBackslashes removes each backslash that quotes the character behind it.
func withoutBackslashes(text, quoted string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' && i+1 < len(text) && (quoted == quotedInWord || strings.IndexByte(quoted, text[i+1]) >= 0) {
			i++
		}
		b.WriteByte(text[i])
	}
	return b.String()
}

// parameter returns the value of $name, or of ${name} with an operator, or an unresolved mark.
func (s *shell) parameter(p *syntax.ParamExp) string {
	if p.Param == nil {
		return unresolved("")
	}
	name := p.Param.Value
	if index, ok := p.Index.(*syntax.Word); ok && (index.Lit() == "@" || index.Lit() == "*") {
		return unresolved(name + "[" + index.Lit() + "]")
	}
	if p.Excl || p.Length || p.Index != nil || p.Slice != nil || p.Repl != nil || p.Names != 0 {
		return unresolved(name)
	}
	if !syntax.ValidName(name) { // such as $1 and $?
		return unresolved(name)
	}
	if p.Exp == nil {
		return s.value(name, false)
	}
	switch op := p.Exp.Op; {
	case p.Exp.Word == nil && (op == syntax.DefaultUnset || op == syntax.DefaultUnsetOrNull): // ${NAME:-}
		return s.value(name, true)
	case s.vars[name] != "" && (op == syntax.DefaultUnsetOrNull || op == syntax.ErrorUnsetOrNull):
		return s.value(name, false)
	}
	return unresolved(name)
}

// value returns the known value of a variable. kubelet's arguments are empty where nobody sets them.
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

// Expanded text has an expression that only the node can evaluate as its name between these two marks, without a name where it
// is no plain variable. The marks are of Unicode's private use area. clean removes them from outside text, but a pair without a name,
// which stands for Jinja in files within it.
const (
	markStart = "\ue000"
	markEnd   = "\ue001"
)

func unresolved(name string) string { return markStart + name + markEnd }

func hasUnresolved(s string) bool { return strings.Contains(s, markStart) }

var (
	withoutMarks = strings.NewReplacer(markStart+markEnd, markStart+markEnd, markStart, "?", markEnd, "?", "\x00", "", "\r\n", "\n")
	marksShown   = strings.NewReplacer(markStart+markEnd, "$(…)", markStart, "${", markEnd, "}")
)

// clean prepares text from outside: no marks with names, no NULs, Unix line ends, and UTF-8 only, without which no YAML or TOML can be parsed.
func clean(s string) string {
	s = strings.ToValidUTF8(strings.TrimPrefix(s, "\ufeff"), "?")
	if !strings.ContainsAny(s, "\x00\r") && !strings.Contains(s, markStart) && !strings.Contains(s, markEnd) {
		return s
	}
	return withoutMarks.Replace(s)
}

// wholeArray reports whether a word stands for all values of an array that cannot be read, each a word to the shell.
func wholeArray(word string) bool {
	return strings.HasSuffix(word, "[@]"+markEnd) || strings.HasSuffix(word, "[*]"+markEnd)
}

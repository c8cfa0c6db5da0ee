package userdata

import "strings"

// hereDoc is a here-document whose text begins in the next line.
type hereDoc struct {
	delimiter string
	literal   bool // its delimiter was quoted: nothing in it is expanded
	tabs      bool // <<- strips tabs from the front of lines
}

// redirect reads past a redirection and remembers a here-document.
func (s *shell) redirect(c byte) {
	if s.open && !s.quoted && strings.Trim(s.cur.String(), "0123456789") == "" { // a file descriptor, as in 2>
		s.cur.Reset()
		s.open = false
	}
	s.endWord()
	switch next := s.peek(); {
	case next == '(': // <(…)
		s.pos++
		s.skipParens()
		s.add(unresolved(""))
	case c == '<' && strings.HasPrefix(s.src[s.pos:], "<<"): // <<< word
		s.pos += 2
	case c == '<' && next == '<':
		s.pos++
		s.hereDoc()
	default:
		if next == '>' || next == '&' || next == '|' {
			s.pos++
		}
		s.skip = true
	}
}

// hereDoc reads the delimiter of a here-document.
func (s *shell) hereDoc() {
	var h hereDoc
	var delimiter strings.Builder
	if s.peek() == '-' {
		h.tabs = true
		s.pos++
	}
	for s.peek() == ' ' || s.peek() == '\t' {
		s.pos++
	}
	for s.pos < len(s.src) && strings.IndexByte(" \t\n;|&<>()", s.src[s.pos]) < 0 {
		switch c := s.src[s.pos]; c {
		case '\'', '"':
			h.literal = true
			s.pos++
			delimiter.WriteString(s.until(c))
		case '\\':
			h.literal = true
			s.pos++
		default:
			s.pos++
			delimiter.WriteByte(c)
		}
	}
	h.delimiter = delimiter.String()
	s.hereDocs = append(s.hereDocs, h)
}

// readHereDocs reads the texts of the here-documents announced in the line before. They are files or the input of some program,
// and both are read alike.
func (s *shell) readHereDocs() {
	pending := s.hereDocs
	s.hereDocs = nil
	for _, h := range pending {
		var body strings.Builder
		for s.pos < len(s.src) {
			line, _, _ := strings.Cut(s.src[s.pos:], "\n")
			s.pos = min(len(s.src), s.pos+len(line)+1)
			if h.tabs {
				line = strings.TrimLeft(line, "\t")
			}
			if line == h.delimiter {
				break
			}
			body.WriteString(line)
			body.WriteByte('\n')
		}
		if !s.r.spend(wordWork + body.Len()) {
			return
		}
		text := body.String()
		if !h.literal {
			text = s.expandText(text)
		}
		s.within(func() { s.r.file(text, s.nesting+1) })
	}
}

// within reads something that this script holds, under the same conditions.
func (s *shell) within(read func()) {
	outer := s.r.conditions
	s.r.conditions = s.depth
	read()
	s.r.conditions = outer
}

// expandText expands a here-document.
func (s *shell) expandText(text string) string {
	in := &shell{r: s.r, src: text, nesting: s.nesting, vars: s.vars, depth: s.depth, functions: s.functions}
	var out strings.Builder
	for in.pos < len(text) && !s.r.tooMuch {
		c := text[in.pos]
		in.pos++
		switch {
		case c == '\\' && in.peek() == '\n':
			in.pos++
		case c == '\\' && in.peek() != 0 && strings.IndexByte("$`\\", in.peek()) >= 0:
			out.WriteByte(in.peek())
			in.pos++
		case c == '$' || c == '`':
			value := in.expansion(c)
			if s.r.spend(len(value)) {
				out.WriteString(value)
			}
		default:
			out.WriteByte(c)
		}
	}
	return out.String()
}

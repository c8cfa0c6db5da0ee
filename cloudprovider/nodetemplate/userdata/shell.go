package userdata

import "strings"

// shell reads a script command by command, without running any. It keeps the variables with plain text, and the depth of
// conditions.
type shell struct {
	r       *reader
	src     string
	pos     int
	nesting int

	vars  map[string]string // a value may hold unresolved expressions
	depth int               // of if, case and loops

	functions bool // one has begun: $1 may be its argument from here on

	// The command being read.
	words  []string
	cur    strings.Builder
	open   bool // cur is a word, if an empty one
	quoted bool // part of cur was quoted
	plain  bool // the first word is unquoted: it may be a keyword
	after  bool // the command follows && or ||, so it may not run
	skip   bool // the next word is the target of a redirection

	hereDocs []hereDoc // announced in this line
}

func newShell(r *reader, src string, nesting int) *shell {
	return &shell{r: r, src: src, nesting: nesting, vars: map[string]string{}, depth: r.conditions}
}

// script reads a shell script.
func (r *reader) script(text string, nesting int) {
	if r.enter(nesting, 0) {
		r.jqEdits(text)
		newShell(r, text, nesting).run()
	}
}

// run reads to the end of the script.
func (s *shell) run() {
	for s.pos < len(s.src) && s.r.spend(1) {
		s.step()
	}
	s.endCommand(false)
}

// byteSet makes a table of bytes.
func byteSet(bytes string) (set [256]bool) {
	for i := range len(bytes) {
		set[bytes[i]] = true
	}
	return set
}

// special are the bytes with a meaning to a shell, specialQuoted the ones within double quotes.
var (
	special       = byteSet("\n \t#\\'\";()&|<>$`")
	specialQuoted = byteSet("\"\\$`")
)

// step reads one character, or one construct that begins with it.
func (s *shell) step() {
	c := s.src[s.pos]
	s.pos++
	switch c {
	case '\n':
		s.endCommand(false)
		s.readHereDocs()
	case ' ', '\t':
		s.endWord()
	case '#':
		if s.open {
			s.add("#")
			return
		}
		if end := strings.IndexByte(s.src[s.pos:], '\n'); end >= 0 {
			s.pos += end
		} else {
			s.pos = len(s.src)
		}
	case '\\':
		s.backslash()
	case '\'':
		s.add(s.until('\''))
		s.quoted = true
	case '"':
		s.doubleQuoted()
	case ';', ')':
		s.endCommand(false)
	case '(':
		s.openParen()
	case '&', '|':
		twice := s.peek() == c
		if twice {
			s.pos++
		}
		s.endCommand(twice)
	case '<', '>':
		s.redirect(c)
	case '$', '`':
		s.addUnquoted(s.expansion(c))
	default:
		start := s.pos - 1
		for s.pos < len(s.src) && !special[s.src[s.pos]] {
			s.pos++
		}
		s.add(s.src[start:s.pos])
	}
}

func (s *shell) peek() byte {
	if s.pos < len(s.src) {
		return s.src[s.pos]
	}
	return 0
}

// add appends to the current word.
func (s *shell) add(text string) {
	if len(s.words) == 0 && !s.open {
		s.plain = true
	}
	s.open = true
	if s.r.spend(len(text)/2 + 1) {
		s.cur.WriteString(text)
	}
}

// addUnquoted appends the value of an expansion, which the shell splits at white space.
func (s *shell) addUnquoted(value string) {
	if len(s.words) == 0 && !s.open {
		s.plain = false
	}
	assigning := s.assigning()
	for i, field := range strings.Split(strings.Map(spaces, value), " ") {
		if s.r.tooMuch {
			return
		}
		if i > 0 && !assigning {
			s.endWord()
		} else if i > 0 {
			s.add(" ")
		}
		if field != "" {
			s.add(field)
		}
	}
}

func spaces(c rune) rune {
	if c == '\n' || c == '\t' {
		return ' '
	}
	return c
}

// assigning reports whether the current word is an assignment, in which values are not split.
func (s *shell) assigning() bool {
	if len(s.words) > 0 {
		return false
	}
	name, _, ok := strings.Cut(s.cur.String(), "=")
	return ok && isName(strings.TrimSuffix(name, "+"))
}

func (s *shell) endWord() {
	if !s.open {
		return
	}
	if s.skip {
		s.skip = false
	} else if s.r.spend(wordWork) {
		s.words = append(s.words, s.cur.String())
	}
	s.cur.Reset()
	s.open, s.quoted = false, false
}

// endCommand ends the command. conditional means that the next one depends on how it ends.
func (s *shell) endCommand(conditional bool) {
	s.endWord()
	s.skip = false
	if len(s.words) > 0 {
		s.command(s.words)
	}
	if len(s.words) > 0 || conditional { // else an empty line, after which && still holds
		s.after = conditional
	}
	s.words, s.plain = nil, false
}

func (s *shell) backslash() {
	switch c := s.peek(); c {
	case 0:
	case '\n':
		s.pos++
	default:
		s.pos++
		s.add(s.src[s.pos-1 : s.pos]) // the rest of a longer character follows as it is
		s.quoted = true
	}
}

// until reads up to the given quote and past it.
func (s *shell) until(quote byte) string {
	end := strings.IndexByte(s.src[s.pos:], quote)
	if end < 0 {
		end = len(s.src) - s.pos
	}
	text := s.src[s.pos : s.pos+end]
	s.pos = min(len(s.src), s.pos+end+1)
	return text
}

func (s *shell) doubleQuoted() {
	s.add("")
	s.quoted = true
	for s.pos < len(s.src) && !s.r.tooMuch {
		c := s.src[s.pos]
		s.pos++
		switch c {
		case '"':
			return
		case '\\':
			next := s.peek()
			switch {
			case next == '\n':
				s.pos++
			case next != 0 && strings.IndexByte("$`\"\\", next) >= 0:
				s.pos++
				s.add(s.src[s.pos-1 : s.pos])
			default:
				s.add("\\")
			}
		case '$', '`':
			s.add(s.expansion(c))
		default:
			start := s.pos - 1
			for s.pos < len(s.src) && !specialQuoted[s.src[s.pos]] {
				s.pos++
			}
			s.add(s.src[start:s.pos])
		}
	}
}

// openParen reads a parenthesis: a subshell, the "()" of a function, or the values of an array.
func (s *shell) openParen() {
	if s.open && strings.HasSuffix(s.cur.String(), "=") {
		s.skipParens()
		s.add(unresolved(""))
		return
	}
	s.functions = s.functions || s.peek() == ')'
	s.endCommand(false)
}

package userdata

import (
	"errors"
	"io"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// shell follows a script command by command, without running any.
type shell struct {
	r       *reader
	nesting int

	vars  map[string]string // a value may hold unresolved expressions
	depth int               // of if, case and loops
	after bool              // the command follows && or ||, so it may not run
}

func newShell(r *reader, nesting int) *shell {
	return &shell{r: r, nesting: nesting, vars: map[string]string{}, depth: r.conditions}
}

// script reads a shell script. Lines that are no shell are left out and reported.
func (r *reader) script(text string, nesting int) {
	if r.runScript(text, nesting) {
		r.unreadable("shell script", "commands that can be parsed")
	}
}

func (r *reader) runScript(text string, nesting int) (broken bool) {
	if !r.enter(nesting, parserWork) {
		return false
	}
	r.jqEdits(text)
	statements, broken := r.parseShell(text)
	newShell(r, nesting).statements(statements)
	return broken
}

// Bounds on the shell's parser, which recurses.
const (
	maxSyntaxErrors = 64   // after each the next line is tried
	maxFrames       = 1000 // of the stack, which takes a quarter of a megabyte. Ten commands within commands take a hundred
)

// parseShell parses a script. A shell runs the commands before a syntax error, and no other. The ones behind it count here,
// because files that are no scripts have some lines in the shell's form.
func (r *reader) parseShell(text string) (list []*syntax.Stmt, broken bool) {
	parser := syntax.NewParser()
	text = strings.ToValidUTF8(text, "?")
	for range maxSyntaxErrors {
		var err error
		for statement, failure := range parser.StmtsSeq(&source{&r.budget, text}) {
			if err = failure; err == nil {
				list = append(list, statement)
			}
		}
		var wrong syntax.ParseError
		if !errors.As(err, &wrong) {
			return list, broken || err != nil && !r.tooMuch
		}
		broken = true
		_, text, _ = strings.Cut(text[min(len(text), int(wrong.Pos.Offset())):], "\n")
	}
	return list, broken
}

// source hands text to the shell's parser while there is budget for it, and room on the stack.
type source struct {
	*budget
	text string
}

var errTooMuch = errors.New("too long or too deeply nested")

func (s *source) Read(b []byte) (int, error) {
	if s.text == "" {
		return 0, io.EOF
	}
	n := copy(b, s.text)
	s.text = s.text[n:]
	if !s.spend(shellWork*n) || runtime.Callers(maxFrames, make([]uintptr, 1)) > 0 {
		return 0, errTooMuch
	}
	return n, nil
}

func (s *shell) statements(list []*syntax.Stmt) {
	for _, statement := range list {
		s.statement(statement)
	}
}

func (s *shell) branch(lists ...[]*syntax.Stmt) {
	s.depth++
	s.statements(slices.Concat(lists...))
	s.depth--
}

// statement reads one command, and the commands within it as if they ran where they stand.
func (s *shell) statement(statement *syntax.Stmt) {
	if s.r.tooMuch {
		return
	}
	switch command := statement.Cmd.(type) {
	case *syntax.CallExpr:
		s.call(command)
	case *syntax.DeclClause:
		s.declare(command)
	case *syntax.BinaryCmd:
		s.chain(command)
	case *syntax.Block:
		s.statements(command.Stmts)
	case *syntax.Subshell:
		s.statements(command.Stmts)
	case *syntax.TimeClause:
		if command.Stmt != nil {
			s.statement(command.Stmt)
		}
	case *syntax.FuncDecl:
		s.statement(command.Body)
	case *syntax.IfClause:
		for ; command != nil; command = command.Else {
			s.branch(command.Cond, command.Then)
		}
	case *syntax.WhileClause:
		s.branch(command.Cond, command.Do)
	case *syntax.ForClause:
		if loop, ok := command.Loop.(*syntax.WordIter); ok {
			s.vars[loop.Name.Value] = unresolved(loop.Name.Value)
		}
		s.branch(command.Do)
	case *syntax.CaseClause:
		for _, item := range command.Items {
			s.branch(item.Stmts)
		}
	}
	for _, redirect := range statement.Redirs {
		if redirect.Hdoc != nil {
			s.hereDocument(redirect)
		}
	}
}

// chain reads commands joined by pipes, && and ||. Thousands of && make a tree that is as deep to its left.
func (s *shell) chain(last *syntax.BinaryCmd) {
	first, links := last.X, []*syntax.BinaryCmd{last}
	for {
		link, ok := first.Cmd.(*syntax.BinaryCmd)
		if !ok {
			break
		}
		first, links = link.X, append(links, link)
	}
	s.statement(first)
	for _, link := range slices.Backward(links) {
		outer := s.after
		s.after = outer || link.Op == syntax.AndStmt || link.Op == syntax.OrStmt
		s.statement(link.Y)
		s.after = outer
	}
}

var leadingTabs = regexp.MustCompile(`(?m)^\t+`)

// hereDocument reads a here-document. It is a file or the input of some program, and both are read alike.
func (s *shell) hereDocument(redirect *syntax.Redirect) {
	var text string
	if delimiter := redirect.Word.Lit(); delimiter != "" && !strings.Contains(delimiter, `\`) {
		text = s.text(redirect.Hdoc.Parts, quotedInHereDocument)
	} else if whole, ok := redirect.Hdoc.Parts[0].(*syntax.Lit); ok { // a quoted delimiter: nothing in it is expanded
		text = whole.Value
	}
	if redirect.Op == syntax.DashHdoc {
		text = leadingTabs.ReplaceAllString(text, "")
	}
	s.within(func() { s.r.file(text, s.nesting+1) })
}

// within reads something that this script holds, under the same conditions.
func (s *shell) within(read func()) {
	outer := s.r.conditions
	s.r.conditions = s.depth
	read()
	s.r.conditions = outer
}

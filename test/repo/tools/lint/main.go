package main

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/kisielk/errcheck/errcheck"
	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/analysis/unitchecker"
	"honnef.co/go/tools/staticcheck"
)

// left are functions whose error says nothing that a caller could act on.
var left = []string{
	// output for people, to a terminal, or to a browser that has gone
	"fmt.Fprint", "fmt.Fprintf", "fmt.Fprintln",
	// Flush returns the error of all writes before it
	"(*bufio.Writer).WriteByte", "(*bufio.Writer).WriteString",
	// temporary files at the end of a test or a program
	"os.RemoveAll",
}

func main() {
	errcheck.DefaultExcludedSymbols = append(errcheck.DefaultExcludedSymbols, left...)
	analyzers := []*analysis.Analyzer{explained(errcheck.Analyzer, "errcheck", closes)}
	for _, a := range staticcheck.Analyzers {
		analyzers = append(analyzers, explained(a.Analyzer, "staticcheck", nil))
	}
	unitchecker.Main(analyzers...)
}

// closes matches lines that close something. Nearly all of them end reading. What is written is synced, or its reader checks it.
var closes = regexp.MustCompile(`\.Close\(\)`)

var comment = regexp.MustCompile(`//nolint:(\S+)(?: // (\S.*))?$`)

// explained returns the analyzer without its findings in lines that match leave, or that have a comment with a reason.
func explained(a *analysis.Analyzer, name string, leave *regexp.Regexp) *analysis.Analyzer {
	run, lines := a.Run, map[string][][]byte{}
	copied := *a
	copied.Run = func(pass *analysis.Pass) (any, error) {
		filtered := *pass
		filtered.Report = func(d analysis.Diagnostic) {
			at := pass.Fset.Position(d.Pos)
			if lines[at.Filename] == nil {
				content, err := pass.ReadFile(at.Filename)
				if err != nil {
					pass.Report(d)
					return
				}
				lines[at.Filename] = bytes.Split(content, []byte("\n"))
			}
			line := lines[at.Filename][at.Line-1]
			if leave != nil && leave.Match(line) {
				return
			}
			if found := comment.FindSubmatch(line); found != nil && slices.Contains(strings.Split(string(found[1]), ","), name) {
				if len(found[2]) > 0 {
					return
				}
				d.Message += ": say why it is ignored, as //nolint:" + name + " // REASON"
			}
			d.Message = fmt.Sprintf("%s (%s)", d.Message, a.Name)
			pass.Report(d)
		}
		return run(&filtered)
	}
	return &copied
}

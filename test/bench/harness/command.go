package harness

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A Command is a bench on the command line. It adds the flags that benches share to the bench's own.
type Command struct {
	*flag.FlagSet
	Format string // of the report

	formats []string
	dir     string
	stderr  io.Writer
}

// New makes the command of a bench whose report has the formats, the usual one first. Without formats there is no flag for them.
func New(name string, stderr io.Writer, formats ...string) *Command {
	c := &Command{FlagSet: flag.NewFlagSet(name, flag.ContinueOnError), formats: formats, stderr: stderr}
	c.SetOutput(stderr)
	if len(formats) > 0 {
		c.StringVar(&c.Format, "o", formats[0], "`FORMAT` of the output: "+or(formats))
	}
	c.StringVar(&c.dir, "dir", "", "`DIRECTORY` in which all logs stay; empty keeps them only if something could not be run")
	return c
}

// Names adds a flag for some of all names, separated by commas. Without the flag all are taken.
func (c *Command) Names(some *[]string, name string, all []string, usage string) {
	*some = all
	c.Func(name, "comma-separated `NAMES` of "+usage+" (default "+strings.Join(all, ",")+")", func(list string) error {
		*some = strings.Split(list, ",")
		if slices.ContainsFunc(*some, func(name string) bool { return !slices.Contains(all, name) }) {
			return fmt.Errorf("-%s takes some of %s", name, strings.Join(all, ","))
		}
		return nil
	})
}

// Parse parses the arguments, and then asks the bench what is wrong with them. It reports whether all is right, and has printed any
// mistake.
func (c *Command) Parse(args []string, wrong func() error) bool {
	if c.FlagSet.Parse(args) != nil {
		return false
	}
	var err error
	switch {
	case c.NArg() > 0:
		err = fmt.Errorf("there are no arguments beside the flags, but %q", c.Args())
	case len(c.formats) > 0 && !slices.Contains(c.formats, c.Format):
		err = fmt.Errorf("-o takes %s", or(c.formats))
	default:
		err = wrong()
	}
	return c.Exit(err) == 0
}

// Exit prints the error, if any. It returns the exit code: 0, or 1 if something could not be run.
func (c *Command) Exit(err error) int {
	if err != nil {
		fmt.Fprintf(c.stderr, "%s: %v\n", c.Name(), err)
		return 1
	}
	return 0
}

// InDir does something with the folder for logs. A temporary folder stays only if that fails.
func (c *Command) InDir(do func(dir string) error) (err error) {
	dir := c.dir
	if dir == "" {
		dir, err = os.MkdirTemp("", "asg-bench-"+c.Name()+"-")
	} else if dir, err = filepath.Abs(dir); err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	if err != nil {
		return err
	}
	if err := do(dir); err != nil {
		return fmt.Errorf("%w\nLogs are in %s", err, dir)
	}
	if c.dir == "" {
		return os.RemoveAll(dir)
	}
	return nil
}

// A Report is the outcome of a bench. Its JSON is a contract.
type Report interface{ WriteTable(io.Writer) error }

// Print prints the report in the format of the flags, as JSON or as a table.
func (c *Command) Print(w io.Writer, r Report) error {
	if c.Format == "json" {
		return WriteJSON(w, r)
	}
	return r.WriteTable(w)
}

// WriteJSON prints a report as JSON.
func WriteJSON(w io.Writer, r Report) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(r)
}

func or(list []string) string {
	last := len(list) - 1
	return strings.TrimPrefix(strings.Join(list[:last], ", ")+" or "+list[last], " or ")
}

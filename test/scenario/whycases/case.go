package whycases

import (
	"bytes"
	"embed"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/txtar"
	"sigs.k8s.io/yaml"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

//go:embed testdata
var testdata embed.FS

// Names of files in a case.
const (
	AccountFile = "account.yaml" // a fakeaws.Config, with the common launch templates if it has none
	PodsFile    = "pods.yaml"
	NodesFile   = "nodes.yaml"   // their instances are i-GROUP-0, i-GROUP-1 and on
	ObjectsFile = "objects.yaml" // further objects, as documents of YAML
	FlagsFile   = "flags.txt"    // of the autoscaler, one a line
	FaultsFile  = "faults.yaml"  // of the emulated AWS
	AskFile     = "ask.txt"      // "pod NAMESPACE/NAME" or "node NAME"
	WantFile    = "want.txt"     // the first line, then "code: " and "remedy: "
)

// Case is a cluster, an account and a question.
type Case struct {
	Name  string
	About string // what the case shows
	Files map[string][]byte
}

// Faults are what goes wrong in AWS.
type Faults struct {
	Early     []fakeaws.Fault    `json:"early"` // before the autoscaler starts
	Faults    []fakeaws.Fault    `json:"faults"`
	Shortages []fakeaws.Shortage `json:"shortages"`
	Deleted   []string           `json:"deletedLaunchTemplates"`
	Loops     int                `json:"loops"` // of the autoscaler, 1 by default
}

// All returns the cases by name.
func All() ([]*Case, error) {
	files, err := testdata.ReadDir("testdata")
	if err != nil {
		return nil, err
	}
	common, err := testdata.ReadFile("testdata/launch-templates.yaml")
	if err != nil {
		return nil, err
	}
	var cases []*Case
	for _, file := range files {
		name, ok := strings.CutSuffix(file.Name(), ".txtar")
		if !ok {
			continue
		}
		content, err := testdata.ReadFile(path.Join("testdata", file.Name()))
		if err != nil {
			return nil, err
		}
		c := read(name, content)
		if account := c.Files[AccountFile]; !bytes.Contains(account, []byte("launchTemplates:")) {
			c.Files[AccountFile] = slices.Concat(account, common)
		}
		cases = append(cases, c)
	}
	return cases, nil
}

func read(name string, content []byte) *Case {
	archive := txtar.Parse(content)
	c := &Case{Name: name, About: strings.TrimSpace(string(archive.Comment)), Files: map[string][]byte{}}
	for _, f := range archive.Files {
		c.Files[f.Name] = f.Data
	}
	return c
}

// Flags returns the flags of the autoscaler.
func (c *Case) Flags() []string { return strings.Fields(string(c.Files[FlagsFile])) }

// Asked returns the kind of the object in question, "pod" or "node", and its name.
func (c *Case) Asked() (kind, name string) {
	kind, name, _ = strings.Cut(strings.TrimSpace(string(c.Files[AskFile])), " ")
	return kind, name
}

// Explain returns the arguments of asgctl that ask the question.
func (c *Case) Explain() []string {
	kind, name := c.Asked()
	if namespace, pod, isPod := strings.Cut(name, "/"); isPod {
		return []string{"explain", kind, "-n", namespace, pod}
	}
	return []string{"explain", kind, name}
}

// clocks are the times of day in a message, with the day if it is near.
var clocks = regexp.MustCompile(`(20\d\d-\d\d-\d\d )?\d\d:\d\d:\d\d UTC`)

// WithoutClock replaces the times of day in a text by the one that the cases have.
func WithoutClock(text string) string { return clocks.ReplaceAllString(text, "12:00:00 UTC") }

// faults returns what goes wrong in AWS.
func (c *Case) faults() (Faults, error) {
	f := Faults{Loops: 1}
	if err := yaml.UnmarshalStrict(c.Files[FaultsFile], &f); err != nil {
		return f, fmt.Errorf("%s: %w", FaultsFile, err)
	}
	return f, nil
}

// withWant returns the case's file with another wanted text.
func (c *Case) withWant(content []byte, want string) []byte {
	archive := txtar.Parse(content)
	for i, f := range archive.Files {
		if f.Name == WantFile {
			archive.Files[i].Data = []byte(want)
			return txtar.Format(archive)
		}
	}
	archive.Files = append(archive.Files, txtar.File{Name: WantFile, Data: []byte(want)})
	return bytes.TrimLeft(txtar.Format(archive), "\n")
}

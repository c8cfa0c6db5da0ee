package docblocks

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"go.yaml.in/yaml/v3"

	"github.com/asg-autoscaler/asg-autoscaler/test/repo/document"
)

// languages are the languages that a fence may name, and their content.
var languages = map[string]string{"sh": "commands", "text": "output and drawings", "yaml": "YAML", "json": "JSON", "hcl": "Terraform"}

// ourCommands begin a line that a reader would type.
var ourCommands = regexp.MustCompile(`(?m)^\$? *(asgctl|aws|cluster-autoscaler|curl|eksctl|go|helm|kubectl|make|terraform) +[a-z./-]`)

func TestBlocks(t *testing.T) {
	found := 0
	for _, b := range slices.Concat(documents(t)...) {
		found++
		for _, p := range problems(b) {
			t.Errorf("%s: %s", b, p)
		}
	}
	assert.Truef(t, found >= 15, "%d blocks found: fences are written in another way now", found)
}

func TestProblems(t *testing.T) {
	for _, tt := range []struct {
		name, language, text string
		want                 string // none where it is empty
	}{
		{name: "no language", text: "kubectl get pods\n", want: "three backticks"},
		{name: "command in text", language: "text", text: "$ kubectl get pods\n", want: "language sh"},
		{name: "output", language: "text", text: "pod/web created\n"},
		{name: "bad YAML", language: "yaml", text: "a: [\n", want: "yaml"},
		{name: "two YAML documents", language: "yaml", text: "a: 1\n---\nb: GROUP\n"},
		{name: "bad JSON", language: "json", text: "{\n", want: "not JSON"},
		{name: "bad shell", language: "sh", text: "# needs an AWS account\nif true\n", want: "bash cannot read it"},
		{name: "unknown placeholder", language: "sh", text: "kubectl get pod POD\n", want: `"POD"`},
		{name: "variable", language: "sh", text: "NAME=a\nkubectl get pod $NAME ${NAME}\n"},
		{name: "comment", language: "sh", text: "kubectl get pods # not POD\n"},
		{name: "known placeholder", language: "sh", text: "asgctl template GROUP\n"},
		{name: "no such target", language: "sh", text: "make nothing\n", want: "make nothing"},
		{name: "target", language: "sh", text: "make build\n"},
		{name: "make among others", language: "sh", text: "make build\nkubectl get pods\n", want: "block of their own"},
		{name: "no such package", language: "sh", text: "go test ./nothing\n", want: "go list"},
		{name: "no such scenario", language: "sh", text: "go test ./test/scenario/e2e -run 'TestScenarios/nothing$'\n", want: "no scenario"},
		{name: "no command", language: "sh", text: "go run ./test/repo/docblocks\n", want: "no command"},
	} {
		got := strings.Join(problems(document.Block{Language: tt.language, Text: tt.text}), "\n")
		assert.Truef(t, (tt.want != "" || got == "") && strings.Contains(got, tt.want), "%s: problems = %q, want %q", tt.name, got, tt.want)
	}
}

// problems returns the faults of a block that show without running it, worded for its writer.
func problems(b document.Block) []string {
	switch b.Language {
	case "sh":
		return commandProblems(b)
	case "text":
		if line := ourCommands.FindString(b.Text); line != "" {
			return []string{fmt.Sprintf("%q is a command: give commands a block of their own with the language sh", line)}
		}
	case "yaml":
		decoder := yaml.NewDecoder(strings.NewReader(replaced(b.Text)))
		for {
			var content any
			if err := decoder.Decode(&content); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return []string{err.Error()}
			}
		}
	case "json":
		if !json.Valid([]byte(replaced(b.Text))) {
			return []string{"it is not JSON"}
		}
	case "hcl":
	default:
		return []string{fmt.Sprintf("the fence names the language %q. Write one of %v behind the three backticks", b.Language, languages)}
	}
	return nil
}

func commandProblems(b document.Block) []string {
	var found []string
	add := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }
	if words := unknownPlaceholders(b.Text); len(words) > 0 && !needsAccount(b) {
		add("the upper-case words %q have no value: use the placeholders of test/repo/docblocks/blocks_test.go, or write an example", words)
	}
	check := exec.Command("bash", "-n")
	check.Stdin = strings.NewReader(b.Text)
	if out, err := check.CombinedOutput(); err != nil {
		add("bash cannot read it: %v: %s", err, out)
		return found
	}
	if kindOf(b) == blended {
		add("make, go test and go run do not run here, and the other commands do: give them a block of their own")
		return found
	}
	for _, command := range commands(b.Text) {
		switch {
		case makeLine.MatchString(command):
			dry := exec.Command("bash", "-c", strings.Replace(command, "make", "make --dry-run", 1))
			dry.Dir = root
			if out, err := dry.CombinedOutput(); err != nil {
				add("%s: %v: %s", command, err, out)
			}
		case goLine.MatchString(command):
			found = append(found, goProblems(command)...)
		}
	}
	return found
}

var chosenScenario = regexp.MustCompile(`TestScenarios/(\w+)`)

// goProblems checks that the packages of a go test or go run exist, and the scenarios that it chooses. test/repo/docs looks for its tests.
func goProblems(command string) []string {
	rooms := slices.DeleteFunc(strings.Fields(command), func(word string) bool { return !strings.HasPrefix(word, "./") })
	if len(rooms) == 0 {
		return []string{command + ": it names no package that begins with ./"}
	}
	list := exec.Command("go", append([]string{"list", "-tags", "externalgrpc", "-f", "{{.Name}}"}, rooms...)...)
	list.Dir = root
	out, err := list.Output()
	if err != nil {
		return []string{fmt.Sprintf("%s: go list: %v", command, err)}
	}
	var found []string
	for line := range strings.Lines(string(out)) {
		if name := strings.TrimSpace(line); strings.HasPrefix(command, "go run") && name != "main" {
			found = append(found, fmt.Sprintf("%s: package %s is no command", command, name))
		}
	}
	for _, chosen := range chosenScenario.FindAllStringSubmatch(command, -1) {
		files, err := filepath.Glob(filepath.Join(root, "test", "scenario", "e2e", "testdata", "*"+chosen[1]+"*"))
		if err != nil || len(files) == 0 {
			found = append(found, fmt.Sprintf("%s: there is no scenario %q", command, chosen[1]))
		}
	}
	return found
}

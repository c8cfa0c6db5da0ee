package docblocks

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	root = "../../.."
	// account marks a block that only a real account can run.
	account = "# needs an AWS account"
	// translated ends the name of a translation, whose blocks are those of its original (test/repo/translation).
	translated = ".zh-CN.md"
	// release marks a block about a published release.
	release = "# needs a release"
)

// A block is the content of one fence.
type block struct {
	document       string // path from the root
	line           int    // of its first line of content, from 1
	language, text string
}

func (b block) String() string { return fmt.Sprintf("%s:%d", b.document, b.line) }

// needsAccount reports whether the block is marked.
func (b block) needsAccount() bool {
	return strings.HasPrefix(b.text, account+"\n") || b.needsRelease()
}

// needsRelease reports whether the block is about files of a release.
func (b block) needsRelease() bool { return strings.HasPrefix(b.text, release+"\n") }

var opening = regexp.MustCompile("^ *```+ *([^ `]*) *$")

// blocksOf returns the fenced blocks of a Markdown document. The indentation of a fence in a list goes from its lines.
func blocksOf(document, text string) ([]block, error) {
	var (
		found []block
		open  *block
		inner int // columns of indentation
	)
	for n, line := range strings.Split(text, "\n") {
		fence := opening.FindStringSubmatch(line)
		switch {
		case open == nil && fence != nil:
			open, inner = &block{document: document, line: n + 2, language: fence[1]}, len(line)-len(strings.TrimLeft(line, " "))
		case open != nil && fence != nil:
			found, open = append(found, *open), nil
		case open != nil:
			open.text += line[min(inner, len(line)-len(strings.TrimLeft(line, " "))):] + "\n"
		}
	}
	if open != nil {
		return nil, fmt.Errorf("%s: the fence of line %d is never closed", document, open.line-1)
	}
	return found, nil
}

// documents returns the blocks of each document, README.md first, then by path.
func documents(t *testing.T) [][]block {
	paths, err := filepath.Glob(filepath.Join(root, "*.md"))
	require.NoError(t, err)
	paths = slices.DeleteFunc(paths, func(path string) bool { return strings.HasSuffix(path, translated) })
	for _, dir := range []string{"docs", "manifests"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, _ fs.DirEntry, err error) error {
			if filepath.Ext(path) == ".md" && !strings.HasSuffix(path, translated) {
				paths = append(paths, path)
			}
			return err
		})
		require.NoError(t, err)
	}
	readme := filepath.Join(root, "README.md")
	slices.SortFunc(paths, func(a, b string) int {
		if (a == readme) != (b == readme) {
			return map[bool]int{true: -1, false: 1}[a == readme]
		}
		return strings.Compare(a, b)
	})
	var all [][]block
	for _, path := range paths {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		name, err := filepath.Rel(root, path)
		require.NoError(t, err)
		blocks, err := blocksOf(name, string(text))
		assert.NoError(t, err)
		all = append(all, blocks)
	}
	return all
}

// A kind is the treatment of a block of sh. doc.go describes each.
type kind string

const (
	runs    kind = "runs"
	makes   kind = "make"
	goes    kind = "go test or go run"
	marked  kind = "needs an account"
	blended kind = "make or go test among other commands"
)

var (
	makeLine = regexp.MustCompile(`^make\b`)
	goLine   = regexp.MustCompile(`^go (test|run)\b`)
)

// kindOf returns the kind of a block of sh.
func kindOf(b block) kind {
	if b.needsAccount() {
		return marked
	}
	count := map[kind]int{}
	for _, command := range commands(b.text) {
		switch {
		case makeLine.MatchString(command):
			count[makes]++
		case goLine.MatchString(command):
			count[goes]++
		default:
			count[runs]++
		}
	}
	switch {
	case count[runs] == 0 && count[goes] == 0:
		return makes
	case count[runs] == 0:
		return goes
	case count[makes]+count[goes] == 0:
		return runs
	}
	return blended
}

var comment = regexp.MustCompile(`(^|\s)#.*$`)

// commands returns the lines of a script without comments and empty lines. A line that ends with a backslash goes on in the next one.
func commands(script string) []string {
	var found []string
	for line := range strings.Lines(strings.ReplaceAll(script, "\\\n", " ")) {
		if line = strings.TrimSpace(comment.ReplaceAllString(strings.TrimSpace(line), "")); line != "" {
			found = append(found, line)
		}
	}
	return found
}

// placeholders are the words that a reader replaces, with their values in the emulated account.
var placeholders = map[string]string{
	"CLUSTER_NAME": "docs",
	"REGION":       "us-east-1",
	"REPOSITORY":   "123456789012.dkr.ecr.us-east-1.amazonaws.com/cluster-autoscaler",
	"TAG":          "v1",
	"GROUP":        "web",
	"ACCOUNT_ID":   "123456789012",
	"QUEUE_URL":    "https://sqs.us-east-1.amazonaws.com/123456789012/interruptions",
	"VPC_ID":       "vpc-0123456789abcdef0",
	"SUBNET_A":     "subnet-0123456789abcdef0",
	"SUBNET_B":     "subnet-0123456789abcdef1",
	"SUBNET_C":     "subnet-0123456789abcdef2",
	"ROLE_ARN":     "arn:aws:iam::123456789012:role/docs-autoscaler",

	"PLUGIN_ROLE_ARN": "arn:aws:iam::123456789012:role/cluster-autoscaler-plugin",
}

// capitals are words to replace. What sed searches for is none.
var capitals = regexp.MustCompile(`\bsed "[^"]*"|\b[A-Z][A-Z_]+[A-Z]\b`)

// replaced returns the text with the values of the placeholders.
func replaced(text string) string {
	return capitals.ReplaceAllStringFunc(text, func(word string) string {
		if value, ok := placeholders[word]; ok {
			return value
		}
		return word
	})
}

// candidate is an upper-case word that stands alone or after a sign that begins a value, as a placeholder does. Variables have a $ or a brace before
// them, or an equals sign behind.
var candidate = regexp.MustCompile(`(?:^|[\s=/:"',])([A-Z][A-Z_]+[A-Z])(?:$|[\s/:"',.)])`)

// unknownPlaceholders returns the upper-case words in the commands of a script that have no value. Lines of a file that the script writes are no commands.
func unknownPlaceholders(script string) []string {
	var found []string
	for _, command := range commands(script) {
		if !ourCommands.MatchString(command) {
			continue
		}
		for _, word := range candidate.FindAllStringSubmatch(command, -1) {
			if _, ok := placeholders[word[1]]; !ok {
				found = append(found, word[1])
			}
		}
	}
	return found
}

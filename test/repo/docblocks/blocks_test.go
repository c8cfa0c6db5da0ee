package docblocks

import (
	"regexp"
	"strings"
	"testing"

	"github.com/asg-autoscaler/asg-autoscaler/test/repo/document"
)

const (
	root = "../../.."
	// account marks a block that only a real account can run.
	account = "# needs an AWS account"
	// release marks a block about a published release.
	release = "# needs a release"
)

// needsAccount reports whether the block is marked.
func needsAccount(b document.Block) bool {
	return strings.HasPrefix(b.Text, account+"\n") || needsRelease(b)
}

// needsRelease reports whether the block is about files of a release.
func needsRelease(b document.Block) bool { return strings.HasPrefix(b.Text, release+"\n") }

// documents returns the blocks of each document, README.md first, then by path. A translation has the blocks of its original
// (test/repo/translation).
func documents(t *testing.T) [][]document.Block {
	var all [][]document.Block
	for _, page := range document.Pages(t, root) {
		if !strings.HasSuffix(page.Path, document.Translated) {
			all = append(all, page.Blocks)
		}
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
func kindOf(b document.Block) kind {
	if needsAccount(b) {
		return marked
	}
	count := map[kind]int{}
	for _, command := range commands(b.Text) {
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

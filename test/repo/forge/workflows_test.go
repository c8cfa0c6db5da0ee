package forge

import (
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

const root = "../../.."

// A workflow has the fields that the rules are about.
type workflow struct {
	On          yaml.Node
	Permissions *map[string]string
	Env         map[string]string
	Jobs        map[string]struct {
		Permissions map[string]string
		Env         map[string]string
		Timeout     int    `yaml:"timeout-minutes"`
		RunsOn      string `yaml:"runs-on"`
		Steps       []struct {
			Uses, Run, Shell string
			With, Env        map[string]string
		}
	}
}

// workflows returns the text of each workflow by its file's name.
func workflows(t *testing.T) map[string]string {
	paths, err := filepath.Glob(filepath.Join(root, ".github", "workflows", "*"))
	require.Truef(t, err == nil && len(paths) != 0, "no workflows: %v", err)
	texts := map[string]string{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		texts[filepath.Base(path)] = string(text)
	}
	return texts
}

func parsed(t *testing.T, text string) workflow {
	var w workflow
	require.NoError(t, yaml.Unmarshal([]byte(text), &w))
	return w
}

// makeCommand allows quoted variables and no other word that the shell or make would read.
var makeCommand = regexp.MustCompile(`^make ([a-z0-9-]+)( [A-Z]+="[\w./$]+")*$`)

func TestStepsRunWhatADeveloperRuns(t *testing.T) {
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	require.NoError(t, err)
	for name, text := range workflows(t) {
		for job, j := range parsed(t, text).Jobs {
			for _, step := range j.Steps {
				if step.Run == "" || step.Run == ".ci/run" {
					continue
				}
				found := makeCommand.FindStringSubmatch(step.Run)
				if found == nil {
					t.Errorf("%s: job %s runs %q, want .ci/run or a target of make", name, job, step.Run)
				} else if !strings.Contains(string(makefile), "\n"+found[1]+":") {
					t.Errorf("%s: job %s runs %q: there is no such target", name, job, step.Run)
				}
			}
		}
	}
}

func TestCIRunsOneScript(t *testing.T) {
	jobs := parsed(t, workflows(t)["ci.yaml"]).Jobs
	require.NotEmpty(t, jobs)
	for job, j := range jobs {
		var runs []string
		for _, step := range j.Steps {
			if step.Run != "" {
				runs = append(runs, step.Run)
			}
		}
		assert.Truef(t, slices.Equal(runs, []string{".ci/run"}), "job %s runs %q, want .ci/run alone", job, runs)
	}
	script := regexp.MustCompile(`(?m)^(#.*)?\n`).ReplaceAllString(read(t, ".ci/run", nil), "")
	want := `cd "$(dirname "$0")/.." && exec make test </dev/null` + "\n"
	assert.Equal(t, want, script, ".ci/run: a developer runs the same")
}

// make test runs go test through a script, and fails where go test does.
func TestScriptOfSecondsKeepsExitCode(t *testing.T) {
	table := filepath.Join(t.TempDir(), "packages.txt")
	run := func(command string) error {
		return exec.Command("../tools/seconds.sh", table, "sh", "-c", command).Run()
	}
	var exit *exec.ExitError
	err := run("printf 'FAIL\tgithub.com/o/r/a\t1.2s\n'; exit 7")
	assert.Truef(t, errors.As(err, &exit) && exit.ExitCode() == 7, "error %v, want exit code 7", err)
	require.NoError(t, run("printf 'ok  \tgithub.com/o/r/a/b\t1.2s\nok  \tgithub.com/o/r/c\t(cached)\nok  \tgithub.com/o/r/d\t11.3s [no tests to run]\n'"))
	text, err := os.ReadFile(table)
	require.NoError(t, err)
	want := " seconds  package\n    11.3  d\n     1.2  a/b\n  cached  c\n    12.5  in all 2 packages that ran, 1 more are cached."
	assert.Truef(t, strings.HasPrefix(string(text), want), "table:\n%s\nwant:\n%s", text, want)
}

var (
	uses   = regexp.MustCompile(`(?m)^.*\buses:.*$`)
	pinned = regexp.MustCompile(`^ +(?:- )?uses: ([\w.-]+/[\w.-]+)(?:/[\w./-]+)?@([0-9a-f]{40}) # (v\d+\.\d+\.\d+)$`)
)

// A tag can be moved to another commit, and a commit cannot be changed. All uses of one action are of one version.
func TestActionsArePinnedByCommit(t *testing.T) {
	pins := map[string]string{}
	for name, text := range workflows(t) {
		for _, line := range uses.FindAllString(text, -1) {
			found := pinned.FindStringSubmatch(line)
			if found == nil {
				t.Errorf("%s: %q, want uses: OWNER/ACTION@COMMIT # VERSION", name, strings.TrimSpace(line))
				continue
			}
			pin := found[2] + " " + found[3]
			if other, ok := pins[found[1]]; ok && other != pin {
				t.Errorf("%s: %s is pinned to %s here, and to %s elsewhere", name, found[1], pin, other)
			}
			pins[found[1]] = pin
		}
	}
}

var goImage = regexp.MustCompile(`golang:(\S+)`)

// The image has the same digest only if the same release of Go compiles it.
func TestOneGoReleaseBuildsEverywhere(t *testing.T) {
	found := goImage.FindStringSubmatch(read(t, "Dockerfile", nil))
	require.NotNil(t, found, "the Dockerfile names no release of Go")
	setups := 0
	for name, text := range workflows(t) {
		for job, j := range parsed(t, text).Jobs {
			for _, step := range j.Steps {
				if strings.HasPrefix(step.Uses, "actions/setup-go@") {
					assert.Equalf(t, found[1], step.With["go-version"], "%s: the release of Go of job %s, and the Dockerfile's", name, job)
					setups++
				}
			}
		}
	}
	assert.NotZero(t, setups, "steps that set Go up")
}

var secret = regexp.MustCompile(`secrets(?:\.|\[)[^\s}]*`)

func TestOnlyTheForgesOwnTokenIsUsed(t *testing.T) {
	for name, text := range workflows(t) {
		for _, used := range secret.FindAllString(text, -1) {
			assert.Equalf(t, "secrets.GITHUB_TOKEN", used, "%s: is a secret that a fork lacks", name)
		}
		assert.Falsef(t, strings.Contains(text, "secrets: inherit"), "%s hands all secrets on", name)
	}
}

// writes are the jobs that may write anything, each with what it may write.
var writes = map[string][]string{
	"codeql.yaml analyze":     {"security-events"},
	"scorecard.yaml analysis": {"id-token", "security-events"},
	"release.yaml publish":    {"attestations", "contents", "id-token", "packages"},
}

func TestJobsMayDoWhatTheyNeed(t *testing.T) {
	seen := map[string]bool{}
	for name, text := range workflows(t) {
		w := parsed(t, text)
		assert.Truef(t, w.Permissions != nil && len(*w.Permissions) == 0,
			"%s: the workflow has permissions %v, want {}: each job has its own", name, w.Permissions)
		assert.Truef(t, len(w.Jobs) != 0 && !w.On.IsZero(), "%s has no jobs or no events", name)
		for job, j := range w.Jobs {
			var written []string
			for scope, access := range j.Permissions {
				switch access {
				case "read":
				case "write":
					written = append(written, scope)
				default:
					t.Errorf("%s: job %s has %s: %s", name, job, scope, access)
				}
			}
			slices.Sort(written)
			key := name + " " + job
			seen[key] = true
			assert.Truef(t, slices.Equal(written, writes[key]), "%s: job %s may write %q, want %q", name, job, written, writes[key])
			assert.Truef(t, len(j.Permissions) != 0 && j.Timeout != 0 && !strings.HasSuffix(j.RunsOn, "latest"),
				"%s: job %s lacks its permissions, its timeout or the version of its machine", name, job)
			for _, step := range j.Steps {
				assert.Truef(t, !strings.HasPrefix(step.Uses, "actions/checkout@") || step.With["persist-credentials"] == "false",
					"%s: job %s leaves the token in the clone", name, job)
			}
		}
	}
	for key := range maps.Keys(writes) {
		assert.Truef(t, seen[key], "there is no job %s", key)
	}
}

// A command has no room for an expression, see makeCommand.
func TestNoCodeOfStrangersHasOurRights(t *testing.T) {
	for name, text := range workflows(t) {
		assert.Falsef(t, strings.Contains(text, "pull_request_target") || strings.Contains(text, "workflow_run"),
			"%s runs code of a pull request with the rights of the repository", name)
	}
}

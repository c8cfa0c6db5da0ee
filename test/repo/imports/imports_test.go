package imports

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	module = "github.com/asg-autoscaler/asg-autoscaler/"
	core   = "k8s.io/autoscaler/cluster-autoscaler"
	sdk    = "github.com/aws/aws-sdk-go-v2"
	// messages stands below the clients, and is a function of texts.
	messages = module + "cloudprovider/awsclient/awsmessage"
)

func TestImportRules(t *testing.T) {
	for _, rule := range []struct {
		rooms     []string // below the module, "..." for all below
		forbidden string   // prefix of an import path, of any depth
		reason    string
	}{
		{[]string{"cloudprovider/asg/...", "cloudprovider/awsclient/...", "cloudprovider/nodetemplate/...", "cloudprovider/instancetypes", "cloudprovider/podzone", "cloudprovider/interruption/...", "cloudprovider/move", "cloudprovider/plan/..."}, core,
			"the core's module path and interfaces change, and only adapters may follow them"},
		{[]string{"cloudprovider/asg/...", "cloudprovider/awsclient/...", "cloudprovider/instancetypes"}, "k8s.io/api/",
			"these packages speak AWS's vocabulary, which changes in cloudprovider/aws alone"},
		{[]string{"cloudprovider/asg/cooldown"}, module + "cloudprovider/asg/launchspec",
			"a cool-down is about pools, whatever a group would launch there"},
		{[]string{"cloudprovider/asg/launchspec"}, module + "cloudprovider/asg/cooldown",
			"a launch specification does not depend on past failures"},
		{[]string{"cloudprovider/asg/ledger"}, module + "cloudprovider/asg/ownership", "a ledger counts, whoever's the group is"},
		{[]string{"cloudprovider/asg/ownership"}, module + "cloudprovider/asg/ledger", "whose a group is does not depend on its size"},
		{[]string{"cloudprovider/nodetemplate", "cloudprovider/nodetemplate/userdata", "cloudprovider/instancetypes"}, sdk,
			"templates are pure, without I/O, so that they can be built anywhere and fuzzed"},
		{[]string{"cloudprovider/instancetypes"}, "k8s.io/", "facts about hardware need no Kubernetes"},
		{[]string{"cloudprovider/awsclient/awsmessage"}, sdk, "it classifies messages of AWS as text, and awsclient classifies errors of the SDK"},
		{[]string{"cloudprovider/awsclient/awsmessage"}, "k8s.io/", "messages of AWS need no Kubernetes"},
		{[]string{"cloudprovider/decision/..."}, core, "the record is read by programs that have no core"},
		{[]string{"cloudprovider/decision/..."}, sdk, "decisions are facts, whoever was asked for them"},
		{[]string{"cloudprovider/interruption/event"}, "k8s.io/", "events of AWS are parsed without Kubernetes, and fuzzed"},
		{[]string{"cloudprovider/interruption/event"}, sdk, "a message's body is text, whoever sent it"},
		{[]string{"cloudprovider/interruption/queue"}, "k8s.io/api/", "a queue knows nothing of its messages' contents"},
		{[]string{"cloudprovider/interruption/drain"}, sdk, "pods are moved in Kubernetes alone"},
		{[]string{"cloudprovider/plan/..."}, sdk, "pods are nominated in Kubernetes alone"},
		{[]string{"cloudprovider/podzone"}, sdk, "a pod states its zone in Kubernetes alone"},
		{[]string{"pricing", "pricing/pricefile", "pricing/offer"}, sdk, "prices are known offline"},
		{[]string{"pricing", "pricing/offer"}, "net/", "prices are known offline"},
		{[]string{"pricing/..."}, core, "prices of instances need no core"},
		{[]string{"cloudprovider/...", "expander/...", "pricing/...", "cmd/...", "manifests/..."}, module + "test/",
			"nothing that ships may know the emulator or the tests"},
		{[]string{"cloudprovider/nodemeta", "cloudprovider/awsclient/...", "cloudprovider/aws"}, module + "cloudprovider/processors/", "the core's adapters stand on the view, never under it"},
		{[]string{"cloudprovider/awsclient/..."}, module + "cloudprovider/asg/", "clients and look-ups serve programs without groups, too"},
		{[]string{"cloudprovider/nodemeta"}, core, "every layer asks what a node says about itself"},
		{[]string{"cloudprovider/nodemeta"}, sdk, "every layer asks what a node says about itself"},
		{[]string{"cloudprovider/nodemeta"}, module + "cloudprovider/asg/", "every layer asks what a node says about itself"},
		{[]string{"test/emulator/fakeoffer"}, module + "pricing", "a writer of offers must not share the reader's mistakes"},
		{[]string{"cloudprovider/decision/decisionmetrics"}, core, "metrics are made of reports, whoever writes them"},
		{[]string{"cloudprovider/decision/decisionmetrics"}, sdk, "metrics are made of reports, whoever writes them"},
		{[]string{"test/emulator/fakeaws"}, module + "cloudprovider/nodetemplate",
			"an emulator that shares the product's formulas cannot find them wrong"},
		{[]string{"cmd/asgctl/accountcheck", "cmd/asgctl/running", "cmd/asgctl/show", "cmd/asgctl/source"}, core,
			"the CLI shows the autoscaler's knowledge of AWS, and only the loop of asgctl explain needs the core"},
		{[]string{"cmd/cluster-autoscaler/pages"}, core, "the page shows a report, however that was made"},
		{[]string{"cmd/cluster-autoscaler/pages"}, sdk, "the page shows a report, however that was made"},
		{[]string{"cmd/cluster-autoscaler/pages"}, "k8s.io/api/", "the page shows a report, however that was made"},
		{[]string{"cmd/asgctl/running"}, sdk, "a running autoscaler is asked in Kubernetes alone"},
		{[]string{"expander/..."}, sdk, "an expander compares options, and every fact about them is known before"},
		{[]string{"expander/..."}, module + "cloudprovider/aws/", "an expander works with the node groups of any provider"},
		{[]string{"test/emulator/fakeaws", "test/emulator/controlplane"}, core, "the world the autoscaler runs in does not contain it"},
		{[]string{"test/emulator/..."}, module + "test/scenario/", "scenarios and benches stand on the emulators"},
		{[]string{"test/emulator/..."}, module + "test/bench/", "scenarios and benches stand on the emulators"},
	} {
		for _, room := range rule.rooms {
			for _, path := range dependencies(t, room) {
				assert.Falsef(t, strings.HasPrefix(path+"/", rule.forbidden), "%s depends on %s: %s", room, path, rule.reason)
			}
		}
	}
}

// Rooms may reach these packages through others, but not import them.
func TestWhoMayImportWhomDirectly(t *testing.T) {
	rooms := directImports(t)
	adapters := []string{"cloudprovider/aws", "cloudprovider/plugin", "cloudprovider/processors/", "expander", "cmd/cluster-autoscaler", "test/"}
	for _, rule := range []struct {
		forbidden string
		applies   func(room string) bool
		reason    string
	}{
		{core, func(room string) bool {
			return !slices.ContainsFunc(adapters, func(adapter string) bool { return strings.HasPrefix(room+"/", strings.TrimSuffix(adapter, "/")+"/") })
		}, "the core's module path and interfaces are moving, and only adapters may follow them"},
		{module + "cloudprovider/awsclient", aboveView, "adapters of the core make no AWS call"},
		{sdk, aboveView, "adapters of the core make no AWS call"},
		{sdk, pure, "AWS is asked in cloudprovider/asg alone"},
		{module + "cloudprovider/awsclient", pure, "AWS is asked in cloudprovider/asg alone"},
		{"sync", pure, "cloudprovider/asg holds the lock"},
	} {
		for room, imports := range rooms {
			for _, path := range imports {
				assert.Truef(t, !rule.applies(room) || !strings.HasPrefix(path+"/", rule.forbidden) || path == messages,
					"%s imports %s: %s", room, path, rule.reason)
			}
		}
	}
}

// A newcomer finds a package's promise in the same file everywhere.
func TestDocFiles(t *testing.T) {
	for _, dir := range strings.Fields(golist(t, "-f", "{{.Dir}}", "./...")) {
		set := token.NewFileSet()
		doc, err := parser.ParseFile(set, filepath.Join(dir, "doc.go"), nil, parser.PackageClauseOnly|parser.ParseComments)
		if err != nil {
			t.Errorf("every package has a doc.go: %v", err)
			continue
		}
		start := "Package " + doc.Name.Name + " "
		if doc.Name.Name == "main" {
			start = "Command " + filepath.Base(dir) + " "
		}
		text := doc.Doc.Text()
		assert.Truef(t, strings.HasPrefix(text, start), "%s: the package comment begins %.40q, want %q", set.Position(doc.Package), text, start)
		others, err := filepath.Glob(filepath.Join(dir, "*.go"))
		require.NoError(t, err)
		for _, path := range others {
			f, err := parser.ParseFile(set, path, nil, parser.PackageClauseOnly|parser.ParseComments)
			require.NoError(t, err)
			assert.Truef(t, f.Doc == nil || filepath.Base(path) == "doc.go", "%s has a package comment beside doc.go", path)
		}
	}
}

// aboveView reports whether a room adapts the provider's view to the core.
func aboveView(room string) bool {
	return room == "cloudprovider/plugin" || strings.HasPrefix(room, "cloudprovider/processors/")
}

// pure reports whether a room of cloudprovider/asg has values and functions alone.
func pure(room string) bool { return slices.Contains(pureRooms, room) }

var pureRooms = []string{"cloudprovider/asg/group", "cloudprovider/asg/ledger", "cloudprovider/asg/ownership"}

// A function from what was known and what came to what is known can be tested in every order of events.
func TestPureRoomsHaveNoClockAndNoGoroutine(t *testing.T) {
	clocks := []string{"Now", "Since", "Until", "After", "Sleep"}
	for _, room := range pureRooms {
		paths, err := filepath.Glob(filepath.Join("../../..", room, "*.go"))
		require.Truef(t, err == nil && len(paths) != 0, "%s: %d files, error %v", room, len(paths), err)
		for _, path := range paths {
			set := token.NewFileSet()
			f, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
			require.NoError(t, err)
			ast.Inspect(f, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.GoStmt:
					t.Errorf("%s: a goroutine", set.Position(n.Pos()))
				case *ast.SelectorExpr:
					if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains(clocks, n.Sel.Name) {
						t.Errorf("%s: a clock, and the caller passes the time", set.Position(n.Pos()))
					}
				}
				return true
			})
		}
	}
}

// directImports are the imports of every room, tests left out.
func directImports(t *testing.T) map[string][]string {
	imports := map[string][]string{}
	for _, line := range strings.Split(strings.TrimSpace(golist(t, "-f", `{{.ImportPath}} {{join .Imports " "}}`, "./...")), "\n") {
		room, paths, _ := strings.Cut(strings.TrimPrefix(line, module), " ")
		imports[room] = strings.Fields(paths)
	}
	return imports
}

// dependencies are the import paths that the packages of a room need, directly or not, tests left out.
func dependencies(t *testing.T, room string) []string {
	return strings.Fields(golist(t, "-deps", "./"+room))
}

// golist is the output of go list, which is never empty.
func golist(t *testing.T, args ...string) string {
	var stderr bytes.Buffer
	list := exec.Command("go", append([]string{"list"}, args...)...)
	list.Dir, list.Stderr = "../../..", &stderr
	out, err := list.Output()
	require.Truef(t, err == nil && len(out) != 0, "go list %s: %v, %d bytes\n%s", args, err, len(out), stderr.String())
	return string(out)
}

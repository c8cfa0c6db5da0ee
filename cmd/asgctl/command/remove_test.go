package command

import (
	"cmp"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/loopback"
	"github.com/stretchr/testify/assert"
)

// removal is an API server with the node n and an autoscaler that has a report of it for each look.
type removal struct {
	mu      sync.Mutex
	node    *corev1.Node
	patches []string
	reports []decision.Node // for one look after the other, the last one for all later ones. Behind them the node is gone
	least   int             // the group's minimum, of 3 nodes
	states  string          // of its zone groups, the node's first, "" for ready
	shadow  *decision.Shadow
	lost    bool // the answer to the patch
}

func (w *removal) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	out.Header().Set("Content-Type", "application/json")
	var answer any
	switch {
	case r.URL.Path == "/status.json":
		report := &decision.Report{Version: decision.Version, Process: decision.Process{Leader: true}, Loop: decision.Loop{Number: 1},
			Shadow: w.shadow, Groups: []decision.Group{{Name: "other", AutoScaling: "other", State: decision.GroupReady}}}
		for at, state := range strings.Fields(cmp.Or(w.states, "ready")) {
			report.Groups = append(report.Groups, decision.Group{Name: "web" + strings.Repeat("/b", at), AutoScaling: "web", Min: w.least, Desired: 3,
				State: decision.GroupState(state), Reason: decision.Reason{Message: state, Remedy: "raise it"}})
		}
		if len(w.reports) > 0 {
			report.Nodes = w.reports[:1]
			w.reports = w.reports[1:]
		}
		answer = report
	case len(w.reports) == 0 && len(w.patches) > 0:
		out.WriteHeader(http.StatusNotFound)
		answer = &metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: "Failure", Reason: metav1.StatusReasonNotFound, Code: http.StatusNotFound}
	case r.Method == http.MethodPatch:
		text, _ := io.ReadAll(r.Body)
		w.patches = append(w.patches, r.URL.Path+" "+string(text))
		nodemeta.RemovalRequested.Mark(w.node)
		if w.lost {
			panic(http.ErrAbortHandler)
		}
		answer = w.node
	default:
		answer = w.node
	}
	_ = json.NewEncoder(out).Encode(answer)
}

func TestRemove(t *testing.T) {
	reported := func(state decision.NodeState, code decision.Code, message string, requested bool) decision.Node {
		return decision.Node{Name: "n", InstanceID: "i-1", Group: "web", State: state, Requested: requested, Reason: decision.Reason{Code: code, Message: message}}
	}
	before := reported(decision.NodeNeeded, decision.CodeNeeded, "its pods request 80 %", false)
	leaving := reported(decision.NodeLeaving, decision.CodeUnneeded, "its instance is being terminated", true)
	draining := reported(decision.NodeDraining, decision.CodeOther, "it is interrupted", false)
	for _, tt := range []struct {
		name    string
		args    []string
		reports []decision.Node
		least   int
		exit    int
		stdout  string // without times
		stderr  string
		written bool
		value   string // written, "" for nothing or true
		states  string // of the group's zone groups, the node's first, "" for ready
		shadow  *decision.Shadow
		lost    bool   // the answer to the patch
		asked   string // the value of an earlier request
	}{
		{name: "goes", args: []string{"n"}, reports: []decision.Node{before, before, reported(decision.NodeBlocked, decision.CodePod, "but a pod", true),
			reported(decision.NodeDraining, decision.CodeUnneeded, "it is drained", true)}, written: true,
			stdout: "asked the autoscaler to remove node n|waiting for the autoscaler's next loop|but a pod|it is drained|node n is gone|"},
		{name: "by its instance", args: []string{"i-1"}, reports: []decision.Node{before}, written: true, stdout: "asked the autoscaler to remove node n|node n is gone|"},
		{name: "the group's minimum", args: []string{"n"}, reports: []decision.Node{before}, least: 3, exit: ExitFindings,
			stderr: `node n cannot go: group "web" has its minimum size of 3`},
		{name: "replaced first", args: []string{"n", "--replace"}, reports: []decision.Node{before}, least: 3, value: "replace", stdout: "asked the autoscaler to remove node n|node n is gone|"},
		{name: "no replacement beyond the maximum", args: []string{"n", "--replace"}, reports: []decision.Node{before}, least: 3, states: "full paused", exit: ExitFindings,
			stderr: `node n cannot go: group "web" has its minimum size of 3, and no replacement can come: full: raise it`},
		{name: "replaced after a cool-down", args: []string{"n", "--replace"}, reports: []decision.Node{before}, least: 3, states: "cool-down", value: "replace",
			stdout: "asked the autoscaler to remove node n|node n is gone|"},
		{name: "replaced in another zone", args: []string{"n", "--replace"}, reports: []decision.Node{before}, least: 3, states: "full ready", value: "replace",
			stdout: "asked the autoscaler to remove node n|node n is gone|"},
		{name: "goes already", args: []string{"n"}, reports: []decision.Node{leaving, leaving}, least: 3, written: true,
			stdout: "asked the autoscaler to remove node n|its instance is being terminated|node n is gone|"},
		{name: "is drained for an interruption", args: []string{"n"}, least: 3, written: true,
			reports: []decision.Node{draining, draining}, stdout: "asked the autoscaler to remove node n|it is interrupted|node n is gone|"},
		{name: "a replacement was asked for before", args: []string{"n"}, asked: "replace", reports: []decision.Node{before}, least: 3, value: "replace",
			stdout: "asked the autoscaler to remove node n|node n is gone|"},
		{name: "asked before without a replacement", args: []string{"n"}, asked: "true", reports: []decision.Node{before}, least: 3, exit: ExitFindings,
			stderr: `node n cannot go: group "web" has its minimum size of 3`},
		{name: "a dry run of a replacement", args: []string{"n", "--replace", "--dry-run"}, exit: ExitWrongUse, stderr: "without --replace"},
		{name: "nobody knows", args: []string{"n"}, reports: []decision.Node{before}, lost: true, written: true, exit: ExitCannotRun,
			stderr: "EOF: the request may stand, and this takes it back: kubectl annotate node n cluster-autoscaler.kubernetes.io/scale-down-requested-"},
		{name: "not ours", args: []string{"n"}, reports: []decision.Node{reported(decision.NodeNeeded, decision.CodeNotAutoscaled, "", false)}, exit: ExitFindings,
			stderr: "n is no node or instance of a group of the autoscaler"},
		{name: "of another cluster", args: []string{"n"}, reports: []decision.Node{{Name: "n", InstanceID: "i-2", Group: "web"}}, exit: ExitCannotRun,
			stderr: `node n is instance "i-1" in this cluster and "i-2" for the autoscaler that answers`},
		{name: "a shadow", args: []string{"n"}, reports: []decision.Node{before}, shadow: &decision.Shadow{}, exit: ExitFindings, stderr: "is a shadow, which removes no node"},
		{name: "unknown", args: []string{"other"}, reports: []decision.Node{before}, exit: ExitFindings, stderr: "other is no node"},
		{name: "no name", exit: ExitWrongUse, stderr: "requires at least 1 arg"},
		{name: "flags without a dry run", args: []string{"n", "--", "--expander=random"}, exit: ExitWrongUse, stderr: "with --dry-run alone"},
		{name: "a dry run of an address", args: []string{"n", "--dry-run"}, exit: ExitWrongUse, stderr: "go with neither --url nor --report"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := &removal{node: &corev1.Node{TypeMeta: metav1.TypeMeta{Kind: "Node", APIVersion: "v1"}, ObjectMeta: metav1.ObjectMeta{Name: "n"},
				Spec: corev1.NodeSpec{ProviderID: "aws:///us-east-1a/i-1"}}, reports: tt.reports, least: tt.least, states: tt.states, shadow: tt.shadow, lost: tt.lost}
			nodemeta.RemovalRequested.Set(w.node, tt.asked)
			server := httptest.NewServer(w)
			defer server.Close()
			var stdout, stderr strings.Builder
			args := append([]string{"remove", "--kubeconfig", loopback.Kubeconfig(t, server.URL), "--url", server.URL, "--interval=1ms"}, tt.args...)
			assert.Equal(t, tt.exit, Run(t.Context(), "asgctl", args, &stdout, &stderr, ""), "exits")
			lines := ""
			for line := range strings.Lines(stdout.String()) {
				_, said, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
				lines += said + "|"
			}
			assert.Truef(t, lines == tt.stdout && strings.Contains(stderr.String(), tt.stderr),
				"says %q and %q, want %q and %q", lines, &stderr, tt.stdout, tt.stderr)
			server.Close() // a request whose answer is lost is still at work
			want := ""
			if tt.value = cmp.Or(tt.value, map[bool]string{true: "true"}[tt.written]); tt.value != "" {
				want = `/api/v1/nodes/n {"metadata":{"annotations":{"cluster-autoscaler.kubernetes.io/scale-down-requested":"` + tt.value + `"}}}`
			}
			assert.Equal(t, want, strings.Join(w.patches, " "), "wrote")
		})
	}
}

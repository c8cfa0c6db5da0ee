package command

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
)

// pflag shows the first text in back-quotes as the name of the flag's value.
func TestHelpNamesEachValueByOneWord(t *testing.T) {
	seen := 0
	var look func(cmd *cobra.Command)
	look = func(cmd *cobra.Command) {
		for _, flags := range []*pflag.FlagSet{cmd.Flags(), cmd.PersistentFlags()} {
			flags.VisitAll(func(f *pflag.Flag) {
				seen++
				if name, _ := pflag.UnquoteUsage(f); strings.Contains(name, " ") {
					t.Errorf("%s: the value of --%s is called %q", cmd.CommandPath(), f.Name, name)
				}
			})
		}
		for _, below := range cmd.Commands() {
			look(below)
		}
	}
	look((&cli{stdout: io.Discard, stderr: io.Discard, program: asgctl}).root())
	if seen < 50 {
		t.Errorf("%d flags seen", seen)
	}
}

// A shell completes the names of pods that wait in the namespace, their controllers, nodes and instances, from the running autoscaler's
// report.
func TestNamesAreCompleted(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.ServeFile(w, r, filepath.Join("..", "testdata", "status.json"))
	}))
	defer server.Close()
	nodes := []string{"i-0c1b2c3d4e5f60720"}
	for _, address := range []string{"11-5", "11-6", "11-9", "12-34", "13-7", "21-18", "22-91"} {
		nodes = append(nodes, "ip-10-0-"+address+".eu-central-1.compute.internal")
	}
	for _, tt := range []struct {
		args []string
		want []string
	}{
		{[]string{"explain", "pod", "-n", "web", ""}, []string{"api-7d9c5b8f-x2x7k", "legacy", "preview-5f-9k2bq"}},
		{[]string{"explain", "pod", "-n", "nowhere", ""}, nil},
		{[]string{"explain", "pod", "-n", "web", "legacy", ""}, nil},
		{[]string{"explain", "node", ""}, nodes},
		{[]string{"explain", "node", nodes[0], ""}, nil},
		{[]string{"explain", "-n", "batch", "j"}, []string{"job/render"}},
		{[]string{"explain", "job", "-n", "batch", ""}, []string{"render"}},
		{[]string{"explain", "rs", "-n", "web", ""}, []string{"api-7d9c5b8f", "preview-5f"}},
		{[]string{"explain", "job", "-n", "batch", "render", ""}, nil},
	} {
		var stdout, stderr strings.Builder
		args := append([]string{"__complete"}, tt.args[:len(tt.args)-1]...)
		Run(t.Context(), append(args, "--url", server.URL, tt.args[len(tt.args)-1]), &stdout, &stderr, "")
		names := strings.Split(strings.TrimSpace(stdout.String()), "\n")
		if last := names[len(names)-1]; last != ":4" { // no file names
			t.Errorf("%q ends with %q\n%s", tt.args, last, &stderr)
		}
		if diff := cmp.Diff(tt.want, names[:len(names)-1], cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%q (-want +got):\n%s", tt.args, diff)
		}
	}
}

// The next question goes to the same autoscaler.
func TestNextQuestionHasTheGivenFlags(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(decision.Report{Version: decision.Version, Process: decision.Process{Leader: true},
			Pods: []decision.Pod{{Namespace: "default", Name: "web", State: decision.PodHelpless, Search: -1}}})
	}))
	defer server.Close()
	var stdout, stderr strings.Builder
	Run(t.Context(), []string{"explain", "pods", "--url", server.URL, "--timeout", "1m0s"}, &stdout, &stderr, "")
	if want := " --timeout=1m0s --url=" + server.URL + "\n"; !strings.HasSuffix(stdout.String(), want) {
		t.Errorf("got %s\n%s\nwant it to end in %s", &stdout, &stderr, want)
	}
}

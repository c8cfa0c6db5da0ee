package access

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
)

// recording is the replica that records its loops.
const recording = "recording"

// The loop that launched a node is run again without the cluster and without AWS, and decides the same. With other flags it does not.
func replaysRecordedLoop(t *testing.T, l *lab) {
	r := l.replica(t, recording, shipped(t, "rbac", "rbac-interruption", "rbac-optional"))
	nodes := r.nodes(t, 2)
	r.apply(t, r.pod("small-0", nodes[0].Name, "300m"), r.pod("small-1", nodes[1].Name, "300m"))
	r.awaitRunning(t, "small-0")
	r.awaitRunning(t, "small-1")
	r.start(t, "--asg-record-loops=100", "--scale-down-enabled=false")
	eventually(t, func(ctx context.Context) string { // a pod that comes while the first loop begins may be in its decisions and not in its recording
		_, list := r.loopFile(ctx, "?loop=none")
		if !strings.Contains(string(list), "There are: ") {
			return "no loop is recorded yet: " + string(list)
		}
		return ""
	})
	r.apply(t, r.pod("large", "", "1700m"))
	r.awaitDesired(t, 3)
	file := filepath.Join(t.TempDir(), "loop.zip")
	eventually(t, func(ctx context.Context) string { return r.recorded(ctx, file) })

	unpacked := t.TempDir()
	replay := func(arguments ...string) (code int, text string) {
		cmd := exec.CommandContext(t.Context(), l.asgctl, append([]string{"replay", file}, arguments...)...)
		cmd.Env = []string{"HOME=" + t.TempDir(), "AWS_ENDPOINT_URL=http://127.0.0.1:1", "AWS_EC2_METADATA_DISABLED=true", "KUBECONFIG=/nowhere", "TMPDIR=" + unpacked}
		out, _ := cmd.CombinedOutput()
		return cmd.ProcessState.ExitCode(), string(out)
	}
	code, text := replay("--pod=" + r.name + "/large")
	for _, want := range []string{"state launching in " + r.name, r.name + "   chosen", "The recorded loop decided the same about the pods that waited."} {
		assert.Truef(t, code == 0 && strings.Contains(text, want), "the loop ends with %d, want %q in:\n%s", code, want, text)
	}
	code, text = replay("--", "--max-nodes-total=2")
	for _, want := range []string{"Without a node: ", "The recorded loop decided otherwise:", "launching in " + r.name, "helpless in no group: ", "max-nodes-total"} {
		assert.Truef(t, code == 3 && strings.Contains(text, want), "with fewer nodes the loop ends with %d, want %q in:\n%s", code, want, text)
	}
	code, text = replay("--", "--expander=grpc,random")
	assert.Truef(t, code == 2 && strings.Contains(text, "leave grpc out"), "without the certificate of grpc the loop ends with %d:\n%s", code, text)
	left, err := os.ReadDir(unpacked)
	assert.Truef(t, err == nil && len(left) == 0, "the recordings are unpacked in %v, %v", left, err)
}

// loopFile asks for a recording. It returns code 0 and the error if there is no answer.
func (r *replica) loopFile(ctx context.Context, query string) (code int, body []byte) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.process.Address+"/status/loop.zip"+query, http.NoBody)
	if err != nil {
		return 0, []byte(err.Error())
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, []byte(err.Error())
	}
	defer answer.Body.Close()
	body, err = io.ReadAll(answer.Body)
	if err != nil {
		return 0, []byte(err.Error())
	}
	return answer.StatusCode, body
}

// recorded writes the loop that launched a node for the pod to the file. It returns why there is none.
func (r *replica) recorded(ctx context.Context, file string) string {
	_, list := r.loopFile(ctx, "?loop=none")
	_, numbers, _ := strings.Cut(string(list), "There are:")
	for number := range strings.FieldsSeq(numbers) {
		code, body := r.loopFile(ctx, "?loop="+number)
		if code != http.StatusOK {
			return fmt.Sprintf("loop %s is answered with %d: %s", number, code, body)
		}
		archive, err := zip.NewReader(bytes.NewReader(body), int64(len(body)))
		if err != nil {
			return err.Error()
		}
		report, err := archive.Open("report.json")
		if err != nil {
			return err.Error()
		}
		var decided decision.Report
		if err := json.NewDecoder(report).Decode(&decided); err != nil {
			return err.Error()
		}
		if slices.ContainsFunc(decided.Pods, func(pod decision.Pod) bool { return pod.Name == "large" && pod.State == decision.PodLaunching }) {
			if err := os.WriteFile(file, body, 0o600); err != nil {
				return err.Error()
			}
			return ""
		}
	}
	return "no loop of" + numbers + " launched a node"
}

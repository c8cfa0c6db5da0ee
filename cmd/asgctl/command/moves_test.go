package command

import (
	"cmp"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/move"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/loopback"
)

func TestResumeChangesOnlyAMoveThatWaits(t *testing.T) {
	const written = `/api/v1/nodes/n {"metadata":{"resourceVersion":"7","annotations":{"asg-autoscaler.github.io/move":null}}}`
	for _, tt := range []struct {
		name     string
		step     move.Step // of the node now
		instance string    // of the node now
		group    string    // its Auto Scaling group, "" for web
		asked    string    // "" for web
		first    int       // the API server's answer about the node before it, 0 for 404
		standby  bool      // a replica that does not lead answers
		shadow   *decision.Shadow
		exit     int
		wrote    string
	}{
		{name: "it waits", step: move.Waiting, instance: "i-1", wrote: written},
		{name: "it is tried again already", step: move.Placing, instance: "i-1", exit: ExitFindings},
		{name: "a node of another cluster", step: move.Waiting, instance: "i-2", exit: ExitCannotRun},
		{name: "a group whose name has a slash", step: move.Waiting, instance: "i-1", group: "team/web", asked: "team/web", wrote: written},
		{name: "a group whose name begins with it and a slash", step: move.Waiting, instance: "i-1", group: "web/eu", exit: ExitFindings},
		{name: "another node cannot be read", step: move.Waiting, instance: "i-1", first: http.StatusForbidden, exit: ExitCannotRun, wrote: written},
		{name: "a replica that stands by", step: move.Waiting, instance: "i-1", standby: true, exit: ExitCannotRun},
		{name: "a shadow", step: move.Waiting, instance: "i-1", shadow: &decision.Shadow{}, exit: ExitFindings},
	} {
		t.Run(tt.name, func(t *testing.T) {
			node := &corev1.Node{TypeMeta: metav1.TypeMeta{Kind: "Node", APIVersion: "v1"}, Spec: corev1.NodeSpec{ProviderID: "aws:///us-east-1a/" + tt.instance},
				ObjectMeta: metav1.ObjectMeta{Name: "n", ResourceVersion: "7", Annotations: map[string]string{move.Annotation: move.State{Reason: move.Repair, Step: tt.step}.Text()}}}
			zonal := cmp.Or(tt.group, "web") + "/us-east-1a"
			report := decision.Report{Version: decision.Version, Process: decision.Process{Leader: !tt.standby}, Loop: decision.Loop{Number: 1}, Shadow: tt.shadow,
				Groups: []decision.Group{{Name: zonal, AutoScaling: cmp.Or(tt.group, "web")}}, Nodes: []decision.Node{
					{Name: "first", InstanceID: "i-0", Group: zonal, Move: &decision.Move{Failures: 3, Retry: time.Now()}},
					{Name: "n", InstanceID: "i-1", Group: zonal, Move: &decision.Move{Failures: 3, Retry: time.Now()}}}}
			wrote := ""
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				if r.URL.Path == "/status.json" {
					_ = json.NewEncoder(w).Encode(report)
					return
				}
				if strings.HasSuffix(r.URL.Path, "/first") {
					http.Error(w, "", cmp.Or(tt.first, http.StatusNotFound))
					return
				}
				if r.Method == http.MethodPatch {
					text, _ := io.ReadAll(r.Body)
					wrote += r.URL.Path + " " + string(text)
				}
				_ = json.NewEncoder(w).Encode(node)
			}))
			defer server.Close()
			var stdout, stderr strings.Builder
			args := []string{"moves", "resume", cmp.Or(tt.asked, "web"), "--kubeconfig", loopback.Kubeconfig(t, server.URL), "--url", server.URL}
			assert.Equalf(t, tt.exit, Run(t.Context(), "asgctl", args, &stdout, &stderr, ""), "exits: %s", &stderr)
			assert.Equal(t, tt.wrote, wrote)
		})
	}
}

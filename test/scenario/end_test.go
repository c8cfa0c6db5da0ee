package scenario

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
)

// endScript is a script over an account, whose autoscaler is the stand-in of TestMain.
func endScript(t *testing.T) *script {
	s := groupScript(t, 0)
	program, err := os.Executable()
	require.NoError(t, err)
	s.binary, s.dir, s.Timeline, s.allowed = program, t.TempDir(), &Timeline{}, map[string]bool{}
	s.forbidden = func() ([]string, error) { return nil, nil }
	s.observing, s.Env.stop = context.WithCancel(t.Context())
	t.Cleanup(func() {
		for _, p := range s.started {
			p.Kill()
		}
	})
	return s
}

func leaseOf(holder string) *coordinationv1.Lease {
	return &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "cluster-autoscaler"},
		Spec:       coordinationv1.LeaseSpec{HolderIdentity: &holder},
	}
}

const ownRace = "==================\nWARNING: DATA RACE\nWrite at 0x00c000 by goroutine 1:\n  main.run()\n      /main.go:1 +0x1\n=================="

func TestEveryScriptMustEndCleanly(t *testing.T) {
	const start = "autoscaler start s0-gpu-spot-china "
	killed := Moment{Kind: KilledUndrained, Object: "i-1", Detail: "node a still held [web]"}
	for _, tt := range []struct {
		name, lines string
		say         string // printed by the autoscaler
		holder      string // of the lease
		moments     []Moment
		refused     []string // by the API server
		want        string   // in the error, empty for none
	}{
		{name: "no autoscaler", moments: []Moment{killed}},
		{name: "clean", lines: start},
		{name: "stopped by the script", lines: start + "\nautoscaler stop"},
		{name: "killed by the script", lines: start + "\nautoscaler kill", holder: "the dead"},
		{name: "killed and restarted", lines: start + "\nautoscaler kill\nautoscaler restart"},
		{name: "ends with another code", lines: start + "--code=3", want: "did not end cleanly on SIGTERM: exit status 3"},
		{name: "ends with another code as allowed", lines: "allow exit\n" + start + "--code=3"},
		{name: "ended by itself", lines: start + "--code=3\nend", want: "ended by itself, exit status 3"},
		{name: "ended by itself without an error", lines: start + "\nend", want: "ended by itself, with exit code 0"},
		{name: "ended by itself before a restart", lines: start + "\nend\nautoscaler restart", want: "ended by itself"},
		{name: "ended by itself as allowed", lines: "allow exit\n" + start + "\nend"},
		{name: "holds the lease", lines: start, holder: "us", want: `"us" still holds the lease`},
		{name: "held the lease when the script stopped it", lines: start + "\nautoscaler stop", holder: "us", want: `"us" still holds the lease`},
		{name: "panic", lines: start, say: "panic: runtime error", want: "crashed: panic: runtime error"},
		{name: "panic though it may exit", lines: "allow exit\n" + start, say: "panic: runtime error", want: "crashed: panic: runtime error"},
		{name: "panic before a restart", lines: start + "\nautoscaler kill\nautoscaler restart", say: "panic: late", want: "crashed: panic: late"},
		{name: "panic that was caught", lines: start, say: `E1120 10:00:00.0 1 runtime.go:1] "Observed a panic" panic="oh"`, want: "Observed a panic"},
		{name: "runtime error", lines: start, say: "fatal error: concurrent map writes", want: "crashed: fatal error: concurrent map writes"},
		{name: "klog fatal", lines: start, say: "F1120 10:00:00.0 1 main.go:1] no", want: "crashed: F1120"},
		{name: "klog fatal as allowed", lines: "allow exit\n" + start, say: "F1120 10:00:00.0 1 main.go:1] no"},
		{name: "words of a crash in a message", lines: start, say: `I1120 10:00:00.0 1 main.go:1] "panic: none, fatal error: none"`},
		{name: "race of our own", lines: start, say: ownRace, want: "race detector"},
		{name: "undrained", lines: start, moments: []Moment{killed}, want: "instance i-1 was terminated undrained: node a still held [web]"},
		{name: "undrained as allowed", lines: "allow undrained\n" + start, moments: []Moment{killed}},
		{name: "forbidden", lines: start, refused: []string{"u may not list nodes"}, want: "the API server refused: u may not list nodes"},
		{name: "forbidden as allowed", lines: "allow forbidden\n" + start, refused: []string{"u may not list nodes"}},
		{name: "undrained though it may exit", lines: "allow exit\n" + start, moments: []Moment{killed}, want: "terminated undrained"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := endScript(t)
			s.forbidden = func() ([]string, error) { return tt.refused, nil }
			for _, m := range tt.moments {
				s.Timeline.Add(m)
			}
			for line := range strings.Lines(tt.lines) {
				if strings.TrimSpace(line) == "end" {
					if _, err := s.Autoscaler().Get(t.Context(), "/end"); err != nil {
						t.Logf("the stand-in ended before it answered: %v", err)
					}
					<-s.Autoscaler().Done()
					continue
				}
				if strings.HasPrefix(line, start) {
					args := append(strings.Fields(line)[1:], "--say="+tt.say)
					require.NoError(t, simpleCommands()["autoscaler"].on(s, "autoscaler", args))
					continue
				}
				require.NoError(t, s.lines(line))
			}
			s.client = fake.NewClientset(leaseOf(tt.holder))
			err := s.end()
			assert.Truef(t, (tt.want != "" || err == nil) && (tt.want == "" || err != nil && strings.Contains(err.Error(), tt.want)),
				"end = %v, want %q", err, tt.want)
			if a := s.Autoscaler(); a != nil && a.Running() {
				t.Error("the autoscaler still runs")
			}
		})
	}
}

func TestLeaseThatNobodyTookIsReleased(t *testing.T) {
	s := endScript(t)
	require.NoError(t, s.lines("autoscaler start s0-gpu-spot-china"))
	s.client = fake.NewClientset()
	assert.NoError(t, s.end())
}

func TestStockThatEndsByItselfFails(t *testing.T) {
	s, stock := endScript(t), endScript(t)
	s.stock = stock.Env
	for _, script := range []*script{s, stock} {
		require.NoError(t, script.lines("autoscaler start s0-gpu-spot-china"))
	}
	s.client = fake.NewClientset(leaseOf("stock"))
	assert.NoError(t, s.end(), "while stock leads")
	if _, err := stock.Autoscaler().Get(t.Context(), "/end"); err != nil {
		t.Logf("the stand-in ended before it answered: %v", err)
	}
	<-stock.Autoscaler().Done()
	assert.ErrorContains(t, s.end(), "stock: autoscaler ended by itself", "stock has ended: error, want one that says so")
}

func TestStopOfEndedProcessFails(t *testing.T) {
	s := endScript(t)
	require.NoError(t, s.lines("autoscaler start s0-gpu-spot-china"))
	assert.ErrorIs(t, s.lines("expect 1ms ended"), errWaited, "it runs")
	_, _ = s.Autoscaler().Get(t.Context(), "/end")
	require.NoError(t, s.lines("expect 1m ended"))
	assert.ErrorContains(t, s.lines("autoscaler stop"), "ended by itself", "error, want that it ended by itself")
}

func TestTerminationOfAFullNodeIsUndrained(t *testing.T) {
	s := endScript(t)
	require.NoError(t, s.AWS.SetDesired("g", 1))
	observeAWS(s.AWS, s.Timeline, func(string) NodeLook { return NodeLook{Node: "a", Pods: []string{"web"}} })
	require.NoError(t, s.lines("expect 10s launched g 1"))
	g, _ := s.AWS.Group("g")
	call(t, s.AWS.URL(), "TerminateInstanceInAutoScalingGroup", url.Values{"InstanceId": {g.Instances[0].ID}, "ShouldDecrementDesiredCapacity": {"true"}})
	assert.ErrorContains(t, s.lines("never undrained"), "still held [web]", "error, want the kill")
}

// call makes a call to Auto Scaling in AWS's query protocol.
func call(t *testing.T, endpoint, action string, parameters url.Values) {
	form := url.Values{"Version": {"2011-01-01"}, "Action": {action}}
	maps.Copy(form, parameters)
	answer, err := http.PostForm(endpoint, form)
	require.NoError(t, err)
	defer answer.Body.Close()
	require.Equalf(t, http.StatusOK, answer.StatusCode, "%s: %s", action, answer.Status)
}

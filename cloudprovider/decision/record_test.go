package decision_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	testclock "k8s.io/utils/clock/testing"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var start = time.Date(2026, 11, 2, 8, 0, 0, 0, time.UTC)

func newRecord() (*decision.Record, *testclock.FakeClock) {
	c := testclock.NewFakeClock(start)
	return decision.New(decision.Process{Region: "eu-west-1"}, c), c
}

// loop has the record see a loop that found out the words.
func loop(r *decision.Record, words decision.Words) {
	r.Looped(decision.Loop{}, func() decision.Words { return words })
}

func TestWordsStayUntilTheNextLoop(t *testing.T) {
	r, _ := newRecord()
	made := 0
	r.Looped(decision.Loop{Number: 7}, func() decision.Words {
		made++
		return decision.Words{Groups: []decision.Group{{Name: "b"}, {Name: "a"}}}
	})
	first := r.Report()
	r.Spent(decision.Spend{Currency: "USD", PerHour: 7})
	second := r.Report()
	assert.Truef(t, second.Spend.PerHour == 7 && first.Spend.PerHour == 0 && second.Loop.Number == 7 && made == 1,
		"spend %v and then %v, words made %d times, want 0, 7 and once", first.Spend.PerHour, second.Spend.PerHour, made)
	r.Reword()
	assert.Truef(t, r.Report().Groups[0].Name == "a" && made == 2, "words made %d times, want them made again", made)
	assert.Truef(t, second.Groups[0].Name == "a" && second.Groups[1].Name == "b", "groups %v, want them by name", second.Groups)
}

func TestOnlyLastFactsAreMade(t *testing.T) {
	r, _ := newRecord()
	for number := range 3 {
		r.Looped(decision.Loop{}, func() decision.Words {
			assert.Truef(t, number >= 2, "made the words of loop %d, which nobody read", number)
			return decision.Words{Nodes: []decision.Node{{Name: fmt.Sprint(number)}}}
		})
	}
	got := r.Report().Nodes
	assert.Truef(t, len(got) == 1 && got[0].Name == "2", "nodes %v, want those of the last loop", got)
}

// A writer goes on while a reader makes a report, and the reader's next report has what was written.
func TestReaderDoesNotBlockWriter(t *testing.T) {
	r, _ := newRecord()
	making, goOn := make(chan struct{}), make(chan struct{})
	r.Looped(decision.Loop{}, func() decision.Words {
		close(making)
		<-goOn
		return decision.Words{Pods: []decision.Pod{{Name: "old"}}}
	})
	reports := make(chan *decision.Report)
	go func() { reports <- r.Report() }()
	<-making
	loop(r, decision.Words{Pods: []decision.Pod{{Name: "new"}}})
	close(goOn)
	assert.Equal(t, "old", (<-reports).Pods[0].Name, "pod in the report that was under way, want the old one")
	assert.Equal(t, "new", r.Report().Pods[0].Name, "pod in the next report, want the new one")
}

func TestSameFailureIsListedOnce(t *testing.T) {
	r, c := newRecord()
	failed := decision.Entry{Kind: decision.LaunchFailed, Group: "web", Reason: decision.Reason{Code: decision.CodeDenied}}
	grow := decision.Entry{Kind: decision.ScaleUp, Group: "web", Reason: decision.Reason{Code: decision.CodeLaunching, Message: "1 node"}}
	for range 3 {
		c.Step(time.Minute)
		r.Decided(failed)
	}
	for range 2 {
		c.Step(time.Minute)
		r.Decided(grow)
	}
	before := grow
	grow.At, before.At, failed.At, failed.Times = start.Add(5*time.Minute), start.Add(4*time.Minute), start.Add(3*time.Minute), 3
	got, want := r.Report().Timeline, []decision.Entry{grow, before, failed}
	assert.Truef(t, reflect.DeepEqual(got, want), "timeline %+v, want %+v", got, want)
}

func TestListsAreBounded(t *testing.T) {
	r, c := newRecord()
	for at := range 3_000 {
		r.Launched(decision.Launch{Asked: at})
		r.Decided(decision.Entry{Group: fmt.Sprint(at)})
		c.Step(20 * time.Second)
	}
	report := r.Report()
	if n := len(report.Launches); n != 200 || report.Launches[0].Asked != 2_999 || report.Launches[199].Asked != 2_800 {
		t.Errorf("%d launches from %d to %d, want the last 200, newest first", n, report.Launches[0].Asked, report.Launches[n-1].Asked)
	}
	if n := len(report.Timeline); n != 500 || report.Timeline[0].Group != "2999" || !report.Timeline[0].At.Equal(c.Now().Add(-20*time.Second)) {
		t.Errorf("%d entries, first %+v, want the last 500 with their time", n, report.Timeline[0])
	}
}

func TestPodsWithoutRoomAreCounted(t *testing.T) {
	r, _ := newRecord()
	var pods []decision.Pod
	for at := range 10_500 {
		pods = append(pods, decision.Pod{Namespace: "n", Name: fmt.Sprintf("p%05d", 10_499-at)})
	}
	loop(r, decision.Words{Pods: pods})
	report := r.Report()
	if len(report.Pods) != 10_000 || report.PodsLeft != 500 || report.Pods[0].Name != "p00000" || report.Pods[9_999].Name != "p09999" {
		t.Errorf("%d pods to %q and %d left out, want the first 10000 by name and 500",
			len(report.Pods), report.Pods[len(report.Pods)-1].Name, report.PodsLeft)
	}
}

func TestLongTextsAreCut(t *testing.T) {
	r, _ := newRecord()
	long := decision.Reason{Message: strings.Repeat("é", 2_000), Remedy: "x" + strings.Repeat("é", 2_000)}
	r.Looped(decision.Loop{Result: long}, func() decision.Words {
		return decision.Words{
			Groups: []decision.Group{{Name: "g", Reason: long, Problems: slicesOf(long, 9),
				CoolDowns: slicesOf(decision.CoolDown{Cause: long}, 90)}},
			Pods:     []decision.Pod{{Cause: long}},
			Searches: []decision.Search{{Answers: []decision.Answer{{Reason: long, Expander: long.Message}}}},
			Nodes:    []decision.Node{{Reason: long}},
		}
	})
	r.Launched(decision.Launch{Outcome: long})
	r.Decided(decision.Entry{Reason: long})
	report := r.Report()
	texts := 0
	var walk func(reflect.Value)
	walk = func(v reflect.Value) {
		switch v.Kind() {
		case reflect.String:
			if text := v.String(); len(text) > 0 {
				texts++
				assert.Truef(t, len(text) <= 1_000+len("…") && utf8.ValidString(text), "a text has %d bytes", len(text))
			}
		case reflect.Slice:
			for at := range v.Len() {
				walk(v.Index(at))
			}
		case reflect.Struct:
			for at := range v.NumField() {
				if v.Type().Field(at).IsExported() {
					walk(v.Field(at))
				}
			}
		}
	}
	walk(reflect.ValueOf(*report))
	if g := report.Groups[0]; len(g.Problems) != 5 || len(g.CoolDowns) != 50 {
		t.Errorf("%d problems and %d cool-downs of a group, want 5 and 50", len(g.Problems), len(g.CoolDowns))
	}
	assert.Truef(t, texts >= 100, "looked at %d texts only", texts)
}

func slicesOf[T any](element T, n int) []T {
	list := make([]T, n)
	for at := range list {
		list[at] = element
	}
	return list
}

func TestEmptyReportHasLists(t *testing.T) {
	r, _ := newRecord()
	r.SetProcess(decision.Process{}, func() []decision.Call { return nil })
	text, err := json.Marshal(r.Report())
	require.NoError(t, err)
	assert.Truef(t, !strings.Contains(string(text), "null") && strings.Contains(string(text), `"leader":false`),
		"the report of a process that does not lead is %s", text)
}

func TestRecordServesManyAtOnce(t *testing.T) {
	r, _ := newRecord()
	r.SetProcess(decision.Process{}, func() []decision.Call { return []decision.Call{{Action: "b"}, {Action: "a"}} })
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			for at := range 150 {
				loop(r, decision.Words{Groups: []decision.Group{{Name: "z"}, {Name: "a"}}})
				r.Launched(decision.Launch{Asked: at})
				r.Decided(decision.Entry{Kind: decision.ScaleUp})
				r.Spent(decision.Spend{Currency: "USD", PerHour: 1})
			}
		})
		wait.Go(func() {
			for range 100 {
				_, err := json.Marshal(r.Report())
				assert.NoError(t, err)
			}
		})
	}
	wait.Wait()
	if report := r.Report(); len(report.Launches) != 200 || len(report.Timeline) != 500 {
		t.Errorf("%d launches and %d entries, want 200 and 500", len(report.Launches), len(report.Timeline))
	}
}

// The bound is 20 MiB with 1,000 groups and 10,000 pods. The other lists are full, too.
func TestRecordHoldsLittleMemory(t *testing.T) {
	const groups, pods, nodes = 1_000, 10_000, 5_000
	before := heap()
	r, c := newRecord()
	for at := range 2 { // the second round leaves nothing of the first
		w := decision.Words{Groups: make([]decision.Group, groups), Pods: make([]decision.Pod, pods), Nodes: make([]decision.Node, nodes)}
		for at := range w.Groups {
			w.Groups[at] = decision.Group{Name: name("group", at), AutoScaling: name("group", at), Zones: []string{"eu-west-1a"},
				Types: []string{"m5.large", "m6i.large"}, State: decision.GroupCoolDown, Reason: reason("group", at),
				Problems:  []decision.Reason{reason("problem", at)},
				CoolDowns: []decision.CoolDown{{Zone: "eu-west-1a", Cause: reason("cause", at)}}, NodePrice: "0.096 USD"}
		}
		for range 60 {
			var s decision.Search
			for at := range w.Groups {
				s.Answers = append(s.Answers, decision.Answer{Group: w.Groups[at].Name, Verdict: decision.Rejected,
					Reason: decision.Reason{Code: decision.CodeResources, Message: w.Groups[at].Reason.Message}})
			}
			w.Searches = append(w.Searches, s)
		}
		for at := range w.Pods {
			w.Pods[at] = decision.Pod{Namespace: name("namespace", at), Name: name("a-deployment-with-a-usual-name", at),
				UID: name("12345678-1234-1234-1234", at), Owner: name("Deployment/a-deployment", at), Cause: reason("pod", at), State: decision.PodHelpless, Search: at % 60}
		}
		for at := range w.Nodes {
			w.Nodes[at] = decision.Node{Name: name("ip-10-0-0-0.eu-west-1.compute.internal", at), InstanceID: name("i-0123456789abcdef", at),
				Reason: reason("node", at)}
		}
		loop(r, w)
		for range 1_000 {
			r.Launched(decision.Launch{Group: name("group", at), Outcome: reason("launch", at)})
			r.Decided(decision.Entry{Group: name("group", at), Reason: reason("entry", at)})
			r.Spent(decision.Spend{Currency: "USD", PerHour: 1})
			c.Step(time.Minute)
		}
		r.Report()
	}
	held := heap() - before
	t.Logf("held %.1f MiB", float64(held)/(1<<20))
	assert.Truef(t, held <= 20<<20, "the record holds %d bytes, want at most 20 MiB", held)
	got := len(r.Report().Pods)
	assert.Truef(t, got == pods, "%d pods", got)
}

func name(kind string, at int) string { return fmt.Sprintf("%s-%05d", kind, at) }

// reason has texts of a usual length, which no other reason shares.
func reason(kind string, at int) decision.Reason {
	return decision.Reason{Code: decision.CodeResources, Message: fmt.Sprintf("%s-%05d asks for 64 CPU, and a node of the group offers 15.89", kind, at),
		Remedy: fmt.Sprintf("add a group with larger nodes than the ones of %s-%05d", kind, at)}
}

// heap returns the bytes of all live objects.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestCommandsOfRemediesNameTheRegion(t *testing.T) {
	r, _ := newRecord()
	reason := decision.Reason{Remedy: "aws autoscaling delete-tags --tags x"}
	const want = "aws autoscaling delete-tags --region eu-west-1 --tags x"
	loop(r, decision.Words{Groups: []decision.Group{{Reason: reason, Problems: []decision.Reason{reason}}},
		Pods: []decision.Pod{{Cause: reason}}, Nodes: []decision.Node{{Reason: reason}}})
	r.Launched(decision.Launch{Outcome: reason})
	r.Decided(decision.Entry{Reason: reason})
	got := r.Report()
	for name, remedy := range map[string]string{"group": got.Groups[0].Reason.Remedy, "problem": got.Groups[0].Problems[0].Remedy, "pod": got.Pods[0].Cause.Remedy,
		"node": got.Nodes[0].Reason.Remedy, "launch": got.Launches[0].Outcome.Remedy, "entry": got.Timeline[0].Reason.Remedy} {
		assert.Equalf(t, want, remedy, "the remedy of a %s", name)
	}
}

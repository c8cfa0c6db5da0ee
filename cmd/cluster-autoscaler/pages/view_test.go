package pages

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
)

func TestHeadline(t *testing.T) {
	looped := func(change func(*decision.Report)) *decision.Report {
		r := &decision.Report{Process: decision.Process{Leader: true}, Loop: decision.Loop{Number: 1}}
		change(r)
		return r
	}
	pod := func(state decision.PodState, message string) decision.Pod {
		return decision.Pod{State: state, Cause: decision.Reason{Message: message, Remedy: "mend " + message}}
	}
	for _, tt := range []struct {
		name   string
		report *decision.Report
		want   headline
	}{
		{"no report", &decision.Report{}, headline{Level: moving, Text: "No leader is known yet", Detail: "See the log for what is in the way."}},
		{"another replica leads", &decision.Report{Process: decision.Process{Holder: "autoscaler-1"}},
			headline{Level: moving, Text: "This replica stands by", Detail: "autoscaler-1 holds the lease and autoscales. Its own page shows what it does."}},
		{"no loop", looped(func(r *decision.Report) { r.Loop.Number = 0 }), headline{Level: moving, Text: "No loop has run yet", Detail: "The autoscaler reads the groups and the cluster first."}},
		{"nothing waits", looped(func(*decision.Report) {}), headline{Level: calm, Text: "All is well, no pod waits"}},
		{"the core does not act", looped(func(r *decision.Report) {
			r.Loop.Result = decision.Reason{Code: decision.CodeUnhealthy, Message: "4 of 6 nodes are not ready", Remedy: "kubectl get nodes"}
			r.Pods = []decision.Pod{pod(decision.PodHelpless, "a")}
		}), headline{bad, "The autoscaler cannot act", "4 of 6 nodes are not ready", "kubectl get nodes"}},
		{"pods without a group, two causes", looped(func(r *decision.Report) {
			r.Pods = []decision.Pod{pod(decision.PodFits, "room"), pod(decision.PodFits, "room"), pod(decision.PodFits, "room"), pod(decision.PodHelpless, "a"), pod(decision.PodHelpless, "b"), pod(decision.PodHelpless, "b")}
		}), headline{bad, "2 pods wait: b", "4 more: a, and 1 further reason", "mend b"}},
		{"one pod without a group", looped(func(r *decision.Report) { r.Pods = []decision.Pod{pod(decision.PodHelpless, "a")} }), headline{bad, "1 pod waits: a", "", "mend a"}},
		{"young pods", looped(func(r *decision.Report) {
			r.Pods = []decision.Pod{pod(decision.PodDelayed, "younger than 30s"), pod(decision.PodLaunching, "asked")}
		}), headline{moving, "1 pod waits: younger than 30s", "1 more: asked", "mend younger than 30s"}},
		{"degraded group", looped(func(r *decision.Report) {
			r.Groups = []decision.Group{{Name: "a"}, {Name: "b", State: decision.GroupDegraded, Reason: decision.Reason{Message: "no template", Remedy: "make one"}}}
		}), headline{bad, "Group b is degraded: no template", "", "make one"}},
		{"nodes at the minimum", looped(func(r *decision.Report) {
			r.Nodes = []decision.Node{{Name: "n1", State: decision.NodeBlocked, Reason: decision.Reason{Code: decision.CodeMinSize}}}
		}), headline{Level: calm, Text: "All is well, no pod waits"}},
		{"failed scale-up", looped(func(r *decision.Report) {
			r.Loop.Result = decision.Reason{Code: decision.CodeOther, Message: "a launch failed"}
		}), headline{Level: warning, Text: "The last scale-up did not end well", Detail: "a launch failed"}},
		{"plugin", looped(func(r *decision.Report) {
			r.Process.Plugin, r.Loop.Result = true, decision.Reason{Code: decision.CodeOther, Message: "it decides", Remedy: "look into its log"}
		}), headline{calm, "The Cluster Autoscaler that this plugin answers decides", "It alone knows why pods wait and nodes stay.", "look into its log"}},
		{"plugin without a core", looped(func(r *decision.Report) {
			r.Process.Plugin, r.Loop.Trigger, r.Loop.Result = true, decision.Silence, decision.Reason{Code: decision.CodeOther, Message: "none calls", Remedy: "look into its log"}
		}), headline{calm, "No Cluster Autoscaler calls this plugin", "Another replica answers the one that leads, or none runs.", "look into its log"}},
		{"pods with nodes on their way", looped(func(r *decision.Report) {
			r.Pods = []decision.Pod{pod(decision.PodLaunching, "asked"), pod(decision.PodFits, "room")}
		}), headline{Level: moving, Text: "2 pods wait, with a place or with a node on its way", Detail: "asked"}},
		{"pods that get no node beside others", looped(func(r *decision.Report) {
			r.Pods = []decision.Pod{pod(decision.PodIgnored, "cheap"), pod(decision.PodLaunching, "asked")}
		}), headline{Level: moving, Text: "1 pod waits, with a place or with a node on its way", Detail: "asked"}},
		{"pods that get no node", looped(func(r *decision.Report) {
			r.Pods = []decision.Pod{pod(decision.PodIgnored, "cheap"), pod(decision.PodIgnored, "cheap")}
		}), headline{Level: calm, Text: "All is well, and no node is launched for 2 pods", Detail: "cheap"}},
		{"pods that were left out", looped(func(r *decision.Report) {
			r.Pods, r.PodsLeft = []decision.Pod{pod(decision.PodLaunching, "asked")}, 5000
		}), headline{Level: moving, Text: "5,001 pods wait, with a place or with a node on its way", Detail: "asked"}},
		{"cool-down", looped(func(r *decision.Report) {
			r.Groups = []decision.Group{{Name: "a", State: decision.GroupCoolDown, CoolDowns: []decision.CoolDown{{}}, Reason: decision.Reason{Message: "no capacity"}}}
		}), headline{Level: warning, Text: "No pod waits for a node, but group a cannot grow now", Detail: "no capacity"}},
		{"cool-down of one zone", looped(func(r *decision.Report) {
			r.Groups = []decision.Group{{Name: "a", State: decision.GroupReady, CoolDowns: []decision.CoolDown{{Cause: decision.Reason{Message: "no capacity", Remedy: "wait"}}}}}
		}), headline{warning, "No pod waits for a node, but group a cannot grow everywhere", "no capacity", "wait"}},
		{"ignored tag", looped(func(r *decision.Report) {
			r.Groups = []decision.Group{{Name: "a", State: decision.GroupReady, Problems: []decision.Reason{{Message: "a tag is ignored", Remedy: "correct it"}}}}
		}), headline{warning, "No pod waits for a node, but group a needs a look", "a tag is ignored", "correct it"}},
		{"old facts", looped(func(r *decision.Report) {
			r.At = now
			r.Reading = decision.Reading{At: ago(4 * time.Minute), Failure: decision.Reason{Message: "AWS denies it", Remedy: "allow it"}}
			r.Pods = []decision.Pod{pod(decision.PodHelpless, "a")}
		}), headline{bad, "These facts are 4m old: AWS denies it", "By these facts: 1 pod waits: a", "allow it"}},
		{"no facts", looped(func(r *decision.Report) {
			r.Loop.Number, r.Reading = 0, decision.Reading{Failure: decision.Reason{Message: "AWS denies it", Remedy: "allow it"}}
		}), headline{bad, "Nothing is known of the groups yet: AWS denies it", "By these facts: No loop has run yet", "allow it"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			assert.Empty(t, cmp.Diff(tt.want, newView(tt.report).Headline), "headline (-want +got)")
		})
	}
}

// An operator with 1,000 groups finds the ones to look at on top.
func TestGroupsThatNeedAttentionComeFirst(t *testing.T) {
	var names []string
	for _, row := range newView(busy()).Rows.Shown {
		names = append(names, fmt.Sprintf("%s %s %s", row.Name, row.Level, row.Word))
	}
	want := []string{"dsp-8c64g-kmax-small bad degraded", "g4dn-spot warning growing", "resnet warning cool-down", "ng-1 moving growing",
		"dsp-8c64g-kmax-large calm full", "basic calm ready", "web calm ready", "dsp-8c64g-kmax-medium calm at zero"}
	assert.Empty(t, cmp.Diff(want, names), "groups (-want +got)")
}

func TestPodsAreGroupedByCause(t *testing.T) {
	var got []string
	for _, c := range newView(busy()).Causes.Shown {
		got = append(got, fmt.Sprintf("%d %s %s %d answers, first %v ago", c.Count, c.State, c.Code, len(c.Answers.Shown), now.Sub(c.Since)))
	}
	want := []string{"4 helpless max-size 4 answers, first 7m3s ago", "1 helpless accelerator 0 answers, first 1h35m0s ago",
		"3 launching launching 2 answers, first 46s ago", "2 fits fits 0 answers, first 4s ago"}
	assert.Empty(t, cmp.Diff(want, got), "causes (-want +got)")
}

// The script keeps an element open by its key, while the figures of its message change.
func TestKeysOfCausesOutliveFigures(t *testing.T) {
	keys := func(messages ...string) (keys []string) {
		r := &decision.Report{}
		for _, m := range messages {
			r.Pods = append(r.Pods, decision.Pod{Cause: decision.Reason{Message: m}})
		}
		for _, c := range newView(r).Causes.Shown {
			keys = append(keys, c.Key)
		}
		return keys
	}
	before, after := keys("asked for 3 nodes 9 s ago"), keys("asked for 4 nodes 10 s ago")
	assert.Truef(t, slices.Equal(before, after), "keys %q became %q", before, after)
	same := keys("asked for 3 nodes", "asked for 4 nodes")
	assert.Truef(t, same[0] != same[1], "two causes share the key %q", same[0])
}

func TestNodesOnTheirWay(t *testing.T) {
	v := newView(busy())
	states := func(nodes []*decision.Node) (states []decision.NodeState) {
		for _, n := range nodes {
			states = append(states, n.State)
		}
		return states
	}
	moving := []decision.NodeState{decision.NodeStarting, decision.NodeStarting, decision.NodeDraining, decision.NodeUnneeded}
	assert.Equal(t, moving, states(v.Moving.Shown), "on their way")
	assert.Equal(t, []decision.NodeState{decision.NodeBlocked}, states(v.Kept.Shown), "kept")
}

func TestListsAreBounded(t *testing.T) {
	v := newView(large(1000, 10_000, 5000))
	for _, list := range []struct {
		name               string
		shown, more        int
		wantShown, wantAll int
	}{
		{"groups", len(v.Rows.Shown), v.Rows.More, mostGroups, 1000},
		{"causes", len(v.Causes.Shown), v.Causes.More, mostCauses, 2000},
		{"nodes", len(v.Moving.Shown), v.Moving.More, mostNodes, 3334},
		{"kept nodes", len(v.Kept.Shown), v.Kept.More, mostNodes, 833},
		{"all nodes", len(v.Every.Shown), v.Every.More, mostEvery, 5000},
		{"decisions", len(v.Entries.Shown), v.Entries.More, mostEntries, 504},
		{"earlier decisions", len(v.Earlier.Shown), v.Earlier.More, mostEarlier, 504 - mostEntries},
	} {
		assert.Truef(t, list.shown == list.wantShown && list.shown+list.more == list.wantAll,
			"%s: %d shown of %d, want %d of %d", list.name, list.shown, list.shown+list.more, list.wantShown, list.wantAll)
	}
}

func TestAFullGroupAsksForItsPodsSize(t *testing.T) {
	full := decision.Reason{Code: decision.CodeMaxSize, Message: `group "web" has its maximum size of 4`, Remedy: "--max-size 5"}
	enough := full
	enough.Remedy = "--max-size 27"
	report := &decision.Report{Groups: []decision.Group{{Name: "web", State: decision.GroupFull, Reason: full}}}
	assert.Equal(t, full.Remedy, newView(report).Rows.Shown[0].Remedy, "without pods the row says")
	report.Pods = []decision.Pod{{State: decision.PodHelpless, Cause: enough}}
	assert.Equal(t, enough.Remedy, newView(report).Rows.Shown[0].Remedy, "the row says")
}

func TestBar(t *testing.T) {
	for _, tt := range []struct {
		name  string
		group decision.Group
		want  bar
	}{
		{"empty", decision.Group{}, bar{}},
		{"growing", decision.Group{Min: 1, Max: 10, Desired: 5, Ready: 2}, bar{Ready: 20, Desired: 50, Min: 10}},
		{"above its maximum", decision.Group{Max: 4, Desired: 8, Ready: 8}, bar{Ready: 100, Desired: 100}},
		{"more nodes than wanted", decision.Group{Max: 4, Desired: 2, Ready: 4}, bar{Ready: 50, Desired: 50}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.want, newBar(&tt.group), "bar")
		})
	}
}

func TestRemedyIsSplitIntoTextAndCommands(t *testing.T) {
	for _, tt := range []struct {
		remedy string
		want   []step
	}{
		{"", nil},
		{"raise --max-nodes-total", []step{{"raise --max-nodes-total", false}}},
		{"kubectl get nodes", []step{{"kubectl get nodes", true}}},
		{"check the permissions: asgctl account", []step{{"check the permissions:", false}, {"asgctl account", true}}},
		{"give it a budget, or kubectl annotate pod -n a b c=d", []step{{"give it a budget, or", false}, {"kubectl annotate pod -n a b c=d", true}}},
		{"first\nhelm list\n", []step{{"first", false}, {"helm list", true}}},
	} {
		assert.Emptyf(t, cmp.Diff(tt.want, remedy(tt.remedy)), "%q (-want +got)", tt.remedy)
	}
}

func TestBoundedText(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"web", "web"},
		{"größer", "größer"},
		{"abcdefghijk", "abcdefgh…"},
		{"a\nb\tc", "a b c"},
		{"a\u202eb\u2066c\u200fd\x00", "a\ufffdb\ufffdc\ufffdd\ufffd"},
		{"\xff\xfe", "\ufffd\ufffd"},
	} {
		assert.Equalf(t, tt.want, bounded(tt.text, 8), "%q", tt.text)
	}
}

func TestNumbers(t *testing.T) {
	for got, want := range map[string]string{
		count(0): "0", count(999): "999", count(1000): "1,000", count(-1234567): "-1,234,567", count(-100): "-100",
		amount(0): "0.00", amount(1234.5): "1,234.50", noun(1, "pod"): "1 pod", noun(1200, "pod"): "1,200 pods",
		took(182 * time.Millisecond): "182 ms", took(2210 * time.Millisecond): "2.2 s", took(95 * time.Second): "1m35s",
		string(age(now)): `<time class="age" datetime="2026-11-21T14:32:08Z">21 Nov 14:32:08</time>`,
	} {
		assert.Equal(t, want, got)
	}
}

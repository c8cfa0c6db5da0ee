package expander

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apiv1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	corepriority "k8s.io/autoscaler/cluster-autoscaler/expander/priority"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
)

const namespace = "kube-system"

// serving is a client of an API server that has one config map, with that data, and nothing else.
func serving(t *testing.T, data map[string]string) kubernetes.Interface {
	t.Helper()
	configMap := apiv1.ConfigMap{TypeMeta: metav1.TypeMeta{Kind: "ConfigMap", APIVersion: "v1"}, Data: data,
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: corepriority.PriorityConfigMapName, ResourceVersion: "1"}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch query := r.URL.Query(); {
		case r.URL.Path != "/api/v1/namespaces/"+namespace+"/configmaps":
			http.NotFound(w, r)
		case query.Get("sendInitialEvents") != "": // an old server: the client lists instead
			http.Error(w, "{}", http.StatusUnprocessableEntity)
		case query.Get("watch") != "":
			w.WriteHeader(http.StatusOK)
			w.(http.Flusher).Flush()
			select { // the client may open a watch after the clean-up has closed the connections
			case <-r.Context().Done():
			case <-t.Context().Done():
				panic(http.ErrAbortHandler)
			}
		default:
			_ = json.NewEncoder(w).Encode(apiv1.ConfigMapList{TypeMeta: metav1.TypeMeta{Kind: "ConfigMapList", APIVersion: "v1"},
				ListMeta: metav1.ListMeta{ResourceVersion: "1"}, Items: []apiv1.ConfigMap{configMap}})
		}
	}))
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	client, err := kubernetes.NewForConfig(&rest.Config{Host: server.URL, ContentConfig: rest.ContentConfig{ContentType: "application/json"}})
	require.NoError(t, err)
	return client
}

func eventually(t *testing.T, read func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !read(); time.Sleep(5 * time.Millisecond) {
		require.False(t, time.Now().After(end), "the config map has not been read")
	}
}

func groupOf(id string) string {
	name, _, _ := strings.Cut(id, "/")
	return name
}

func TestPatternsMatchZoneGroupsByEitherName(t *testing.T) {
	all := []string{"batch", "web/us-east-1a", "web-gpu/us-east-1a", "web/us-east-1b"}
	const notMatched, noneMatched, invalid = "PriorityConfigMapNotMatchedGroup", "PriorityConfigMapNoGroupMatched", "PriorityConfigMapInvalid"
	for _, tt := range []struct {
		name, priorities string
		options          []string // all where nil
		want             []string
		events           []string // reason and group
	}{
		{name: "the whole name of a group", priorities: `{50: [^web$], 10: [.*]}`, want: []string{"web/us-east-1a", "web/us-east-1b"}},
		{name: "the end of a name", priorities: `{50: [gpu$], 10: [.*]}`, want: []string{"web-gpu/us-east-1a"}},
		{name: "a name that others begin with", priorities: `{50: [^web], 10: [.*]}`,
			want: []string{"web/us-east-1a", "web-gpu/us-east-1a", "web/us-east-1b"}},
		{name: "a group and a zone", priorities: `{50: [web/us-east-1a], 10: [.*]}`, want: []string{"web/us-east-1a"}},
		{name: "a zone is preferred, the group will do", priorities: `{50: [^web/us-east-1b$], 10: [^web$, ^web-gpu$, batch]}`,
			want: []string{"web/us-east-1b"}},
		{name: "the group's priority is the higher", priorities: `{50: [^web$], 40: [batch, gpu], 10: [^web/us-east-1a$]}`,
			want: []string{"web/us-east-1a", "web/us-east-1b"}},
		{name: "one priority by both names", priorities: `{50: [^web$, web/us-east-1a, batch], 10: [gpu]}`,
			want: []string{"batch", "web/us-east-1a", "web/us-east-1b"}},
		{name: "priorities below zero", priorities: `{-1: [^web$], -2: [.*]}`, want: []string{"web/us-east-1a", "web/us-east-1b"}},
		{name: "no views", priorities: `{50: [^web$], 10: [.*]}`, options: []string{"web", "web-gpu"}, want: []string{"web"}},
		{name: "a view without a pattern", priorities: `{50: [^web$, batch]}`, want: []string{"batch", "web/us-east-1a", "web/us-east-1b"},
			events: []string{notMatched + " web-gpu/us-east-1a"}},
		{name: "nothing has a pattern", priorities: `{50: [^db$]}`, want: all,
			events: []string{notMatched + " batch", notMatched + " web/us-east-1a", notMatched + " web-gpu/us-east-1a",
				notMatched + " web/us-east-1b", noneMatched + " "}},
		{name: "no pattern", priorities: `{}`, options: []string{"web/us-east-1a"}, want: []string{"web/us-east-1a"},
			events: []string{notMatched + " web/us-east-1a", noneMatched + " "}},
		{name: "a pattern that is none", priorities: `{50: ["("], 10: [^web$]}`, want: all, events: []string{invalid + " "}},
		{name: "not YAML", priorities: `{`, want: all, events: []string{invalid + " "}},
		{name: "nothing", priorities: ``, want: all, events: []string{invalid + " "}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			recorder := record.NewFakeRecorder(100)
			filter := newPriority(&cacontext.AutoscalingKubeClients{Recorder: recorder},
				serving(t, map[string]string{corepriority.ConfigMapKey: tt.priorities}), namespace, groupOf)
			eventually(t, func() bool {
				_, err := filter.configMaps.Get(corepriority.PriorityConfigMapName)
				return err == nil
			})
			ids := tt.options
			if ids == nil {
				ids = all
			}
			given := offer(ids...)
			var got []string
			for _, option := range filter.BestOptions(given, nil) {
				got = append(got, option.NodeGroup.Id())
				_, ok := option.NodeGroup.(*group)
				assert.Truef(t, ok && option.NodeCount == 1 && len(option.Pods) == 1, "option %+v is not the one given", option)
			}
			assert.Empty(t, cmp.Diff(tt.want, got), "options kept (-want +got)")
			assert.Empty(t, cmp.Diff(tt.events, warnings(recorder)), "events (-want +got)")
		})
	}
}

// warnings are the events so far: reason, and the node group that it names.
func warnings(recorder *record.FakeRecorder) []string {
	close(recorder.Events)
	var list []string
	for event := range recorder.Events {
		reason := strings.Fields(event)[1]
		_, rest, _ := strings.Cut(event, "node group ")
		id, _, _ := strings.Cut(rest, " ")
		list = append(list, reason+" "+id)
	}
	return list
}

func TestPriorityKeepsAllWithoutItsConfigMap(t *testing.T) {
	recorder := record.NewFakeRecorder(100)
	client, err := kubernetes.NewForConfig(&rest.Config{Host: "http://127.0.0.1:1"})
	require.NoError(t, err)
	filter := newPriority(&cacontext.AutoscalingKubeClients{Recorder: recorder}, client, namespace, groupOf)
	got := filter.BestOptions(offer("batch", "web/a", "web/b"), nil)
	assert.Truef(t, len(got) == 3 && got[1].NodeGroup.Id() == "web/a", "options kept = %+v, want all three", got)
	assert.Nil(t, warnings(recorder), "events")
	assert.Nil(t, filter.BestOptions(nil, nil), "options kept of none")
}

// Every namespace has a config map of its own, so that none at all means that they have not been read.
func TestMissingPrioritiesAreReportedOnceEachTime(t *testing.T) {
	named := func(name string) *apiv1.ConfigMap {
		return &apiv1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Data: map[string]string{corepriority.ConfigMapKey: "{10: [.*]}"}}
	}
	store := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc})
	configMaps := corelisters.NewConfigMapLister(store).ConfigMaps(namespace)
	filter := &priority{core: corepriority.NewFilter(configMaps, &record.FakeRecorder{}), configMaps: configMaps, groupName: groupOf}
	var got []string
	chain := &Chain{steps: []step{{filter: firstByName{}, flag: true}}, priority: filter, event: func(kind, reason, message string) { got = append(got, kind+" "+reason+": "+message) }}
	priorities := named(corepriority.PriorityConfigMapName)
	missing := []string{"Warning PriorityConfigMapMissing: No priorities count: namespace kube-system has no config map cluster-autoscaler-priority-expander"}
	for _, moment := range []struct {
		name   string
		change func() error
		want   []string
	}{
		{"not read", func() error { return nil }, nil},
		{"missing", func() error { return store.Add(named("kube-root-ca.crt")) }, missing},
		{"there", func() error { return store.Add(priorities) }, nil},
		{"deleted", func() error { return store.Delete(priorities) }, missing},
	} {
		require.NoError(t, moment.change())
		got = nil
		for range 3 {
			require.NotNil(t, chain.BestOption(offer("batch", "web/a"), nil))
		}
		assert.Equal(t, moment.want, got, moment.name)
	}
}

func TestLowerPriorityIsNotBalancedWithTheHighest(t *testing.T) {
	for priorities, want := range map[string][2]bool{ // whether b and c may grow for a
		`{50: [web/a], 10: [.*]}`:        {false, false},
		`{50: [web/a]}`:                  {false, false},
		`{50: [web/a, web/c], 10: [.*]}`: {false, true},
		`{50: [^web$]}`:                  {true, true},
		`{50: [^db$]}`:                   {true, true}, // all are kept
	} {
		client := serving(t, map[string]string{corepriority.ConfigMapKey: priorities})
		chain, err := parsed("priority", Config{Namespace: namespace, GroupName: groupOf, KubeClient: client,
			Clients: &cacontext.AutoscalingKubeClients{Recorder: &record.FakeRecorder{}}})
		require.NoError(t, err)
		eventually(t, func() bool { return chain.Priorities() != nil })
		list := offer("web/a", "web/b", "web/c")
		for i := range list {
			list[i].SimilarNodeGroups = []cloudprovider.NodeGroup{&group{id: "web/a"}, &group{id: "web/b"}, &group{id: "web/c"}}
		}
		require.Equal(t, "web/a", chain.BestOption(list, nil).NodeGroup.Id(), priorities)
		assert.Equal(t, want, [2]bool{chain.Balances("web/a", "web/b"), chain.Balances("web/a", "web/c")}, priorities)
		chain.BestOption(list[:1], nil)
		assert.True(t, chain.Balances("web/a", "web/b"), "the choice before counts no more")
	}
}

// The patterns know a zone's group by its name. Before the config map is read, the first by name is chosen.
func TestPriorityComesBeforeInterruptions(t *testing.T) {
	for _, tt := range []struct{ names, priorities, want string }{
		{"priority", `{50: [^spot$], 10: [.*]}`, "spot/us-east-1a"},
		{"priority,least-nodes", `{50: [^spot$], 10: [.*]}`, "spot/us-east-1a"},
		{"priority", `{50: [^spot$, ^zoo$], 10: [.*]}`, "zoo"},
		{"least-nodes", `{50: [^spot$], 10: [.*]}`, "batch"},
		{"least-nodes,priority", `{50: [^spot$], 10: [.*]}`, "batch"},
	} {
		t.Run(tt.names+" "+tt.priorities, func(t *testing.T) {
			client := serving(t, map[string]string{corepriority.ConfigMapKey: tt.priorities})
			strategy, err := parsed(tt.names, Config{
				Namespace: namespace, GroupName: groupOf, KubeClient: client,
				Clients:     &cacontext.AutoscalingKubeClients{Recorder: &record.FakeRecorder{}},
				Interrupted: func(nodeGroup string) bool { return nodeGroup == "spot/us-east-1a" },
			})
			require.NoError(t, err)
			eventually(t, func() bool {
				return strategy.BestOption(offer("batch", "spot/us-east-1a", "zoo"), nil).NodeGroup.Id() == tt.want
			})
		})
	}
}

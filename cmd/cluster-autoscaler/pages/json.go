package pages

import (
	"compress/gzip"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
)

const (
	// atOnce is how many answers are made and sent at once. One takes up to some 20 MiB, and the others wait.
	atOnce = 2
	// sendLimit bounds the time for sending an answer, so that slow readers do not keep the others waiting.
	sendLimit = 30 * time.Second
)

// JSON answers with the report of a record. With ?pod=NAMESPACE/NAME it has that pending pod alone, and the groups that its search
// names. With ?node=NAME, of a node or an instance, it has that node and its group. A pod that is not pending, or an unknown node, leaves the
// list empty.
type JSON struct {
	record *decision.Record
	slots  chan struct{}
}

// NewJSON makes a JSON.
func NewJSON(record *decision.Record) *JSON {
	return &JSON{record: record, slots: make(chan struct{}, atOnce)}
}

func (j *JSON) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "only GET is served here", http.StatusMethodNotAllowed)
		return
	}
	query := r.URL.Query()
	pod, node := query.Get("pod"), query.Get("node")
	namespace, name, isPod := strings.Cut(pod, "/")
	if pod != "" && (node != "" || !isPod) {
		http.Error(w, "use either ?pod=NAMESPACE/NAME or ?node=NAME", http.StatusBadRequest)
		return
	}
	select {
	case j.slots <- struct{}{}:
		defer func() { <-j.slots }()
	case <-r.Context().Done():
		return
	}
	report := j.record.Report()
	switch {
	case pod != "":
		report = ofPod(report, namespace, name)
	case node != "":
		report = ofNode(report, node)
	}
	sendJSON(w, r, report)
}

// sendJSON writes the report, compressed where the reader accepts that.
func sendJSON(w http.ResponseWriter, r *http.Request, report *decision.Report) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(sendLimit)) // a recorder in a test has none
	header := w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Vary", "Accept-Encoding")
	if !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		_ = json.NewEncoder(w).Encode(report) // the reader has gone
		return
	}
	header.Set("Content-Encoding", "gzip")
	compressed := gzip.NewWriter(w)
	_ = json.NewEncoder(compressed).Encode(report)
	_ = compressed.Close()
}

// ofPod returns the part of the report that is about a pod.
func ofPod(r *decision.Report, namespace, name string) *decision.Report {
	part := head(r)
	at := slices.IndexFunc(r.Pods, func(p decision.Pod) bool { return p.Namespace == namespace && p.Name == name })
	if at < 0 {
		return part.Report
	}
	pod, named := r.Pods[at], map[string]bool{r.Pods[at].Group: true}
	if pod.Search >= 0 {
		search := r.Searches[pod.Search]
		part.Searches, pod.Search = []decision.Search{search}, 0
		for _, a := range search.Answers {
			named[a.Group] = true
		}
	}
	part.Pods = []decision.Pod{pod}
	part.about(r, func(group string) bool { return named[group] })
	return part.Report
}

// ofNode returns the part of the report that is about a node.
func ofNode(r *decision.Report, name string) *decision.Report {
	part := head(r)
	at := slices.IndexFunc(r.Nodes, func(n decision.Node) bool { return n.Name == name || n.InstanceID == name })
	if at < 0 {
		return part.Report
	}
	part.Nodes = r.Nodes[at : at+1]
	part.about(r, func(group string) bool { return group == part.Nodes[0].Group })
	return part.Report
}

// excerpt is a part of a report.
type excerpt struct{ *decision.Report }

// head returns what every excerpt has: process, loop, and no list.
func head(r *decision.Report) excerpt {
	return excerpt{&decision.Report{Version: r.Version, At: r.At, Process: r.Process, Reading: r.Reading, Loop: r.Loop, Groups: []decision.Group{}, Pods: []decision.Pod{},
		Searches: []decision.Search{}, Nodes: []decision.Node{}, Launches: []decision.Launch{}, Timeline: []decision.Entry{}, Calls: []decision.Call{},
		Spend: decision.Spend{Currency: r.Spend.Currency, PerHour: r.Spend.PerHour, History: []decision.SpendPoint{}}}}
}

// about adds the groups, their launches and their entries in the timeline.
func (e excerpt) about(r *decision.Report, group func(name string) bool) {
	e.Groups = append(e.Groups, kept(r.Groups, func(g decision.Group) bool { return group(g.Name) })...)
	e.Launches = append(e.Launches, kept(r.Launches, func(l decision.Launch) bool { return group(l.Group) })...)
	e.Timeline = append(e.Timeline, kept(r.Timeline, func(t decision.Entry) bool { return t.Group != "" && group(t.Group) })...)
}

func kept[T any](list []T, keep func(T) bool) []T {
	return slices.DeleteFunc(slices.Clone(list), func(element T) bool { return !keep(element) })
}

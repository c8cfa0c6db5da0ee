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
	// atOnce bounds the answers that are made and sent at once. One takes up to some 20 MiB, and the others wait.
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
	if pod != "" || node != "" {
		report = excerpt(report,
			func(p *decision.Pod) bool { return isPod && p.Namespace == namespace && p.Name == name },
			func(n *decision.Node) bool { return node != "" && (n.Name == node || n.InstanceID == node) })
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

// excerpt returns the part of a report about some pods or nodes: these, what their searches say, and their groups.
func excerpt(r *decision.Report, pod func(*decision.Pod) bool, node func(*decision.Node) bool) *decision.Report {
	part := *r
	part.PodsLeft, part.Searches, part.Calls = 0, []decision.Search{}, []decision.Call{}
	part.Pods, part.Nodes = kept(r.Pods, pod), kept(r.Nodes, node)
	named := map[string]bool{}
	for at := range part.Nodes {
		named[part.Nodes[at].Group] = true
	}
	for at := range part.Pods {
		p := &part.Pods[at]
		named[p.Group] = true
		if p.Search < 0 {
			continue
		}
		search := r.Searches[p.Search]
		p.Search, part.Searches = len(part.Searches), append(part.Searches, search)
		for _, a := range search.Answers {
			named[a.Group] = true
		}
	}
	delete(named, "") // of a pod or node without a group
	part.Groups = kept(r.Groups, func(g *decision.Group) bool { return named[g.Name] })
	part.Launches = kept(r.Launches, func(l *decision.Launch) bool { return named[l.Group] })
	part.Timeline = kept(r.Timeline, func(e *decision.Entry) bool { return named[e.Group] })
	return &part
}

func kept[T any](list []T, keep func(*T) bool) []T {
	return slices.DeleteFunc(slices.Clone(list), func(element T) bool { return !keep(&element) })
}

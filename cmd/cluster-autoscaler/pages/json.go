package pages

import (
	"compress/gzip"
	"encoding/json"
	"net/http"
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

// JSON answers with the report of a record.
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
	select {
	case j.slots <- struct{}{}:
		defer func() { <-j.slots }()
	case <-r.Context().Done():
		return
	}
	sendJSON(w, r, j.record.Report())
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

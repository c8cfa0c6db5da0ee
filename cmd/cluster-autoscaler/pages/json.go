package pages

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"

	"golang.org/x/sync/semaphore"
	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
)

// atOnce bounds the answers that are made and sent at once. One takes up to some 20 MiB, and the others wait.
const atOnce = 2

// NewJSON answers with the report of a record, compressed where the reader accepts that. The server must bound the time for an answer, so
// that slow readers do not keep the others waiting.
func NewJSON(record *decision.Record) http.HandlerFunc {
	slots := semaphore.NewWeighted(atOnce)
	return func(w http.ResponseWriter, r *http.Request) {
		if slots.Acquire(r.Context(), 1) != nil { // the reader has gone
			return
		}
		defer slots.Release(1)
		header := w.Header()
		header.Set("Content-Type", "application/json")
		header.Set("Cache-Control", "no-store")
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Vary", "Accept-Encoding")
		var out io.Writer = w
		var compressed *gzip.Writer
		if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			header.Set("Content-Encoding", "gzip")
			compressed = gzip.NewWriter(w)
			out = compressed
		}
		err := json.NewEncoder(out).Encode(record.Report()) // writes all of it at once, or nothing
		var value *json.UnsupportedValueError
		switch {
		case errors.As(err, &value):
			klog.FromContext(r.Context()).Error(err, "Could not encode the report")
			header.Del("Content-Encoding")
			http.Error(w, "the report could not be encoded, see the log", http.StatusInternalServerError)
		case compressed != nil:
			_ = compressed.Close() // as after any other error, the reader has gone
		}
	}
}

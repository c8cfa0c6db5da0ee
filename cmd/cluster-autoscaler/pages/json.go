package pages

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
)

const (
	// atOnce bounds the answers that are made and sent at once. One takes up to some 20 MiB, and the others wait.
	atOnce = 2
	// sendLimit bounds the time for sending an answer, so that slow readers do not keep the others waiting.
	sendLimit = 30 * time.Second
)

// NewJSON answers with the report of a record, compressed where the reader accepts that.
func NewJSON(record *decision.Record) http.HandlerFunc {
	slots := make(chan struct{}, atOnce)
	return func(w http.ResponseWriter, r *http.Request) {
		select {
		case slots <- struct{}{}:
			defer func() { <-slots }()
		case <-r.Context().Done():
			return
		}
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(sendLimit)) // a recorder in a test has none
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

package pages

import (
	"compress/gzip"
	"embed"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
)

// Path is where the page is. Everything that belongs to it is below.
const Path = "/status"

const renderInterval = time.Second

// policy lets the browser load style, script, icon and the page itself from the page's own origin, and nothing from elsewhere.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

//go:embed page.html style.css app.js icon.svg
var files embed.FS

var page = newTemplates()

// Page serves the page below Path. It is safe for use by several goroutines.
type Page struct {
	report func() *decision.Report
	clock  clock.Clock
	paths  http.ServeMux

	mutex   sync.Mutex // also held while the page is rendered, so that many readers cost one rendering
	current []byte     // the last rendering
	at      time.Time  // when it was made
}

// NewPage makes a Page. Function report returns the report of now.
func NewPage(report func() *decision.Report, clock clock.Clock) *Page {
	h := &Page{report: report, clock: clock}
	h.paths.HandleFunc("GET "+Path, h.servePage)
	for _, name := range []string{"style.css", "app.js", "icon.svg"} {
		h.paths.HandleFunc("GET "+Path+"/"+name, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "no-cache") // a new version of the program has its own
			http.ServeFileFS(w, r, files, name)
		})
	}
	return h
}

func (h *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Content-Security-Policy", policy)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("X-Frame-Options", "DENY")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.paths.ServeHTTP(w, r)
}

func (h *Page) servePage(w http.ResponseWriter, r *http.Request) {
	rendering, err := h.render()
	if err != nil {
		klog.FromContext(r.Context()).Error(err, "Could not render the status page")
		http.Error(w, "the page could not be rendered, see the log", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(rendering)
}

// render returns the page as of now, or as of at most renderInterval ago.
func (h *Page) render() ([]byte, error) {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	now := h.clock.Now()
	if h.current != nil && now.Sub(h.at) < renderInterval {
		return h.current, nil
	}
	rendering, err := page.write("page", struct {
		Now  time.Time
		View *view
	}{now, newView(h.report())})
	if err == nil {
		h.current, h.at = rendering, now
	}
	return rendering, err
}

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

package pages

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"html/template"
	"net/http"
	"sync"
	"time"

	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
)

// Path is where the page is. Everything that belongs to it is below.
const Path = "/status"

// renderInterval is the least time between two renderings.
const renderInterval = time.Second

// policy lets the browser load style, script, icon and stream from the page's own origin, and nothing from elsewhere.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

//go:embed page.html style.css app.js icon.svg
var files embed.FS

var templates = template.Must(template.New("").Funcs(functions).ParseFS(files, "page.html"))

// sections are the templates of the page's parts, in their order. Each makes one element whose id is the template's name.
var sections = []string{"headline", "summary", "pods", "groups", "nodes", "timeline", "launches", "calls", "process"}

// Page serves the page below Path. It is safe for use by several goroutines.
type Page struct {
	report  func() *decision.Report
	clock   clock.Clock
	paths   http.ServeMux
	streams chan struct{} // holds one element for each open stream

	mutex   sync.Mutex // also held while the page is rendered, so that many readers cost one rendering
	current *rendering
}

// rendering is the page's sections as of one moment. It is immutable.
type rendering struct {
	at       time.Time
	report   *decision.Report
	title    string
	sections []template.HTML // as in the variable sections
}

// NewPage makes a Page. Function report returns the report of now, the same one as long as nothing changes, or nil while there is none.
func NewPage(report func() *decision.Report, clock clock.Clock) *Page {
	h := &Page{report: report, clock: clock, streams: make(chan struct{}, maxStreams)}
	h.paths.HandleFunc("GET "+Path, h.servePage)
	h.paths.HandleFunc("GET "+Path+"/events", h.serveEvents)
	for name, kind := range map[string]string{"style.css": "text/css", "app.js": "text/javascript", "icon.svg": "image/svg+xml"} {
		h.paths.HandleFunc("GET "+Path+"/"+name, serveFile(name, kind))
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

// serveFile serves an embedded file. A browser asks each time whether its copy still is the right one.
func serveFile(name, kind string) http.HandlerFunc {
	content, err := files.ReadFile(name)
	if err != nil {
		panic(err) // the compiler has embedded it
	}
	sum := sha256.Sum256(content)
	tag := `"` + hex.EncodeToString(sum[:8]) + `"`
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", kind+"; charset=utf-8")
		w.Header().Set("Cache-Control", "no-cache")
		w.Header().Set("ETag", tag)
		http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(content))
	}
}

func (h *Page) servePage(w http.ResponseWriter, r *http.Request) {
	shown, err := h.render()
	var page bytes.Buffer
	if err == nil {
		err = templates.ExecuteTemplate(&page, "page", map[string]any{"Title": shown.title, "Now": h.clock.Now(), "Sections": shown.sections})
	}
	if err != nil {
		klog.FromContext(r.Context()).Error(err, "Could not render the status page")
		http.Error(w, "the page could not be rendered, see the log", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(page.Bytes())
}

// render returns the sections as of now, or as of at most renderInterval ago. A report that has not changed is not rendered again.
func (h *Page) render() (*rendering, error) {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	now := h.clock.Now()
	if h.current != nil && now.Sub(h.current.at) < renderInterval {
		return h.current, nil
	}
	report := h.report()
	if h.current != nil && h.current.report == report {
		return h.current, nil
	}
	v := newView(report)
	next := &rendering{at: now, report: report, title: v.Title()}
	for _, name := range sections {
		var b bytes.Buffer
		if err := templates.ExecuteTemplate(&b, name, v); err != nil {
			return nil, err
		}
		next.sections = append(next.sections, template.HTML(b.String()))
	}
	h.current = next
	return next, nil
}

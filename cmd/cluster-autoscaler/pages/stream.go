package pages

import (
	"bytes"
	"encoding/json"
	"html/template"
	"net/http"
	"time"

	"k8s.io/klog/v2"
)

const (
	// maxStreams bounds the open streams of a process. A browser opens one for each page that it shows.
	maxStreams = 32
	// heartbeat is the longest time without a byte on a stream, so that proxies keep it open and dead clients are noticed.
	heartbeat = 15 * time.Second
	// writeLimit bounds the time that a client takes to receive what was sent.
	writeLimit = 10 * time.Second
)

// patch is the data of one event.
type patch struct {
	Now      time.Time                `json:"now"` // by the server's clock
	Title    string                   `json:"title"`
	Sections map[string]template.HTML `json:"sections"` // by id, only those that the client does not have
}

// serveEvents sends the sections as server-sent events, at first all of them and then each when it has changed, until the client or the server
// ends the connection.
func (h *Page) serveEvents(w http.ResponseWriter, r *http.Request) {
	select {
	case h.streams <- struct{}{}:
		defer func() { <-h.streams }()
	default:
		w.Header().Set("Retry-After", "30")
		http.Error(w, "too many status pages are open", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	out := http.NewResponseController(w)
	sent := make([]template.HTML, len(sections))
	for silence := time.Duration(0); ; silence += renderInterval {
		shown, err := h.render()
		if err != nil {
			klog.FromContext(r.Context()).Error(err, "Could not render the status page")
			return
		}
		b := event(shown, sent, h.clock.Now())
		if b == nil && silence >= heartbeat {
			b = []byte(":\n\n")
		}
		if b != nil {
			silence = 0
			if err := send(w, out, b); err != nil {
				return // the client is gone
			}
		}
		copy(sent, shown.sections)
		select {
		case <-h.clock.After(renderInterval):
		case <-r.Context().Done():
			return
		}
	}
}

// event returns the sections that differ from sent ones in the form of a server-sent event, nothing if none does.
func event(shown *rendering, sent []template.HTML, now time.Time) []byte {
	p := patch{Now: now, Title: shown.title, Sections: map[string]template.HTML{}}
	for i, html := range shown.sections {
		if html != sent[i] {
			p.Sections[sections[i]] = html
		}
	}
	if len(p.Sections) == 0 {
		return nil
	}
	b := bytes.NewBufferString("data: ")
	encoder := json.NewEncoder(b)
	encoder.SetEscapeHTML(false) // a script of ours reads it, no HTML parser does
	_ = encoder.Encode(p)        // texts and a time can be encoded, and the buffer takes them
	b.WriteByte('\n')            // after the one that ends the encoded line
	return b.Bytes()
}

// send writes to a client that has a bounded time to receive it.
func send(w http.ResponseWriter, out *http.ResponseController, b []byte) error {
	_ = out.SetWriteDeadline(time.Now().Add(writeLimit)) // by the kernel's clock. A writer without a connection has no deadline
	if _, err := w.Write(b); err != nil {
		return err
	}
	return out.Flush()
}

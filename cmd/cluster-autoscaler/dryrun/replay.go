package dryrun

import (
	"io"
	"io/fs"
	"net/http"
	"regexp"
	"strings"
	"time"

	"k8s.io/client-go/rest"
)

// Recording is the API server of a recorded loop. It has the objects of that loop alone, and moves their times by Later, so that the loop
// begins now. Otherwise all nodes would be late, and all delays over.
type Recording struct {
	Files fs.FS
	Later time.Duration
}

// Kube is the connection to the API server. Nothing leaves the process.
func (r Recording) Kube() *rest.Config {
	return &rest.Config{Host: "http://recording.invalid", Transport: r, ContentConfig: rest.ContentConfig{ContentType: "application/json"}}
}

// RoundTrip answers lists of whole kinds. A watch shows no event. A list by a watch is refused, and client-go lists then.
func (r Recording) RoundTrip(request *http.Request) (*http.Response, error) {
	text, err := fs.ReadFile(r.Files, kubeFolder+request.URL.Path)
	query := request.URL.Query()
	answer := response(request, "application/json", moment.ReplaceAllFunc(text, r.moved))
	switch {
	case err != nil:
		answer.StatusCode = http.StatusNotFound
	case query.Get("sendInitialEvents") == "true":
		answer.StatusCode = http.StatusUnprocessableEntity
		answer.Body = io.NopCloser(strings.NewReader(`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Invalid","code":422}`))
	case query.Get("watch") != "":
		answer.Body, _ = io.Pipe() // client-go closes it
	}
	return answer, nil
}

// moment matches a time of this century in JSON, with or without a fraction.
var moment = regexp.MustCompile(`"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)"`)

// moved is the time in quotes, later. All of the API's times may have six digits of a fraction, and some have to.
func (r Recording) moved(quoted []byte) []byte {
	at, err := time.Parse(`"`+time.RFC3339+`"`, string(quoted))
	if err != nil {
		return quoted
	}
	return at.Add(r.Later).AppendFormat(nil, `"2006-01-02T15:04:05.000000Z07:00"`)
}

package dryrun

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"path"
	"regexp"
	"strings"

	"k8s.io/client-go/rest"
)

// Kube returns the configuration of an API server with the Guard around its transport.
func (g *Guard) Kube(config *rest.Config) *rest.Config {
	guarded := rest.CopyConfig(config)
	guarded.Wrap(func(next http.RoundTripper) http.RoundTripper { return transport{g, next} })
	return guarded
}

// Paths are compared from their end, because the API server may stand behind a path of its own.
var events = regexp.MustCompile(`/(api|apis/events\.k8s\.io)/v1/namespaces/[^/]+/events(/[^/]+)?$`)

type transport struct {
	guard *Guard
	next  http.RoundTripper
}

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	switch {
	case r.Method == http.MethodGet:
		return t.read(r)
	case t.guard.refuses && (strings.HasSuffix(r.URL.Path, t.guard.lease) ||
		r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, path.Dir(t.guard.lease))):
		return t.next.RoundTrip(r)
	case t.guard.refuses && events.MatchString(r.URL.Path): // each part writes some
		return echo(r)
	}
	if err := t.guard.answer(r.Method + " " + r.URL.Path); err != nil {
		return nil, err
	}
	if r.Method == http.MethodPost || r.Method == http.MethodPut || r.Method == http.MethodPatch {
		return echo(r)
	}
	if r.Body != nil {
		_ = r.Body.Close()
	}
	return response(r, "application/json", []byte(`{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Success"}`)), nil
}

// read ends the dry run where the reader may not read. The questions of informers.SwitchOff, whose answer may be no, ask for one object.
func (t transport) read(r *http.Request) (*http.Response, error) {
	answer, err := t.next.RoundTrip(r)
	switch {
	case err != nil && r.Context().Err() == nil:
		t.guard.failed(fmt.Errorf("read from the API server: %w", err))
	case err == nil && (answer.StatusCode == http.StatusUnauthorized || answer.StatusCode == http.StatusForbidden) && r.URL.Query().Get("limit") != "1":
		t.guard.failed(fmt.Errorf("the API server refuses to show %s: %s", r.URL.Path, answer.Status))
	}
	return answer, err
}

func echo(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		defer func() { _ = r.Body.Close() }()
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
	}
	contentType := r.Header.Get("Content-Type")
	if r.Method == http.MethodPatch {
		contentType = "application/json" // no client reads the type of a patch
	}
	return response(r, contentType, body), nil
}

func response(r *http.Request, contentType string, body []byte) *http.Response {
	return &http.Response{
		Status: "200 OK", StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {contentType}}, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)), Request: r,
	}
}

package fakeaws

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
)

// HTTPClient is a client for the SDK that calls the Server without a network.
func (s *Server) HTTPClient() interface {
	Do(*http.Request) (*http.Response, error)
} {
	return direct{s.handler}
}

// direct is an HTTP client without a network.
type direct struct{ handler http.Handler }

// Do lets the handler serve the request, even beyond the end of the context. If the handler breaks the connection off, the
// error is io.ErrUnexpectedEOF.
func (d direct) Do(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
	}
	r = r.Clone(r.Context())
	r.Body = io.NopCloser(bytes.NewReader(body)) // the caller may send its own again before the handler is done
	answer := make(chan *http.Response, 1)
	go func() {
		recorder := httptest.NewRecorder()
		if aborted(func() { d.handler.ServeHTTP(recorder, r) }) {
			close(answer)
			return
		}
		answer <- recorder.Result()
	}()
	select {
	case response, ok := <-answer:
		switch {
		case ok:
			return response, nil
		case r.Context().Err() != nil: // for which the handler broke off
			return nil, r.Context().Err()
		}
		return nil, io.ErrUnexpectedEOF
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

// aborted reports whether serve broke the connection off, as handlers of net/http do.
func aborted(serve func()) (broken bool) {
	defer func() {
		if r := recover(); r != nil {
			if r != http.ErrAbortHandler {
				panic(r)
			}
			broken = true
		}
	}()
	serve()
	return false
}

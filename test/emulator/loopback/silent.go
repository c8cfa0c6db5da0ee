package loopback

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
)

// Silent returns the URL of a server that takes requests until the end of the test, and answers none.
func Silent(t testing.TB) string {
	ctx, end := context.WithCancel(t.Context())
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-ctx.Done():
		}
	}))
	t.Cleanup(server.Close)
	t.Cleanup(end)
	return server.URL
}

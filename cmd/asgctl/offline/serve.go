package offline

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
)

// Config returns the configuration of clients that read the Cluster.
func (c *Cluster) Config() *rest.Config {
	return &rest.Config{Host: "http://offline", Transport: c, QPS: -1, ContentConfig: rest.ContentConfig{ContentType: runtime.ContentTypeJSON}}
}

// RoundTrip answers a list with the objects of the kind, in all namespaces or in one, a watch with no change, and discovery with the
// custom kinds that are served. Selectors are not obeyed: the reader sees more than it asked for.
func (c *Cluster) RoundTrip(r *http.Request) (*http.Response, error) {
	path, namespace := r.URL.Path, ""
	if version, rest, found := strings.Cut(path, "/namespaces/"); found {
		if named, resource, found := strings.Cut(rest, "/"); found {
			path, namespace = version+"/"+resource, named
		}
	}
	of, known := served[path]
	switch query := r.URL.Query(); {
	case r.Method != http.MethodGet:
		return refuse(r, http.StatusMethodNotAllowed, metav1.StatusReasonMethodNotAllowed)
	case discovery[r.URL.Path] != nil:
		text, err := json.Marshal(discovery[r.URL.Path])
		return respond(r, http.StatusOK, io.NopCloser(bytes.NewReader(text))), err
	case !known:
		return refuse(r, http.StatusNotFound, metav1.StatusReasonNotFound)
	case query.Get("sendInitialEvents") != "": // the client lists instead
		return refuse(r, http.StatusUnprocessableEntity, metav1.StatusReasonInvalid)
	case query.Get("watch") != "":
		return respond(r, http.StatusOK, unchanging(r.Context())), nil
	}
	return respond(r, http.StatusOK, io.NopCloser(c.list(of, namespace))), nil
}

// served are the kinds by the paths of their lists.
var served = func() map[string]metav1.TypeMeta {
	paths := map[string]metav1.TypeMeta{}
	for of, resource := range resources {
		prefix := "/apis/"
		if !strings.Contains(of.APIVersion, "/") {
			prefix = "/api/"
		}
		paths[prefix+of.APIVersion+"/"+resource] = of
	}
	return paths
}()

// list reads a list of the objects of the kind, in all namespaces if none is named.
func (c *Cluster) list(of metav1.TypeMeta, namespace string) io.Reader {
	parts := []io.Reader{strings.NewReader(fmt.Sprintf(`{"kind":%q,"apiVersion":%q,"metadata":{"resourceVersion":"1"},"items":[`, of.Kind+"List", of.APIVersion))}
	for _, o := range c.objects[of] {
		if namespace != "" && o.namespace != namespace {
			continue
		}
		if len(parts) > 1 {
			parts = append(parts, strings.NewReader(","))
		}
		parts = append(parts, bytes.NewReader(o.text))
	}
	return io.MultiReader(append(parts, strings.NewReader("]}"))...)
}

// unchanging is the stream of a watch in which nothing happens. It ends with its request.
func unchanging(ctx context.Context) io.ReadCloser {
	r, w := io.Pipe()
	context.AfterFunc(ctx, func() { _ = w.Close() })
	return r
}

func refuse(r *http.Request, code int, reason metav1.StatusReason) (*http.Response, error) {
	text, err := json.Marshal(metav1.Status{TypeMeta: kind("v1", "Status"), Status: metav1.StatusFailure, Code: int32(code), Reason: reason,
		Message: "the files have no " + r.URL.Path})
	return respond(r, code, io.NopCloser(bytes.NewReader(text))), err
}

func respond(r *http.Request, code int, body io.ReadCloser) *http.Response {
	return &http.Response{Status: fmt.Sprintf("%d %s", code, http.StatusText(code)), StatusCode: code, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {runtime.ContentTypeJSON}}, Body: body, ContentLength: -1, Request: r}
}

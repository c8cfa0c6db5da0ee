package fileapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// quotas is the only group of custom kinds that is served. A client of built-in kinds knows them and does not ask.
var quotas = metav1.GroupVersionForDiscovery{GroupVersion: "autoscaling.x-k8s.io/v1alpha1", Version: "v1alpha1"}

var discovery = map[string]any{
	"/api": metav1.APIVersions{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "APIVersions"}, Versions: []string{"v1"}},
	"/apis": metav1.APIGroupList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "APIGroupList"}, Groups: []metav1.APIGroup{{
		Name: "autoscaling.x-k8s.io", Versions: []metav1.GroupVersionForDiscovery{quotas}, PreferredVersion: quotas}}},
	"/apis/" + quotas.GroupVersion: metav1.APIResourceList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "APIResourceList"}, GroupVersion: quotas.GroupVersion,
		APIResources: []metav1.APIResource{{Name: "capacityquotas", Kind: "CapacityQuota", Verbs: metav1.Verbs{"list", "watch"}}}},
}

// A Server holds the objects. Start one with Start.
type Server struct {
	http    *httptest.Server
	objects map[string][]object // by the path of their list
}

type object struct {
	metav1.TypeMeta
	Metadata struct{ Namespace, Name string }
	text     json.RawMessage
}

// Start serves the objects that in has as JSON or YAML documents, on loopback.
func Start(in io.Reader) (*Server, error) {
	s := &Server{objects: map[string][]object{}}
	decoder := yaml.NewYAMLOrJSONDecoder(in, 4096)
	for {
		var o object
		if err := decoder.Decode(&o.text); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		if err := json.Unmarshal(o.text, &o); err != nil {
			return nil, fmt.Errorf("not an object of Kubernetes: %w", err)
		}
		path := listPath(o.TypeMeta)
		s.objects[path] = append(s.objects[path], o)
	}
	s.http = httptest.NewServer(s)
	return s, nil
}

// listPath is the path of the list of a kind. The autoscaler reads no kind with another plural.
func listPath(of metav1.TypeMeta) string {
	root := "/apis/"
	if !strings.Contains(of.APIVersion, "/") {
		root = "/api/"
	}
	plural := strings.ToLower(of.Kind) + "s"
	if strings.HasSuffix(of.Kind, "ss") {
		plural = strings.ToLower(of.Kind) + "es"
	}
	return root + of.APIVersion + "/" + plural
}

// Close ends the server and the watches.
func (s *Server) Close() {
	s.http.CloseClientConnections()
	s.http.Close()
}

// WriteKubeconfig writes a file with which clients find the server.
func (s *Server) WriteKubeconfig(path string) error {
	return clientcmd.WriteToFile(clientcmdapi.Config{CurrentContext: "file", Contexts: map[string]*clientcmdapi.Context{"file": {Cluster: "file"}},
		Clusters: map[string]*clientcmdapi.Cluster{"file": {Server: s.http.URL}}}, path)
}

// ServeHTTP answers a list with the objects of the kind, in all namespaces or in one, one object of a namespace, a watch with no change,
// and discovery with the custom kinds. A custom kind that it has no object of is not served. It ignores selectors, so the reader sees more than it asked for. It refuses writes.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", runtime.ContentTypeJSON)
	path, namespace, name := r.URL.Path, "", ""
	if version, rest, found := strings.Cut(path, "/namespaces/"); found {
		if named, resource, found := strings.Cut(rest, "/"); found {
			resource, name, _ = strings.Cut(resource, "/")
			path, namespace = version+"/"+resource, named
		}
	}
	switch query := r.URL.Query(); {
	case r.Method != http.MethodGet:
		refuse(w, http.StatusMethodNotAllowed, metav1.StatusReasonMethodNotAllowed)
	case discovery[r.URL.Path] != nil:
		_ = json.NewEncoder(w).Encode(discovery[r.URL.Path])
	case query.Get("sendInitialEvents") != "": // the client lists instead
		refuse(w, http.StatusUnprocessableEntity, metav1.StatusReasonInvalid)
	case query.Get("watch") != "":
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	case name != "":
		at := slices.IndexFunc(s.objects[path], func(o object) bool { return o.Metadata.Namespace == namespace && o.Metadata.Name == name })
		if at < 0 {
			refuse(w, http.StatusNotFound, metav1.StatusReasonNotFound)
			return
		}
		_, _ = w.Write(s.objects[path][at].text)
	case strings.HasPrefix(path, "/apis/autoscaling.x-k8s.io/") && !strings.HasSuffix(path, "/capacityquotas") && s.objects[path] == nil:
		refuse(w, http.StatusNotFound, metav1.StatusReasonNotFound)
	default:
		s.list(w, path, namespace)
	}
}

// list writes a list without its kind, which the client knows.
func (s *Server) list(w io.Writer, path, namespace string) {
	comma := ""
	_, _ = io.WriteString(w, `{"metadata":{"resourceVersion":"1"},"items":[`)
	for _, o := range s.objects[path] {
		if namespace == "" || o.Metadata.Namespace == namespace {
			_, _ = fmt.Fprintf(w, "%s%s", comma, o.text)
			comma = ","
		}
	}
	_, _ = io.WriteString(w, "]}")
}

func refuse(w http.ResponseWriter, code int, reason metav1.StatusReason) {
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(metav1.Status{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusFailure,
		Code: int32(code), Reason: reason, Message: "the file's server only reads"})
}

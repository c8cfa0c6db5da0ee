package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// An APIFault spoils requests of the autoscaler to the API server, and nobody else's.
type APIFault struct {
	Path    string `json:"path,omitempty"`    // requests whose path ends so, or all
	Writes  string `json:"writes,omitempty"`  // only requests that write objects of this kind, nodes or pods, or either
	Late    bool   `json:"late,omitempty"`    // the API server carries the request out before its answer is spoiled
	Percent int    `json:"percent,omitempty"` // of them, or all
	Status  int    `json:"status,omitempty"`  // answered instead. 429 asks for another try after a second
	Hang    bool   `json:"hang,omitempty"`    // no answer before the fault is over, and then a broken connection
	Cut     bool   `json:"cut,omitempty"`     // watches break as it begins
	Broken  bool   `json:"broken,omitempty"`  // connections break before an answer
	Move    string `json:"move,omitempty"`    // only writes of nodes at this step of their move
	Kill    int    `json:"kill,omitempty"`    // the leader is killed as it makes the request of this number, and no other request is spoiled
}

// Values of APIFault.Writes.
const (
	nodeWrites   = "nodes"
	podWrites    = "pods"
	eitherWrites = "nodes and pods"
)

// hits reports whether the fault is about a request.
func (a APIFault) hits(r *http.Request, body []byte) bool {
	if a.Cut || a.Move != "" && !inMove(a.Move, body) || !strings.HasSuffix(r.URL.Path, a.Path) {
		return false
	}
	if a.Writes == "" {
		return true
	}
	kind := written(r)
	return kind == a.Writes || a.Writes == eitherWrites && kind != ""
}

// written is the kind of a single object that a request writes, nodes or pods, or nothing.
func written(r *http.Request) string {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return ""
	}
	parts := strings.Split(strings.TrimPrefix(r.URL.Path, "/api/v1/"), "/")
	switch {
	case len(parts) >= 2 && parts[0] == nodeWrites:
		return nodeWrites
	case len(parts) >= 4 && parts[0] == "namespaces" && parts[2] == podWrites:
		return podWrites
	}
	return ""
}

// apiFront stands between the autoscaler and the API server. It signs requests with the autoscaler's own rights.
type apiFront struct {
	kubeconfig string // of a client that goes through it
	server     *http.Server
	proxy      *httputil.ReverseProxy
	served     sync.WaitGroup

	mu            sync.Mutex
	random        *rand.Rand
	faults        map[string]*activeAPIFault
	watches       map[int]context.CancelFunc
	next, spoiled int
	over          time.Time                          // when the last fault ended
	watcher       func(r *http.Request, body []byte) // sees each write of a node or a pod before it is carried out, nil for nobody
}

type activeAPIFault struct {
	APIFault
	ended chan struct{}
	seen  int // requests that it could hit
	kill  func()
}

// newAPIFront serves the kubeconfig's API server, and writes a kubeconfig for itself into the folder.
func newAPIFront(kubeconfig, dir string) (*apiFront, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("read kubeconfig %q: %w", kubeconfig, err)
	}
	transport, err := rest.TransportFor(config)
	if err != nil {
		return nil, err
	}
	target, err := url.Parse(config.Host)
	if err != nil {
		return nil, err
	}
	f := &apiFront{kubeconfig: filepath.Join(dir, "front.kubeconfig"), faults: map[string]*activeAPIFault{}, watches: map[int]context.CancelFunc{}}
	f.proxy = &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:     transport,
		FlushInterval: -1,
		ErrorHandler:  func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
		ErrorLog:      log.New(io.Discard, "", 0), // connections break when the API server dies
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	f.server = &http.Server{Handler: f}
	f.served.Go(func() { _ = f.server.Serve(listener) })
	own := clientcmdapi.NewConfig()
	own.Clusters["front"] = &clientcmdapi.Cluster{Server: "http://" + listener.Addr().String()}
	own.Contexts["front"] = &clientcmdapi.Context{Cluster: "front"}
	own.CurrentContext = "front"
	if err := clientcmd.WriteToFile(*own, f.kubeconfig); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Close ends all connections.
func (f *apiFront) Close() error {
	err := f.server.Close()
	f.served.Wait()
	return err
}

// begin forgets the run before. The watcher may be nil.
func (f *apiFront) begin(seed uint64, watcher func(*http.Request, []byte)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.watcher = watcher
	f.random, f.spoiled, f.over = rand.New(rand.NewPCG(seed, 0xa91)), 0, time.Time{}
}

func (f *apiFront) inject(id string, fault APIFault) { f.injectKill(id, fault, nil) }

// injectKill injects a fault that kills the leader.
func (f *apiFront) injectKill(id string, fault APIFault, kill func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults[id] = &activeAPIFault{APIFault: fault, ended: make(chan struct{}), kill: kill}
	if fault.Cut {
		f.spoiled += len(f.watches)
		for _, cut := range f.watches {
			cut()
		}
	}
}

func (f *apiFront) clear(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if fault, there := f.faults[id]; there {
		close(fault.ended)
		delete(f.faults, id)
		if fault.Writes == "" {
			f.over = time.Now()
		}
	}
}

// troubled reports whether a fault holds, or held no longer than ago before. Faults of writes to nodes and pods leave the lease alone, so they
// do not count.
func (f *apiFront) troubled(ago time.Duration) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, fault := range f.faults {
		if fault.Writes == "" {
			return true
		}
	}
	return time.Since(f.over) < ago
}

func (f *apiFront) hits() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.spoiled
}

// fault is the fault that hits a request, or nil.
func (f *apiFront) fault(r *http.Request, body []byte) *activeAPIFault {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(f.faults)) {
		fault := f.faults[id]
		if !fault.hits(r, body) || fault.Percent > 0 && f.random.IntN(100) >= fault.Percent {
			continue
		}
		if fault.seen++; fault.Kill == 0 || fault.seen == fault.Kill {
			f.spoiled++
			return fault
		}
	}
	return nil
}

// look reads the body of a write of a node or a pod, and shows it to the watcher.
func (f *apiFront) look(r *http.Request) ([]byte, error) {
	f.mu.Lock()
	watcher := f.watcher
	f.mu.Unlock()
	if watcher == nil || written(r) == "" {
		return nil, nil
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	watcher(r, body)
	return body, nil
}

// ServeHTTP passes a request on, unless a fault hits it.
func (f *apiFront) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := f.look(r)
	if err != nil {
		panic(http.ErrAbortHandler) // its caller died amid the request
	}
	if fault := f.fault(r, body); fault != nil {
		if fault.Late {
			// The API server must get the whole request, even if its caller is gone.
			f.proxy.ServeHTTP(unread{}, r.WithContext(context.WithoutCancel(r.Context())))
		}
		if fault.kill != nil {
			fault.kill()
		}
		if fault.Hang {
			select {
			case <-fault.ended:
			case <-r.Context().Done():
			}
		}
		if fault.Hang || fault.Broken || fault.kill != nil {
			panic(http.ErrAbortHandler)
		}
		refuse(w, fault.Status)
		return
	}
	if slices.Contains(r.URL.Query()["watch"], "true") || slices.Contains(r.URL.Query()["watch"], "1") {
		ctx, cut := context.WithCancel(r.Context())
		defer f.watching(cut)()
		r = r.WithContext(ctx)
	}
	if written(r) != "" { // Kubernetes counts a pod whose eviction broke off as disrupted for two minutes. So a write outlives its caller
		ctx, done := context.WithCancel(context.WithoutCancel(r.Context()))
		defer done()
		r = r.WithContext(ctx)
	}
	f.proxy.ServeHTTP(w, r)
}

// unread receives an answer that nobody reads.
type unread http.Header

func (u unread) Header() http.Header          { return http.Header(u) }
func (unread) Write(some []byte) (int, error) { return len(some), nil }
func (unread) WriteHeader(int)                {}

// watching remembers how to cut a watch until it is over.
func (f *apiFront) watching(cut context.CancelFunc) (done func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.next++
	id := f.next
	f.watches[id] = cut
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		cut()
		delete(f.watches, id)
	}
}

// refuse answers like an API server that is busy or unwell.
func refuse(w http.ResponseWriter, status int) {
	reason := map[int]metav1.StatusReason{
		http.StatusTooManyRequests: metav1.StatusReasonTooManyRequests, http.StatusServiceUnavailable: metav1.StatusReasonServiceUnavailable,
		http.StatusGatewayTimeout: metav1.StatusReasonTimeout,
	}[status]
	if reason == "" {
		reason = metav1.StatusReasonInternalError
	}
	w.Header().Set("Content-Type", "application/json")
	if status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", "1")
	}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusFailure,
		Message: "the API server is unwell", Reason: reason, Code: int32(status),
	})
}

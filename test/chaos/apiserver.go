package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
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
	Percent int    `json:"percent,omitempty"` // of them, or all
	Status  int    `json:"status,omitempty"`  // answered instead. 429 asks for another try after a second
	Hang    bool   `json:"hang,omitempty"`    // no answer before the fault is over, and then a broken connection
	Cut     bool   `json:"cut,omitempty"`     // watches break as it begins
	Broken  bool   `json:"broken,omitempty"`  // connections break before an answer
}

// apiFront stands between the autoscaler and the API server. It signs requests with the autoscaler's own rights.
type apiFront struct {
	kubeconfig string // of a client that goes through it
	server     *http.Server
	proxy      *httputil.ReverseProxy
	served     sync.WaitGroup

	mu      sync.Mutex
	random  *rand.Rand
	faults  map[string]activeAPIFault
	watches map[int]context.CancelFunc
	next    int
	spoiled int
	over    time.Time // when the last fault ended
}

type activeAPIFault struct {
	APIFault
	ended chan struct{}
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
	f := &apiFront{kubeconfig: filepath.Join(dir, "front.kubeconfig"), faults: map[string]activeAPIFault{}, watches: map[int]context.CancelFunc{}}
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

// begin forgets the run before.
func (f *apiFront) begin(seed uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.random, f.spoiled, f.over = rand.New(rand.NewPCG(seed, 0xa91)), 0, time.Time{}
}

func (f *apiFront) inject(id string, fault APIFault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults[id] = activeAPIFault{fault, make(chan struct{})}
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
		f.over = time.Now()
	}
}

// troubled reports whether a fault holds, or held no longer than ago before.
func (f *apiFront) troubled(ago time.Duration) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.faults) > 0 || time.Since(f.over) < ago
}

func (f *apiFront) hits() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.spoiled
}

// fault is the fault that hits a request, if any.
func (f *apiFront) fault(path string) (hit activeAPIFault, any bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, fault := range f.faults {
		if !fault.Cut && strings.HasSuffix(path, fault.Path) && (fault.Percent == 0 || f.random.IntN(100) < fault.Percent) {
			f.spoiled++
			return fault, true
		}
	}
	return activeAPIFault{}, false
}

// ServeHTTP passes a request on, unless a fault hits it.
func (f *apiFront) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if fault, hit := f.fault(r.URL.Path); hit {
		if fault.Hang {
			select {
			case <-fault.ended:
			case <-r.Context().Done():
			}
		}
		if fault.Hang || fault.Broken {
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
	f.proxy.ServeHTTP(w, r)
}

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

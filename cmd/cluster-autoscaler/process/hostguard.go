package process

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Limits of what a client of the endpoints may hold.
const (
	headerLimit   = 10 * time.Second // for sending the headers, and again for a body
	largestHeader = 16 << 10         // bytes
	largestBody   = 64 << 10         // bytes. Only the symbol table of a profile reads a body
	answerLimit   = 30 * time.Second // for receiving an answer
	idleLimit     = time.Minute      // between two requests of a connection. Prometheus scrapes once a minute by default
)

// anyName are the paths without names of pods and without flags. Probes and Prometheus may use any name for the host.
var anyName = []string{"/metrics", "/health-check", "/readyz"}

// guarded refuses requests that a web page elsewhere may have made, and bounds the time and size of the others.
func guarded(handler http.Handler, namespace string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !slices.Contains(anyName, r.URL.Path) && !ownName(r.Host, namespace) && !ownOrigin(r) {
			http.Error(w, "this host name may belong to somebody else: use an IP address, localhost or the name of the Service with .svc",
				http.StatusMisdirectedRequest)
			return
		}
		out := http.NewResponseController(w) // a recorder in a test has no deadlines
		var until time.Time                  // /snapshotz waits for a loop, a CPU profile for half a minute
		if r.URL.Path != "/snapshotz" && !strings.HasPrefix(r.URL.Path, "/debug/pprof/") {
			until = time.Now().Add(answerLimit)
		}
		_ = out.SetWriteDeadline(until)
		if r.ContentLength != 0 {
			_ = out.SetReadDeadline(time.Now().Add(headerLimit))
			r.Body = http.MaxBytesReader(w, r.Body, largestBody)
		}
		handler.ServeHTTP(w, r)
	})
}

// ownName reports whether a host is named by its IP address or by a name that only the cluster or the machine gives. A web page can have
// any other name resolve to a forwarded port (DNS rebinding), and would then read the answers.
func ownName(host, namespace string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	service, own := strings.CutSuffix(host, "."+namespace)
	// A public top-level domain, such as tools or cloud, has no hyphen, unless it begins with xn--.
	own = own && !strings.Contains(service, ".") && strings.Contains(namespace, "-") && !strings.HasPrefix(namespace, "xn--")
	_, err := netip.ParseAddr(host)
	return err == nil || !strings.Contains(host, ".") || own || strings.HasSuffix(host, ".localhost") ||
		strings.HasSuffix(host, ".svc") || strings.HasSuffix(host, ".svc.cluster.local")
}

// ownOrigin reports whether the client says that no other web page is behind the request. A script cannot set the header. A browser sends
// it to HTTPS and loopback URLs alone, which no rebound name makes. The API server's proxy passes its own host name on with it.
func ownOrigin(r *http.Request) bool {
	return slices.Contains([]string{"none", "same-origin"}, r.Header.Get("Sec-Fetch-Site"))
}

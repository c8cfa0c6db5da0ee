package plugin_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider/externalgrpc"
	"k8s.io/autoscaler/cluster-autoscaler/config"
	coreoptions "k8s.io/autoscaler/cluster-autoscaler/core/options"
	coreexpander "k8s.io/autoscaler/cluster-autoscaler/expander"
	"k8s.io/autoscaler/cluster-autoscaler/expander/grpcplugin"
	appslisters "k8s.io/client-go/listers/apps/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/plugin"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/nodegroups"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/nodeinfos"
	"github.com/asg-autoscaler/asg-autoscaler/expander"
	"github.com/asg-autoscaler/asg-autoscaler/test/awsworld"
)

// world is an emulated AWS, a plugin over it, and the core's own clients of the plugin.
type world struct {
	*awsworld.World
	server *plugin.Server
	dir    string // with the certificates
	core   cloudprovider.CloudProvider
	filter coreexpander.Filter
	nodes  cache.Indexer
	asked  map[string][][]string // names of pods, by node group and node
}

// serve has a plugin answer from w, with a timeout of the core's calls.
func serve(t *testing.T, w *awsworld.World, timeout time.Duration) *world {
	t.Helper()
	p := listen(t)
	p.World = w
	p.nodes, p.asked = cache.NewIndexer(cache.MetaNamespaceKeyFunc, nil), map[string][][]string{}
	chain, err := expander.New([]string{"least-waste"}, expander.Config{Provider: w.Provider, Costs: w.Costs()})
	if err != nil {
		t.Fatal(err)
	}
	p.server.Ready(plugin.Parts{Provider: w.Provider, Expander: chain, ZoneIDs: nodeinfos.NewZoneIDs(w.Zones()), Launchable: nodegroups.NewLaunchable(w.Provider),
		Nodes: corelisters.NewNodeLister(p.nodes), DaemonSets: appslisters.NewDaemonSetLister(cache.NewIndexer(cache.MetaNamespaceKeyFunc, nil)),
		Refreshed: func() {}, Asked: func(group string, perNode [][]*corev1.Pod) {
			for _, pods := range perNode {
				var names []string
				for _, pod := range pods {
					names = append(names, pod.Name)
				}
				p.asked[group] = append(p.asked[group], names)
			}
		}})
	address := p.server.Addr().String()
	cloudConfig := fmt.Sprintf("address: %q\ncert: %q\nkey: %q\ncacert: %q\ngrpc_timeout: %s\n", address, p.path("client.crt"), p.path("client.key"), p.path("ca.crt"), timeout)
	p.write(t, "cloud-config", []byte(cloudConfig))
	p.core = externalgrpc.BuildExternalGrpc(&coreoptions.AutoscalerOptions{AutoscalingOptions: config.AutoscalingOptions{CloudConfig: p.path("cloud-config")}},
		cloudprovider.NodeGroupDiscoveryOptions{}, nil)
	p.filter = grpcplugin.NewFilter(p.path("ca.crt"), address)
	if err := p.core.Refresh(); err != nil {
		t.Fatal(err)
	}
	return p
}

// listen starts a plugin that cannot answer yet. It ends with the test.
func listen(t *testing.T) *world {
	t.Helper()
	p := &world{dir: t.TempDir()}
	p.certify(t)
	var err error
	if p.server, err = plugin.Listen(t.Context(), "127.0.0.1:0", p.files(), prometheus.NewRegistry()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.server.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return p
}

func (p *world) path(name string) string { return filepath.Join(p.dir, name) }

func (p *world) files() plugin.Files {
	return plugin.Files{Cert: p.path("tls.crt"), Key: p.path("tls.key"), ClientCA: p.path("ca.crt")}
}

func (p *world) write(t *testing.T, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile(p.path(name), content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// certify writes new certificates.
func (p *world) certify(t *testing.T) {
	t.Helper()
	c, err := plugin.NewCertificates(time.Now(), time.Hour, "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"ca.crt": c.CA, "tls.crt": c.Cert, "tls.key": c.Key, "client.crt": c.ClientCert, "client.key": c.ClientKey} {
		p.write(t, name, content)
	}
}

// dial connects without a client certificate.
func (p *world) dial(t *testing.T) *grpc.ClientConn {
	t.Helper()
	creds, err := credentials.NewClientTLSFromFile(p.path("ca.crt"), "")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := grpc.NewClient(p.server.Addr().String(), grpc.WithTransportCredentials(creds))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func (p *world) group(t *testing.T, id string) cloudprovider.NodeGroup {
	t.Helper()
	for _, g := range p.core.NodeGroups() {
		if g.Id() == id {
			return g
		}
	}
	t.Fatalf("the core sees no node group %q", id)
	return nil
}

const (
	gpuLabel    = "/clusterautoscaler.cloudprovider.v1.externalgrpc.CloudProvider/GPULabel"
	bestOptions = "/grpcplugin.Expander/BestOptions"
)

// call makes a call with an empty request.
func call(t *testing.T, conn *grpc.ClientConn, method string) error {
	t.Helper()
	return conn.Invoke(t.Context(), method, &healthpb.HealthCheckRequest{}, &healthpb.HealthCheckResponse{})
}

func TestServerListensBeforeItCanAnswer(t *testing.T) {
	p := listen(t)
	conn := p.dial(t)
	check := func() healthpb.HealthCheckResponse_ServingStatus {
		t.Helper()
		answer, err := healthpb.NewHealthClient(conn).Check(t.Context(), &healthpb.HealthCheckRequest{})
		if err != nil {
			t.Fatal(err)
		}
		return answer.Status
	}
	if got := check(); got != healthpb.HealthCheckResponse_NOT_SERVING {
		t.Errorf("health = %v before the first reading, want NOT_SERVING", got)
	}
	if err := call(t, conn, bestOptions); status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "has not read") {
		t.Errorf("a call before the first reading = %v, want Unavailable with the reason", err)
	}
	p.server.Ready(plugin.Parts{})
	if got := check(); got != healthpb.HealthCheckResponse_SERVING {
		t.Errorf("health = %v after it, want SERVING", got)
	}
}

// The core's client of the expander has no certificate to show.
func TestCallerWithoutCertificateMayOnlyAskTheExpander(t *testing.T) {
	p := serve(t, awsworld.New(t, nil, awsworld.Group("web", "m5.large", 0, 0, 5, nil)), time.Second)
	conn := p.dial(t)
	if err := call(t, conn, gpuLabel); status.Code(err) != codes.Unauthenticated {
		t.Errorf("a call of the provider = %v, want Unauthenticated", err)
	}
	if err := call(t, conn, bestOptions); err != nil {
		t.Errorf("a call of the expander = %v, want an answer", err)
	}
}

func TestNewCertificatesCountForTheNextConnection(t *testing.T) {
	p := listen(t)
	before := p.dial(t)
	if err := call(t, before, bestOptions); status.Code(err) != codes.Unavailable {
		t.Fatalf("%v, want Unavailable", err)
	}
	p.write(t, "tls.crt", []byte("half a certif"))
	if err := call(t, p.dial(t), bestOptions); !strings.Contains(fmt.Sprint(err), "has not read") {
		t.Errorf("with a broken file = %v, want the certificate before it", err)
	}
	p.certify(t)
	if err := call(t, p.dial(t), bestOptions); !strings.Contains(fmt.Sprint(err), "has not read") {
		t.Errorf("a caller who trusts the new CA alone = %v, want the new certificate", err)
	}
	if err := call(t, before, bestOptions); !strings.Contains(fmt.Sprint(err), "has not read") {
		t.Errorf("a connection of before = %v, want it to stay", err)
	}
}

func TestFilesMustSufficeForTheAddress(t *testing.T) {
	all := plugin.Files{Cert: "c", Key: "k", ClientCA: "ca"}
	for _, tt := range []struct {
		address string
		files   plugin.Files
		want    string // of the error, empty for none
	}{
		{"127.0.0.1:8087", plugin.Files{}, ""},
		{"[::1]:8087", plugin.Files{}, ""},
		{"localhost:8087", plugin.Files{Cert: "c", Key: "k"}, ""},
		{":8087", all, ""},
		{":8087", plugin.Files{}, "needs a certificate, its key, and the CA of callers"},
		{"0.0.0.0:8087", plugin.Files{Cert: "c", Key: "k"}, "the CA of callers"},
		{"127.0.0.1", plugin.Files{}, "missing port"},
		{"127.0.0.1:8087", plugin.Files{Cert: "c"}, "needs its key"},
		{"127.0.0.1:8087", plugin.Files{ClientCA: "ca"}, "needs a certificate of the plugin"},
	} {
		err := tt.files.Check(tt.address)
		if (err == nil) != (tt.want == "") || !strings.Contains(fmt.Sprint(err), tt.want) {
			t.Errorf("Check(%q) of %+v = %v, want %q", tt.address, tt.files, err, tt.want)
		}
	}
}

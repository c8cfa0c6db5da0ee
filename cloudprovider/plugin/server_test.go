package plugin_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
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
	"k8s.io/autoscaler/cluster-autoscaler/expander/grpcplugin/protos"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	appslisters "k8s.io/client-go/listers/apps/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/plugin"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/nodegroups"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/nodeinfos"
	"github.com/asg-autoscaler/asg-autoscaler/expander"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/certificates"
)

// world is an emulated AWS, a plugin over it, and the core's own clients of the plugin.
type world struct {
	*awsworld.World
	server *plugin.Server
	stop   func() // ends the server when the calls under way have ended
	dir    string // with the certificates
	core   cloudprovider.CloudProvider
	filter coreexpander.Filter
	nodes  cache.Indexer

	refreshed func(trigger string) // called with each Refresh, under the lock of the loop
	choosing  func()               // called before each choice, under the same lock
	expander  coreexpander.Strategy
}

// serve has a plugin answer from w, with a timeout of the core's calls.
func serve(t *testing.T, w *awsworld.World, timeout time.Duration) *world {
	p := listen(t)
	p.World = w
	p.nodes, p.refreshed = cache.NewIndexer(cache.MetaNamespaceKeyFunc, nil), func(string) {}
	p.expander, p.choosing = expander.New([]string{"least-waste"}, expander.Config{Provider: w.Provider, Costs: w.Costs()}), func() {}
	p.server.Ready(plugin.Parts{Provider: w.Provider, Expander: p, ZoneIDs: nodeinfos.NewZoneIDs(w.Provider), Launchable: &nodegroups.Launchable{Provider: w.Provider},
		Nodes: corelisters.NewNodeLister(p.nodes), DaemonSets: appslisters.NewDaemonSetLister(cache.NewIndexer(cache.MetaNamespaceKeyFunc, nil)),
		StartupTaint: func(key string) bool { return key == "agent-not-ready" }, Refreshed: func(trigger string) { p.refreshed(trigger) }})
	address := p.server.Addr().String()
	cloudConfig := fmt.Sprintf("address: %q\ncert: %q\nkey: %q\ncacert: %q\ngrpc_timeout: %s\n", address, p.path("client.crt"), p.path("client.key"), p.path("ca.crt"), timeout)
	p.write(t, "cloud-config", []byte(cloudConfig))
	p.core = p.anew()
	p.filter = grpcplugin.NewFilter(p.path("ca.crt"), address)
	require.NoError(t, p.core.Refresh())
	return p
}

// anew is the client of a core that has just started.
func (p *world) anew() cloudprovider.CloudProvider {
	return externalgrpc.BuildExternalGrpc(&coreoptions.AutoscalerOptions{AutoscalingOptions: config.AutoscalingOptions{CloudConfig: p.path("cloud-config")}},
		cloudprovider.NodeGroupDiscoveryOptions{}, nil)
}

// listen starts a plugin that cannot answer yet. It ends with the test.
func listen(t *testing.T) *world {
	p := &world{dir: t.TempDir()}
	p.certify(t)
	var err error
	p.server, err = plugin.Listen(t.Context(), "127.0.0.1:0", p.files(), prometheus.NewRegistry())
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.server.Serve(ctx) }()
	p.stop = sync.OnceFunc(func() {
		cancel()
		assert.NoError(t, <-done, "Serve")
	})
	t.Cleanup(p.stop)
	return p
}

// BestOption is the expander's.
func (p *world) BestOption(options []coreexpander.Option, infos map[string]*framework.NodeInfo) *coreexpander.Option {
	p.choosing()
	return p.expander.BestOption(options, infos)
}

func (p *world) path(name string) string { return filepath.Join(p.dir, name) }

func (p *world) files() plugin.Files {
	return plugin.Files{Cert: p.path("tls.crt"), Key: p.path("tls.key"), ClientCA: p.path("ca.crt")}
}

func (p *world) write(t *testing.T, name string, content []byte) {
	require.NoError(t, os.WriteFile(p.path(name), content, 0o600))
}

func (p *world) certify(t *testing.T) {
	require.NoError(t, certificates.WriteForPlugin(p.dir))
}

// dial connects without a client certificate.
func (p *world) dial(t *testing.T, options ...grpc.DialOption) *grpc.ClientConn {
	creds, err := credentials.NewClientTLSFromFile(p.path("ca.crt"), "")
	require.NoError(t, err)
	return p.connect(t, append(options, grpc.WithTransportCredentials(creds))...)
}

func (p *world) connect(t *testing.T, options ...grpc.DialOption) *grpc.ClientConn {
	conn, err := grpc.NewClient(p.server.Addr().String(), options...)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func (p *world) certified(t *testing.T, options ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	cert, err := tls.LoadX509KeyPair(p.path("client.crt"), p.path("client.key"))
	require.NoError(t, err)
	roots := x509.NewCertPool()
	ca, err := os.ReadFile(p.path("ca.crt"))
	if err != nil || !roots.AppendCertsFromPEM(ca) {
		t.Fatal("no CA", err)
	}
	creds := credentials.NewTLS(&tls.Config{Certificates: []tls.Certificate{cert}, RootCAs: roots, MinVersion: tls.VersionTLS13})
	return p.connect(t, append(options, grpc.WithTransportCredentials(creds))...)
}

// elsewhere connects from another host than the core's.
func elsewhere(sent *atomic.Int64) grpc.DialOption {
	return grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}).DialContext(ctx, "tcp", address)
		return &counted{Conn: conn, sent: sent}, err
	})
}

type counted struct {
	net.Conn
	sent *atomic.Int64
}

func (c *counted) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.sent.Add(int64(n))
	return n, err
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

func call(t *testing.T, conn *grpc.ClientConn, method string) error {
	return conn.Invoke(t.Context(), method, &healthpb.HealthCheckRequest{}, &healthpb.HealthCheckResponse{})
}

func TestServerListensBeforeItCanAnswer(t *testing.T) {
	p := listen(t)
	conn := p.dial(t)
	check := func() healthpb.HealthCheckResponse_ServingStatus {
		t.Helper()
		answer, err := healthpb.NewHealthClient(conn).Check(t.Context(), &healthpb.HealthCheckRequest{})
		require.NoError(t, err)
		return answer.Status
	}
	assert.Equal(t, healthpb.HealthCheckResponse_NOT_SERVING, check(), "health before the first reading, want NOT_SERVING")
	if err := call(t, conn, bestOptions); status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "has not read") {
		t.Errorf("a call before the first reading = %v, want Unavailable with the reason", err)
	}
	p.server.Ready(plugin.Parts{})
	assert.Equal(t, healthpb.HealthCheckResponse_SERVING, check(), "health after it, want SERVING")
}

// The core's client of the expander has no certificate to show.
func TestCallerWithoutCertificateMayOnlyAskTheExpander(t *testing.T) {
	p := serve(t, awsworld.New(t, nil, awsworld.Group("web", "m5.large", 0, 0, 5, nil)), 5*time.Second)
	conn := p.dial(t)
	assert.Equal(t, codes.Unauthenticated, status.Code(call(t, conn, gpuLabel)), "a call of the provider")
	assert.NoError(t, call(t, conn, bestOptions), "a call of the expander")
}

// The core's host is 127.0.0.1. Loopback addresses stand for other hosts, too.
func TestAnotherHostIsRefusedUnread(t *testing.T) {
	p := serve(t, awsworld.New(t, nil, awsworld.Group("web", "m5.large", 0, 0, 5, nil)), 5*time.Second)
	var sent atomic.Int64
	conn := p.dial(t, elsewhere(&sent))
	request := &protos.BestOptionsRequest{Options: []*protos.Option{{NodeGroupId: "web", NodeCount: 1, PodBytes: [][]byte{make([]byte, 100<<20)}}}}
	_, err := protos.NewExpanderClient(conn).BestOptions(t.Context(), request)
	assert.Equalf(t, codes.Unauthenticated, status.Code(err), "a question = %v, want Unauthenticated", err)
	assert.LessOrEqual(t, sent.Load(), int64(1<<20), "bytes that the plugin has read of a caller whom it refuses")
	assert.Equal(t, codes.Unauthenticated, status.Code(call(t, conn, gpuLabel)), "a call of the provider")
	assert.NoError(t, call(t, p.certified(t, elsewhere(&sent)), gpuLabel), "a call with a certificate")
	assert.NoError(t, call(t, conn, bestOptions), "a question from a host that has shown a certificate")
}

type raw struct{}

func (raw) Name() string                  { return "proto" }
func (raw) Marshal(v any) ([]byte, error) { return v.([]byte), nil }
func (raw) Unmarshal([]byte, any) error   { return nil }

func TestTooLargeQuestionIsRefusedUnread(t *testing.T) {
	p := serve(t, awsworld.New(t, nil, awsworld.Group("web", "m5.large", 0, 0, 5, nil)), 5*time.Second)
	var sent atomic.Int64
	conn := p.certified(t, elsewhere(&sent))
	err := conn.Invoke(t.Context(), bestOptions, make([]byte, plugin.LargestRequest+1), nil, grpc.ForceCodec(raw{}))
	assert.Truef(t, status.Code(err) == codes.ResourceExhausted && strings.Contains(err.Error(), "larger than max"),
		"answer = %v, want ResourceExhausted for the size", err)
	assert.LessOrEqual(t, sent.Load(), int64(1<<20), "bytes that the plugin has read of it")
}

func TestQuestionsAtOnceAreBounded(t *testing.T) {
	p := serve(t, awsworld.New(t, nil, awsworld.Group("web", "m5.large", 0, 0, 5, nil)), 5*time.Second)
	options, infos := p.options(t, []*corev1.Pod{pod("a", "1")}, 1, "web")
	entered, leave := make(chan struct{}, 2), make(chan struct{})
	p.choosing = func() {
		entered <- struct{}{}
		<-leave
	}
	asked, ask := question(t, options, infos), protos.NewExpanderClient(p.dial(t))
	answers := make(chan error, 3)
	for range 3 {
		go func() {
			_, err := ask.BestOptions(t.Context(), asked)
			answers <- err
		}()
	}
	<-entered
	err := <-answers
	assert.Equalf(t, codes.ResourceExhausted, status.Code(err), "the third question = %v, want ResourceExhausted", err)
	close(leave)
	assert.NoError(t, <-answers, "a question")
	assert.NoError(t, <-answers, "a question")
	_, err = ask.BestOptions(t.Context(), asked)
	assert.NoError(t, err, "a later question")
}

func TestPanicEndsTheCallAlone(t *testing.T) {
	p := serve(t, awsworld.New(t, nil, awsworld.Group("web", "m5.large", 0, 0, 5, nil)), 5*time.Second)
	options, infos := p.options(t, []*corev1.Pod{pod("a", "1")}, 1, "web")
	p.choosing = func() { panic("no idea") }
	asked, ask := question(t, options, infos), protos.NewExpanderClient(p.dial(t))
	_, err := ask.BestOptions(t.Context(), asked)
	assert.Equal(t, codes.Internal, status.Code(err))
	assert.ErrorContains(t, err, "no idea")
	p.choosing = func() {}
	_, err = ask.BestOptions(t.Context(), asked)
	assert.NoError(t, err, "the next answer")
}

func TestNewCertificatesCountForTheNextConnection(t *testing.T) {
	p := listen(t)
	before := p.dial(t)
	require.Equal(t, codes.Unavailable, status.Code(call(t, before, bestOptions)))
	p.write(t, "tls.crt", []byte("half a certif"))
	assert.ErrorContains(t, call(t, p.dial(t), bestOptions), "has not read", "with a broken file, want the certificate before it")
	p.certify(t)
	assert.ErrorContains(t, call(t, p.dial(t), bestOptions), "has not read", "a caller who trusts the new CA alone, want the new certificate")
	assert.ErrorContains(t, call(t, before, bestOptions), "has not read", "a connection of before, want it to stay")
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
		assert.Truef(t, (err == nil) == (tt.want == "") && strings.Contains(fmt.Sprint(err), tt.want),
			"Check(%q) of %+v = %v, want %q", tt.address, tt.files, err, tt.want)
	}
}

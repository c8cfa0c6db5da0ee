package plugin_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"net"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/autoscaler/cluster-autoscaler/expander/grpcplugin/protos"

	"github.com/stretchr/testify/require"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
)

// The core asks for a node in each of these loops, while strangers call.
const loops = 25

// Strangers of two other hosts send noise to the port, call without a certificate or with one of their own, send huge requests, and leave
// connections half open. A peer with the core's certificate sends wrong requests. The core gets its nodes.
func TestCoreIsServedAmidStrangers(t *testing.T) {
	p := serve(t, awsworld.NewDivided(t, nil, awsworld.Group("web", "m5.large", 0, 0, loops, nil)), 30*time.Second)
	options, infos := p.options(t, []*corev1.Pod{pod("of-the-strangers", "1")}, 1, "web")
	theirs := question(t, options, infos)
	ctx, done := context.WithCancel(t.Context())
	var strangers sync.WaitGroup
	var calls atomic.Int64
	each := func(do func()) {
		strangers.Go(func() {
			for ; ctx.Err() == nil; calls.Add(1) {
				do()
			}
		})
	}
	address := p.server.Addr().String()
	from := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 4)}, Timeout: time.Second}
	raw := func(seed uint64) func() {
		r := rand.New(rand.NewPCG(seed, 0))
		return func() {
			conn, err := from.DialContext(ctx, "tcp", address)
			if err != nil {
				return
			}
			noise := make([]byte, 1+r.IntN(4096))
			for n := range noise {
				noise[n] = byte(r.Uint32())
			}
			_, _ = conn.Write(noise)
			_ = conn.Close()
		}
	}
	each(raw(1))
	each(raw(2))
	for range 10 { // half open, until the test ends
		if conn, err := from.DialContext(ctx, "tcp", address); err == nil {
			defer conn.Close()
		}
	}
	ask := func(conn *grpc.ClientConn, request *protos.BestOptionsRequest, want ...codes.Code) func() {
		return func() {
			_, err := protos.NewExpanderClient(conn).BestOptions(ctx, request)
			if code := status.Code(err); ctx.Err() == nil && !slices.Contains(want, code) {
				t.Errorf("a stranger got %v, want one of %v", err, want)
				done()
			}
		}
	}
	refused := []codes.Code{codes.Unauthenticated, codes.Unavailable}
	each(ask(p.dial(t, elsewhere(&atomic.Int64{})), theirs, refused...))
	huge := &protos.BestOptionsRequest{Options: []*protos.Option{{NodeGroupId: "web", PodBytes: [][]byte{bytes.Repeat([]byte("x"), 8<<20)}}}}
	each(ask(p.dial(t, elsewhere(&atomic.Int64{})), huge, refused...))
	own := credentials.NewTLS(&tls.Config{InsecureSkipVerify: true, Certificates: strangersCertificate(t), MinVersion: tls.VersionTLS13})
	each(ask(p.connect(t, elsewhere(&atomic.Int64{}), grpc.WithTransportCredentials(own)), theirs, refused...))
	peer := p.certified(t, grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) { // of a third host, which is known then
		return (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 3)}}).DialContext(ctx, "tcp", address)
	}))
	for _, method := range []string{gpuLabel, "/nobody/Nothing", "/", bestOptions} {
		each(func() { _ = call(t, peer, method) })
	}

	most := uint64(0)
	for n := range loops {
		name := fmt.Sprintf("of-the-core-%d", n)
		require.NoError(t, p.core.Refresh())
		mine, infos := p.options(t, []*corev1.Pod{pod(name, "1")}, 1, "web")
		chosen := false
		for range 100 { // the peer's questions take their turns, too
			if chosen = len(p.chosen(mine, infos)) == 1; chosen {
				break
			}
		}
		require.Truef(t, chosen, "the core's question of loop %d had no answer", n)
		require.NoErrorf(t, p.group(t, "web").IncreaseSize(1), "loop %d", n)
		runtime.GC() // garbage is no sign: GOGC decides how much there is
		var memory runtime.MemStats
		runtime.ReadMemStats(&memory)
		most = max(most, memory.HeapAlloc)
	}
	done()
	strangers.Wait()
	require.NoError(t, p.AwaitIncreases(t.Context()))
	p.stop()
	state, _ := p.AWS.Group("web")
	assert.Truef(t, state.Desired == loops, "AWS was asked for %d nodes, want %d", state.Desired, loops)
	assert.Truef(t, calls.Load() >= 100, "strangers made %d calls, want many", calls.Load())
	assert.Truef(t, most <= 256<<20, "the heap grew to %d MiB, want no more than the strangers' own requests", most>>20)
}

// strangersCertificate is signed by nobody whom the plugin trusts.
func strangersCertificate(t *testing.T) []tls.Certificate {
	other := &world{dir: t.TempDir()}
	other.certify(t)
	cert, err := tls.LoadX509KeyPair(other.path("client.crt"), other.path("client.key"))
	require.NoError(t, err)
	return []tls.Certificate{cert}
}

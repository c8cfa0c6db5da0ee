package plugin

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	appsv1 "k8s.io/api/apps/v1"
	externalprotos "k8s.io/autoscaler/cluster-autoscaler/cloudprovider/externalgrpc/protos"
	"k8s.io/autoscaler/cluster-autoscaler/expander/grpcplugin/protos"
	appslisters "k8s.io/client-go/listers/apps/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/nodegroups"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/nodeinfos"
	"github.com/asg-autoscaler/asg-autoscaler/expander"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
)

func TestSilentHostIsForgotten(t *testing.T) {
	c := callers{last: map[string]time.Time{}}
	began := time.Now()
	assert.False(t, c.know("10.0.0.1", false, began), "a host is known that never called")
	assert.True(t, c.know("10.0.0.1", true, began), "a host that shows a certificate is not known")
	c.know("10.0.0.2", true, began.Add(coreSilence))
	assert.Truef(t, c.know("10.0.0.1", false, began.Add(coreSilence)), "a host is forgotten within %v", coreSilence)
	late := began.Add(coreSilence + time.Second)
	assert.Truef(t, !c.know("10.0.0.1", false, late) && c.know("10.0.0.2", false, late), "known are %v, want the host of the last %v", c.last, coreSilence)
	c.know("10.0.0.3", true, late)
	assert.Lenf(t, c.last, 2, "kept, want the hosts of the last %v", coreSilence)
}

// emptyServer is a plugin over a group without instances, and nobody's to serve.
func emptyServer(t testing.TB) (*Server, *awsworld.World) {
	t.Helper()
	w := awsworld.New(t, nil, awsworld.Group("web", "m5.large", 0, 0, 5, nil), awsworld.Group("api", "m5.xlarge", 0, 0, 5, nil))
	s, err := Listen(t.Context(), "127.0.0.1:0", Files{}, prometheus.NewRegistry())
	require.NoError(t, err)
	t.Cleanup(s.Stop)
	t.Cleanup(func() { _ = s.listener.Close() })
	chain := expander.New([]string{"least-waste"}, expander.Config{Provider: w.Provider, Costs: w.Costs()})
	s.Ready(Parts{Provider: w.Provider, Expander: chain, ZoneIDs: nodeinfos.NewZoneIDs(w.Provider),
		Launchable: &nodegroups.Launchable{Provider: w.Provider},
		Nodes:      corelisters.NewNodeLister(cache.NewIndexer(cache.MetaNamespaceKeyFunc, nil)), DaemonSets: daemonSets(t), Refreshed: func(string) {}})
	return s, w
}

func daemonSets(t testing.TB, list ...*appsv1.DaemonSet) appslisters.DaemonSetLister {
	indexer := cache.NewIndexer(cache.MetaNamespaceKeyFunc, nil)
	for _, d := range list {
		require.NoError(t, indexer.Add(d))
	}
	return appslisters.NewDaemonSetLister(indexer)
}

func TestServeEndsAfterLateDeletions(t *testing.T) {
	s, _ := emptyServer(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := false
	s.late.Go(func() {
		<-ctx.Done()
		time.Sleep(50 * time.Millisecond) // a server without calls ends sooner
		ended = true
	})
	cancel()
	err := s.Serve(ctx)
	assert.Truef(t, err == nil && ended, "Serve = %v while a deletion was under way: %t, want its end", err, !ended)
}

// The client of a connection learns its limits first, and grpc ends streams beyond them.
func TestStreamsOfConnectionAreBounded(t *testing.T) {
	s, _ := emptyServer(t)
	go func() { _ = s.Serve(t.Context()) }()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", s.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")
	require.NoError(t, err)
	var frame [9]byte // length, type, flags, stream
	_, err = io.ReadFull(conn, frame[:])
	require.Truef(t, err == nil && frame[3] == 4, "first frame %v, error %v, want SETTINGS", frame, err)
	settings := make([]byte, frame[2])
	_, err = io.ReadFull(conn, settings)
	require.NoError(t, err)
	got := map[uint16]uint32{}
	for ; len(settings) > 0; settings = settings[6:] {
		got[binary.BigEndian.Uint16(settings)] = binary.BigEndian.Uint32(settings[2:])
	}
	const streams, header = 3, 6
	assert.Truef(t, got[streams] == callsAtOnce && got[header] == largestHeader,
		"settings = %v, want %d streams and %d bytes of headers", got, callsAtOnce, largestHeader)
}

// The core counts a call as failed when it has given up waiting, so nothing may come of it. It may give up while the call waits for another.
func TestGivenUpCallDoesNothing(t *testing.T) {
	s, w := emptyServer(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.intercept(ctx, nil, &grpc.UnaryServerInfo{}, func(context.Context, any) (any, error) {
		t.Error("the call was made")
		return nil, nil
	})
	assert.Equalf(t, codes.Canceled, status.Code(err), "call = %v, want Canceled", err)
	_, err = (&provider{Server: s}).NodeGroupIncreaseSize(ctx, &externalprotos.NodeGroupIncreaseSizeRequest{Id: "web", Delta: 1})
	assert.Error(t, err, "an increase was answered")
	size, _ := w.NodeGroup("web").TargetSize()
	assert.Equal(t, 0, size, "target size")
	_, err = (&chooser{Server: s}).BestOptions(ctx, &protos.BestOptionsRequest{})
	assert.Error(t, err, "a question was answered")
}

package plugin

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"golang.org/x/sync/semaphore"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider/externalgrpc/protos"
	expanderprotos "k8s.io/autoscaler/cluster-autoscaler/expander/grpcplugin/protos"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
)

// Limits of what callers may ask for. The connection's flow control holds back what is above them.
const (
	// largestRequest bounds a question to the expander. The core sends each option with all its pods. A pod of two containers is 2.5 KB, so
	// 128 MiB are 5,000 pods that fit 10 groups. The core's own client takes no larger answer either. It costs some 500 MiB of memory.
	largestRequest = 128 << 20
	// questions bounds the requests to the expander that are read or answered at once. A core asks one at a time. The other one is the next
	// leader's, or the next loop's after a time-out.
	questions = 2
	// callsAtOnce bounds the calls of a connection. The core makes the calls of its loop in turns, and terminates nodes of several groups at
	// once, 10 by default (--max-scale-down-parallelism). Its client holds further calls back.
	callsAtOnce = 100
	// largestHeader bounds the headers of a call. The core sends a few hundred bytes.
	largestHeader = 16 << 10
	// handshakeLimit is the time in which a connection must show who it is.
	handshakeLimit = 10 * time.Second
	// idleLimit ends connections without a call. The core's client connects anew with its next call.
	idleLimit = 5 * time.Minute
)

// Server answers the core. It listens before it can answer, and says so until Ready, because the core's client waits longer and longer
// between tries to connect.
type Server struct {
	files     Files
	listener  net.Listener
	grpc      *grpc.Server
	health    *health.Server
	durations *prometheus.HistogramVec
	pages     pageSizes
	parts     atomic.Pointer[Parts] // nil until Ready

	callers callers
	asking  *semaphore.Weighted // for questions to the expander

	loop      sync.Mutex // held by calls that change what the next calls of a loop see: a late call may meet the next loop
	starting  startingGroups
	refreshed time.Time    // by a core
	core      atomic.Value // the address of the core's connection that was last used
	late      sync.WaitGroup
}

// Listen takes the address. The metrics are registered with r.
func Listen(ctx context.Context, address string, files Files, r prometheus.Registerer) (*Server, error) {
	s := &Server{files: files, health: health.NewServer(), callers: callers{last: map[string]time.Time{}}, asking: semaphore.NewWeighted(questions)}
	s.durations = promauto.With(r).NewHistogramVec(prometheus.HistogramOpts{
		Namespace: "asg_autoscaler", Name: "plugin_request_duration_seconds",
		Help:    "Time in which the plugin answered a call of a Cluster Autoscaler, by method and gRPC code, in seconds.",
		Buckets: []float64{.0001, .0005, .001, .005, .025, .1, .5, 1, 5},
	}, []string{"method", "code"})
	options := []grpc.ServerOption{grpc.InTapHandle(s.admit), grpc.UnaryInterceptor(s.intercept), grpc.MaxRecvMsgSize(largestRequest),
		grpc.MaxConcurrentStreams(callsAtOnce), grpc.MaxHeaderListSize(largestHeader), grpc.ConnectionTimeout(handshakeLimit),
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionIdle: idleLimit})}
	if files.Cert != "" {
		config, err := files.config()
		if err != nil {
			return nil, err
		}
		options = append(options, grpc.Creds(credentials.NewTLS(config)))
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	s.listener, s.grpc = listener, grpc.NewServer(options...)
	protos.RegisterCloudProviderServer(s.grpc, &provider{Server: s})
	expanderprotos.RegisterExpanderServer(s.grpc, &chooser{Server: s})
	healthpb.RegisterHealthServer(s.grpc, s.health)
	s.setHealth(healthpb.HealthCheckResponse_NOT_SERVING)
	return s, nil
}

// Ready has the Server answer from the parts. It is called once.
func (s *Server) Ready(parts Parts) {
	s.parts.Store(&parts)
	s.setHealth(healthpb.HealthCheckResponse_SERVING)
}

// Look moves on to the newest Snapshot unless a core does so, and begins a record of the core's Silence. Its caller calls it now and then.
// Otherwise the problems and the spend of a replica whose core does not lead would stand still.
func (s *Server) Look() {
	s.loop.Lock()
	defer s.loop.Unlock()
	if with := s.parts.Load(); time.Since(s.refreshed) > coreSilence {
		with.Provider.BeforeLoop()
		with.Refreshed(decision.Silence)
	}
}

func (s *Server) setHealth(to healthpb.HealthCheckResponse_ServingStatus) {
	for _, service := range []string{"", protos.CloudProvider_ServiceDesc.ServiceName, expanderprotos.Expander_ServiceDesc.ServiceName} {
		s.health.SetServingStatus(service, to)
	}
}

// Serve answers until ctx ends and the calls under way have their answers.
func (s *Server) Serve(ctx context.Context) error {
	defer context.AfterFunc(ctx, func() {
		s.health.Shutdown()
		s.grpc.GracefulStop()
	})()
	err := s.grpc.Serve(s.listener)
	if ctx.Err() != nil {
		s.grpc.GracefulStop() // returns when the one above does
		s.late.Wait()
		return nil
	}
	return fmt.Errorf("serve on %s: %w", s.listener.Addr(), err)
}

// Stop ends Serve at once. Calls under way get no answer.
func (s *Server) Stop() { s.grpc.Stop() }

// intercept measures a call, and gives errors of the core their codes. It drops a call whose caller has given up already: the core has
// recorded a failure, so nothing may happen any more.
func (s *Server) intercept(ctx context.Context, request any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (response any, err error) {
	began := time.Now()
	if err = ctx.Err(); err == nil {
		response, err = handle(ctx, request)
	}
	switch {
	case errors.Is(err, cloudprovider.ErrNotImplemented):
		err = status.Error(codes.Unimplemented, err.Error())
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		err = status.FromContextError(err).Err()
	}
	s.durations.WithLabelValues(path.Base(info.FullMethod), status.Code(err).String()).Observe(time.Since(began).Seconds())
	return response, err
}

// admit judges a call by its headers, before its request is read. It must not wait.
func (s *Server) admit(ctx context.Context, call *tap.Info) (context.Context, error) {
	err := s.judge(ctx, call.FullMethodName)
	if err != nil { // the method is whatever the caller wrote
		s.durations.WithLabelValues("refused", status.Code(err).String()).Observe(0)
	}
	return ctx, err
}

// judge refuses calls that came too early, and callers without a certificate. The core's client of the expander can show none, so it may
// ask from a host that has shown one by its other connection.
func (s *Server) judge(ctx context.Context, method string) error {
	service, _, _ := strings.Cut(strings.TrimPrefix(method, "/"), "/")
	host, certified := "", s.files.ClientCA == ""
	if caller, ok := peer.FromContext(ctx); ok {
		host, _, _ = net.SplitHostPort(caller.Addr.String())
		shown, _ := caller.AuthInfo.(credentials.TLSInfo)
		certified = certified || len(shown.State.VerifiedChains) > 0 // the CA has signed it
	}
	known := s.callers.know(host, certified, time.Now())
	switch {
	case service == healthpb.Health_ServiceDesc.ServiceName && (known || loopback(host)):
		return nil
	case s.parts.Load() == nil:
		return status.Error(codes.Unavailable, "the plugin has not read the Auto Scaling groups and the cluster yet")
	case !known, service == protos.CloudProvider_ServiceDesc.ServiceName && !certified:
		return status.Error(codes.Unauthenticated, "a client certificate is needed (cert and key in the cloud config of the Cluster Autoscaler)")
	case service != expanderprotos.Expander_ServiceDesc.ServiceName:
		return nil
	}
	if !s.asking.TryAcquire(1) {
		return status.Errorf(codes.ResourceExhausted, "%d questions to the expander are being answered", questions)
	}
	context.AfterFunc(ctx, func() { s.asking.Release(1) }) // the call has ended
	return nil
}

// coreSilence is the longest time between two calls of a core at work. Its health check ends a core without a successful loop for as long
// (--max-failing-time, 15 minutes by default).
const coreSilence = 15 * time.Minute

// callers are the hosts whose processes have shown a certificate. The core's client of the expander can show none, so the host is known
// by the core's other connection.
type callers struct {
	mutex sync.Mutex
	last  map[string]time.Time // when a host last called with a certificate
}

// know reports whether the host has called with a certificate lately, as it does now if it is certified.
func (c *callers) know(host string, certified bool, now time.Time) bool {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if certified {
		maps.DeleteFunc(c.last, func(_ string, at time.Time) bool { return now.Sub(at) > coreSilence })
		c.last[host] = now
	}
	return now.Sub(c.last[host]) <= coreSilence
}

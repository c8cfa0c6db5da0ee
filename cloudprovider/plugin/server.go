package plugin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider/externalgrpc/protos"
	expanderprotos "k8s.io/autoscaler/cluster-autoscaler/expander/grpcplugin/protos"
)

// largestRequest bounds a question to the expander. The core sends each option with all its pods, so 5,000 pods that fit 20 groups
// are about 200 MB.
const largestRequest = 256 << 20

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

	loop     sync.Mutex // held by calls that change what the next calls of a loop see: a late call may meet the next loop
	chosen   *choice    // by the expander since the last Refresh, nil for none
	starting startingGroups
	late     sync.WaitGroup
}

// Listen takes the address. The metrics are registered with r.
func Listen(ctx context.Context, address string, files Files, r prometheus.Registerer) (*Server, error) {
	s := &Server{files: files, health: health.NewServer(), durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: "cluster_autoscaler", Name: "aws_plugin_request_duration_seconds",
		Help:    "Time in which the plugin answered a call of a Cluster Autoscaler, by method and gRPC code, in seconds.",
		Buckets: []float64{.0001, .0005, .001, .005, .025, .1, .5, 1, 5},
	}, []string{"method", "code"})}
	options := []grpc.ServerOption{grpc.UnaryInterceptor(s.intercept), grpc.MaxRecvMsgSize(largestRequest)}
	if files.Cert != "" {
		config, err := files.config()
		if err != nil {
			return nil, err
		}
		options = append(options, grpc.Creds(credentials.NewTLS(config)))
	}
	if err := r.Register(s.durations); err != nil {
		return nil, fmt.Errorf("register the metrics of the plugin: %w", err)
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

// Addr is the address that the Server listens on.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// intercept admits a call, measures it, and gives errors of the core their codes.
func (s *Server) intercept(ctx context.Context, request any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (response any, err error) {
	began := time.Now()
	if err = s.admit(ctx, info.FullMethod); err == nil {
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

// admit refuses calls that came too early, and calls whose caller has given up already: the core has recorded a failure, so
// nothing may happen any more. It refuses callers without a certificate, but for the expander. The core's client of the expander can
// show none, and a choice changes nothing.
func (s *Server) admit(ctx context.Context, method string) error {
	service, _, _ := strings.Cut(strings.TrimPrefix(method, "/"), "/")
	if service == healthpb.Health_ServiceDesc.ServiceName {
		return nil
	}
	if s.files.ClientCA != "" && service == protos.CloudProvider_ServiceDesc.ServiceName && !verified(ctx) {
		return status.Error(codes.Unauthenticated, "a client certificate is needed (cert and key in the cloud config of the Cluster Autoscaler)")
	}
	if s.parts.Load() == nil {
		return status.Error(codes.Unavailable, "the plugin has not read the Auto Scaling groups and the cluster yet")
	}
	return ctx.Err()
}

// verified reports whether the caller showed a certificate that the CA has signed.
func verified(ctx context.Context) bool {
	caller, ok := peer.FromContext(ctx)
	if !ok {
		return false
	}
	info, ok := caller.AuthInfo.(credentials.TLSInfo)
	return ok && len(info.State.VerifiedChains) > 0
}

package process

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"k8s.io/apiserver/pkg/server/mux"
	"k8s.io/apiserver/pkg/server/routes"
	"k8s.io/autoscaler/cluster-autoscaler/config"
	"k8s.io/autoscaler/cluster-autoscaler/debuggingsnapshot"
	"k8s.io/component-base/metrics/legacyregistry"
	"k8s.io/klog/v2"
)

// endpoints are the paths of the stock autoscaler and /readyz. Flags switch /snapshotz and /debug/pprof on.
func endpoints(core config.AutoscalingOptions, health, ready http.Handler,
	snapshotter debuggingsnapshot.DebuggingSnapshotter) http.Handler {
	paths := mux.NewPathRecorderMux("cluster-autoscaler")
	paths.Handle("/metrics", legacyregistry.Handler())
	paths.Handle("/health-check", health)
	paths.Handle("/readyz", ready)
	if core.DebuggingSnapshotEnabled {
		paths.HandleFunc("/snapshotz", snapshotter.ResponseHandler)
	}
	if core.EnableProfiling {
		routes.Profiling{}.Install(paths)
	}
	return paths
}

// serve answers on the address until the returned function is called. The address is taken when serve returns. If
// answering ends later for another reason, serve calls failed.
func serve(ctx context.Context, address string, handler http.Handler, failed func(error)) (stop func(), err error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen on --address=%s: %w", address, err)
	}
	// No limit on writing: /snapshotz waits for a loop, a CPU profile for half a minute.
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			failed(fmt.Errorf("serve on --address=%s: %w", address, err))
		}
	}()
	klog.FromContext(ctx).V(2).Info("Listening", "address", listener.Addr().String())
	return func() {
		_ = server.Close()
		<-ended
	}, nil
}

package process

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"

	"k8s.io/apiserver/pkg/server/mux"
	"k8s.io/apiserver/pkg/server/routes"
	"k8s.io/autoscaler/cluster-autoscaler/config"
	"k8s.io/autoscaler/cluster-autoscaler/debuggingsnapshot"
	"k8s.io/component-base/metrics/legacyregistry"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cmd/cluster-autoscaler/options"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/cluster-autoscaler/pages"
)

// endpoints are the paths of the stock autoscaler and /readyz. Flags switch /snapshotz and /debug/pprof on. status is nil where the
// status page is off or has an address of its own.
func endpoints(core config.AutoscalingOptions, health, ready http.Handler,
	snapshotter debuggingsnapshot.DebuggingSnapshotter, status http.Handler) http.Handler {
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
	if status != nil {
		paths.Handle(pages.Path, status)
		paths.HandlePrefix(pages.Path+"/", status)
		paths.Handle(pages.Path+".json", status)
	}
	return paths
}

// listen serves all endpoints as the flags say, until the returned function is called. If answering ends before, listen calls failed.
func (p *Process) listen(ctx context.Context, failed func(error)) (stop func(), err error) {
	var status http.Handler
	stopStatus := func() {}
	if p.options.AWS.StatusPage == options.StatusPageOn {
		paths, page := http.NewServeMux(), pages.NewPage(p.record.Report, clock.RealClock{})
		paths.Handle(pages.Path, page)
		paths.Handle(pages.Path+"/", page)
		paths.Handle("GET "+pages.Path+"/loop.zip", &p.ring)
		paths.Handle("GET "+pages.Path+".json", pages.NewJSON(p.record))
		status = paths
		if address := p.options.AWS.StatusAddress; address != "" {
			if stopStatus, err = serve(ctx, "asg-status-address", address, guarded(status, p.core.ConfigNamespace), failed); err != nil {
				return nil, err
			}
			status = nil
		}
	}
	all := endpoints(p.core, p.health, &p.ready, p.snapshotter, status)
	stopMain, err := serve(ctx, "address", p.core.Address, guarded(all, p.core.ConfigNamespace), failed)
	if err != nil {
		stopStatus()
		return nil, err
	}
	return func() {
		stopMain()
		stopStatus()
	}, nil
}

// serve answers on the address of a flag until the returned function is called. The address is taken when serve returns. If
// answering ends later for another reason, serve calls failed.
func serve(ctx context.Context, flag, address string, handler http.Handler, failed func(error)) (stop func(), err error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen on --%s=%s: %w", flag, address, err)
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: headerLimit, MaxHeaderBytes: largestHeader, IdleTimeout: idleLimit}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			failed(fmt.Errorf("serve on --%s=%s: %w", flag, address, err))
		}
	}()
	klog.FromContext(ctx).V(2).Info("Listening", "flag", "--"+flag, "address", listener.Addr().String())
	return func() {
		_ = server.Close()
		<-ended
	}, nil
}

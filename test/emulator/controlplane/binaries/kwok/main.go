// Command kwok runs the KWOK controller: it plays the kubelet of the nodes that carry an annotation.
//
// It is KWOK's own controller without the server for logs, exec and attach. The server needs a newer Kubernetes than this
// module pins, and would drag half of it in.
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	"sigs.k8s.io/kwok/pkg/apis/internalversion"
	"sigs.k8s.io/kwok/pkg/client/clientset/versioned"
	"sigs.k8s.io/kwok/pkg/config"
	"sigs.k8s.io/kwok/pkg/kwok/controllers"
	"sigs.k8s.io/kwok/pkg/utils/client"
)

const (
	// nodesAtOnce bounds the nodes and leases that are worked on at once, each. It is KWOK's own default.
	nodesAtOnce = 4
	// podsAtOnce are more, because each node has a kubelet of its own.
	podsAtOnce = 32
)

type flags struct {
	kubeconfig, stages, nodes string
	leases                    time.Duration
	listen                    string
}

func main() {
	var f flags
	flag.StringVar(&f.kubeconfig, "kubeconfig", "", "`path` of the kubeconfig to use")
	flag.StringVar(&f.stages, "stages", "", "`path` of the file with the Stage objects")
	flag.StringVar(&f.nodes, "nodes", "kwok.x-k8s.io/node=fake", "annotation `selector` of the nodes to manage")
	flag.DurationVar(&f.leases, "renew-leases", 10*time.Second, "how often the lease of each node is renewed")
	flag.StringVar(&f.listen, "listen", "127.0.0.1:0", "`address` that serves /healthz")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, f); err != nil {
		fmt.Fprintln(os.Stderr, "kwok:", err)
		os.Exit(1)
	}
}

// run starts the controller and serves /healthz from then on, until the context ends.
func run(ctx context.Context, f flags) error {
	// Listening comes first, so that a taken port is reported before anything is touched.
	listener, err := net.Listen("tcp", f.listen)
	if err != nil {
		return err
	}
	defer listener.Close()
	conf, err := controllerConfig(ctx, f)
	if err != nil {
		return err
	}
	controller, err := controllers.NewController(conf)
	if err != nil {
		return fmt.Errorf("make controller: %w", err)
	}
	if err := controller.Start(ctx); err != nil {
		return fmt.Errorf("start controller: %w", err)
	}
	selected, err := labels.Parse(f.nodes)
	if err != nil {
		return fmt.Errorf("selector %q: %w", f.nodes, err)
	}
	if err := renewLeases(ctx, conf.TypedClient, conf.ID, selected, f.leases); err != nil {
		return err
	}
	return serveHealth(ctx, listener)
}

// controllerConfig returns the configuration for the given stages, nodes and cluster.
func controllerConfig(ctx context.Context, f flags) (controllers.Config, error) {
	stages, err := loadStages(ctx, f.stages)
	if err != nil {
		return controllers.Config{}, err
	}
	clients, err := client.NewClientset("", f.kubeconfig)
	if err != nil {
		return controllers.Config{}, err
	}
	restConfig, err := clients.ToRESTConfig()
	if err != nil {
		return controllers.Config{}, err
	}
	conf := controllers.Config{
		Clock:                             clock.RealClock{},
		ID:                                fmt.Sprintf("kwok-%d", os.Getpid()),
		LocalStages:                       stages,
		ManageNodesWithAnnotationSelector: f.nodes,
		CIDR:                              "10.244.0.0/16",
		NodeIP:                            "10.0.0.1", // of nodes that come without an address
		PodPlayStageParallelism:           podsAtOnce,
		NodePlayStageParallelism:          nodesAtOnce,
		NodeLeaseDurationSeconds:          0, // see renewLeases
		PodsOnNodeSyncParallelism:         nodesAtOnce,
		ImpersonatingDynamicClient:        clients.ToImpersonatingDynamicClient(),
		ImpersonatingTypedClient:          clients.ToImpersonatingTypedClient(),
	}
	if conf.DynamicClient, err = clients.ToDynamicClient(); err != nil {
		return controllers.Config{}, err
	}
	if conf.RESTMapper, err = clients.ToRESTMapper(); err != nil {
		return controllers.Config{}, err
	}
	if conf.RESTClient, err = rest.RESTClientFor(restConfig); err != nil {
		return controllers.Config{}, err
	}
	if conf.TypedClient, err = kubernetes.NewForConfig(restConfig); err != nil {
		return controllers.Config{}, err
	}
	conf.TypedKwokClient, err = versioned.NewForConfig(restConfig)
	return conf, err
}

// loadStages reads the Stage objects in a file, keyed by the kind they act on.
func loadStages(ctx context.Context, path string) (map[internalversion.StageResourceRef][]*internalversion.Stage, error) {
	objects, err := config.Load(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("load stages: %w", err)
	}
	stages := map[internalversion.StageResourceRef][]*internalversion.Stage{}
	for _, stage := range config.FilterWithType[*internalversion.Stage](objects) {
		stages[stage.Spec.ResourceRef] = append(stages[stage.Spec.ResourceRef], stage)
	}
	if len(stages) == 0 {
		return nil, fmt.Errorf("file %q has no Stage object", path)
	}
	return stages, nil
}

// serveHealth answers /healthz with 200 until the context ends.
func serveHealth(ctx context.Context, listener net.Listener) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	defer context.AfterFunc(ctx, func() { server.Close() })()
	if err := server.Serve(listener); ctx.Err() == nil {
		return err
	}
	return nil
}

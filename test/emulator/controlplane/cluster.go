package controlplane

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// startAttempts bounds how often Start picks other ports because a program found one of its ports taken.
const startAttempts = 3

// Cluster is one running control plane. Its methods may be called from any goroutine.
type Cluster struct {
	// Dir holds the cluster's files. The log of each program is logs/<program>.log in it.
	Dir string

	layout     layout
	binaries   Binaries
	removeDir  bool // Dir was made for this cluster and goes with it
	restConfig *rest.Config
	client     kubernetes.Interface
	health     *http.Client
	processes  *processes

	stopOnce sync.Once
	stopErr  error
}

// Start runs a control plane and returns once it serves: the API is ready, the namespaces default and kube-system have their
// service accounts, and scheduler, controller manager and KWOK report healthy. On a warm cache this takes about three seconds.
// Otherwise the programs are built first, see Build. The context covers the start only. When it ends early, and on every other
// error, everything that was started is stopped and removed again.
func Start(ctx context.Context, opts Options) (*Cluster, error) {
	if opts.Progress == nil {
		opts.Progress = io.Discard
	}
	if opts.Binaries == (Binaries{}) {
		built, err := Build(ctx, opts.Progress)
		if err != nil {
			return nil, err
		}
		opts.Binaries = built
	}
	for attempt := 1; ; attempt++ {
		c, err := start(ctx, opts)
		if err == nil {
			return c, nil
		}
		if attempt == startAttempts || !errors.Is(err, errPortTaken) {
			return nil, fmt.Errorf("start control plane: %w", err)
		}
		fmt.Fprintln(opts.Progress, "A port was taken by another program; starting again on other ports")
	}
}

func start(ctx context.Context, opts Options) (_ *Cluster, err error) {
	c := &Cluster{Dir: opts.Dir, binaries: opts.Binaries}
	if c.Dir == "" {
		if c.Dir, err = os.MkdirTemp("", "controlplane-"); err != nil {
			return nil, err
		}
		c.removeDir = true
	}
	if c.Dir, err = filepath.Abs(c.Dir); err != nil {
		return nil, err
	}
	p, err := freePorts()
	if err != nil {
		return nil, err
	}
	files := layout{dir: c.Dir}
	if err := files.create(); err != nil {
		return nil, err
	}
	// From here on the files are the cluster's, and Stop removes them.
	c.layout = files
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Stop())
		}
	}()
	if c.processes, err = newProcesses(c.disposable()); err != nil {
		return nil, err
	}
	if err := writeFiles(files, p, opts); err != nil {
		return nil, err
	}
	if err := c.connect(); err != nil {
		return nil, err
	}
	return c, c.launch(ctx, commandsFor(files, opts.Binaries, p, opts))
}

// disposable returns the paths that Stop removes.
func (c *Cluster) disposable() []string {
	if c.removeDir {
		return []string{c.Dir}
	}
	return c.layout.disposable()
}

// connect makes the clients for the admin. It makes no call.
func (c *Cluster) connect() error {
	config, err := restConfigFrom(c.Kubeconfig())
	if err != nil {
		return err
	}
	c.restConfig = config
	if c.client, err = kubernetes.NewForConfig(config); err != nil {
		return fmt.Errorf("make admin client: %w", err)
	}
	if c.health, err = rest.HTTPClientFor(config); err != nil {
		return fmt.Errorf("make health client: %w", err)
	}
	c.health.Timeout = 5 * time.Second
	return nil
}

// Kubeconfig returns the path of the kubeconfig of the cluster's admin, who may do everything.
func (c *Cluster) Kubeconfig() string { return c.layout.kubeconfig("admin") }

// Kubectl returns the path of a kubectl of the cluster's own version.
func (c *Cluster) Kubectl() string { return c.binaries.Kubectl }

// RunKubectl runs the cluster's kubectl with the admin's rights, with stdin as standard input, and returns its standard output. The
// error has its standard error.
func (c *Cluster) RunKubectl(ctx context.Context, stdin string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, c.Kubectl(), append([]string{"--kubeconfig", c.Kubeconfig()}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return string(out), err
}

// Define creates the CustomResourceDefinitions in the files and folders, and waits until the API server serves their kinds.
func (c *Cluster) Define(ctx context.Context, paths ...string) error {
	for _, path := range paths {
		if _, err := c.RunKubectl(ctx, "", "create", "-f", path); err != nil {
			return err
		}
	}
	_, err := c.RunKubectl(ctx, "", "wait", "crd", "--all", "--for=condition=Established", "--timeout=1m")
	return err
}

// Client returns a client with the admin's rights. It is shared and safe for concurrent use.
func (c *Cluster) Client() kubernetes.Interface { return c.client }

// RESTConfig returns a copy of the configuration of the admin's client.
func (c *Cluster) RESTConfig() *rest.Config { return rest.CopyConfig(c.restConfig) }

// Wait blocks until the context ends, and returns nil, or until one of the cluster's programs ends although nobody called Stop,
// and returns an error with the last lines of its log.
func (c *Cluster) Wait(ctx context.Context) error { return c.processes.wait(ctx) }

// Stop kills the cluster's programs, waits for them, and removes its files. A Dir given by the caller keeps its logs. Later
// calls return the first one's error.
func (c *Cluster) Stop() error {
	c.stopOnce.Do(func() {
		if c.health != nil {
			c.health.CloseIdleConnections()
		}
		var errs []error
		if c.processes != nil {
			errs = append(errs, c.processes.stop())
		}
		for _, path := range c.disposable() {
			errs = append(errs, os.RemoveAll(path))
		}
		c.stopErr = errors.Join(errs...)
	})
	return c.stopErr
}

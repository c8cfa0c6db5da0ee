package karpenter

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/controlplane"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/loopback"
)

// A Pool is a NodePool of one capacity type.
type Pool struct {
	Name         string
	Labels       map[string]string
	Taints       []corev1.Taint
	CapacityType string // empty for on-demand
	Weight       int    // Karpenter tries pools of a higher weight first, 0 for its default
	Offers       []Offer
}

// An Offer is one instance type of a Pool.
type Offer struct {
	InstanceType string
	PerHour      float64      // 0 where prices do not matter
	Node         *corev1.Node // whose allocatable resources the nodes have
}

// Options configure a Process.
type Options struct {
	Binary           string // see Build
	Dir              string // for its files and its log, must exist
	Cluster          *controlplane.Cluster
	Pools            []Pool
	BootTime         time.Duration // from a launch until its node registers, in whole seconds
	ConsolidateAfter time.Duration // how long a node must be empty until it may go, 0 for no end
	// Policy is the consolidationPolicy of the pools, with consolidateAfter and the budgets of Karpenter's defaults. Empty means WhenEmpty,
	// with ConsolidateAfter and without a budget.
	Policy string
	Flags  []string // beside the usual ones
}

// A Process is one running Karpenter. Its methods are safe for concurrent use.
type Process struct {
	cmd    *exec.Cmd
	done   chan struct{}
	claims *Claims
	stop   context.CancelFunc // of the watch of claims
}

// Start defines Karpenter's kinds, creates the pools, and starts the program. It returns once all pools are ready for pods. The
// context bounds the start only.
func Start(ctx context.Context, o Options) (_ *Process, err error) {
	if err := prepare(ctx, o); err != nil {
		return nil, err
	}
	p := &Process{done: make(chan struct{})}
	watching, stop := context.WithCancel(context.WithoutCancel(ctx))
	p.stop = stop
	defer func() {
		if err != nil {
			stop()
		}
	}()
	if p.claims, err = watchClaims(watching, o.Cluster.RESTConfig()); err != nil {
		return nil, err
	}
	metrics, health, err := freePorts()
	if err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(o.Dir, "karpenter.log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p.cmd = exec.Command(o.Binary, append([]string{fmt.Sprintf("--metrics-port=%d", metrics), fmt.Sprintf("--health-probe-port=%d", health),
		// A busy machine must not end it by a lease that it renews too late. There is no other replica.
		"--disable-leader-election", "--instance-types-file-path=" + typesFile(o.Dir)}, o.Flags...)...)
	p.cmd.Env = []string{"HOME=" + o.Dir, "KUBECONFIG=" + o.Cluster.Kubeconfig(), "SYSTEM_NAMESPACE=kube-system"}
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interrupt at the terminal is the parent's to handle
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start Karpenter: %w", err)
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.done)
	}()
	if err := p.waitReady(ctx, fmt.Sprintf("http://127.0.0.1:%d/readyz", health), o); err != nil {
		p.Kill()
		return nil, err
	}
	return p, nil
}

// freePorts are two ports that nobody listens on at the moment.
func freePorts() (first, second int, err error) {
	var ports [2]int
	for n := range ports {
		listener, err := loopback.Listen()
		if err != nil {
			return 0, 0, err
		}
		defer listener.Close()
		ports[n] = listener.Addr().(*net.TCPAddr).Port
	}
	return ports[0], ports[1], nil
}

// waitReady waits until Karpenter answers its probe and has judged every pool.
func (p *Process) waitReady(ctx context.Context, probe string, o Options) error {
	for {
		response, err := http.Get(probe)
		if err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				break
			}
		}
		select {
		case <-p.done:
			return errors.New("Karpenter ended before it was ready: see its log")
		case <-ctx.Done():
			return fmt.Errorf("wait for Karpenter: %w", context.Cause(ctx))
		case <-time.After(50 * time.Millisecond):
		}
	}
	_, err := o.Cluster.RunKubectl(ctx, "", "wait", "nodepools", "--all", "--for=condition=Ready", "--timeout=2m")
	return err
}

// Claims are the NodeClaims of the cluster.
func (p *Process) Claims() *Claims { return p.claims }

// Kill ends the process, and the watch of its claims.
func (p *Process) Kill() {
	p.cmd.Process.Kill() //nolint:errcheck // it has ended already
	<-p.done
	p.stop()
}

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

package scenario

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/stock"
)

// StartStock makes the stock autoscaler ready to run in this cluster, on this account, with this ServiceAccount and the same lease. It
// builds the program first if the user's cache lacks it. The result is the Env's other half: it starts, observes and ends processes of
// stock. The processes end with this Env.
func (e *Env) StartStock(ctx context.Context) (*Env, error) {
	if e.AWS == nil {
		return nil, errors.New("the stock autoscaler needs the AWS account first")
	}
	return e.half(ctx, &e.stock, "stock", stock.AWS, func(dir string) ([]string, error) {
		endpoints, err := stock.CloudConfig(dir, e.AWS.Region(), e.AWS.URL())
		return []string{"--cloud-config=" + endpoints}, err
	})
}

// StartCore is StartStock for an unmodified core without a provider of its own, which asks the plugin.
func (e *Env) StartCore(ctx context.Context) (*Env, error) {
	if e.AWS == nil || e.plugin == nil {
		return nil, errors.New("the core needs the AWS account and the plugin first")
	}
	return e.half(ctx, &e.core, "core", stock.ExternalGRPC, func(string) ([]string, error) { return e.plugin.stock, nil })
}

// half returns the other half of the Env. It makes it first if it is not there: of the program with the tag, in a directory of the name.
func (e *Env) half(ctx context.Context, half **Env, name, tag string, flags func(dir string) ([]string, error)) (*Env, error) {
	if *half != nil {
		return *half, nil
	}
	dir := filepath.Join(e.dir, name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	own, err := flags(dir)
	if err != nil {
		return nil, err
	}
	binary := ""
	if tag == stock.ExternalGRPC {
		binary = e.coreBinary
	}
	if binary == "" {
		if binary, err = stock.Build(ctx, os.Stderr, tag, raceDetector); err != nil {
			return nil, err
		}
	}
	h := &Env{
		Cluster: e.Cluster, AWS: e.AWS, Timeline: e.Timeline, isStock: true,
		dir: dir, binary: binary, flags: own, kubeconfig: e.kubeconfig,
		observer: e.observer, client: e.client,
	}
	h.observing, h.stop = context.WithCancel(e.observing)
	*half = h
	return h, nil
}

// halves are the stock autoscaler and the core that asks the plugin, as far as they were made ready.
func (e *Env) halves() []*Env {
	return slices.DeleteFunc([]*Env{e.stock, e.core}, func(half *Env) bool { return half == nil })
}

// closeStock ends the stock autoscaler, if there is one. Its end is not judged: stock does not end cleanly while it waits for
// the lease. Everything else belongs to the Env.
func (e *Env) closeStock() error {
	var errs []error
	for _, half := range e.halves() {
		if a := half.autoscaler; a != nil {
			a.Kill()
		}
		half.Cluster, half.AWS = nil, nil
		errs = append(errs, half.Close())
	}
	return errors.Join(errs...)
}

// stockEndedByItself fails if a process of stock has ended though nobody asked for it.
func (e *Env) stockEndedByItself() error {
	for _, half := range e.halves() {
		for _, p := range half.started {
			if err := p.endedByItself(); err != nil {
				return fmt.Errorf("stock: %w", err)
			}
		}
	}
	return nil
}

// stockAutoscaler runs one of the simple commands on the stock autoscaler.
func (s *script) stockAutoscaler(args []string) error {
	c, err := simpleCommand(args[0])
	if err != nil {
		return err
	}
	start := s.StartStock
	if s.plugin != nil {
		start = s.StartCore
	}
	env, err := start(s.ctx)
	if err != nil {
		return err
	}
	return c.on(s.inCluster(env), args[0], args[1:])
}

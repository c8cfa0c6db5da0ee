package scenario

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/asg-autoscaler/asg-autoscaler/test/stock"
)

// StartStock makes the stock autoscaler ready to run in this cluster, on this account or asking the plugin, with this ServiceAccount and
// the same lease. It builds the program first if the user's cache lacks it. The result is the Env's other half: it starts, observes and
// ends processes of stock. The processes end with this Env.
func (e *Env) StartStock(ctx context.Context) (*Env, error) {
	switch {
	case e.AWS == nil:
		return nil, errors.New("the stock autoscaler needs the AWS account first")
	case e.stock != nil:
		return e.stock, nil
	}
	dir := filepath.Join(e.dir, "stock")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	tag, flags := stock.AWS, []string(nil)
	if e.plugin != nil {
		tag, flags = stock.ExternalGRPC, e.plugin.stock
	} else {
		endpoints, err := stock.CloudConfig(dir, e.AWS.Region(), e.AWS.URL())
		if err != nil {
			return nil, err
		}
		flags = []string{"--cloud-config=" + endpoints}
	}
	binary := e.core
	if binary == "" || e.plugin == nil {
		var err error
		if binary, err = stock.Build(ctx, os.Stderr, tag, raceDetector); err != nil {
			return nil, err
		}
	}
	e.stock = &Env{
		Cluster: e.Cluster, AWS: e.AWS, Timeline: e.Timeline,
		dir: dir, binary: binary, flags: flags, kubeconfig: e.kubeconfig,
		observer: e.observer, client: e.client,
	}
	e.stock.observing, e.stock.stop = context.WithCancel(e.observing)
	return e.stock, nil
}

// closeStock ends the stock autoscaler, if there is one. Its end is not judged: stock does not end cleanly while it waits for
// the lease. Everything else belongs to the Env.
func (e *Env) closeStock() error {
	if e.stock == nil {
		return nil
	}
	if a := e.stock.autoscaler; a != nil {
		a.Kill()
	}
	e.stock.Cluster, e.stock.AWS = nil, nil
	return e.stock.Close()
}

// stockEndedByItself fails if a process of stock has ended though nobody asked for it.
func (e *Env) stockEndedByItself() error {
	if e.stock == nil {
		return nil
	}
	for _, p := range e.stock.started {
		if err := p.endedByItself(); err != nil {
			return fmt.Errorf("stock: %w", err)
		}
	}
	return nil
}

// stockAutoscaler runs one of the simple commands on the stock autoscaler.
func (s *script) stockAutoscaler(args []string) error {
	if len(args) < 1 {
		return errors.New("usage: stock COMMAND ARG...")
	}
	run, known := simpleCommands()[args[0]]
	if !known {
		return fmt.Errorf("no command is called %q", args[0])
	}
	env, err := s.StartStock(s.ctx)
	if err != nil {
		return err
	}
	return run(s.inCluster(env), args[1:])
}

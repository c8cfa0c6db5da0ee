package scenario

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// StartOther runs a second control plane with its own observation, which shares the AWS account. The account's groups that name
// the cluster have their nodes in it from now on. It ends with the Env.
func (e *Env) StartOther(ctx context.Context, name string) error {
	switch {
	case e.AWS == nil:
		return errors.New("the second cluster needs the AWS account first")
	case e.other != nil:
		return errors.New("the scenario has a second cluster already")
	}
	dir := filepath.Join(e.dir, "other")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	other, err := Start(ctx, Options{Dir: dir, Binary: e.binary})
	if err != nil {
		return fmt.Errorf("second cluster: %w", err)
	}
	e.other, other.AWS = other, e.AWS
	if err := e.AWS.AttachCluster(name, other.Cluster.Client()); err != nil {
		return err
	}
	observeAWS(other.AWS, other.Timeline, other.look)
	return nil
}

// closeOther ends the second cluster, if there is one. The first cluster closes the account.
func (e *Env) closeOther() error {
	if e.other == nil {
		return nil
	}
	e.other.AWS = nil
	return e.other.Close()
}

// otherCluster starts the second cluster, or runs one of the simple commands on it.
func (s *script) otherCluster(args []string) error {
	if args[0] == "aws" {
		return s.StartOther(s.ctx, args[1])
	}
	c, err := simpleCommand(args[0])
	if err != nil {
		return err
	}
	if s.other == nil {
		return errors.New("no second cluster yet; start it with: other aws CLUSTER")
	}
	return c.on(s.inCluster(s.other), args[0], args[1:])
}

// inCluster is the script for the other cluster of the account, or for the stock autoscaler of this one.
func (s *script) inCluster(other *Env) *script {
	on := *s
	on.Env = other
	return &on
}

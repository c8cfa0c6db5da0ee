package scenario

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
)

// StartReplica runs one of several autoscalers side by side, as the pods of one Deployment do, under a name of its own, by
// which the leader lease knows it. It appends its output to the file log, which the Timeline does not follow. The context
// bounds the start only. The caller ends the process.
func (e *Env) StartReplica(ctx context.Context, name, log, manifest string, extra ...string) (*Autoscaler, error) {
	file, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return e.run(ctx, file, manifest, []string{"POD_NAME=" + name}, extra)
}

// StartAs is StartReplica for another installation than ours: with exactly the flags given, which name the kubeconfig, and with its variables
// after the environment of ours.
func (e *Env) StartAs(ctx context.Context, log string, flags, environment []string) (*Autoscaler, error) {
	file, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	return RunAutoscaler(ctx, e.binary, flags, append(e.environment(shipped{}), environment...), file)
}

// run starts one process as the manifest's Deployment does, with variables and flags beside its own. A flag "without=<name>" takes the manifest's of
// that name away.
func (e *Env) run(ctx context.Context, log *os.File, manifest string, environment, extra []string) (*Autoscaler, error) {
	s, err := readShipped(manifest)
	if err != nil {
		return nil, err
	}
	if e.isStock { // which ends at a flag of ours
		s.flags = slices.DeleteFunc(s.flags, func(flag string) bool { return strings.HasPrefix(flag, "--asg-nominate=") })
	}
	extra = slices.DeleteFunc(slices.Clone(extra), func(flag string) bool {
		name, less := strings.CutPrefix(flag, "without=")
		if less {
			s.flags = slices.DeleteFunc(s.flags, func(flag string) bool { return strings.HasPrefix(flag, "--"+name+"=") })
		}
		return less
	})
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	flags := slices.Concat(s.flags, []string{"--kubeconfig=" + e.kubeconfig}, e.flags, extra)
	return RunAutoscaler(ctx, e.binary, flags, append(e.environment(s), environment...), log)
}

// StopAWS ends the account, so that another one can be started. Its nodes stay in the cluster.
func (e *Env) StopAWS() error {
	if e.AWS == nil {
		return nil
	}
	err := e.AWS.Close()
	e.AWS = nil
	if err != nil {
		return fmt.Errorf("end the AWS account: %w", err)
	}
	return nil
}

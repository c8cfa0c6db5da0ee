package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/filelock"
	"github.com/asg-autoscaler/asg-autoscaler/test/scenario"
)

// A kept set-up runs in a process of its own, which holds a lock in the user's cache directory. The file of the lock has its process ID.

// handedOver is the line by which the holding process announces that its output is complete.
const handedOver = "demo: handed over"

var errRunning = errors.New("a set-up is running already; stop it with: make down")

// lock takes the lock of this user's one kept set-up, or returns errRunning if another process has it.
func lock(ctx context.Context) (path string, unlock func(), err error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", nil, err
	}
	dir := filepath.Join(cache, "asg-autoscaler")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", nil, err
	}
	path = filepath.Join(dir, "demo.lock")
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	if unlock, err = filelock.Lock(ctx, path, func() { giveUp(errRunning) }); errors.Is(err, errRunning) {
		err = errRunning
	}
	return path, unlock, err
}

// detach starts this program again as the holding process and relays its output until it hands over or ends.
func detach(ctx context.Context, args []string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	output, err := os.CreateTemp("", "asg-demo-output-")
	if err != nil {
		return err
	}
	defer os.Remove(output.Name()) //nolint:errcheck // a temporary file
	defer output.Close()
	holder := exec.Command(self, append([]string{"-held"}, args...)...)
	holder.Stdout, holder.Stderr = output, output
	holder.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // outlives this process and its terminal
	if err := holder.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- holder.Wait() }()
	return relay(ctx, output.Name(), holder.Process, ended)
}

// relay copies the holding process's output until it is handed over. An interrupt is passed on.
func relay(ctx context.Context, path string, holder *os.Process, ended <-chan error) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	reader := bufio.NewReader(file)
	interrupted := ctx.Done()
	for partial := ""; ; {
		line, err := reader.ReadString('\n')
		if partial += line; err == nil {
			if partial == handedOver+"\n" {
				return nil
			}
			fmt.Print(partial)
			partial = ""
			continue
		}
		select {
		case <-interrupted:
			interrupted = nil
			holder.Signal(os.Interrupt) //nolint:errcheck // it has ended already
		case err := <-ended:
			io.Copy(os.Stdout, reader) //nolint:errcheck // the output is a local file
			if err == nil {
				err = errors.New("it ended early")
			}
			return fmt.Errorf("nothing was left running: %w", err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// hold starts the set-up, runs the rounds if asked, prints how to reach it, and keeps it until somebody asks for its end.
func hold(ctx context.Context, binary string, withRounds bool) (err error) {
	release, err := occupy(ctx)
	if err != nil {
		return err
	}
	defer release() // last of all, because whoever asked for the end waits for it
	s, err := start(ctx, binary)
	if err != nil {
		return err
	}
	defer func() { err = s.close(err) }()
	if withRounds {
		if err := s.rounds(ctx); err != nil {
			return err
		}
	}
	say("%s", s.howToReach())
	say(handedOver)
	<-ctx.Done() // by the signal of down
	return nil
}

// occupy takes the lock for this process, and writes its host and its ID into the file until release.
func occupy(ctx context.Context) (release func(), err error) {
	path, unlock, err := lock(ctx)
	if err != nil {
		return nil, err
	}
	release = func() {
		_ = os.Truncate(path, 0)
		unlock()
	}
	host, err := os.Hostname()
	if err == nil {
		err = os.WriteFile(path, fmt.Appendf(nil, "%s %d", host, os.Getpid()), 0o600)
	}
	return release, err
}

// down asks the kept set-up to end and waits until it has.
func down(ctx context.Context) error {
	path, unlock, err := lock(ctx)
	if err == nil {
		unlock()
		say("Nothing is running")
	}
	if !errors.Is(err, errRunning) {
		return err
	}
	id, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var on string
	var holder int
	if _, err := fmt.Sscanf(string(id), "%s %d", &on, &holder); err != nil {
		return fmt.Errorf("host and process in %s: %w", path, err)
	}
	if host, err := os.Hostname(); err != nil || on != host { // a lock is seen by other containers and hosts, too
		return errors.Join(fmt.Errorf("the set-up runs on %q, stop it there", on), err)
	}
	if err := syscall.Kill(holder, syscall.SIGTERM); err != nil {
		return err
	}
	if unlock, err = filelock.Lock(ctx, path, nil); err != nil {
		return err
	}
	unlock()
	say("Stopped")
	return nil
}

// howToReach is what a user needs for a set-up that is left running.
func (s *setup) howToReach() string {
	return fmt.Sprintf(`
Left running. In another shell:
    export KUBECONFIG=%s
    %s get nodes,pods -A
    export AWS_ENDPOINT_URL=%s AWS_REGION=%s AWS_ACCESS_KEY_ID=%s AWS_SECRET_ACCESS_KEY=secret # emulated
    %s top --url http://%s
    %[6]s explain pods --url http://%[7]s
    %[6]s groups
Status page:  http://%[7]s/status
Metrics:      http://%[7]s/metrics
Logs:         %[8]s
Stop it with: make down`,
		s.Cluster.Kubeconfig(), s.Cluster.Kubectl(), s.AWS.URL(), s.AWS.Region(), scenario.AccessKey, s.asgctl, s.Autoscaler().Address, s.dir)
}

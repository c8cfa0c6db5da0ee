package scenario

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/loopback"
)

// Autoscaler is one process of the program under test. Its methods are safe for concurrent use.
type Autoscaler struct {
	Address string // host:port of /metrics, /health-check and /snapshotz

	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended
	err  error         // how it ended, read after done

	killed, stopped atomic.Bool // somebody asked for the end
}

// addressFlag is the flag of the address of the autoscaler's own server.
const addressFlag = "--address="

// RunAutoscaler starts the binary with exactly the flags and environment given, plus an address of its own unless they have one, and
// appends its output to the log. It returns once the process answers its health check.
func RunAutoscaler(ctx context.Context, binary string, flags, environment []string, log *os.File) (*Autoscaler, error) {
	var address string
	for _, flag := range flags {
		if given, ok := strings.CutPrefix(flag, addressFlag); ok {
			address = given
		}
	}
	if address == "" {
		free, err := loopback.FreeAddress()
		if err != nil {
			return nil, err
		}
		address, flags = free, append(flags, addressFlag+free)
	}
	a := &Autoscaler{Address: address, done: make(chan struct{}), cmd: exec.Command(binary, flags...)}
	a.cmd.Env = environment
	a.cmd.Stdout, a.cmd.Stderr = log, log
	a.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interrupt at the terminal is the parent's to handle
	if err := a.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start autoscaler: %w", err)
	}
	go func() {
		a.err = a.cmd.Wait()
		close(a.done)
	}()
	if err := a.waitHealthy(ctx); err != nil {
		a.Kill()
		return nil, err
	}
	return a, nil
}

func (a *Autoscaler) waitHealthy(ctx context.Context) error {
	for {
		if _, err := a.Get(ctx, "/health-check"); err == nil {
			return nil
		}
		select {
		case <-a.done:
			return fmt.Errorf("autoscaler ended before it was healthy: %w", errors.Join(a.err, errors.New("see its log")))
		case <-ctx.Done():
			return fmt.Errorf("wait for the autoscaler's health check: %w", ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Get reads one page of the autoscaler's own server.
func (a *Autoscaler) Get(ctx context.Context, path string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+a.Address+path, nil)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return "", err
	}
	if response.StatusCode != http.StatusOK {
		return "", refusal(fmt.Sprintf("get %s: %s: %s", path, response.Status, strings.TrimSpace(string(body))))
	}
	return string(body), nil
}

// refusal is an answer of the autoscaler's server with another status than OK.
type refusal string

func (r refusal) Error() string { return string(r) }

// Kill ends the process the hard way, as kill -9 or a lost machine would, and waits for it.
func (a *Autoscaler) Kill() {
	a.killed.Store(true)
	a.cmd.Process.Kill() //nolint:errcheck // it has ended already
	<-a.done
}

// stopTimeout bounds a clean stop. The product promises less than five seconds.
const stopTimeout = 5 * time.Second

// Stop ends the process as Kubernetes does, with SIGTERM. It returns an error if that takes longer than five seconds, if the
// exit code is not zero, or if the process has ended before by itself.
func (a *Autoscaler) Stop() error {
	if err := a.endedByItself(); err != nil {
		return err
	}
	a.stopped.Store(true)
	if err := a.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop autoscaler: %w", err)
	}
	select {
	case <-a.done:
	case <-time.After(stopTimeout):
		a.Kill()
		return fmt.Errorf("autoscaler did not end within %s of SIGTERM", stopTimeout)
	}
	if a.err != nil {
		return fmt.Errorf("autoscaler did not end cleanly on SIGTERM: %w", a.err)
	}
	return nil
}

// endedByItself fails if the process has ended though nobody asked for it.
func (a *Autoscaler) endedByItself() error {
	if a.Running() || a.stopped.Load() || a.killed.Load() {
		return nil
	}
	how := "with exit code 0"
	if a.err != nil {
		how = a.err.Error()
	}
	return fmt.Errorf("autoscaler ended by itself, %s; see its log", how)
}

// Pause stops the process where it stands, like a suspended virtual machine. For the process, no time passes until Resume. A process that
// has ended needs neither.
func (a *Autoscaler) Pause() error { return a.signal(syscall.SIGSTOP) }

// Resume ends a Pause.
func (a *Autoscaler) Resume() error { return a.signal(syscall.SIGCONT) }

func (a *Autoscaler) signal(s syscall.Signal) error {
	if err := a.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("send %s to the autoscaler: %w", s, err)
	}
	return nil
}

// Done is closed when the process has ended.
func (a *Autoscaler) Done() <-chan struct{} { return a.done }

// Running reports whether the process has not ended.
func (a *Autoscaler) Running() bool {
	select {
	case <-a.done:
		return false
	default:
		return true
	}
}

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/test/scenario"
)

// A kept set-up runs in a process of its own, which listens on a socket in the user's cache directory. A request to close comes
// over that socket, so nothing is ever signalled by a process ID that may have been reused.

// handedOver is the line by which the holding process announces that its output is complete.
const handedOver = "demo: handed over"

// stopRequest ends the set-up when it is written to the socket. The connection closes when everything has ended.
const stopRequest = "stop\n"

// socketPath is the address of this user's one kept set-up.
func socketPath() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "asg-autoscaler")
	return filepath.Join(dir, "demo.sock"), os.MkdirAll(dir, 0o700)
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
	listener, err := listen(ctx)
	if err != nil {
		return err
	}
	defer listener.Close()
	ctx, askers := untilAsked(ctx, listener)
	defer func() { // last of all, because it reports to the callers that everything has ended
		for _, conn := range askers() {
			conn.Close()
		}
	}()
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
	<-ctx.Done()
	return nil
}

// untilAsked returns a context that ends when somebody asks for the end over the socket, and a function that then returns their
// connections.
func untilAsked(ctx context.Context, listener net.Listener) (context.Context, func() []net.Conn) {
	ctx, end := context.WithCancel(ctx)
	var mu sync.Mutex
	var askers []net.Conn
	go func() {
		defer end()
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			conn.SetReadDeadline(time.Now().Add(time.Second)) //nolint:errcheck // a socket of this machine
			if line, _ := bufio.NewReader(conn).ReadString('\n'); line != stopRequest {
				conn.Close()
				continue
			}
			mu.Lock()
			askers = append(askers, conn)
			mu.Unlock()
			end()
		}
	}()
	return ctx, func() []net.Conn {
		mu.Lock()
		defer mu.Unlock()
		return askers
	}
}

// listen takes the socket, unless a kept set-up has it.
func listen(ctx context.Context) (net.Listener, error) {
	path, err := socketPath()
	if err != nil {
		return nil, err
	}
	if conn, err := net.Dial("unix", path); err == nil {
		conn.Close()
		return nil, errors.New("a set-up is running already; stop it with: make down")
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var config net.ListenConfig
	return config.Listen(ctx, "unix", path)
}

// down asks the kept set-up to end and waits until it has.
func down(ctx context.Context) error {
	path, err := socketPath()
	if err != nil {
		return err
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", path)
	if err != nil {
		say("Nothing is running")
		return nil
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, stopRequest); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, conn); err != nil {
		return err
	}
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

package controlplane

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// errPortTaken is the end of a program because another one listens on its port.
var errPortTaken = errors.New("port taken by another program")

// logTailBytes is how much of a dead program's log an error quotes.
const logTailBytes = 2000

// watchdogScript kills and removes its targets once its standard input ends without a "done" before it, because the process
// that held the other end is then dead. Each line is a verb and its argument.
const watchdogScript = `
pids=
while read -r verb arg; do
	case $verb in
	child) pids="$pids $arg" ;;
	remove) set -- "$@" "$arg" ;;
	done) exit 0 ;;
	esac
done
for pid in $pids; do kill -KILL "$pid" 2>/dev/null; done
for attempt in 1 2 3 4 5; do
	rm -rf -- "$@" && break
	sleep 0.2
done
`

// processes are the child processes of one cluster. They die with this process: the watchdog sees to it, and removes the files.
type processes struct {
	watchdog *exec.Cmd
	pipe     io.WriteCloser // to the watchdog
	died     chan struct{}  // closed when a child has ended unexpectedly

	mu       sync.Mutex
	stopping bool
	children []*child
	firstEnd error // how the first such child ended, read only after died is closed
}

// child is one program that runs, or ran.
type child struct {
	command command
	cmd     *exec.Cmd
	logPath string
	done    chan struct{} // closed when it has ended and was waited for
	err     error         // how it ended, read only after done is closed
	killed  bool          // on request, guarded by processes.mu
}

// newProcesses starts a watchdog that removes the given paths if this process dies. stop ends it.
func newProcesses(remove []string) (*processes, error) {
	p := &processes{died: make(chan struct{})}
	p.watchdog = exec.Command("/bin/sh", "-c", watchdogScript, "watchdog")
	p.watchdog.Dir = "/"
	p.watchdog.SysProcAttr = apart()
	pipe, err := p.watchdog.StdinPipe()
	if err != nil {
		return nil, err
	}
	p.pipe = pipe
	if err := p.watchdog.Start(); err != nil {
		return nil, fmt.Errorf("start watchdog: %w", err)
	}
	for _, path := range remove {
		if strings.ContainsRune(path, '\n') {
			err = fmt.Errorf("directory %q has a line break in its name", path)
		}
		fmt.Fprintln(p.pipe, "remove", path)
	}
	if err != nil {
		return nil, errors.Join(err, p.stop())
	}
	return p, nil
}

// apart keeps a program out of reach of the terminal's interrupt.
func apart() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// start runs a program with the cluster's directory as its home and its output in its log there.
func (p *processes) start(c command, l layout) (*child, error) {
	logPath := l.log(c.name)
	log, err := os.OpenFile(logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(c.path, c.args...)
	if c.nice > 0 {
		cmd = exec.Command("nice", slices.Concat([]string{"-n", strconv.Itoa(c.nice), c.path}, c.args)...)
	}
	cmd.Dir = l.dir
	// No proxy, no cloud, no kubeconfig of the user's. Less garbage collection saves a tenth of the processor time.
	cmd.Env = []string{"HOME=" + l.dir, "PATH=" + os.Getenv("PATH"), "GOGC=400"}
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = apart()
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", c.name, err)
	}
	fmt.Fprintln(p.pipe, "child", cmd.Process.Pid)
	started := &child{command: c, cmd: cmd, logPath: logPath, done: make(chan struct{})}
	p.mu.Lock()
	p.children = append(p.children, started)
	p.mu.Unlock()
	go p.reap(started)
	return started, nil
}

// reap waits for a child and reports an end that nobody requested.
func (p *processes) reap(c *child) {
	c.err = c.cmd.Wait()
	close(c.done)
	p.mu.Lock()
	defer p.mu.Unlock()
	// Only the first is reported, because the others die of it.
	if !p.stopping && !c.killed && p.firstEnd == nil {
		p.firstEnd = c.failure()
		close(p.died)
	}
}

// restart kills the child of a name that was started last, waits until it has ended, and starts its command again.
func (p *processes) restart(name string, l layout) (*child, error) {
	last := p.last(name)
	if last == nil {
		return nil, fmt.Errorf("no program %q was started", name)
	}
	p.mu.Lock()
	last.killed = true
	p.mu.Unlock()
	if err := last.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return nil, fmt.Errorf("kill %s: %w", name, err)
	}
	<-last.done
	return p.start(last.command, l)
}

// last is the child of a name that was started last, or nil.
func (p *processes) last(name string) *child {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range slices.Backward(p.children) {
		if c.command.name == name {
			return c
		}
	}
	return nil
}

// failure describes a child that ended, with the end of its log.
func (c *child) failure() error {
	tail := c.logTail()
	if strings.Contains(tail, "address already in use") {
		return fmt.Errorf("%s: %w", c.command.name, errPortTaken)
	}
	return fmt.Errorf("%s ended (%w); its log %q ends with:\n%s", c.command.name, errOr(c.err, "exit status 0"), c.logPath, tail)
}

// errOr returns err, or an error with the given text when err is nil.
func errOr(err error, text string) error {
	if err != nil {
		return err
	}
	return errors.New(text)
}

// logTail returns the last lines of a child's log, or why it cannot be read.
func (c *child) logTail() string {
	file, err := os.Open(c.logPath)
	if err != nil {
		return err.Error()
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err.Error()
	}
	tail, err := io.ReadAll(io.NewSectionReader(file, max(0, info.Size()-logTailBytes), logTailBytes))
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(tail))
}

// wait blocks until the context ends, and returns nil, or until a child ends unasked, and returns an error.
func (p *processes) wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-p.died:
		return p.firstEnd
	}
}

// stop kills every child, waits for all of them, and ends the watchdog. Call it once. Killing is enough,
// because nothing that the programs would save is kept.
func (p *processes) stop() error {
	p.mu.Lock()
	p.stopping = true
	children := p.children
	p.mu.Unlock()
	var errs []error
	for _, c := range children {
		if err := c.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			errs = append(errs, fmt.Errorf("kill %s: %w", c.command.name, err))
		}
	}
	for _, c := range children {
		<-c.done
	}
	fmt.Fprintln(p.pipe, "done")
	p.pipe.Close()
	if err := p.watchdog.Wait(); err != nil {
		errs = append(errs, fmt.Errorf("watchdog: %w", err))
	}
	return errors.Join(errs...)
}

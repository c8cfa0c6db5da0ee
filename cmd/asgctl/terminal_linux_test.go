package main

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// patience bounds each wait, on a busy machine.
const patience = time.Minute

// A terminal is a pseudo-terminal and what a user sees in it.
type terminal struct {
	t      *testing.T
	fd     int // of the master
	master *os.File
	slave  *os.File
	before unix.Termios

	mu      sync.Mutex
	changed *sync.Cond // holds mu
	screen  screen     // guarded by mu
}

func openTerminal(t *testing.T, width, height int) *terminal {
	t.Helper()
	// Without blocking, so that closing the file ends a read of it.
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatalf("open a pseudo-terminal: %v", err)
	}
	term := &terminal{t: t, fd: fd, master: os.NewFile(uintptr(fd), "/dev/ptmx")}
	t.Cleanup(func() { _ = term.master.Close() })
	term.changed = sync.NewCond(&term.mu)
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if term.slave, err = os.OpenFile("/dev/pts/"+strconv.Itoa(number), os.O_RDWR|syscall.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = term.slave.Close() })
	term.before = term.modes()
	term.resize(width, height)
	go term.show()
	return term
}

// modes are the settings of the terminal's line.
func (term *terminal) modes() unix.Termios {
	term.t.Helper()
	modes, err := unix.IoctlGetTermios(term.fd, unix.TCGETS)
	if err != nil {
		term.t.Fatal(err)
	}
	return *modes
}

// resize changes the size, and the kernel signals the program.
func (term *terminal) resize(width, height int) {
	term.t.Helper()
	term.mu.Lock()
	term.screen.resize(width, height)
	term.mu.Unlock()
	if err := unix.IoctlSetWinsize(term.fd, unix.TIOCSWINSZ, &unix.Winsize{Row: uint16(height), Col: uint16(width)}); err != nil {
		term.t.Fatal(err)
	}
}

// show draws what the program writes, until the terminal is closed.
func (term *terminal) show() {
	var left []byte
	buffer := make([]byte, 4096)
	for {
		n, err := term.master.Read(buffer)
		if err != nil {
			return
		}
		term.mu.Lock()
		left = term.screen.write(append(left, buffer[:n]...))
		term.changed.Broadcast()
		term.mu.Unlock()
	}
}

func (term *terminal) press(keys string) {
	term.t.Helper()
	if _, err := term.master.WriteString(keys); err != nil {
		term.t.Fatal(err)
	}
}

// await waits until the screen is as wanted.
func (term *terminal) await(what string, wanted func(*screen) bool) {
	term.t.Helper()
	late := false
	defer time.AfterFunc(patience, func() {
		term.mu.Lock()
		late = true
		term.changed.Broadcast()
		term.mu.Unlock()
	}).Stop()
	term.mu.Lock()
	defer term.mu.Unlock()
	for !wanted(&term.screen) {
		if late {
			term.t.Fatalf("the screen never shows %s:\n%s", what, term.screen.text())
		}
		term.changed.Wait()
	}
}

func (term *terminal) awaitText(text string) {
	term.t.Helper()
	term.await(strconv.Quote(text), func(s *screen) bool { return strings.Contains(s.text(), text) })
}

// start runs a program in the terminal. It returns its process, and a function that waits for its end.
func (term *terminal) start(env []string, name string, args ...string) (*os.Process, func() error) {
	term.t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "NO_COLOR=") }), append(env, "TERM=xterm-256color")...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = term.slave, term.slave, term.slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		term.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	term.t.Cleanup(func() { _ = cmd.Process.Kill() })
	return cmd.Process, func() error {
		select {
		case err := <-ended:
			return err
		case <-time.After(patience):
			return fmt.Errorf("the program has not ended")
		}
	}
}

// A screen interprets the sequences that asgctl writes, and no others.
type screen struct {
	width, height int
	cells         [][]rune
	x, y          int
	alternate     bool
	hidden        bool // the cursor
	unwrapped     bool // lines do not break by themselves
	colours       bool // one was seen
	unknown       []string
}

func (s *screen) resize(width, height int) {
	s.width, s.height = width, height
	s.clear()
}

func (s *screen) clear() {
	s.cells = make([][]rune, s.height)
	for y := range s.cells {
		s.cells[y] = []rune(strings.Repeat(" ", s.width))
	}
}

// text is what stands on the screen.
func (s *screen) text() string {
	var b strings.Builder
	for _, line := range s.cells {
		b.WriteString(strings.TrimRight(string(line), " ") + "\n")
	}
	return b.String()
}

// write draws the input and returns the incomplete rest.
func (s *screen) write(in []byte) []byte {
	for len(in) > 0 {
		if in[0] == 0x1b {
			end := slices.IndexFunc(in[min(2, len(in)):], func(b byte) bool { return b >= 0x40 && b <= 0x7e })
			if end < 0 {
				return in
			}
			s.sequence(string(in[1 : end+3]))
			in = in[end+3:]
			continue
		}
		if !utf8.FullRune(in) {
			return in
		}
		r, size := utf8.DecodeRune(in)
		in = in[size:]
		switch {
		case r == '\r':
			s.x = 0
		case r == '\n':
			s.y = min(s.y+1, s.height-1)
		case r < ' ' || s.unwrapped && s.x >= s.width:
			s.unknown = append(s.unknown, fmt.Sprintf("%q at column %d of line %d", r, s.x, s.y))
		default:
			s.put(r)
		}
	}
	return nil
}

func (s *screen) put(r rune) {
	if s.x >= s.width {
		s.x, s.y = 0, min(s.y+1, s.height-1)
	}
	s.cells[s.y][s.x] = r
	s.x++
}

func (s *screen) sequence(text string) {
	on := strings.HasSuffix(text, "h")
	switch last := text[len(text)-1]; {
	case text == "[?1049h" || text == "[?1049l":
		s.alternate = on
		s.clear()
	case text == "[?25h" || text == "[?25l":
		s.hidden = !on
	case text == "[?7h" || text == "[?7l":
		s.unwrapped = !on
	case text == "[2J":
		s.clear()
	case last == 'H':
		if _, err := fmt.Sscanf(text, "[%d;%dH", &s.y, &s.x); err != nil {
			s.unknown = append(s.unknown, text)
		}
		s.x, s.y = s.x-1, s.y-1
		if s.x < 0 || s.x >= s.width || s.y < 0 || s.y >= s.height {
			s.unknown, s.x, s.y = append(s.unknown, text), 0, 0
		}
	case last == 'm':
		s.colours = s.colours || strings.HasPrefix(text, "[3")
	default:
		s.unknown = append(s.unknown, text)
	}
}

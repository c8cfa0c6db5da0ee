package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// savedStatus copies a report to a file that the test may change.
func savedStatus(t *testing.T) (path string, text []byte) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("top", "testdata", "status.json"))
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "status.json")
	replace(t, path, text)
	return path, text
}

// replace writes the file as a whole, for it is read at any moment.
func replace(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// restored fails unless the terminal is as it was before the program.
func (term *terminal) restored(t *testing.T) {
	t.Helper()
	term.await("the user's own screen", func(s *screen) bool { return !s.alternate && !s.hidden && !s.unwrapped })
	if got := term.modes(); got != term.before {
		t.Errorf("the terminal's modes are %+v, want %+v", got, term.before)
	}
	term.mu.Lock()
	defer term.mu.Unlock()
	if len(term.screen.unknown) > 0 {
		t.Errorf("the program wrote %q", term.screen.unknown)
	}
}

func TestTopInATerminal(t *testing.T) {
	path, text := savedStatus(t)
	term := openTerminal(t, 80, 24)
	_, end := term.start(nil, "asgctl", "top", "--report", path, "--interval", "10ms")
	for _, title := range []string{"GROUPS 6", "MOVING NODES 6", "PENDING 15", "DECISIONS 7", "|███▒"} {
		term.awaitText(title)
	}
	term.await("another screen without a cursor", func(s *screen) bool { return s.alternate && s.hidden && s.unwrapped && s.colours })
	term.press("/GPU\r")
	term.awaitText("GROUPS 1/6")
	term.press("\x1b")
	term.awaitText("GROUPS 6")
	term.press("3\r")
	term.awaitText("asgctl explain pod -n web legacy")
	term.press("\x1b")
	term.awaitText("DECISIONS 7")
	term.resize(140, 40)
	term.await("the last line at the bottom", func(s *screen) bool { return strings.HasPrefix(string(s.cells[39]), "q quit") })
	term.awaitText("AWS takes it at 09:42:08")
	term.press("ss")
	term.awaitText("GROUP▾")
	term.press("p")
	term.awaitText("PAUSED")
	replace(t, path, bytes.Replace(text, []byte(`"cluster": "prod"`), []byte(`"cluster": "mended"`), 1))
	term.press("?")
	term.awaitText("this page")
	term.press("?p")
	term.awaitText("asgctl top  mended")
	replace(t, path, []byte("{"))
	term.awaitText("ago: read the report of " + path[:10])
	replace(t, path, text)
	term.awaitText("asgctl top  prod")
	term.press("q")
	if err := end(); err != nil {
		t.Errorf("asgctl ends with %v", err)
	}
	term.restored(t)
}

func TestTopRestoresTheTerminal(t *testing.T) {
	path, _ := savedStatus(t)
	for name, stop := range map[string]func(*terminal, *os.Process){
		"key q":     func(term *terminal, _ *os.Process) { term.press("q") },
		"Ctrl-C":    func(term *terminal, _ *os.Process) { term.press("\x03") },
		"SIGTERM":   func(_ *terminal, p *os.Process) { _ = p.Signal(syscall.SIGTERM) },
		"SIGHUP":    func(_ *terminal, p *os.Process) { _ = p.Signal(syscall.SIGHUP) },
		"interrupt": func(_ *terminal, p *os.Process) { _ = p.Signal(os.Interrupt) },
	} {
		t.Run(name, func(t *testing.T) {
			term := openTerminal(t, 80, 24)
			process, end := term.start([]string{"NO_COLOR=1"}, "kubectl-asg", "top", "--report", path)
			term.awaitText("kubectl asg top  prod")
			stop(term, process)
			if err := end(); err != nil {
				t.Errorf("asgctl ends with %v", err)
			}
			term.restored(t)
			term.await("an end without colours", func(s *screen) bool { return !s.colours })
		})
	}
}

func TestTopEndsWithItsTerminal(t *testing.T) {
	path, _ := savedStatus(t)
	term := openTerminal(t, 80, 24)
	_, end := term.start(nil, "asgctl", "top", "--report", path)
	term.awaitText("GROUPS 6")
	if err := term.slave.Close(); err != nil {
		t.Fatal(err)
	}
	if err := term.master.Close(); err != nil {
		t.Fatal(err)
	}
	_ = end() // by a signal, or by itself
}

func TestFirstReadingFailsBeforeTheScreen(t *testing.T) {
	term := openTerminal(t, 80, 24)
	_, end := term.start(nil, "asgctl", "top", "--report", filepath.Join(t.TempDir(), "missing.json"))
	term.awaitText("asgctl: open ")
	if err := end(); err == nil || err.Error() != "exit status 1" {
		t.Errorf("asgctl ends with %v, want exit status 1", err)
	}
	term.restored(t)
}

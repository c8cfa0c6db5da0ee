package refresh

import (
	"fmt"
	"io"
	"strings"
	"time"
)

const (
	redrawEvery = 200 * time.Millisecond // on a terminal
	lineEvery   = 10 * time.Second       // not on a terminal
	barWidth    = 30
)

// meter reports how much was read through it.
type meter struct {
	io.Reader
	Options
	size       int64
	done       int64
	begun, due time.Time
	drawn      int // width of the line on the terminal
}

func newMeter(r io.Reader, size int64, o Options) *meter {
	now := o.Clock.Now()
	m := &meter{Reader: r, Options: o, size: size, begun: now}
	m.due = now.Add(m.every())
	return m
}

func (m *meter) every() time.Duration {
	if m.Terminal {
		return redrawEvery
	}
	return lineEvery
}

// Read reads on and reports progress when it is time.
func (m *meter) Read(p []byte) (int, error) {
	n, err := m.Reader.Read(p)
	m.done += int64(n)
	if now := m.Clock.Now(); !now.Before(m.due) {
		m.due = now.Add(m.every())
		if m.Terminal {
			m.draw(m.bar() + m.state(now))
		} else {
			fmt.Fprintln(m.Progress, "asgctl: read "+m.state(now))
		}
	}
	return n, err
}

// finish reports the total.
func (m *meter) finish() {
	if m.drawn > 0 {
		m.draw("")
		fmt.Fprint(m.Progress, "\r")
	}
	now := m.Clock.Now()
	fmt.Fprintf(m.Progress, "asgctl: read %s in %v\n", m.state(now), now.Sub(m.begun).Round(time.Second/10))
}

// state is how much was read, of how much, and how fast.
func (m *meter) state(now time.Time) string {
	text := megabytes(m.done)
	if m.size > 0 {
		text += fmt.Sprintf(" of %s (%d %%)", megabytes(m.size), 100*m.done/m.size)
	}
	if took := now.Sub(m.begun).Seconds(); took > 0 {
		text += ", " + megabytes(int64(float64(m.done)/took)) + "/s"
	}
	return text
}

func megabytes(bytes int64) string { return fmt.Sprintf("%.1f MB", float64(bytes)/1e6) }

// bar is empty where the length is not known.
func (m *meter) bar() string {
	if m.size <= 0 {
		return ""
	}
	full := int(min(m.done, m.size) * barWidth / m.size)
	return "[" + strings.Repeat("=", full) + strings.Repeat(" ", barWidth-full) + "] "
}

// draw replaces the line on the terminal.
func (m *meter) draw(text string) {
	fmt.Fprint(m.Progress, "\r"+text+strings.Repeat(" ", max(0, m.drawn-len(text))))
	m.drawn = len(text)
}

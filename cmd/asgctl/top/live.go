package top

import (
	"context"
	"net/url"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/term"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
)

const (
	// readTimeout bounds one reading of the report.
	readTimeout = 30 * time.Second
	// drawEvery is the time after which ages, and another size of the terminal, are shown. Not every system signals a change of the size.
	drawEvery = time.Second / 2
	// idleFactor bounds the share of the time in which reports are read: after a slow reading the next one waits longer.
	idleFactor = 5
)

// Source returns the latest report of the autoscaler.
type Source interface {
	Report(context.Context, url.Values) (*decision.Report, error)
}

// Options say how to show reports.
type Options struct {
	Interval time.Duration // between two readings, at least
	Program  string        // by whose name the user calls asgctl
	Colour   bool
}

// live is the running program.
type live struct {
	source  Source
	in, out *os.File // a terminal
	options Options

	view   View
	report *decision.Report
	read   time.Time // when the report came
	shown  time.Time // the clock of the report, which stands while the view is paused
}

// reading is the answer of a source.
type reading struct {
	report *decision.Report
	err    error
	took   time.Duration
}

// Run shows reports in a terminal until the user ends it, or the context ends, or the terminal is gone. It then leaves the terminal
// as it was. The error is from the first reading or from the terminal. Later readings that fail are shown.
func Run(ctx context.Context, source Source, in, out *os.File, options Options) error {
	first := ask(ctx, source)
	if first.err != nil {
		return first.err
	}
	l := &live{source: source, in: in, out: out, options: options, view: View{Program: options.Program}}
	l.take(first)
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGHUP)
	defer stop()
	before, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return err
	}
	defer func() { _ = term.Restore(int(in.Fd()), before) }()
	// The alternate screen, without cursor and automatic line breaks.
	if _, err := out.WriteString("\x1b[?1049h\x1b[?25l\x1b[?7l"); err != nil {
		return err
	}
	defer func() { _, _ = out.WriteString("\x1b[?7h\x1b[?25h\x1b[?1049l") }()
	return l.run(ctx)
}

func (l *live) run(ctx context.Context) error {
	var readers sync.WaitGroup
	defer readers.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	readings := make(chan reading, 1) // of the one reader at a time
	next := time.After(l.options.Interval)
	pressed := make(chan string)
	go func() {
		defer close(pressed)
		buffer := make([]byte, 256)
		for {
			n, err := l.in.Read(buffer)
			if err != nil {
				return
			}
			pressed <- string(buffer[:n])
		}
	}()
	clock := time.Tick(drawEvery)
	for {
		if err := l.draw(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-next:
			readers.Go(func() { readings <- ask(ctx, l.source) })
		case r := <-readings:
			l.take(r)
			next = time.After(max(l.options.Interval, idleFactor*r.took))
		case in, open := <-pressed:
			if !open {
				return nil
			}
			for _, key := range keys(in) {
				var quit bool
				if l.view, quit = l.view.Press(key); quit {
					return nil
				}
			}
		case <-clock:
		}
	}
}

func ask(ctx context.Context, source Source) reading {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	start := time.Now()
	report, err := source.Report(ctx, nil)
	return reading{report, err, time.Since(start)}
}

// take takes over a reading. One that failed leaves the last report.
func (l *live) take(r reading) {
	switch {
	case l.view.Paused:
	case r.err != nil:
		l.view.Failure = r.err.Error()
	default:
		l.report, l.read, l.view.Failure = r.report, time.Now(), ""
	}
}

// draw writes all lines, each over the one that is there.
func (l *live) draw() error {
	width, height, err := term.GetSize(int(l.out.Fd()))
	if err != nil {
		return err
	}
	if width == 0 || height == 0 { // nobody has set it
		width, height = 80, 24
	}
	l.view.Width, l.view.Height = width, height
	if !l.view.Paused || l.shown.IsZero() {
		l.shown = l.report.At.Add(time.Since(l.read))
	}
	var lines []Line
	lines, l.view = l.view.Render(l.report, l.shown)
	var frame strings.Builder
	for i, line := range lines {
		frame.WriteString("\x1b[" + strconv.Itoa(i+1) + ";1H" + line.paint(l.options.Colour))
	}
	_, err = l.out.WriteString(frame.String())
	return err
}

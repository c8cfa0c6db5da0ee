package refresh

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// lineEvery is the time between two lines of progress.
const lineEvery = 10 * time.Second

// source is an offer being read. Its bytes are as transported, gzipped or not.
type source struct {
	Options
	name       string // for people: without what may be secret in a URL
	size, done int64  // bytes, the size below 0 if unknown
	in         io.ReadCloser
	ctx        context.Context // kept, for io.Reader passes none
	stop       func()
	timer      *time.Timer
	begun, due time.Time // due is the next line of progress
}

// open opens a URL, a path or, for "-", standard input. Reading ends with ctx, and when no byte comes for as long as o.Stall.
func open(ctx context.Context, from string, o Options) (*source, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	s := &source{Options: o, ctx: ctx, name: from, size: -1, begun: o.Clock.Now(), due: o.Clock.Now().Add(lineEvery)}
	s.timer = time.AfterFunc(o.Stall, func() { cancel(fmt.Errorf("no byte came for %v", o.Stall)) })
	s.stop = func() {
		s.timer.Stop()
		cancel(nil)
	}
	var err error
	if strings.HasPrefix(from, "http://") || strings.HasPrefix(from, "https://") {
		err = s.get(from)
	} else {
		err = s.openFile(from)
	}
	if err != nil {
		cause := s.interrupted()
		s.stop()
		if cause != nil {
			err = fmt.Errorf("%s: %w", s.name, cause)
		}
		return nil, err
	}
	return s, nil
}

// get asks a server.
func (s *source) get(from string) error {
	address, err := url.Parse(from)
	if err != nil {
		return err
	}
	public := url.URL{Scheme: address.Scheme, Host: address.Host, Path: address.Path}
	s.name = public.String()
	request, err := http.NewRequestWithContext(s.ctx, http.MethodGet, from, nil)
	if err != nil {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	// Requesting gzip here, not in the transport, keeps the length known, and lets Read check the checksum.
	request.Header.Set("Accept-Encoding", "gzip")
	answer, err := http.DefaultClient.Do(request)
	var failed *url.Error
	switch {
	case errors.As(err, &failed):
		return fmt.Errorf("%s: %w", s.name, failed.Err)
	case err != nil:
		return fmt.Errorf("%s: %w", s.name, err)
	case answer.StatusCode != http.StatusOK:
		_ = answer.Body.Close()
		return fmt.Errorf("%s: the server answers %.100q: is there such an offer? --from takes another URL, or a file", s.name, answer.Status)
	}
	s.in, s.size = answer.Body, answer.ContentLength
	return nil
}

// openFile opens a file or a pipe.
func (s *source) openFile(path string) error {
	if path == "-" {
		path, s.name = "/dev/stdin", "standard input"
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	switch {
	case err != nil:
	case info.IsDir():
		err = fmt.Errorf("%q is a folder: name an offer file, such as index.json", path)
	case info.Mode().IsRegular():
		s.size = info.Size()
	}
	if err != nil {
		_ = f.Close()
		return err
	}
	if s.name == path {
		s.name = filepath.Base(path)
	}
	context.AfterFunc(s.ctx, func() { _ = f.Close() }) // a pipe may have nothing for a long time
	s.in = f
	return nil
}

// Read reads on, and reports progress when it is time.
func (s *source) Read(p []byte) (int, error) {
	if s.ctx.Err() != nil {
		return 0, s.interrupted()
	}
	s.timer.Reset(s.Stall)
	n, err := s.in.Read(p)
	s.done += int64(n)
	if now := s.Clock.Now(); !now.Before(s.due) {
		s.due = now.Add(lineEvery)
		fmt.Fprintln(s.Progress, "asgctl: read "+s.state(now))
	}
	if err != nil && err != io.EOF && s.ctx.Err() != nil {
		err = s.interrupted()
	}
	return n, err
}

// finish reports the total.
func (s *source) finish() {
	now := s.Clock.Now()
	fmt.Fprintf(s.Progress, "asgctl: read %s in %v\n", s.state(now), now.Sub(s.begun).Round(time.Second/10))
}

// state is how much was read, of how much, and how fast.
func (s *source) state(now time.Time) string {
	text := megabytes(s.done)
	if s.size > 0 {
		text += fmt.Sprintf(" of %s (%d %%)", megabytes(s.size), 100*s.done/s.size)
	}
	if took := now.Sub(s.begun).Seconds(); took > 0 {
		text += ", " + megabytes(int64(float64(s.done)/took)) + "/s"
	}
	return text
}

func megabytes(bytes int64) string { return fmt.Sprintf("%.1f MB", float64(bytes)/1e6) }

// interrupted is why reading was given up from outside, or nil.
func (s *source) interrupted() error {
	cause := context.Cause(s.ctx)
	switch {
	case errors.Is(cause, context.Canceled):
		return errors.New("interrupted")
	case errors.Is(cause, context.DeadlineExceeded):
		return errors.New("it took longer than --timeout")
	}
	return cause
}

// Close closes the connection or file.
func (s *source) Close() error {
	s.stop()
	return s.in.Close()
}

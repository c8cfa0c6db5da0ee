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

// source is an offer being read. Its bytes are as transported, gzipped or not.
type source struct {
	name  string // for people: without what may be secret in a URL
	size  int64  // bytes, below 0 if unknown
	in    io.ReadCloser
	ctx   context.Context // kept, for io.Reader passes none
	stop  func()
	stall time.Duration
	timer *time.Timer
}

// open opens a URL, a path or, for "-", standard input. Reading ends with ctx, and when no byte comes for as long as stall.
func open(ctx context.Context, from string, stall time.Duration) (*source, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	s := &source{ctx: ctx, stall: stall, name: from, size: -1}
	s.timer = time.AfterFunc(stall, func() { cancel(fmt.Errorf("no byte came for %v", stall)) })
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

// Read reads on.
func (s *source) Read(p []byte) (int, error) {
	if s.ctx.Err() != nil {
		return 0, s.interrupted()
	}
	s.timer.Reset(s.stall)
	n, err := s.in.Read(p)
	if err != nil && err != io.EOF && s.ctx.Err() != nil {
		err = s.interrupted()
	}
	return n, err
}

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

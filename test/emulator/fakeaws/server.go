package fakeaws

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"
)

// A Server is one running emulator: an account's state, the HTTP listener in front of it and, once attached, the publisher of its Nodes.
type Server struct {
	cfg      Config
	account  *account
	timeline *timeline
	events   *eventLog
	calls    *callLog
	faults   *faultSet
	buckets  *buckets
	handler  http.Handler

	url  string
	http *http.Server

	mu      sync.Mutex // guards closed and nodes, and Add against Wait on workers
	closed  bool
	nodes   map[string]*publisher // by cluster, once it is attached
	stop    chan struct{}
	workers sync.WaitGroup
}

// Start checks the Config, brings the account to its first state and serves it. The Server closes when ctx is done.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	s, err := New(cfg)
	if err != nil {
		return nil, err
	}
	if err := s.listen(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// New is Start without a port. Only its HTTPClient reaches the Server, which can live in a synctest bubble. The caller closes it.
func New(cfg Config) (*Server, error) {
	cfg = cfg.withDefaults()
	types, err := newCatalogue(cfg.InstanceTypes)
	if err != nil {
		return nil, err
	}
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("fakeaws config: %w", err)
	}
	if err := cfg.validateOfferings(types); err != nil {
		return nil, err
	}
	s := &Server{
		cfg:      cfg,
		timeline: newTimeline(),
		events:   &eventLog{},
		calls:    newCallLog(),
		faults:   newFaultSet(cfg.Seed),
		buckets:  newBuckets(cfg.Throttles),
		nodes:    map[string]*publisher{},
		stop:     make(chan struct{}),
	}
	s.account = newAccount(cfg, types, s.timeline, s.events, s.faults)
	s.handler = s.tracked(s.serveAWS)
	s.spawn(s.timeline.run)
	s.account.launchInitial()
	return s, nil
}

func (s *Server) listen(ctx context.Context) error {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen on loopback: %w", err)
	}
	s.url = "http://" + l.Addr().String()
	s.http = &http.Server{Handler: s.handler, ReadHeaderTimeout: 10 * time.Second}
	s.spawn(func(<-chan struct{}) { _ = s.http.Serve(l) })
	unhook := context.AfterFunc(ctx, func() { _ = s.Close() })
	s.spawn(func(stop <-chan struct{}) { <-stop; unhook() })
	return nil
}

// URL is the endpoint for AWS_ENDPOINT_URL and BaseEndpoint, for every service. It has no trailing slash.
func (s *Server) URL() string { return s.url }

// Region is the account's region.
func (s *Server) Region() string { return s.cfg.Region }

// Close stops serving, launching and publishing, and returns when every goroutine of the Server has ended. It cuts off requests
// under way. Nodes already in a cluster stay there. Closing twice is fine.
func (s *Server) Close() error {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.stop)
	}
	s.mu.Unlock()
	var err error
	if s.http != nil {
		err = s.http.Close()
	}
	s.workers.Wait()
	return err
}

// tracked makes Close wait for requests under way.
func (s *Server) tracked(next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		closed := s.closed
		if !closed {
			s.workers.Add(1)
		}
		s.mu.Unlock()
		if closed {
			panic(http.ErrAbortHandler)
		}
		defer s.workers.Done()
		next(w, r)
	})
}

// spawn runs work on a goroutine that Close waits for. On a closed Server it runs nothing and returns false.
func (s *Server) spawn(work func(stop <-chan struct{})) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.workers.Add(1)
	go func() {
		defer s.workers.Done()
		work(s.stop)
	}()
	return true
}

// HTTPClient is a client for the SDK that calls the Server without a network.
func (s *Server) HTTPClient() interface {
	Do(*http.Request) (*http.Response, error)
} {
	return direct{s.handler}
}

// direct is an HTTP client without a network.
type direct struct{ handler http.Handler }

// Do lets the handler serve the request, even beyond the end of the context. If the handler breaks the connection off, the
// error is io.ErrUnexpectedEOF.
func (d direct) Do(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
	}
	r = r.Clone(r.Context())
	r.Body = io.NopCloser(bytes.NewReader(body)) // the caller may send its own again before the handler is done
	answer := make(chan *http.Response, 1)
	go func() {
		recorder := httptest.NewRecorder()
		if aborted(func() { d.handler.ServeHTTP(recorder, r) }) {
			close(answer)
			return
		}
		answer <- recorder.Result()
	}()
	select {
	case response, ok := <-answer:
		switch {
		case ok:
			return response, nil
		case r.Context().Err() != nil: // for which the handler broke off
			return nil, r.Context().Err()
		}
		return nil, io.ErrUnexpectedEOF
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

// aborted reports whether serve broke the connection off, as handlers of net/http do.
func aborted(serve func()) (broken bool) {
	defer func() {
		if r := recover(); r != nil {
			if r != http.ErrAbortHandler {
				panic(r)
			}
			broken = true
		}
	}()
	serve()
	return false
}

// polling is the result of an operation that has no answer yet. again is called when something has changed or is due, with the
// account's state locked, and returns the result or another polling.
type polling struct {
	changed <-chan struct{}
	due     time.Time
	again   func() any
}

// poll waits for the result. If the caller leaves, it ends, and takes nothing for the caller.
func (s *Server) poll(ctx context.Context, p polling) any {
	for {
		timer := time.NewTimer(time.Until(p.due))
		select {
		case <-p.changed:
		case <-timer.C:
		case <-ctx.Done():
		case <-s.stop:
		}
		timer.Stop()
		select {
		case <-ctx.Done():
			panic(http.ErrAbortHandler)
		case <-s.stop:
			panic(http.ErrAbortHandler)
		default:
		}
		s.account.mu.Lock()
		result := p.again()
		s.account.mu.Unlock()
		next, ok := result.(polling)
		if !ok {
			return result
		}
		p = next
	}
}

// later is the result of an operation that takes time. do runs after that, with the account's state locked.
type later struct {
	after time.Duration
	do    func() (any, error)
	hold  time.Duration // of the result
}

// await waits for a later result. The caller's departure does not stop it, but the Server's Close does.
func (s *Server) await(l later) (result any, err error) {
	done := make(chan struct{})
	s.timeline.after(l.after, func() {
		s.account.mu.Lock()
		defer s.account.mu.Unlock()
		result, err = l.do()
		s.timeline.after(l.hold, func() { close(done) })
	})
	select {
	case <-done:
		return result, err
	case <-s.stop:
		panic(http.ErrAbortHandler)
	}
}

package pages

import (
	"bufio"
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
)

// client is an open stream, of which it keeps what the server sent.
type client struct {
	mutex  sync.Mutex
	header http.Header
	code   int
	gate   chan struct{} // nil, or the client takes nothing until it is closed
	body   strings.Builder
	end    func()
	ended  chan struct{}
}

func open(ctx context.Context, h *Page, gate chan struct{}) *client {
	ctx, end := context.WithCancel(ctx)
	c := &client{header: http.Header{}, code: http.StatusOK, gate: gate, end: end, ended: make(chan struct{})}
	go func() {
		defer close(c.ended)
		h.ServeHTTP(c, httptest.NewRequestWithContext(ctx, http.MethodGet, Path+"/events", nil))
	}()
	return c
}

func (c *client) Header() http.Header { return c.header }
func (c *client) WriteHeader(n int)   { c.code = n }
func (c *client) Flush()              {}
func (c *client) Write(b []byte) (int, error) {
	if c.gate != nil {
		<-c.gate
	}
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return c.body.Write(b)
}

// updates returns the names of the sections in each event so far, and "beat" for a comment.
func (c *client) updates(t *testing.T) (sections [][]string) {
	t.Helper()
	c.mutex.Lock()
	defer c.mutex.Unlock()
	for _, event := range strings.Split(strings.TrimSuffix(c.body.String(), "\n\n"), "\n\n") {
		data, found := strings.CutPrefix(event, "data: ")
		switch {
		case event == ":":
			sections = append(sections, []string{"beat"})
			continue
		case !found || strings.Contains(data, "\n"):
			t.Fatalf("the event is not one line of data: %.100q", event)
		}
		var p patch
		if err := json.Unmarshal([]byte(data), &p); err != nil {
			t.Fatal(err)
		}
		sections = append(sections, slices.Sorted(maps.Keys(p.Sections)))
	}
	return sections
}

func TestStreamSendsWhatChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{report: busy()}
		c := open(t.Context(), NewPage(s.Report, clock.RealClock{}), nil)
		defer c.end()
		time.Sleep(time.Millisecond)
		all := slices.Sorted(slices.Values(sections))
		want := [][]string{all}
		check := func(when string) {
			t.Helper()
			synctest.Wait()
			if diff := cmp.Diff(want, c.updates(t)); diff != "" {
				t.Fatalf("%s (-want +got):\n%s", when, diff)
			}
		}
		check("at the start")

		change := func(change func(*decision.Report)) {
			next := *s.Report()
			change(&next)
			s.set(&next)
		}
		change(func(r *decision.Report) {
			r.Calls = append(slices.Clone(r.Calls), decision.Call{Action: "ec2:RunInstances"})
		})
		check("within the first second")
		time.Sleep(renderInterval)
		want = append(want, []string{"calls"})
		check("after a change of one section")

		for n := range 500 {
			change(func(r *decision.Report) { r.Calls = append(slices.Clone(r.Calls), decision.Call{Count: int64(n)}) })
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(renderInterval)
		synctest.Wait()
		if got := len(c.updates(t)) - len(want); got < 4 || got > 6 {
			t.Errorf("%d events for 500 changes in 5 s, want about one a second", got)
		}
		want = c.updates(t)

		change(func(*decision.Report) {})
		time.Sleep(2 * renderInterval)
		check("after a change that shows nowhere")

		time.Sleep(heartbeat)
		want = append(want, []string{"beat"})
		check("after a quiet time")
	})
}

// No change is missed, however it falls between the readings of the report.
func TestStreamEndsWithLastState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{report: busy()}
		c := open(t.Context(), NewPage(s.Report, clock.RealClock{}), nil)
		defer c.end()
		for n := range 40 {
			next := *s.Report()
			next.Process.Version = "version-" + strings.Repeat("i", n+1) + "."
			s.set(&next)
			time.Sleep(time.Duration(n) * 97 * time.Millisecond)
		}
		time.Sleep(2 * renderInterval)
		synctest.Wait()
		c.mutex.Lock()
		defer c.mutex.Unlock()
		if last := "version-" + strings.Repeat("i", 40) + "."; !strings.Contains(c.body.String(), last) {
			t.Errorf("the last version was not sent")
		}
	})
}

func TestStreamsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{report: busy()}
		h := NewPage(s.Report, clock.RealClock{})
		var clients []*client
		for range maxStreams {
			clients = append(clients, open(t.Context(), h, nil))
		}
		synctest.Wait()
		refused := open(t.Context(), h, nil)
		<-refused.ended
		if refused.code != http.StatusServiceUnavailable || refused.header.Get("Retry-After") == "" {
			t.Errorf("stream %d: %d, want %d with the time to wait", maxStreams+1, refused.code, http.StatusServiceUnavailable)
		}
		clients[0].end()
		<-clients[0].ended
		clients[0] = open(t.Context(), h, nil)
		synctest.Wait()
		for _, c := range clients {
			if got := c.updates(t); len(got) != 1 || c.code != http.StatusOK {
				t.Errorf("a stream got %d: %v", c.code, got)
			}
			c.end()
			<-c.ended
		}
	})
}

// The report is read while a client takes nothing, so that a slow browser stops neither other readers nor the loop.
func TestSlowClientStopsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{report: busy()}
		h := NewPage(s.Report, clock.RealClock{})
		gate := make(chan struct{})
		slow := open(t.Context(), h, gate)
		other := open(t.Context(), h, nil)
		defer other.end()
		for range 3 {
			next := *s.Report()
			next.Calls = append(slices.Clone(next.Calls), decision.Call{})
			s.set(&next)
			time.Sleep(renderInterval + time.Millisecond)
		}
		if got := len(other.updates(t)); got < 3 {
			t.Errorf("the other client got %d events, want 3", got)
		}
		close(gate)
		slow.end()
		<-slow.ended
	})
}

func TestStreamEndsWithServer(t *testing.T) {
	s, server := served(t, clock.RealClock{}, busy())
	answer, err := http.Get(server.URL + Path + "/events")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	lines := bufio.NewReader(answer.Body)
	if line, err := lines.ReadString('\n'); err != nil || !strings.HasPrefix(line, "data: ") {
		t.Fatalf("first line %.40q, %v", line, err)
	}
	handler := server.Config.Handler.(*Page)
	if n := len(handler.streams); n != 1 {
		t.Fatalf("%d streams, want 1", n)
	}
	_ = server.Config.Close() // as the process does
	handler.streams <- struct{}{}
	for n := 1; n < maxStreams; n++ { // it blocks until the stream's place is free
		handler.streams <- struct{}{}
	}
	s.set(busy())
}

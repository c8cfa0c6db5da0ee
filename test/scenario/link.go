package scenario

import (
	"net"
	"sync"
	"time"
)

// linkPoll is the time between two looks whether bytes may go on.
const linkPoll = 10 * time.Millisecond

// link is the network between stock and the plugin. It passes bytes on, late or not at all if the script says so. Safe for concurrent use.
type link struct {
	listener net.Listener
	to       string // address of the plugin
	running  sync.WaitGroup

	mu    sync.Mutex
	delay time.Duration // of the plugin's answers
	held  bool          // nothing passes, and nothing is lost
	open  map[net.Conn]bool
}

// newLink passes connections on until close.
func newLink(to string) (*link, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	l := &link{listener: listener, to: to, open: map[net.Conn]bool{}}
	l.running.Go(l.accept)
	return l, nil
}

func (l *link) address() string { return l.listener.Addr().String() }

func (l *link) set(delay time.Duration, held bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.delay, l.held = delay, held
}

func (l *link) close() {
	_ = l.listener.Close()
	l.mu.Lock()
	for c := range l.open {
		_ = c.Close()
	}
	l.open = nil
	l.mu.Unlock()
	l.running.Wait()
}

func (l *link) accept() {
	for {
		near, err := l.listener.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", l.to)
		if err != nil {
			_ = near.Close() // the plugin does not run
			continue
		}
		l.mu.Lock()
		if l.open == nil {
			l.mu.Unlock()
			_, _ = near.Close(), far.Close()
			return
		}
		l.open[near], l.open[far] = true, true
		l.mu.Unlock()
		l.running.Go(func() { l.pass(near, far, false) })
		l.running.Go(func() { l.pass(far, near, true) })
	}
}

// chunk is a number of bytes as they came.
type chunk struct {
	bytes []byte
	came  time.Time
}

// pass passes bytes on until one side closes, and closes the other.
func (l *link) pass(from, to net.Conn, answers bool) {
	chunks := make(chan chunk, 1<<16)
	l.running.Go(func() {
		defer close(chunks)
		for {
			buffer := make([]byte, 16<<10)
			n, err := from.Read(buffer)
			if err != nil {
				return
			}
			chunks <- chunk{buffer[:n], time.Now()}
		}
	})
	for c := range chunks {
		for l.waits(c.came, answers) {
			time.Sleep(linkPoll)
		}
		if _, err := to.Write(c.bytes); err != nil {
			_ = from.Close()
		}
	}
	_ = to.Close()
	l.mu.Lock()
	delete(l.open, from)
	l.mu.Unlock()
}

// waits reports whether bytes that came then have to wait.
func (l *link) waits(came time.Time, answers bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.open != nil && (l.held || answers && time.Since(came) < l.delay)
}

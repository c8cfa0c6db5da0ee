package plugin

import (
	"net"
	"time"
)

const LargestRequest = largestRequest

func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// SilentFor has the last Refresh of a core be that long ago.
func (s *Server) SilentFor(d time.Duration) {
	s.loop.Lock()
	defer s.loop.Unlock()
	s.refreshed = time.Now().Add(-d)
}

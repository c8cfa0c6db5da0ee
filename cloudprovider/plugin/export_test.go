package plugin

import "time"

const LargestRequest = largestRequest

// SilentFor has the last Refresh of a core be that long ago.
func (s *Server) SilentFor(d time.Duration) {
	s.loop.Lock()
	defer s.loop.Unlock()
	s.refreshed = time.Now().Add(-d)
}

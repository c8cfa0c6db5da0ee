package fakeaws

import "maps"

// ForgetTokens makes AWS forget the client tokens of answered calls, so that a call with one of them is performed again. AWS
// does not document how long it honours them.
func (s *Server) ForgetTokens() {
	s.account.mu.Lock()
	defer s.account.mu.Unlock()
	maps.DeleteFunc(s.account.tokens.calls, func(_ string, call *tokenCall) bool { return call.done })
}

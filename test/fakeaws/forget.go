package fakeaws

import "maps"

// ForgetTokens has AWS forget the client tokens of the calls it has answered: a call with one of them is done anew. How long
// AWS honours them is not documented.
func (s *Server) ForgetTokens() {
	s.account.mu.Lock()
	defer s.account.mu.Unlock()
	maps.DeleteFunc(s.account.tokens.calls, func(_ string, call *tokenCall) bool { return call.done })
}

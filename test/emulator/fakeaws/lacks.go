package fakeaws

// Lacks lists the actions that this partition does not know yet.
type Lacks struct {
	Actions []string `json:"actions,omitempty"`
}

// SetLacks changes the unknown parts of the API.
func (s *Server) SetLacks(l Lacks) {
	s.account.mu.Lock()
	defer s.account.mu.Unlock()
	s.account.lacks = l
}

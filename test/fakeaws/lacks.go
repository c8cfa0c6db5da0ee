package fakeaws

import (
	"maps"
	"net/url"
	"strings"
)

// Lacks lists the parts of the API that this partition does not know yet. It refuses unknown actions. It ignores unknown
// parameters, as AWS query does, as if they were not given.
type Lacks struct {
	Actions    []string `json:"actions,omitempty"`
	Parameters []string `json:"parameters,omitempty"` // Action.Parameter, such as TerminateInstanceInAutoScalingGroup.InstanceIds
}

func (l Lacks) known(req *request) form {
	out := req.form
	for _, unknown := range l.Parameters {
		action, parameter, _ := strings.Cut(unknown, ".")
		if action != req.action {
			continue
		}
		out = form(maps.Clone(url.Values(out)))
		maps.DeleteFunc(out, func(key string, _ []string) bool { return key == parameter || strings.HasPrefix(key, parameter+".") })
	}
	return out
}

// SetLacks changes the unknown parts of the API.
func (s *Server) SetLacks(l Lacks) {
	s.account.mu.Lock()
	defer s.account.mu.Unlock()
	s.account.lacks = l
}

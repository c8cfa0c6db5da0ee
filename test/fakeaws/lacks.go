package fakeaws

import (
	"maps"
	"net/url"
	"strings"
)

// Lacks is what this partition does not know yet of the API. Unknown actions are refused. Unknown parameters are passed
// over, as AWS query does, so that what they stand for seems not to be given.
type Lacks struct {
	Actions    []string `json:"actions,omitempty"`
	Parameters []string `json:"parameters,omitempty"` // Action.Parameter, such as TerminateInstanceInAutoScalingGroup.InstanceIds
}

// known is what this partition sees of the parameters.
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

// SetLacks changes what this partition does not know of the API.
func (s *Server) SetLacks(l Lacks) {
	s.account.mu.Lock()
	defer s.account.mu.Unlock()
	s.account.lacks = l
}

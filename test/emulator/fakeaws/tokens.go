package fakeaws

import (
	"maps"
	"net/http"
	"net/url"
	"time"
)

// clientTokens remembers the calls that may be repeated without a second effect, for a while after the answer. AWS does not
// document how long it remembers them.
type clientTokens struct {
	known time.Duration
	calls map[string]*tokenCall
}

// A tokenCall is the first call with a token.
type tokenCall struct {
	params url.Values
	done   bool
	answer any
	until  time.Time // once it is answered
}

func newClientTokens(known time.Duration) *clientTokens {
	return &clientTokens{known: known, calls: map[string]*tokenCall{}}
}

// take begins a call, or finds the one with the same token. Then again is true, and either it has its answer, or the error says why not.
func (t *clientTokens) take(token string, r *request) (call *tokenCall, again bool, err error) {
	params := url.Values(maps.Clone(r.form))
	call, again = t.calls[token]
	if again && call.done && !time.Now().Before(call.until) {
		again = false
	}
	switch {
	case !again:
		call = &tokenCall{params: params}
		t.calls[token] = call
		return call, false, nil
	case call.params.Encode() != params.Encode():
		return call, true, &apiError{
			Code:    "IdempotentParameterMismatch",
			Message: "The parameters in the current request do not match the parameters from a previous request with the same client token.",
		}
	case !call.done:
		return call, true, &apiError{ // a fault of the server, by the SDK's model: its clients repeat the call by themselves
			Code: "IdempotentCallInProgress", Status: http.StatusInternalServerError,
			Message: "The service is currently processing another request with the same client token. Retry the request with the same client token.",
		}
	}
	return call, true, nil
}

func (t *clientTokens) release(token string) { delete(t.calls, token) }

func (c *tokenCall) answered(answer any, known time.Duration) {
	c.answer, c.done, c.until = answer, true, time.Now().Add(known)
}

package fakeaws

import "net/http"

// Codes that a Fault may name and every service spells in its own way.
const (
	codeAccessDenied = "AccessDenied"
	codeThrottling   = "Throttling"
)

// dialect is each service's spelling of a refusal and a throttle.
var dialect = map[string]struct {
	denied, throttled         string
	deniedStatus, throttledAt int
}{
	serviceAutoScaling: {"AccessDenied", "Throttling", http.StatusForbidden, http.StatusBadRequest},
	serviceEC2:         {"UnauthorizedOperation", "RequestLimitExceeded", http.StatusForbidden, http.StatusServiceUnavailable},
	serviceEKS:         {"AccessDeniedException", "ThrottlingException", http.StatusForbidden, http.StatusTooManyRequests},
	serviceSQS:         {"AccessDenied", "RequestThrottled", http.StatusForbidden, http.StatusForbidden},
	serviceSTS:         {"AccessDenied", "Throttling", http.StatusForbidden, http.StatusBadRequest},
	serviceIAM:         {"AccessDenied", "Throttling", http.StatusForbidden, http.StatusBadRequest},
	serviceZonalShift:  {"AccessDeniedException", "ThrottlingException", http.StatusForbidden, http.StatusTooManyRequests},
}

// AWS's statuses and messages for a code, where a Fault leaves them out.
var (
	statuses = map[string]int{
		"AccessDenied": 403, "UnauthorizedOperation": 403, "AccessDeniedException": 403, "AuthFailure": 401,
		"ExpiredToken": 403, "RequestExpired": 400, "InvalidClientTokenId": 403,
		"RequestLimitExceeded": 503, "DryRunOperation": 412, "InternalFailure": 500, "InternalError": 500, "ServiceUnavailable": 503,
		"Unavailable": 503, "ServerException": 500, "ThrottlingException": 429, "ResourceContention": 500,
	}
	messages = map[string]string{
		"Throttling":           "Rate exceeded",
		"ThrottlingException":  "Rate exceeded",
		"RequestThrottled":     "Rate exceeded",
		"RequestLimitExceeded": "Request limit exceeded.",
		"ExpiredToken":         "The security token included in the request is expired",
		"InvalidClientTokenId": "The security token included in the request is invalid.",
		"InternalFailure":      "An internal error has occurred",
		"InternalError":        "An internal error has occurred",
		"ServiceUnavailable":   "Service is unable to handle request.",
		"ResourceContention":   "You already have a pending update to an Amazon EC2 Auto Scaling resource.",
	}
)

// A failure is an error in the place of the real answer, or, if late, after it.
type failure struct {
	*apiError
	late bool
}

// failureOf is the error of the first fault that has one, or nil.
func failureOf(req *request, a *account, hits []Fault) *failure {
	for _, f := range hits {
		if f.Code != "" {
			return &failure{apiError: faultError(req, a, f), late: f.Late}
		}
	}
	return nil
}

// faultError fills in the fields that the Fault leaves to AWS.
func faultError(req *request, a *account, f Fault) *apiError {
	e := &apiError{Code: f.Code, Message: f.Message, Status: f.Status}
	spelling, known := dialect[req.service]
	if known && f.Code == codeAccessDenied {
		e.Code, e.Status = spelling.denied, first(f.Status, spelling.deniedStatus)
	}
	if known && f.Code == codeThrottling {
		e.Code, e.Status = spelling.throttled, first(f.Status, spelling.throttledAt)
	}
	e.Status = first(e.Status, statuses[e.Code], http.StatusBadRequest)
	if e.Message == "" {
		e.Message = defaultMessage(req, a, e.Code)
	}
	return e
}

// defaultMessage is AWS's text for a code. Refusals name the caller, the action and the resource.
func defaultMessage(req *request, a *account, code string) string {
	switch code {
	case "AccessDenied", "AccessDeniedException":
		resource := anyResource
		if groups := req.groups(); len(groups) == 1 {
			resource = a.groupARN("*", groups[0])
		}
		if req.service == serviceSQS {
			resource = a.queueARN(req.form)
		}
		return a.notAuthorized(req.caller, req.service+":"+req.action, resource, false)
	case "UnauthorizedOperation":
		return ec2NotAuthorized + a.notAuthorized(req.caller, req.service+":"+req.action, anyResource, false)
	}
	return first(messages[code], code)
}

// first returns the first value that is not zero.
func first[T comparable](values ...T) T {
	var zero T
	for _, v := range values {
		if v != zero {
			return v
		}
	}
	return zero
}

package awsclient

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient/awsmessage"
)

// Code returns the error code AWS answered with, or "" when err is not an answer of AWS.
func Code(err error) string {
	if api, answered := errors.AsType[smithy.APIError](err); answered {
		return api.ErrorCode()
	}
	return ""
}

// Operation returns the call of AWS that failed, or "" when err names none.
func Operation(err error) string {
	if call, named := errors.AsType[*smithy.OperationError](err); named {
		return call.OperationName
	}
	return ""
}

// IsThrottled reports whether AWS refused the call for its rate.
func IsThrottled(err error) bool {
	return awsmessage.OfCode(Code(err)) == awsmessage.Throttle || status(err) == http.StatusTooManyRequests
}

// refusesCaller reports whether AWS refused the caller: IsDenied or IsUnauthenticated.
func refusesCaller(err error) bool { return awsmessage.OfCode(Code(err)) == awsmessage.Permission }

// IsDenied reports whether AWS refuses the call to a caller whom it knows, until somebody allows it: mostly IsForbidden.
func IsDenied(err error) bool { return refusesCaller(err) && !IsUnauthenticated(err) }

// IsForbidden reports whether AWS knows the caller, who lacks the permission.
func IsForbidden(err error) bool {
	return !IsUnauthenticated(err) &&
		slices.Contains([]string{"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "Client.UnauthorizedOperation"}, Code(err))
}

// noCredentials is in the SDK's errors of calls that had no credentials.
const noCredentials = "get identity: get credentials: "

// lacksCredentials reports whether the SDK had no credentials to send the call with. It makes no call within another but for credentials, and
// that to EKS Pod Identity has no name.
func lacksCredentials(err error) bool {
	call, named := errors.AsType[*smithy.OperationError](err)
	return named && (Operation(call.Err) != "" || strings.Contains(call.Err.Error(), noCredentials))
}

// IsUnauthenticated reports whether AWS does not know the caller, because the credentials are not valid, or the call for them failed. That says
// nothing of permissions, and may pass by itself.
func IsUnauthenticated(err error) bool {
	return lacksCredentials(err) || slices.Contains([]string{"AuthFailure", "ExpiredToken", "ExpiredTokenException", "IncompleteSignature",
		"InvalidClientTokenId", "InvalidIdentityToken", "MissingAuthenticationToken", "MissingAuthenticationTokenException", "SignatureDoesNotMatch", "UnrecognizedClientException", "WebIdentityErr"}, Code(err))
}

// IsNotFound reports whether the object that was asked for does not exist: an Auto Scaling group, launch template, launch
// configuration, image or EKS node group. Auto Scaling has no code of its own for it and says ValidationError.
func IsNotFound(err error) bool {
	code := Code(err)
	switch {
	case code == "ValidationError":
		return strings.Contains(strings.ToLower(err.Error()), "not found")
	case IsUnknownCall(err):
		return false
	}
	return code == "ResourceNotFoundException" || strings.Contains(code, "NotFound") || strings.HasSuffix(code, ".Unavailable") ||
		code == "InvalidAMIID.Malformed" // no image can have such an ID
}

func IsGroupNotFound(err error) bool {
	return Code(err) == "ValidationError" && strings.Contains(strings.ToLower(err.Error()), "autoscalinggroup name not found")
}

// IsInstanceNotFound reports whether Auto Scaling refused a call because none of its groups has the instance.
func IsInstanceNotFound(err error) bool {
	return Code(err) == "ValidationError" && strings.Contains(strings.ToLower(err.Error()), "no managed instance found")
}

// IsInProgress reports whether a call with the same token is under way. Another call with the token returns its result.
func IsInProgress(err error) bool { return strings.HasPrefix(Code(err), "IdempotentCallInProgress") }

// IsContended reports whether AWS did nothing because another change of the same Auto Scaling group is under way. It ends soon.
func IsContended(err error) bool { return strings.HasPrefix(Code(err), "ResourceContention") }

// IsTokenDisputed reports whether a call with the same token asked for something else.
func IsTokenDisputed(err error) bool {
	return strings.HasPrefix(Code(err), "IdempotentParameterMismatch")
}

// IsUnsupported reports whether the partition or endpoint does not know the call, or does not support it for its object.
func IsUnsupported(err error) bool {
	code := Code(err)
	return IsUnknownCall(err) || code == "UnsupportedOperation" || code == "UnsupportedOperationException"
}

// IsUnknownCall reports whether the partition or endpoint does not know the call at all. Endpoints other than AWS's have codes of their own, or none.
// The status 501 says it whatever the code.
func IsUnknownCall(err error) bool {
	switch Code(err) {
	case "InvalidAction", "UnknownAction", "ActionNotFound", "UnknownOperation", "UnknownOperationException", "NotImplemented":
		return true
	}
	return status(err) == http.StatusNotImplemented ||
		IsUncoded(err) && (status(err) == http.StatusNotFound || status(err) == http.StatusMethodNotAllowed)
}

// IsUncoded reports whether an error has no code. A proxy on the way, or an endpoint that is starting, answers so.
func IsUncoded(err error) bool {
	code := Code(err)
	return code == "" || code == "UnknownError" // the SDK's code for an answer without one
}

// IsInvalid reports whether AWS refused the request itself, so that repeating it cannot help.
func IsInvalid(err error) bool {
	code := Code(err)
	return code == "ValidationError" || code == "ValidationException" || strings.HasPrefix(code, "Invalid") ||
		strings.HasPrefix(code, "MissingParameter")
}

// IsRefused reports whether the request was certainly not executed: AWS refused it, or it was never sent (IsUnsent). A lost answer, a
// time-out or a fault in AWS leaves that open.
func IsRefused(err error) bool {
	return IsUnsent(err) || status(err) >= 400 && status(err) < 500 || status(err) == http.StatusNotImplemented
}

// IsRefusedForGood reports whether the call is refused until somebody changes something: a permission, the endpoint or the request
// itself. Endpoints other than AWS's have codes of their own for that, or none.
func IsRefusedForGood(err error) bool {
	passes := IsThrottled(err) || IsUnauthenticated(err) || awsmessage.OfCode(Code(err)) == awsmessage.Transient || status(err) == http.StatusRequestTimeout
	return IsUnsupported(err) || IsRefused(err) && !passes
}

// status returns the status of AWS's answer, 0 where nothing came.
func status(err error) int {
	if answer, answered := errors.AsType[*awshttp.ResponseError](err); answered {
		return answer.HTTPStatusCode()
	}
	return 0
}

// IsAnswer reports whether AWS, and no gateway that timed out, answered, if only with its own fault, and so has finished with the request.
func IsAnswer(err error) bool {
	return !slices.Contains([]int{0, http.StatusBadGateway, http.StatusGatewayTimeout}, status(err))
}

// IsTrouble reports whether AWS answered that it is overloaded or at fault. Nothing on our side mends that.
func IsTrouble(err error) bool {
	return IsThrottled(err) || status(err) >= http.StatusInternalServerError && IsAnswer(err)
}

// NamesParameter reports whether AWS refused a call and names the parameter in its text, whatever the case of its letters.
func NamesParameter(err error, parameter string) bool {
	return IsInvalid(err) && strings.Contains(strings.ToLower(err.Error()), strings.ToLower(parameter))
}

// IsUnsent reports whether AWS was not asked at all: the error has the method Unsent, or there were no credentials.
func IsUnsent(err error) bool {
	var unsent interface{ Unsent() bool }
	return errors.As(err, &unsent) && unsent.Unsent() || lacksCredentials(err)
}

// isGarbled reports whether an answer came that could not be read. The SDK does not try again on its own.
func isGarbled(err error) bool {
	var garbled *smithy.DeserializationError
	return errors.As(err, &garbled)
}

// maxBrief bounds what Brief repeats of AWS's text, and maxDenial what it repeats of a denial, which names the caller and the resource.
const maxBrief, maxDenial = 200, 700

// Brief describes an error in few words that stay the same for as long as its cause does: no request ID, no encoded
// authorisation message, no address. A denial has all words of AWS. It is for people, and for deciding whether an error is new.
func Brief(err error) string {
	var api smithy.APIError
	switch {
	case errors.As(err, &api) && IsUncoded(err) && api.ErrorMessage() == "UnknownError" && status(err) != 0: // the SDK's own words
		return fmt.Sprintf("status %d, no readable answer", status(err))
	case api == nil:
		if reason := Reason(err); reason != "error" {
			return reason
		}
		if status := status(err); status != 0 { // of a gateway, or of an endpoint that lacks the call
			return fmt.Sprintf("status %d, no readable answer", status)
		}
		return awsmessage.Clip(err.Error(), maxBrief)
	case refusesCaller(err):
		return awsmessage.Clip(strings.TrimSuffix(api.ErrorCode()+": "+awsmessage.Readable(api.ErrorMessage()), ": "), maxDenial)
	}
	return awsmessage.Clip(api.ErrorCode()+": "+api.ErrorMessage(), maxBrief)
}

// Reason names the kind of an error in one word out of a small set, fit for a metric label: "throttled", "denied",
// "not-found", "unsupported", "invalid", "timeout", "unreachable" or "error".
func Reason(err error) string {
	var network net.Error
	var address *url.Error
	switch {
	case IsThrottled(err):
		return "throttled"
	case refusesCaller(err):
		return "denied"
	case IsNotFound(err):
		return "not-found"
	case IsUnsupported(err):
		return "unsupported"
	case IsInvalid(err):
		return "invalid"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return "timeout"
	case errors.As(err, &address):
		return "unreachable"
	}
	return "error"
}

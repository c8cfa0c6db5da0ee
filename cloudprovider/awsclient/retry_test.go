package awsclient

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/stretchr/testify/assert"
)

func TestPauseAfterAFailureGoesByItsCause(t *testing.T) {
	uncoded := func(status int) error {
		return &awshttp.ResponseError{ResponseError: &smithyhttp.ResponseError{Response: &smithyhttp.Response{Response: &http.Response{StatusCode: status}},
			Err: &smithy.GenericAPIError{Code: "UnknownError", Message: "UnknownError"}}}
	}
	answer := func(code string) error { return fmt.Errorf("describe: %w", &smithy.GenericAPIError{Code: code}) }
	assert.Equal(t, "status 404, no readable answer", Brief(uncoded(404)), "the SDK's own words for a text")
	for _, tt := range []struct {
		name   string
		err    error
		failed int
		want   time.Duration // at the most
	}{
		{"denied", answer("AccessDenied"), 1, 30 * time.Second},
		{"denied for long", answer("AccessDenied"), 100, 10 * time.Minute},
		{"expired", answer("ExpiredToken"), 1, 2 * time.Second},
		{"expired for long", answer("InvalidClientTokenId"), 100, time.Minute},
		{"unknown call", answer("InvalidAction"), 1, 10 * time.Minute},
		{"a proxy's 404", uncoded(404), 1, 30 * time.Second},
		{"a proxy's 404 for long", uncoded(404), 100, 10 * time.Minute},
		{"throttled", answer("RequestLimitExceeded"), 1, 4 * time.Second},
		{"throttled for long", answer("RequestLimitExceeded"), 20, time.Minute},
		{"fault of AWS", answer("InternalError"), 1, 2 * time.Second},
		{"unreachable", errors.New("dial tcp: no route to host"), 3, 8 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			drawn := map[time.Duration]bool{}
			for range 50 {
				got := RetryAfter(tt.err, tt.failed)
				assert.Truef(t, got <= tt.want && got >= tt.want*4/5, "pause of %v, want up to a fifth less than %v", got, tt.want)
				drawn[got] = true
			}
			assert.Truef(t, len(drawn) >= 2, "all pauses are %v: processes that began together ask together for ever", tt.want)
		})
	}
}

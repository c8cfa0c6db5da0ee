package interruption

import (
	"errors"
	"testing"

	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/assert"
)

func TestFailedTerminationNamesGroupAndPermission(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want string
	}{
		{&smithy.GenericAPIError{Code: "AccessDenied", Message: "User: x is not authorized"},
			`Auto Scaling group "spot" did not terminate the instance: AccessDenied: User: x is not authorized; allow autoscaling:TerminateInstanceInAutoScalingGroup on it`},
		{&smithy.GenericAPIError{Code: "ScalingActivityInProgress", Message: "wait"},
			`Auto Scaling group "spot" did not terminate the instance: ScalingActivityInProgress: wait`},
		{errors.New("no route to host"), `Auto Scaling group "spot" did not terminate the instance: no route to host`},
	} {
		got := notTerminated("spot", tt.err)
		assert.Truef(t, got == tt.want, "got  %s\nwant %s", got, tt.want)
	}
}

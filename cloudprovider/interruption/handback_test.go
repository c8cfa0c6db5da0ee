package interruption

import (
	"errors"
	"testing"

	"github.com/aws/smithy-go"
)

func TestWhatIsNotHandedBackNamesTheGroupAndThePermission(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want string
	}{
		{&smithy.GenericAPIError{Code: "AccessDenied", Message: "encoded"},
			`Auto Scaling group "spot" does not take the instance back: AccessDenied; allow autoscaling:TerminateInstanceInAutoScalingGroup on it`},
		{&smithy.GenericAPIError{Code: "ScalingActivityInProgress", Message: "wait"},
			`Auto Scaling group "spot" does not take the instance back: ScalingActivityInProgress: wait`},
		{errors.New("no route to host"), `Auto Scaling group "spot" does not take the instance back: no route to host`},
	} {
		if got := notHandedBack("spot", tt.err); got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
	}
}

package aws

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/smithy-go"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
	"github.com/asg-autoscaler/asg-autoscaler/test/fakeaws"
)

func TestFailedLookUpIsLeftAloneWhateverWakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		wake := make(chan struct{}, 1)
		var calls atomic.Int32
		var allowed atomic.Bool
		go lookUps(ctx, clock.RealClock{}, wake, 0, func(context.Context) error {
			calls.Add(1)
			if allowed.Load() {
				return nil
			}
			return &smithy.GenericAPIError{Code: "UnauthorizedOperation"}
		})
		want := func(after time.Duration, n int32) {
			t.Helper()
			time.Sleep(after)
			synctest.Wait()
			if got := calls.Load(); got != n {
				t.Errorf("%d calls, want %d", got, n)
			}
		}
		for range 20 {
			select {
			case wake <- struct{}{}:
			default:
			}
			want(time.Second, 1)
		}
		want(11*time.Second, 2)
		allowed.Store(true)
		want(time.Minute, 4) // once more for the wake that waits
		want(time.Hour, 4)
		wake <- struct{}{}
		want(0, 5)
	})
}

func TestTypesOfAFailedLookUpAreAskedForAgainAtOnce(t *testing.T) {
	server, err := fakeaws.Start(t.Context(), fakeaws.Config{InstanceTypes: []fakeaws.InstanceType{{Name: "x9z.large", VCPU: 2, MemoryMiB: 8192}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	api := ec2.New(ec2.Options{Region: server.Region(), BaseEndpoint: awssdk.String(server.URL()), RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", "")})
	types := newTypeLookup(api, instancetypes.Embedded(), clock.RealClock{})
	types.want([]string{"x9z.large"})
	server.Inject(fakeaws.Fault{Action: "DescribeInstanceTypes", Code: "Throttling", Times: 1})
	if err := types.lookUp(t.Context()); err == nil {
		t.Error("a look-up that AWS throttled succeeded")
	}
	if err := types.lookUp(t.Context()); err != nil {
		t.Error(err)
	}
	if _, known := types.catalogue().Lookup("x9z.large"); !known {
		t.Error("the type is not known after AWS answered")
	}
}

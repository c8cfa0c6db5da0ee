package lookup

import (
	"testing"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
	"github.com/asg-autoscaler/asg-autoscaler/test/fakeaws"
)

func TestTypesAreRequestedAgainAfterFailure(t *testing.T) {
	server, err := fakeaws.Start(t.Context(), fakeaws.Config{InstanceTypes: []fakeaws.InstanceType{{Name: "x9z.large", VCPU: 2, MemoryMiB: 8192}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	api := ec2.New(ec2.Options{Region: server.Region(), BaseEndpoint: awssdk.String(server.URL()), RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", "")})
	types := NewTypes(api, instancetypes.Embedded(), clock.RealClock{})
	types.Want([]string{"x9z.large"})
	server.Inject(fakeaws.Fault{Action: "DescribeInstanceTypes", Code: "Throttling", Times: 1})
	if err := types.lookUp(t.Context()); err == nil {
		t.Error("a look-up that AWS throttled succeeded")
	}
	if err := types.lookUp(t.Context()); err != nil {
		t.Error(err)
	}
	if _, known := types.Catalogue().Lookup("x9z.large"); !known {
		t.Error("the type is not known after AWS answered")
	}
}

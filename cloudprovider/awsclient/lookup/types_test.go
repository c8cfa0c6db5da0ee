package lookup

import (
	"context"
	"fmt"
	"slices"
	"testing"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

func client(t *testing.T, types ...fakeaws.InstanceType) (*fakeaws.Server, *ec2.Client) {
	t.Helper()
	return served(t, fakeaws.Config{InstanceTypes: types})
}

func served(t *testing.T, config fakeaws.Config) (*fakeaws.Server, *ec2.Client) {
	t.Helper()
	server, err := fakeaws.Start(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Close() })
	return server, ec2.New(ec2.Options{Region: server.Region(), BaseEndpoint: awssdk.String(server.URL()), RetryMaxAttempts: 1, Credentials: anybody})
}

var anybody = credentials.NewStaticCredentialsProvider("test", "test", "")

func TestMissingTypesDoNotBlockOthers(t *testing.T) {
	server, api := client(t, fakeaws.InstanceType{Name: "x9z.large", VCPU: 2, MemoryMiB: 8192})
	found, err := DescribeTypes(t.Context(), api, []string{"x9z.large", "no.such", "g4dn.xlarge"})
	require.NoError(t, err)
	got := map[string]string{}
	for _, f := range found {
		got[f.Name] = fmt.Sprintf("%d vCPU, %d GPU", f.VCPU, f.GPU.Count)
	}
	assert.Empty(t, cmp.Diff(map[string]string{"x9z.large": "2 vCPU, 0 GPU", "g4dn.xlarge": "4 vCPU, 1 GPU"}, got), "types (-want +got)")
	assert.Equal(t, 1, server.Calls()["DescribeInstanceTypes"], "calls")
}

// An endpoint that ignores the filter lists types that nobody asked for, and some may be malformed.
func TestTypesThatNobodyAskedForAreLeftOut(t *testing.T) {
	_, api := client(t, fakeaws.InstanceType{Name: "x9z.large", VCPU: 2, MemoryMiB: 8192})
	found, err := DescribeTypes(t.Context(), unfiltered{api}, []string{"x9z.large"})
	assert.Truef(t, err == nil && len(found) == 1 && found[0].Name == "x9z.large", "found %d types, error %v, want the one asked for", len(found), err)
}

type unfiltered struct{ *ec2.Client }

func (u unfiltered) DescribeInstanceTypes(ctx context.Context, in *ec2.DescribeInstanceTypesInput,
	o ...func(*ec2.Options)) (*ec2.DescribeInstanceTypesOutput, error) {
	in.Filters = nil
	out, err := u.Client.DescribeInstanceTypes(ctx, in, o...)
	if err == nil {
		out.InstanceTypes = append(out.InstanceTypes, ec2types.InstanceTypeInfo{InstanceType: "odd"})
	}
	return out, err
}

func TestAHundredTypesCostOneCall(t *testing.T) {
	var types []fakeaws.InstanceType
	var names []string
	for i := range 150 {
		types = append(types, fakeaws.InstanceType{Name: fmt.Sprintf("x9z.%dxlarge", i+1), VCPU: 2, MemoryMiB: 8192})
		names = append(names, types[i].Name)
	}
	server, api := client(t, types...)
	found, err := DescribeTypes(t.Context(), api, names)
	assert.Truef(t, err == nil && len(found) == 150, "found %d types, error %v, want 150", len(found), err)
	assert.Equal(t, 2, server.Calls()["DescribeInstanceTypes"], "calls for 150 types")
}

func TestADeniedCallKeepsWhatWasFound(t *testing.T) {
	server, api := client(t)
	names := slices.Repeat([]string{"none"}, maxTypesPerCall)
	names[0] = "m5.large"
	server.Inject(fakeaws.Fault{Action: "DescribeInstanceTypes", Code: "AccessDenied", Params: map[string]string{"Filter.1.Value.1": "c5.large"}})
	found, err := DescribeTypes(t.Context(), api, append(names, "c5.large"))
	assert.Truef(t, err != nil && len(found) == 1 && found[0].Name == "m5.large",
		"found %v with error %v, want m5.large and an error", found, err)
}

func TestTypesAreRequestedAgainAfterFailure(t *testing.T) {
	server, api := client(t, fakeaws.InstanceType{Name: "x9z.large", VCPU: 2, MemoryMiB: 8192})
	types := NewTypes(api, instancetypes.Embedded(), clock.RealClock{})
	types.Want("x9z.large")
	server.Inject(fakeaws.Fault{Action: "DescribeInstanceTypes", Code: "Throttling", Times: 1})
	assert.Error(t, types.lookUp(t.Context()), "a look-up that AWS throttled succeeded")
	assert.NoError(t, types.lookUp(t.Context()))
	_, known := types.Catalogue().Lookup("x9z.large")
	assert.True(t, known, "the type is not known after AWS answered")
}

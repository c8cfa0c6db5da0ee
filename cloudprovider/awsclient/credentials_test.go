package awsclient_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
)

func TestCredentialsRemedyNamesTheAccount(t *testing.T) {
	token := filepath.Join(t.TempDir(), "token")
	claims := base64.RawURLEncoding.EncodeToString([]byte(`{"iss":"https://oidc.example.com/id/A","sub":"system:serviceaccount:kube-system:other"}`))
	require.NoError(t, os.WriteFile(token, []byte("e30."+claims+".c2ln"), 0o600))
	t.Setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/path/scaler")
	refused := &smithy.GenericAPIError{Code: "AccessDenied", Message: "Not authorized to perform sts:AssumeRoleWithWebIdentity"}
	within := func(service, operation string, err error) error {
		return &smithy.OperationError{ServiceID: "Auto Scaling", OperationName: "DescribeAutoScalingGroups", Err: fmt.Errorf("get credentials: %w",
			&smithy.OperationError{ServiceID: service, OperationName: operation, Err: err})}
	}
	const lookUp = ": aws iam get-role --role-name scaler --query Role.AssumeRolePolicyDocument"
	for _, tt := range []struct {
		name, token string
		err         error
		want        string
	}{
		{"no trust", token, within("STS", "AssumeRoleWithWebIdentity", refused), "let the trust policy of arn:aws:iam::123456789012:role/path/scaler name " +
			"system:serviceaccount:kube-system:other of the account's OIDC provider oidc.example.com/id/A" + lookUp},
		{"no token", "", within("STS", "AssumeRoleWithWebIdentity", refused), "let the trust policy of arn:aws:iam::123456789012:role/path/scaler name " +
			"the pods' ServiceAccount of the account's OIDC provider of the cluster" + lookUp},
		{"no provider", token, within("STS", "AssumeRoleWithWebIdentity", &smithy.GenericAPIError{Code: "InvalidIdentityToken", Message: "No OpenIDConnect provider found"}),
			"give the account of arn:aws:iam::123456789012:role/path/scaler the OIDC provider oidc.example.com/id/A with the audience sts.amazonaws.com: " +
				"aws iam list-open-id-connect-providers"},
		{"no STS in the region", token, within("STS", "AssumeRoleWithWebIdentity", &smithy.GenericAPIError{Code: "RegionDisabledException"}),
			"activate STS for the region in the account settings of IAM"},
		{"throttled by STS", token, within("STS", "AssumeRoleWithWebIdentity", &smithy.GenericAPIError{Code: "Throttling"}), ""},
		{"no answer of STS", token, within("STS", "AssumeRoleWithWebIdentity", errors.New("no such host")), ""},
		{"no metadata", token, within("ec2imds", "GetMetadata", errors.New("deadline exceeded")),
			"give the ServiceAccount a role, or let pods reach the nodes' role: the hop limit of the instance metadata must be 2, or the pods use the host's network"},
		{"no pod identity", token, &smithy.OperationError{ServiceID: "Auto Scaling", OperationName: "DescribeAutoScalingGroups",
			Err: fmt.Errorf("get identity: get credentials: %w", &smithy.GenericAPIError{Code: "AccessDeniedException"})}, ""},
		{"pod identity", token, &smithy.OperationError{ServiceID: "Auto Scaling", OperationName: "DescribeAutoScalingGroups",
			Err: errors.New("get identity: get credentials: failed to load credentials, : connection refused")},
			"see that eks-pod-identity-agent runs on the pod's node, and that the trust policy of the role in the ServiceAccount's " +
				"association is manifests/iam/trust-pod-identity.json: " +
				"aws eks list-pod-identity-associations --cluster-name CLUSTER_NAME"},
		{"denied action", token, &smithy.OperationError{ServiceID: "Auto Scaling", OperationName: "DescribeAutoScalingGroups", Err: refused}, ""},
		{"none", token, nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", tt.token)
			if tt.name == "pod identity" || tt.name == "denied action" {
				t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.170.23/v1/credentials")
			}
			assert.Equal(t, tt.want, awsclient.CredentialsRemedy(tt.err), "remedy")
			assert.Equal(t, tt.name == "denied action", awsclient.IsDenied(tt.err) && awsclient.IsForbidden(tt.err), "AWS denies the call to the caller")
			assert.Equal(t, strings.Contains(fmt.Sprint(tt.err), "get credentials"), awsclient.IsUnauthenticated(tt.err), "AWS does not know the caller")
			assert.Equal(t, awsclient.IsUnauthenticated(tt.err), awsclient.IsUnsent(tt.err) && awsclient.IsRefused(tt.err), "the call was not sent")
		})
	}
}

package fakeaws

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// tokenOf is a ServiceAccount's token as the API server of EKS writes it, with no valid signature.
func tokenOf(issuer, subject, audience string) string {
	part := base64.RawURLEncoding.EncodeToString
	return part([]byte(`{"alg":"RS256"}`)) + "." + part(fmt.Appendf(nil, `{"iss":%q,"sub":%q,"aud":[%q]}`, issuer, subject, audience)) + "." + part([]byte("signature"))
}

// callIAM makes a call of IAM, of which the program has no client.
func callIAM(t *testing.T, s *Server, action string, parameters map[string]string) {
	sent := url.Values{"Action": {action}, "Version": {"2010-05-08"}}
	for name, value := range parameters {
		sent.Set(name, value)
	}
	answer, err := http.PostForm(s.URL(), sent)
	require.NoError(t, err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	require.Truef(t, err == nil && answer.StatusCode == http.StatusOK, "%s: %s, %v: %s", action, answer.Status, err, body)
}

func shippedDocument(t *testing.T, name string, with ...string) string {
	raw, err := os.ReadFile("../../../manifests/iam/" + name)
	require.NoError(t, err)
	return strings.NewReplacer(with...).Replace(string(raw))
}

func TestOnlyTheTrustedAccountAssumesTheRole(t *testing.T) {
	const named = "system:serviceaccount:kube-system:cluster-autoscaler"
	s, c := overHTTP(t, oneGroup(func(g *AutoScalingGroup) { g.Tags = map[string]string{"k8s.io/cluster-autoscaler/prod": "owned"} }))
	issuer := s.Issuer("prod")
	_, id, _ := strings.Cut(issuer, "/id/")
	callIAM(t, s, "CreateRole", map[string]string{"RoleName": "scaler", "AssumeRolePolicyDocument": shippedDocument(t, "trust-irsa-aws.json",
		"ACCOUNT_ID", DefaultAccount, "REGION", s.Region(), "OIDC_ID", id)})
	assume := func(role, token string) (*sts.AssumeRoleWithWebIdentityOutput, error) {
		return c.sts.AssumeRoleWithWebIdentity(t.Context(), &sts.AssumeRoleWithWebIdentityInput{
			RoleArn: aws.String("arn:aws:iam::" + DefaultAccount + ":role/" + role), RoleSessionName: aws.String("s"), WebIdentityToken: aws.String(token)})
	}
	good := tokenOf(issuer, named, "sts.amazonaws.com")
	_, err := assume("scaler", good)
	wantAPIError(t, err, "InvalidIdentityToken", "No OpenIDConnect provider found in your account for "+issuer)
	callIAM(t, s, "CreateOpenIDConnectProvider", map[string]string{"Url": issuer})
	callIAM(t, s, "CreateOpenIDConnectProvider", map[string]string{"Url": s.Issuer("other")})
	for _, tt := range []struct{ name, role, token, code string }{
		{"another account", "scaler", tokenOf(issuer, named+"-aws-cluster-autoscaler", "sts.amazonaws.com"), "AccessDenied"},
		{"another purpose", "scaler", tokenOf(issuer, named, "kubernetes"), "AccessDenied"},
		{"another cluster", "scaler", tokenOf(s.Issuer("other"), named, "sts.amazonaws.com"), "AccessDenied"},
		{"another role", "other", good, "AccessDenied"},
		{"no token", "scaler", "a.b.c", "InvalidIdentityToken"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := assume(tt.role, tt.token)
			wantAPIError(t, err, tt.code, "")
		})
	}
	session, err := assume("scaler", good)
	require.NoError(t, err)

	// The session may do what the policies of its role allow.
	sdk := sdkConfig(s.URL(), s.Region())
	sdk.HTTPClient = buffered{http.DefaultClient}
	sdk.Credentials = credentials.NewStaticCredentialsProvider(*session.Credentials.AccessKeyId, *session.Credentials.SecretAccessKey, *session.Credentials.SessionToken)
	scaler := newClients(sdk)
	wantAPIError(t, describeAll(t, scaler), "AccessDenied", "")
	callIAM(t, s, "PutRolePolicy", map[string]string{"RoleName": "scaler", "PolicyName": "p", "PolicyDocument": shippedDocument(t, "policy-aws.json", "CLUSTER_NAME", "prod")})
	assert.NoError(t, describeAll(t, scaler))
	callIAM(t, s, "PutRolePolicy", map[string]string{"RoleName": "scaler", "PolicyName": "p", "PolicyDocument": shippedDocument(t, "policy-aws.json")})
	_, err = scaler.autoscaling.SetDesiredCapacity(t.Context(), &autoscaling.SetDesiredCapacityInput{AutoScalingGroupName: aws.String("g"), DesiredCapacity: aws.Int32(1)})
	wantAPIError(t, err, "AccessDenied", "") // the name of the cluster is not filled in
	assert.NoError(t, describeAll(t, c), "a caller without a role of CreateRole")
}

package awsclient

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	"github.com/aws/smithy-go"
)

// CredentialsRemedy returns what gives a pod its credentials, if err says that STS, EKS Pod Identity or the instance metadata gave none, or
// else "".
func CredentialsRemedy(err error) string {
	none := err != nil && strings.Contains(err.Error(), noCredentials)
	var call *smithy.OperationError
	for ; errors.As(err, &call); err = call.Err {
		switch {
		case call.OperationName == "AssumeRoleWithWebIdentity":
			subject, issuer := tokenSubject(os.Getenv("AWS_WEB_IDENTITY_TOKEN_FILE"))
			role := os.Getenv("AWS_ROLE_ARN")
			switch Code(err) {
			case "AccessDenied":
				return fmt.Sprintf("let the trust policy of %s name %s of the account's OIDC provider %s: "+
					"aws iam get-role --role-name %s --query Role.AssumeRolePolicyDocument", role, subject, issuer, path.Base(role))
			case "InvalidIdentityToken":
				return fmt.Sprintf("give the account of %s the OIDC provider %s with the audience sts.amazonaws.com: "+
					"aws iam list-open-id-connect-providers", role, issuer)
			case "RegionDisabledException":
				return "activate STS for the region in the account settings of IAM"
			}
		case call.ServiceID == "ec2imds":
			return "give the ServiceAccount a role, or let pods reach the nodes' role: the hop limit of the instance metadata must be 2, " +
				"or the pods use the host's network"
		}
	}
	if os.Getenv("AWS_CONTAINER_CREDENTIALS_FULL_URI") != "" && none {
		return "see that eks-pod-identity-agent runs on the pod's node, and that the trust policy of the role in the ServiceAccount's " +
			"association is manifests/iam/trust-pod-identity.json: aws eks list-pod-identity-associations --cluster-name CLUSTER_NAME"
	}
	return ""
}

// tokenSubject returns whom a ServiceAccount's token is for, and who issued it, without the scheme.
func tokenSubject(file string) (subject, issuer string) {
	var claims struct{ Sub, Iss string }
	raw, _ := os.ReadFile(file) // the words below stand where it cannot be read
	_, rest, _ := strings.Cut(string(raw), ".")
	payload, _, _ := strings.Cut(rest, ".")
	text, _ := base64.RawURLEncoding.DecodeString(payload)
	if json.Unmarshal(text, &claims) != nil {
		return "the pods' ServiceAccount", "of the cluster"
	}
	return claims.Sub, strings.TrimPrefix(claims.Iss, "https://")
}

package fakeaws

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws/iam"
)

// A role is what CreateRole and PutRolePolicy have made.
type role struct {
	trust    trustPolicy
	policies map[string]*iam.Document // by name
}

// A trustPolicy names who may assume a role. Anything else that AWS knows is an error.
type trustPolicy struct {
	Version   string
	Statement []struct {
		Effect    string
		Principal struct{ Federated string }
		Action    string
		Condition struct{ StringEquals map[string]string }
	}
}

// A webIdentity is the part of a ServiceAccount's token that STS reads. The signature is not checked.
type webIdentity struct {
	Issuer   string   `json:"iss"`
	Subject  string   `json:"sub"`
	Audience []string `json:"aud"`
}

func (a *account) createRole(r *request) (any, error) {
	name := r.form.get("RoleName")
	if _, exists := a.roles[name]; exists {
		return nil, &apiError{Code: "EntityAlreadyExists", Message: "Role with name " + name + " already exists.", Status: http.StatusConflict}
	}
	made := &role{policies: map[string]*iam.Document{}}
	decoder := json.NewDecoder(strings.NewReader(r.form.get("AssumeRolePolicyDocument")))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&made.trust); err != nil {
		return nil, malformedPolicy(err)
	}
	a.roles[name] = made
	return struct{}{}, nil
}

func (a *account) putRolePolicy(r *request) (any, error) {
	name := r.form.get("RoleName")
	to, exists := a.roles[name]
	if !exists {
		return nil, &apiError{Code: "NoSuchEntity", Message: "The role with name " + name + " cannot be found.", Status: http.StatusNotFound}
	}
	policy, err := iam.Parse([]byte(r.form.get("PolicyDocument")))
	if err != nil {
		return nil, malformedPolicy(err)
	}
	to.policies[r.form.get("PolicyName")] = policy
	return struct{}{}, nil
}

func malformedPolicy(err error) *apiError {
	return &apiError{Code: "MalformedPolicyDocument", Message: err.Error()}
}

func (a *account) createOpenIDConnectProvider(r *request) (any, error) {
	host := strings.TrimPrefix(r.form.get("Url"), "https://")
	if slices.Contains(a.providers, host) {
		return nil, &apiError{Code: "EntityAlreadyExists", Message: "Provider with url https://" + host + " already exists.", Status: http.StatusConflict}
	}
	a.providers = append(a.providers, host)
	return struct{}{}, nil
}

// describeCluster answers for every name.
func (a *account) describeCluster(r *request) (any, error) {
	return map[string]any{"cluster": map[string]any{
		"name": r.path[1], "identity": map[string]any{"oidc": map[string]any{"issuer": a.issuer(r.path[1])}}}}, nil
}

// issuer is the issuer of the tokens of an EKS cluster.
func (a *account) issuer(cluster string) string {
	return "https://oidc.eks." + a.region + "." + domainOf(a.partition) + "/id/" + strings.ToUpper(hexID(32, "issuer", cluster))
}

// Issuer is the issuer of the tokens of an EKS cluster of the account.
func (s *Server) Issuer(cluster string) string { return s.account.issuer(cluster) }

// trusts checks a token as STS does.
func (a *account) trusts(name, token string) error {
	var who webIdentity
	parts := strings.Split(token, ".")
	payload, err := base64.RawURLEncoding.DecodeString(parts[min(1, len(parts)-1)])
	if len(parts) != 3 || err != nil || json.Unmarshal(payload, &who) != nil {
		return noToken
	}
	provider := strings.TrimPrefix(who.Issuer, "https://")
	if !slices.Contains(a.providers, provider) {
		return &apiError{Code: "InvalidIdentityToken", Message: "No OpenIDConnect provider found in your account for " + who.Issuer}
	}
	federated := "arn:" + a.partition + ":iam::" + a.id + ":oidc-provider/" + provider
	if to := a.roles[name]; to != nil {
		for _, s := range to.trust.Statement {
			if s.Effect == "Allow" && s.Action == "sts:AssumeRoleWithWebIdentity" && s.Principal.Federated == federated && who.meets(provider, s.Condition.StringEquals) {
				return nil
			}
		}
	}
	return &apiError{Code: "AccessDenied", Message: "Not authorized to perform sts:AssumeRoleWithWebIdentity", Status: http.StatusForbidden}
}

func (w webIdentity) meets(provider string, wanted map[string]string) bool {
	for key, value := range wanted {
		switch key {
		case provider + ":sub":
			if w.Subject != value {
				return false
			}
		case provider + ":aud":
			if !slices.Contains(w.Audience, value) {
				return false
			}
		default: // the key of another provider is not in the request
			return false
		}
	}
	return true
}

// policiesOf returns the policies of the caller's role. The policies in force are those of callers whose role nobody has created.
func (a *account) policiesOf(caller string) (policies []*iam.Document, checked bool) {
	to, ok := a.roles[a.sessions[caller]]
	if !ok {
		return a.authority.policies, len(a.authority.policies) > 0
	}
	for _, policy := range to.policies {
		policies = append(policies, policy)
	}
	return policies, true
}

// sessionFor is how long credentials of AssumeRoleWithWebIdentity last.
const sessionFor = time.Hour

func (a *account) getCallerIdentity(r *request) (any, error) {
	return struct {
		ARN     string `xml:"Arn"`
		Account string `xml:"Account"`
	}{a.callerARN(r.caller), a.id}, nil
}

type (
	stsSession struct {
		Credentials stsCredentials `xml:"Credentials"`
		User        stsUser        `xml:"AssumedRoleUser"`
	}
	stsCredentials struct {
		AccessKeyID     string `xml:"AccessKeyId"`
		SecretAccessKey string `xml:"SecretAccessKey"`
		SessionToken    string `xml:"SessionToken"`
		Expiration      string `xml:"Expiration"`
	}
	stsUser struct {
		ARN string `xml:"Arn"`
	}
)

var noToken = &apiError{Code: "InvalidIdentityToken", Message: "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)"}

// assumeRoleWithWebIdentity accepts every token that is not empty until somebody creates a role.
func (a *account) assumeRoleWithWebIdentity(r *request) (any, error) {
	role, session := r.form.get("RoleArn"), r.form.get("RoleSessionName")
	if r.form.get("WebIdentityToken") == "" {
		return nil, noToken
	}
	prefix := "arn:" + a.partition + ":iam::"
	account, name, ok := strings.Cut(strings.TrimPrefix(role, prefix), ":role/")
	if !ok || !strings.HasPrefix(role, prefix) {
		return nil, &apiError{Code: "ValidationError", Message: role + " is invalid"}
	}
	if len(a.roles) > 0 {
		if err := a.trusts(name, r.form.get("WebIdentityToken")); err != nil {
			return nil, err
		}
	}
	key := "ASIA" + strings.ToUpper(hexID(16, role, session))
	a.sessions[key] = name
	return stsSession{
		Credentials: stsCredentials{
			AccessKeyID: key, SecretAccessKey: hexID(40, "secret", role),
			SessionToken: hexID(64, "token", role, session), Expiration: timestamp(time.Now().Add(sessionFor)),
		},
		User: stsUser{
			ARN: "arn:" + a.partition + ":sts::" + account + ":assumed-role/" + name + "/" + session,
		},
	}, nil
}

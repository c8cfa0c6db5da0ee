package fakeaws

import (
	"strings"
	"time"
)

// sessionFor is how long credentials of AssumeRoleWithWebIdentity last.
const sessionFor = time.Hour

func (a *account) getCallerIdentity(r *request) (any, error) {
	return struct {
		ARN     string `xml:"Arn"`
		UserID  string `xml:"UserId"`
		Account string `xml:"Account"`
	}{a.callerARN(r.caller), "AROAFAKEAWS0000000000:fakeaws", a.id}, nil
}

type (
	stsSession struct {
		Credentials stsCredentials `xml:"Credentials"`
		User        stsUser        `xml:"AssumedRoleUser"`
		Provider    string         `xml:"Provider"`
		Audience    string         `xml:"Audience"`
		Subject     string         `xml:"SubjectFromWebIdentityToken"`
	}
	stsCredentials struct {
		AccessKeyID     string `xml:"AccessKeyId"`
		SecretAccessKey string `xml:"SecretAccessKey"`
		SessionToken    string `xml:"SessionToken"`
		Expiration      string `xml:"Expiration"`
	}
	stsUser struct {
		ARN           string `xml:"Arn"`
		AssumedRoleID string `xml:"AssumedRoleId"`
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
			ARN:           "arn:" + a.partition + ":sts::" + account + ":assumed-role/" + name + "/" + session,
			AssumedRoleID: "AROA" + strings.ToUpper(hexID(17, role)) + ":" + session,
		},
		Provider: "arn:" + a.partition + ":iam::" + account + ":oidc-provider/oidc.eks." + a.region + ".amazonaws.com", Audience: "sts.amazonaws.com",
		Subject: "system:serviceaccount:kube-system:cluster-autoscaler",
	}, nil
}

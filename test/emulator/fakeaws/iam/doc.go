// Package iam evaluates IAM policy documents of an identity, as AWS does for each call of a role.
//
// Parse is stricter than AWS: each element, condition operator, condition key and wildcard that this package does not evaluate is an
// error, because a policy that is evaluated in part proves nothing. It evaluates no Principal, NotAction, NotResource, policy
// variable, or set operator. A Document is read-only, so it is safe for concurrent use. The rules are from the IAM user guide ("IAM
// JSON policy element reference" and "Policy evaluation logic", read 2026-11).
package iam

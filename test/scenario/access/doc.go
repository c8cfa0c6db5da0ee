// Package access proves the Kubernetes permissions in manifests/deploy: the real autoscaler needs each of them, no more, and works
// with the roles of the stock autoscaler.
//
// The autoscaler runs with the token of its ServiceAccount only, against a real API server with RBAC. The API server's audit log shows
// which permissions it has used. Each rule is also taken away in turn, and the autoscaler must then behave as docs/install.md says. The
// package owns one control plane and one emulated AWS account, which all its replicas share. It is tests alone.
package access

// Package certmanager checks the shipped objects of cert-manager against cert-manager's own definitions of their kinds, by the API server.
//
// The nested module definitions pins cert-manager. Nothing of it is compiled.
package certmanager

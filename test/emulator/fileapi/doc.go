// Package fileapi is an API server whose objects stand in a file. It answers the lists, the watches and the discovery of a client that
// only reads, for tests and benches that need no control plane.
package fileapi

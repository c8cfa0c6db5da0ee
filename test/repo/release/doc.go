// Package release checks that a release says one version and one list of changes everywhere, and that `make release-check` refuses a commit
// that does not.
//
// It owns these rules, which are tests alone. build/image tests how a release is built and published.
package release

// Package docs holds the documents to the repository: every link, path, command and name in them exists.
//
// It owns these checks, which are tests alone, and reads README.md, CONTRIBUTING.md and docs.
package docs

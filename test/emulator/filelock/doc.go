// Package filelock lets processes that would build the same file take turns.
package filelock

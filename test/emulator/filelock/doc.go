// Package filelock lets processes take turns: those that would build the same file, or keep the one set-up of the demo.
package filelock

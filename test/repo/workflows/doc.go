// Package workflows checks the workflows of the forge. They run what `make` runs, with actions that are pinned by commit, and may do no
// more than they need.
//
// It owns these rules, which are tests alone.
package workflows

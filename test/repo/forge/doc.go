// Package forge checks the files that the forge reads. Workflows run what `make` runs, with actions that are pinned by commit, and may do
// no more than they need. The forms, the updates of dependencies and the facts about security name what exists. The scripts through which
// `make` runs tests fail where these do.
//
// It owns these rules, which are tests alone.
package forge

// Package options is the command line: every flag of the stock autoscaler and of its later releases, and ours beside them.
//
// The core registers its flags when it is imported and reads them back from the process's own flag sets, so those are where
// all flags live. Ours carry the prefix --asg-, but for --version and --shadow.
//
// The package owns names, defaults, help texts and the checks of values. It must not import anything of test, because
// nothing that ships may know the emulator.
//
// Decisions: docs/adr/names.md.
package options

// Package docblocks runs the command blocks of the documents.
//
// It reads every fenced block of README.md, CONTRIBUTING.md and other documents at the top, of docs and of the READMEs in manifests. A block is of one
// of these kinds, by its language and its commands:
//
//   - Blocks of sh run for real, in the order of their document: with bash -e, a kubectl and a KUBECONFIG of a real control plane, the
//     pinned helm, our own programs, the few commands of the AWS CLI that README.md needs, and the AWS variables of an emulated account.
//     The kubelets are KWOK's, so no image is pulled. Once a block has installed our Deployment, its command runs here as a process, and
//     scales the account's groups. It starts only under the ServiceAccount that its role trusts. One process serves all documents, and
//     README.md comes first.
//   - Blocks of sh that begin with "# needs an AWS account" or "# needs a release" do not run. bash reads them (bash -n), and the flags of our own
//     programs in them exist.
//   - Blocks of make are dry-run (make -n) and do not run, because most of them are tests and benches themselves. make test is CI, and
//     test/scenario/demo runs make demo.
//   - Blocks of go test and go run do not run either. Their packages exist, and so do the tests that they choose. Nothing is compiled for that.
//   - Blocks of yaml and json are parsed, if they need no placeholder. Blocks of text and hcl are not looked at, but text has no commands.
//
// Another test runs the commands of every document that install something, marked or not unless they need a release, with programs that only render and write down. It compares images,
// ServiceAccounts, roles and their trust policies with each other. README.md's commands also run for each partition of AWS.
//
// Placeholders are upper-case words with values of the emulated account. The package is tests alone, and owns the account and the values.
package docblocks

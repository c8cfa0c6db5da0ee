// Package userdata reads a node's labels, taints, limits and reservations from the user data of its launch template.
//
// It knows the forms by which EKS nodes join: shell scripts that call /etc/eks/bootstrap.sh, nodeadm's NodeConfig,
// Bottlerocket's settings, the PowerShell bootstrap that EKS documents for Windows, kubelet's configuration and kubeadm's. It unwraps
// cloud-init's wrappings: base64, gzip, MIME with several parts, cloud-config, files written by a script. It owns these
// forms. It must import neither the AWS SDK nor the core, so that user data can be read anywhere and fuzzed.
//
// The package promises:
//   - It is pure. It executes and fetches nothing. In a shell script it understands words, quotes, here-documents and plain
//     assignments, and no more. An expression that only the node can evaluate, such as $(curl …) or one of a Jinja template, is
//     left out, and a Problem names it.
//   - Anybody may have written user data. Its unpacked size, its nesting and the work spent on it are bounded: none takes more
//     than 50 ms or 64 MiB of memory. Text that cannot be understood makes a Problem, never an error or a panic.
//   - It reads each user data once. It remembers up to 32 MiB of them, and is safe for concurrent use.
//   - User data may hold secrets. A Problem repeats only its own setting, and at most 80 bytes of it.
//   - It judges settings as kubelet does: it does not promise a label that kubelet would refuse.
package userdata

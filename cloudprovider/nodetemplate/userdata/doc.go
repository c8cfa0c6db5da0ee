// Package userdata reads from the user data of a launch template what the node it starts will be: its labels, taints,
// limits and reservations.
//
// It knows the forms in which nodes of EKS are told how to join: shell scripts that call /etc/eks/bootstrap.sh,
// nodeadm's NodeConfig, Bottlerocket's settings, PowerShell for Windows, kubelet configuration, and the wrappings of
// cloud-init around them: base64, gzip, MIME with several parts, cloud-config, files written by a script.
//
// What the package promises:
//   - It is pure, and nothing is ever executed or fetched. Of a shell script it understands words, quotes, here-documents
//     and plain assignments, and no more: what only the node can know, such as $(curl …), is no fact. It is left out
//     and a Problem names it.
//   - User data is text anybody may have written. Its size, after unpacking, its nesting and the work spent on it are
//     bounded: none takes more than 50 ms or 64 MiB of memory. What cannot be understood makes a Problem, never an error or a
//     panic.
//   - User data is read once. What was read is remembered, up to 32 MiB of it, and safe for concurrent use.
//   - User data may hold secrets. A Problem repeats only the one setting it is about, and 80 bytes of it at most.
//   - Settings are judged as kubelet judges them: a label it would refuse is not promised.
package userdata

// Package whycases has cases of pods that wait and nodes that stay, each with the one true cause, and runs them through the real autoscaler.
//
// A case is one file of testdata that a person can read. It holds the account as the emulator of AWS takes it, pods and nodes as kubectl
// prints them, further objects of the cluster, the flags of the autoscaler, the faults of AWS, and the first line that every explanation
// must give. Run starts the emulator with our provider over it, runs the core's own loop with our adapters, and says what the autoscaler
// knows afterwards. The tests here ask all readers of its record.
package whycases

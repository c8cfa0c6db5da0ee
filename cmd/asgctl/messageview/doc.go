// Package messageview shows how the autoscaler understands a message of AWS.
//
// It owns the view and no meaning: package awsmessage reads the message. It must not import the core, because the CLI shows
// the autoscaler's knowledge of AWS and needs no simulated cluster.
package messageview

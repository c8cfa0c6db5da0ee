// Package event reads what AWS says about instances that are about to go, from the body of a queue's message.
//
// A body is an event of EventBridge, or what a lifecycle hook of EC2 Auto Scaling sends to a queue itself, or either of them
// in the envelope of SNS. Parse tells which of them it is and what it is about, or why nothing can be done with it. It is
// pure and never panics: whoever may send to the queue can send anything.
package event

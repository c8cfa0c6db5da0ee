// Package event parses the bodies of a queue's messages about instances that AWS is about to stop or terminate.
//
// A body is an EventBridge event, a message that an EC2 Auto Scaling lifecycle hook sends to a queue directly, or either of
// them in an SNS envelope. Parse returns its kind and instances, or the reason why the message is unusable. It is pure and
// never panics, because anyone who may send to the queue can send anything. It owns the format of messages. It must not
// import Kubernetes or the AWS SDK, because a body is text, whoever sent it.
package event

package fakeaws

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A Queue is a standard queue of SQS, and the EventBridge rules that have it as their target. In the configuration file:
//
//	queues:
//	- name: interruptions
//	  retention: 5m
//	  events: [EC2 Spot Instance Interruption Warning, EC2 Instance Rebalance Recommendation]
//	  deadLetter: {queue: poison, maxReceiveCount: 5}
//	- name: poison
type Queue struct {
	Name              string      `json:"name"`
	VisibilityTimeout Duration    `json:"visibilityTimeout,omitempty"` // 30s
	Retention         Duration    `json:"retention,omitempty"`         // 96h
	WaitTime          Duration    `json:"waitTime,omitempty"`          // of receivers that do not say, none by default
	DeadLetter        *DeadLetter `json:"deadLetter,omitempty"`

	// Events are the detail types that a rule sends here, * for all of them.
	Events []string `json:"events,omitempty"`
	Lag    Duration `json:"lag,omitempty"` // from an event to its message

	// Policy is the access policy that GetQueueAttributes shows. By default it lets EventBridge send, if there are Events. It is not obeyed.
	Policy string `json:"policy,omitempty"`

	// By the Config's seed, Duplicates percent of the events become two messages, and as many messages can be received again at
	// once. Shuffles percent of the receivers get the oldest messages no sooner than others.
	Duplicates int `json:"duplicates,omitempty"`
	Shuffles   int `json:"shuffles,omitempty"`
}

// A DeadLetter says when a message is moved to another queue instead of being received once more.
type DeadLetter struct {
	Queue           string `json:"queue"`
	MaxReceiveCount int    `json:"maxReceiveCount"`
}

// Defaults and limits of SQS (developer guide, "Amazon SQS message quotas", read 2026-11).
const (
	usualVisibility  = 30 * time.Second
	usualRetention   = 96 * time.Hour
	maxVisibility    = 12 * time.Hour
	maxDelay         = 15 * time.Minute
	maxWaitTime      = 20 * time.Second
	maxReceived      = 10 // messages a call, and entries a batch
	maxMessageBytes  = 1 << 20
	maxReceivedBytes = 1 << 20
)

func (q Queue) visibility() time.Duration {
	return first(time.Duration(q.VisibilityTimeout), usualVisibility)
}

func (q Queue) retention() time.Duration { return first(time.Duration(q.Retention), usualRetention) }

func (q Queue) validate() error {
	switch {
	case q.Name == "" || strings.ContainsAny(q.Name, "/: "):
		return fmt.Errorf("queue name %q: want letters, digits, - and _", q.Name)
	case q.VisibilityTimeout < 0 || q.Retention < 0 || q.WaitTime < 0 || q.Lag < 0:
		return fmt.Errorf("queue %q: never is no time", q.Name)
	case time.Duration(q.WaitTime) > maxWaitTime || q.visibility() > maxVisibility:
		return fmt.Errorf("queue %q: waits over %v, or hides messages for over %v", q.Name, maxWaitTime, maxVisibility)
	case q.Duplicates < 0 || q.Duplicates > 100 || q.Shuffles < 0 || q.Shuffles > 100:
		return fmt.Errorf("queue %q: duplicates %d and shuffles %d are percentages", q.Name, q.Duplicates, q.Shuffles)
	case q.DeadLetter != nil && (q.DeadLetter.Queue == "" || q.DeadLetter.MaxReceiveCount < 1):
		return fmt.Errorf("queue %q: dead letters need a queue, and a maxReceiveCount of at least 1", q.Name)
	}
	for _, detailType := range q.Events {
		if detailType != "*" && !slices.Contains(detailTypes, detailType) {
			return fmt.Errorf("queue %q: no event %q; there are %q", q.Name, detailType, detailTypes)
		}
	}
	return nil
}

// validateQueues checks the queues, and that every notification target exists.
func (c Config) validateQueues() error {
	names := map[string]bool{}
	var errs []error
	for _, q := range c.Queues {
		errs = append(errs, q.validate())
		if names[q.Name] {
			errs = append(errs, fmt.Errorf("two queues %q", q.Name))
		}
		names[q.Name] = true
	}
	for _, q := range c.Queues {
		if q.DeadLetter != nil && !names[q.DeadLetter.Queue] {
			errs = append(errs, fmt.Errorf("queue %q: no queue %q for dead letters", q.Name, q.DeadLetter.Queue))
		}
	}
	for _, g := range c.AutoScalingGroups {
		for _, h := range g.LifecycleHooks {
			if h.NotificationTarget != "" && !names[h.NotificationTarget] {
				errs = append(errs, fmt.Errorf("lifecycle hook %q of %q: no queue %q", h.Name, g.Name, h.NotificationTarget))
			}
		}
	}
	return errors.Join(errs...)
}

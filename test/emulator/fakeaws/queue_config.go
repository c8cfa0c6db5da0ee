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
type Queue struct {
	Name              string   `json:"name"`
	VisibilityTimeout Duration `json:"visibilityTimeout,omitempty"` // 30s
	Retention         Duration `json:"retention,omitempty"`         // 96h

	// Events are the detail types that a rule sends here, * for all of them.
	Events []string `json:"events,omitempty"`
	Lag    Duration `json:"lag,omitempty"` // from an event to its message

	// By the Config's seed, Duplicates percent of the events become two messages, and as many messages can be received again at
	// once. Shuffles percent of the receivers get the oldest messages no sooner than others.
	Duplicates int `json:"duplicates,omitempty"`
	Shuffles   int `json:"shuffles,omitempty"`
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
	case q.VisibilityTimeout < 0 || q.Retention < 0 || q.Lag < 0:
		return fmt.Errorf("queue %q: never is no time", q.Name)
	case q.visibility() > maxVisibility:
		return fmt.Errorf("queue %q: hides messages for over %v", q.Name, maxVisibility)
	case q.Duplicates < 0 || q.Duplicates > 100 || q.Shuffles < 0 || q.Shuffles > 100:
		return fmt.Errorf("queue %q: duplicates %d and shuffles %d are percentages", q.Name, q.Duplicates, q.Shuffles)
	}
	for _, detailType := range q.Events {
		if detailType != "*" && !slices.Contains(detailTypes, detailType) {
			return fmt.Errorf("queue %q: no event %q; there are %q", q.Name, detailType, detailTypes)
		}
	}
	return nil
}

// validateQueues checks the queues.
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
	return errors.Join(errs...)
}

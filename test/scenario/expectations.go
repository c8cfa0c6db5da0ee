package scenario

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// expectation parses an expectation of a script, as listed at Commands.
func (s *script) expectation(what string, args []string) (condition, error) {
	switch {
	case what == "desired" && len(args) == 2:
		return s.countIs(args[1], func(context.Context) (int, error) { return s.desired(args[0]) })
	case what == "instances" && len(args) == 2:
		return s.countIs(args[1], func(context.Context) (int, error) { return s.instances(args[0]) })
	case what == "running" && len(args) == 2:
		return s.countIs(args[1], func(ctx context.Context) (int, error) { return s.runningPods(ctx, args[0]) })
	case what == "nodes" && len(args) == 2:
		return s.countIs(args[1], func(ctx context.Context) (int, error) { return s.readyNodes(ctx, args[0]) })
	case what == "tainted" && len(args) == 2:
		return s.namedCountIs(args[0], args[1], s.taintedNodes)
	case what == "status" && len(args) == 1:
		return s.statusMatches(args[0])
	case what == "launched" && len(args) == 2:
		return s.countIs(args[1], func(context.Context) (int, error) { return s.launched(args[0]) })
	case what == "calls" && len(args) == 2:
		return s.countIs(args[1], func(context.Context) (int, error) { return s.calls(args[0]) })
	case what == "queue" && len(args) == 2:
		return s.countIs(args[1], func(context.Context) (int, error) { return s.queued(args[0]) })
	case what == "event" && len(args) == 2:
		return s.eventMatches(args[0], args[1])
	case what == "events" && len(args) == 2:
		return s.namedCountIs(args[0], args[1], s.eventsSent)
	case (what == "ready" || what == "unready") && len(args) == 0:
		return s.saysReady(what == "ready"), nil
	case what == "ended" && len(args) == 0:
		return s.hasEnded, nil
	case what == "log" && len(args) == 1:
		return s.logMatches(args[0])
	case what == "report" && len(args) == 1:
		return s.reportMatches(args[0])
	case what == "shadow" && len(args) > 0:
		return s.shadowTrue(args)
	case what == "metric" && len(args) == 3:
		return s.metricIs(args[0], args[1], args[2])
	default:
		return nil, fmt.Errorf("expect: nothing is called %q with %d words after it", what, len(args))
	}
}

func (s *script) countIs(number string, count func(context.Context) (int, error)) (condition, error) {
	want, err := strconv.Atoi(number)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (bool, string, error) {
		got, err := count(ctx)
		return got == want, strconv.Itoa(got), err
	}, nil
}

// namedCountIs is countIs for what the program gives a name.
func (s *script) namedCountIs(name, number string, count func(context.Context, string) (int, error)) (condition, error) {
	if number == "0" {
		if err := s.programHolds([]string{name}); err != nil {
			return nil, err
		}
	}
	return s.countIs(number, func(ctx context.Context) (int, error) { return count(ctx, name) })
}

func (s *script) desired(group string) (int, error) {
	state, err := s.group(group)
	return state.Desired, err
}

func (s *script) group(name string) (fakeaws.GroupState, error) {
	if s.AWS == nil {
		return fakeaws.GroupState{}, errors.New("no AWS account yet; start it with: aws FILE")
	}
	state, known := s.AWS.Group(name)
	if !known {
		return fakeaws.GroupState{}, fmt.Errorf("no auto scaling group %q", name)
	}
	return state, nil
}

func (s *script) calls(action string) (int, error) {
	if s.AWS == nil {
		return 0, errors.New("no AWS account yet; start it with: aws FILE")
	}
	if err := knownAction(action); err != nil {
		return 0, err
	}
	return s.AWS.Calls()[action], nil
}

func (s *script) runningPods(ctx context.Context, selector string) (int, error) {
	pods, err := s.client.CoreV1().Pods("").List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return 0, err
	}
	running := 0
	for _, pod := range pods.Items {
		if pod.Status.Phase == corev1.PodRunning && pod.DeletionTimestamp == nil {
			running++
		}
	}
	return running, nil
}

func (s *script) readyNodes(ctx context.Context, selector string) (int, error) {
	nodes, err := s.client.CoreV1().Nodes().List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return 0, err
	}
	ready := 0
	for _, node := range nodes.Items {
		if nodemeta.Ready(&node) {
			ready++
		}
	}
	return ready, nil
}

func (s *script) taintedNodes(ctx context.Context, key string) (int, error) {
	nodes, err := s.client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return 0, err
	}
	tainted := 0
	for _, node := range nodes.Items {
		if slices.ContainsFunc(node.Spec.Taints, func(taint corev1.Taint) bool { return taint.Key == key }) {
			tainted++
		}
	}
	return tainted, nil
}

func (s *script) eventMatches(reason, message string) (condition, error) {
	pattern, err := regexp.Compile(message)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (bool, string, error) {
		events, err := s.client.CoreV1().Events("").List(ctx, metav1.ListOptions{FieldSelector: "reason=" + reason})
		if err != nil {
			return false, "", err
		}
		var messages []string
		for _, event := range events.Items {
			if pattern.MatchString(event.Message) {
				return true, event.Message, nil
			}
			messages = append(messages, event.Message)
		}
		return false, fmt.Sprintf("%d others of that reason: %q", len(messages), messages), nil
	}, nil
}

// eventsSent returns how often an event with the reason was sent. A repetition is counted on the first one.
func (s *script) eventsSent(ctx context.Context, reason string) (int, error) {
	events, err := s.client.CoreV1().Events("").List(ctx, metav1.ListOptions{FieldSelector: "reason=" + reason})
	if err != nil {
		return 0, err
	}
	sent := 0
	for _, event := range events.Items {
		sent += max(1, int(event.Count))
	}
	return sent, nil
}

// saysReady holds when the autoscaler answers at /readyz that it is ready, or is not. Without an answer neither holds.
func (s *script) saysReady(want bool) condition {
	return func(ctx context.Context) (bool, string, error) {
		if s.Autoscaler() == nil {
			return false, "", errors.New("no autoscaler to ask")
		}
		text, err := s.Autoscaler().Get(ctx, "/readyz")
		if err == nil {
			return want, text, nil
		}
		_, refused := errors.AsType[refusal](err)
		return refused && !want, err.Error(), nil
	}
}

// hasEnded holds when the autoscaler's last process has ended.
func (s *script) hasEnded(context.Context) (bool, string, error) {
	if s.Autoscaler() == nil {
		return false, "", errors.New("no autoscaler that could end")
	}
	return !s.Autoscaler().Running(), "that it runs", nil
}

func (s *script) logMatches(line string) (condition, error) {
	pattern, err := regexp.Compile(line)
	if err != nil {
		return nil, err
	}
	return func(context.Context) (bool, string, error) {
		lines, err := s.logLines(pattern)
		return len(lines) > 0, "no such line", err
	}, nil
}

// logLines returns the lines of the autoscaler's logs that match.
func (s *script) logLines(pattern *regexp.Regexp) ([]string, error) {
	log, err := s.Log()
	if err != nil {
		return nil, err
	}
	var lines []string
	for line := range strings.SplitSeq(log, "\n") {
		if pattern.MatchString(line) {
			lines = append(lines, line)
		}
	}
	return lines, nil
}

func (s *script) metricIs(selector, operator, number string) (condition, error) {
	name, labels, err := parseSelector(selector)
	if err != nil {
		return nil, err
	}
	want, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return nil, err
	}
	compare, known := map[string]func(got float64) bool{
		"==": func(got float64) bool { return got == want },
		">=": func(got float64) bool { return got >= want },
		"<=": func(got float64) bool { return got <= want },
	}[operator]
	if !known {
		return nil, fmt.Errorf("metric: operator %q; use ==, >= or <=", operator)
	}
	return func(ctx context.Context) (bool, string, error) {
		if s.Autoscaler() == nil {
			return false, "", errors.New("no autoscaler to scrape")
		}
		families, err := s.Autoscaler().Metrics(ctx)
		if err == nil && compare(0) {
			err = s.knownMetric(families, name, labels)
		}
		got := MetricSum(families, name, labels)
		return compare(got), strconv.FormatFloat(got, 'g', -1, 64), err
	}, nil
}

// pollInterval is the pause between two looks at a condition. Conditions read loopback servers and files of this machine.
const pollInterval = 100 * time.Millisecond

// condition reports whether it holds, and its observation, for the message if it never holds. An error ends the wait.
type condition func(ctx context.Context) (holds bool, saw string, err error)

// errWaited is the error of an expectation that was looked at in vain. No other error says that it does not hold.
var errWaited = errors.New("waited")

// lookLimit is how long one look at a condition may take on a busy machine.
const lookLimit = 10 * time.Second

// eventually waits until the condition holds. A look that begins in time may end later, so that a slow answer of the API server is none of the
// product's. The error has the last observation.
func eventually(ctx context.Context, within time.Duration, what string, holds condition) error {
	last, waited := "nothing", time.After(within)
	for {
		look, cancel := context.WithTimeout(ctx, lookLimit)
		ok, saw, err := holds(look)
		cancel()
		switch {
		case ok && err == nil:
			return nil
		case ctx.Err() != nil:
			return fmt.Errorf("stopped waiting for %s: %w; saw %s last", what, context.Cause(ctx), last)
		case err != nil:
			return fmt.Errorf("wait for %s: %w", what, err)
		}
		last = saw
		select {
		case <-ctx.Done(): // the next look says so
		case <-waited:
			if ctx.Err() != nil { // at the same moment
				continue
			}
			return fmt.Errorf("%w %s for %s; saw %s last", errWaited, within, what, last)
		case <-time.After(pollInterval):
		}
	}
}

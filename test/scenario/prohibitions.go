package scenario

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// never checks that something has not happened since the scenario began, as listed at Commands.
func (s *script) never(args []string) error {
	switch what := strings.Join(args, " "); {
	case len(args) == 4 && args[0] == "desired" && args[2] == "above":
		return s.neverDesiredAbove(args[1], args[3])
	case len(args) == 4 && args[0] == "calls" && args[2] == "above":
		return s.neverCalledAbove(args[1], args[3])
	case len(args) == 4 && args[0] == "launched" && args[2] == "above":
		return s.neverLaunchedAbove(args[1], args[3])
	case len(args) == 5 && args[0] == "launched" && args[2] == "twice" && args[3] == "within":
		return s.neverLaunchedWithin(args[1], args[4])
	case what == "undrained":
		return s.neverUndrained()
	case what == "wrote":
		return s.neverWrote()
	case what == "raced":
		return s.neverRaced()
	default:
		return fmt.Errorf("never: nothing is called %q", what)
	}
}

func (s *script) neverDesiredAbove(group, number string) error {
	limit, err := strconv.Atoi(number)
	if err != nil {
		return err
	}
	if err := s.knownGroup(group); err != nil {
		return err
	}
	for _, event := range s.AWS.Events() {
		if event.Kind == fakeaws.DesiredChanged && event.Group == group && event.To > limit {
			return fmt.Errorf("desired capacity of %q was raised to %d by %s", group, event.To, event.By)
		}
	}
	return nil
}

func (s *script) neverCalledAbove(action, number string) error {
	limit, err := strconv.Atoi(number)
	if err != nil {
		return err
	}
	made, err := s.calls(action)
	if err == nil && made > limit {
		err = fmt.Errorf("%d calls of %s were made", made, action)
	}
	return err
}

func (s *script) neverLaunchedWithin(group, duration string) error {
	apart, err := time.ParseDuration(duration)
	if err != nil {
		return err
	}
	if err := s.knownGroup(group); err != nil {
		return err
	}
	return closerThan(apart, group, s.AWS.Events())
}

// closerThan describes the first two instances of a group that were launched closer together than a duration.
func closerThan(apart time.Duration, group string, events []fakeaws.Event) error {
	var last *fakeaws.Event
	for i, event := range events {
		if event.Kind != fakeaws.Launched || event.Group != group {
			continue
		}
		if last != nil && event.Time.Sub(last.Time) < apart {
			return fmt.Errorf("instances %s and %s of %q were launched within %s", last.Instance, event.Instance, group, event.Time.Sub(last.Time))
		}
		last = &events[i]
	}
	return nil
}

func (s *script) neverForbidden() error {
	refused, err := s.forbidden()
	if err != nil {
		return err
	}
	return refusals(refused)
}

func refusals(refused []string) error {
	if len(refused) == 0 {
		return nil
	}
	return fmt.Errorf("the API server refused: %s", strings.Join(refused, "; "))
}

func (s *script) neverRaced() error {
	log, err := s.Log()
	if err != nil {
		return err
	}
	if races := OwnRaces(log); len(races) > 0 {
		return fmt.Errorf("the race detector found %d races in our own code, the first:\n%s", len(races), races[0])
	}
	return nil
}

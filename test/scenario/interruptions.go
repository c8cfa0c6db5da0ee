package scenario

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

func (s *script) interrupt(args []string) error {
	deed := fakeaws.Deed{Kind: fakeaws.Interrupt}
	if err := fromPairs(args[1:], &deed); err != nil {
		return err
	}
	warned := 0
	return s.eachNode(args[0], func(node corev1.Node) error {
		if warned++; deed.Count > 0 && warned > deed.Count {
			return nil
		}
		return s.AWS.Announce(path.Base(node.Spec.ProviderID), deed)
	})
}

func (s *script) deed(args []string) error {
	deed := fakeaws.Deed{Kind: fakeaws.DeedKind(args[1]), Group: args[0]}
	if err := fromPairs(args[2:], &deed); err != nil {
		return err
	}
	return s.AWS.Do(deed)
}

func (s *script) nodegroup(args []string) error {
	return s.AWS.SetNodegroupStatus(args[0], args[1], strings.Join(args[2:], ""))
}

// send puts a file's text into a queue, without the line feed at its end.
func (s *script) send(args []string) error {
	times := 1
	if len(args) == 3 {
		var err error
		if times, err = strconv.Atoi(args[2]); err != nil {
			return fmt.Errorf("send: %w", err)
		}
	}
	raw, err := os.ReadFile(s.path(args[1]))
	if err != nil {
		return err
	}
	for range times {
		if err := s.AWS.SendMessage(args[0], strings.TrimSuffix(string(raw), "\n")); err != nil {
			return err
		}
	}
	return nil
}

// queued returns how many messages are left in a queue, received ones included.
func (s *script) queued(name string) (int, error) {
	if s.AWS == nil {
		return 0, errors.New("no AWS account yet; start it with: aws FILE")
	}
	for _, q := range s.AWS.Queues() {
		if q.Name == name {
			return q.Visible + q.InFlight + q.Delayed, nil
		}
	}
	return 0, fmt.Errorf("no queue %q", name)
}

package scenario

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
	"github.com/asg-autoscaler/asg-autoscaler/test/scenario/permissions"
)

func (s *script) edit(args []string) error {
	raw, err := os.ReadFile(s.path(args[1]))
	if err != nil {
		return err
	}
	var edit fakeaws.GroupEdit
	if err := yaml.UnmarshalStrict(raw, &edit); err != nil {
		return fmt.Errorf("edit %q: %w", args[1], err)
	}
	return s.AWS.EditGroup(args[0], edit)
}

func (s *script) suspend(args []string) error { return s.AWS.Suspend(args[0], args[1:]...) }

func (s *script) resume(args []string) error { return s.AWS.Resume(args[0], args[1:]...) }

// place is a group, or one of its zones.
type place struct{ group, zone string }

// place parses GROUP or GROUP/ZONE. A zone that the group does not have is an error, because no count of it could be wrong.
func (s *script) place(name string) (place, fakeaws.GroupState, error) {
	state, err := s.group(name)
	if err == nil || s.AWS == nil {
		return place{group: name}, state, err
	}
	i := strings.LastIndex(name, "/")
	if i < 0 {
		return place{}, state, err
	}
	p := place{group: name[:i], zone: name[i+1:]}
	if state, err = s.group(p.group); err == nil && !slices.Contains(state.Zones, p.zone) {
		err = fmt.Errorf("auto scaling group %q has no zone %q, but %q", p.group, p.zone, state.Zones)
	}
	return p, state, err
}

func (p place) has(group, zone string) bool {
	return group == p.group && (p.zone == "" || zone == p.zone)
}

// instances returns how many instances a group lists, or how many of them are in one of its zones.
func (s *script) instances(where string) (int, error) {
	p, state, err := s.place(where)
	count := 0
	for _, i := range state.Instances {
		if p.has(state.Name, i.Zone) {
			count++
		}
	}
	return count, err
}

// launched returns how many instances of a group, or in one of its zones, were ever launched.
func (s *script) launched(where string) (int, error) {
	p, _, err := s.place(where)
	if err != nil {
		return 0, err
	}
	return launchedIn(p, s.AWS.Events()), nil
}

func launchedIn(p place, events []fakeaws.Event) int {
	launched := 0
	for _, event := range events {
		if event.Kind == fakeaws.Launched && p.has(event.Group, event.Zone) {
			launched++
		}
	}
	return launched
}

func (s *script) neverLaunchedAbove(where, number string) error {
	limit, err := strconv.Atoi(number)
	if err != nil {
		return err
	}
	launched, err := s.launched(where)
	if err == nil && launched > limit {
		err = fmt.Errorf("%d instances of %q were launched", launched, where)
	}
	return err
}

// clusterName is the cluster whose tag the discovery flag of the manifests names.
const clusterName = "eksworkshop"

// shippedPolicies are the policies of the manifests for an account's Region, with the interruption queue's if it has a queue.
func shippedPolicies(config fakeaws.Config) ([]string, error) {
	region, account := cmp.Or(config.Region, fakeaws.DefaultRegion), cmp.Or(config.Account, fakeaws.DefaultAccount)
	return permissions.Shipped(permissions.Place{Region: region, Account: account, Cluster: clusterName}, len(config.Queues) > 0)
}

// policy takes actions out of the policies in force. From then on their denials are no failure of the script.
func (s *script) policy(args []string) error {
	if args[0] != "without" {
		return fmt.Errorf("policy cannot %q", args[0])
	}
	left, err := permissions.Without(s.policies, args[1:]...)
	if err != nil {
		return err
	}
	for _, action := range args[1:] {
		s.allowed[action] = true
	}
	s.policies = left
	return s.AWS.SetPolicies(left...)
}

// neverDenied fails if the shipped policies denied anything to the autoscaler, but for the actions that the script took away.
func (s *script) neverDenied() error {
	if s.AWS == nil {
		return nil
	}
	denials := slices.DeleteFunc(s.AWS.Denials(), func(d fakeaws.Denial) bool { return s.allowed[d.Action] })
	if len(denials) == 0 {
		return nil
	}
	return fmt.Errorf("the shipped policy denied %s on %s", denials[0].Action, denials[0].Resource)
}

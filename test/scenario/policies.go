package scenario

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
	"github.com/asg-autoscaler/asg-autoscaler/test/scenario/permissions"
)

// clusterName is the cluster whose tag the discovery flag of the manifests names.
const clusterName = "eksworkshop"

// shippedPolicies are the policies of the manifests for an account's Region, with the interruption queue's if it has a queue.
func shippedPolicies(config fakeaws.Config) ([]string, error) {
	region, account := cmp.Or(config.Region, fakeaws.DefaultRegion), cmp.Or(config.Account, fakeaws.DefaultAccount)
	return permissions.Shipped(permissions.Place{Region: region, Account: account, Cluster: clusterName}, len(config.Queues) > 0)
}

// policy takes actions out of the policies in force. From then on their denials are no failure of the script.
func (s *script) policy(args []string) error {
	if len(args) < 2 || args[0] != "without" {
		return errors.New("usage: policy without ACTION...")
	}
	if s.AWS == nil {
		return errors.New("policy: no AWS account yet")
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

package aws

import (
	"fmt"
	"regexp"
	"strings"
)

// placeholderPrefix begins the ID of an instance that is desired and not launched.
const placeholderPrefix = "i-placeholder-"

// validProviderID matches aws:///<zone>/<instance>, with one more element on Fargate. A placeholder's ID ends in the name
// of its group, which may contain nearly anything.
var validProviderID = regexp.MustCompile(`^aws:///([-0-9a-z]*)/([-0-9a-z]*)(?:/[-0-9a-z.]*)?$`)

// bareInstance matches the instance alone.
var bareInstance = regexp.MustCompile(`^i-[-0-9a-z]+$`)

// instanceID returns the instance in a node's provider ID; not ok means that the node is not on EC2 or not yet known to be. Kubelets
// and cloud controllers leave the zone empty or out, or name the instance alone. Compare instances, never whole provider IDs.
func instanceID(providerID string) (id string, ok bool) {
	if rest, found := strings.CutPrefix(providerID, "aws:///"); found {
		if _, id, found := strings.Cut(rest, "/"); found && strings.HasPrefix(id, placeholderPrefix) {
			return id, true
		}
	}
	if bare := strings.TrimPrefix(providerID, "aws:///"); bareInstance.MatchString(bare) {
		return bare, true
	}
	match := validProviderID.FindStringSubmatch(providerID)
	if match == nil || match[2] == "" {
		return "", false
	}
	return match[2], true
}

// zoneOf returns the zone in a node's provider ID; "" where it names none.
func zoneOf(providerID string) string {
	if match := validProviderID.FindStringSubmatch(providerID); match != nil {
		return match[1]
	}
	return ""
}

func providerID(zone, instance string) string { return fmt.Sprintf("aws:///%s/%s", zone, instance) }

// placeholderID names the n-th place of a node group. The places of a group that launch first have the lowest numbers.
func placeholderID(group string, n int) string {
	return fmt.Sprintf("%s%s-%d", placeholderPrefix, group, n)
}

// placeholderGroup returns the node group a placeholder stands in.
func placeholderGroup(id string) (group string, ok bool) {
	rest, found := strings.CutPrefix(id, placeholderPrefix)
	cut := strings.LastIndexByte(rest, '-')
	if !found || cut < 0 {
		return "", false
	}
	return rest[:cut], true
}

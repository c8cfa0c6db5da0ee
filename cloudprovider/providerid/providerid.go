package providerid

import (
	"fmt"
	"regexp"
	"strings"
)

// Prefix begins the provider ID of a node on EC2.
const Prefix = "aws:///"

// valid matches aws:///<zone>/<instance>, with one more element on Fargate.
var valid = regexp.MustCompile(`^aws:///([-0-9a-z]*)/([-0-9a-z]*)(?:/[-0-9a-z.]*)?$`)

// bare matches the instance alone.
var bare = regexp.MustCompile(`^i-[-0-9a-z]+$`)

// Instance returns the instance in a node's provider ID. It is not ok for a node that is not on EC2, or not yet known to be.
func Instance(id string) (instance string, ok bool) {
	if alone := strings.TrimPrefix(id, Prefix); bare.MatchString(alone) {
		return alone, true
	}
	match := valid.FindStringSubmatch(id)
	if match == nil || match[2] == "" {
		return "", false
	}
	return match[2], true
}

// Zone returns the zone in a node's provider ID. It is empty where the ID names none.
func Zone(id string) string {
	if match := valid.FindStringSubmatch(id); match != nil {
		return match[1]
	}
	return ""
}

// Of returns the provider ID of an instance in a zone.
func Of(zone, instance string) string { return fmt.Sprintf("%s%s/%s", Prefix, zone, instance) }

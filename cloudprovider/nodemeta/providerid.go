package nodemeta

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// ProviderIDPrefix begins the provider ID of a node on EC2.
const ProviderIDPrefix = "aws:///"

// RemedyProviderID helps where nodes on EC2 do not have its provider ID, which Kubernetes lets nobody change later.
const RemedyProviderID = "run a cloud controller manager for AWS, or give kubelet --provider-id=aws:///ZONE/INSTANCE_ID, " +
	"and register the nodes anew"

// Instance returns the instance in a node's provider ID. It is not ok for a node that is not on EC2, or not yet known to be. A loop asks it
// for every node several times, and regular expressions would take an eighth of the loop.
func Instance(id string) (instance string, ok bool) {
	if alone := strings.TrimPrefix(id, ProviderIDPrefix); strings.HasPrefix(alone, "i-") && len(alone) > len("i-") && made(alone, "-") {
		return alone, true
	}
	_, instance, ok = split(id)
	return instance, ok && instance != ""
}

func InstanceOf(node *corev1.Node) string {
	id, _ := Instance(node.Spec.ProviderID)
	return id
}

// Zone returns the zone in a node's provider ID. It is empty where the ID names none.
func Zone(id string) string {
	zone, _, _ := split(id)
	return zone
}

// split splits aws:///<zone>/<instance>, which has one more element on Fargate.
func split(id string) (zone, instance string, ok bool) {
	rest, ours := strings.CutPrefix(id, ProviderIDPrefix)
	zone, rest, parted := strings.Cut(rest, "/")
	instance, more, _ := strings.Cut(rest, "/")
	if !ours || !parted || !made(zone, "-") || !made(instance, "-") || !made(more, "-.") {
		return "", "", false
	}
	return zone, instance, true
}

// made reports whether the text is made of digits, lower case letters and the others alone.
func made(text, others string) bool {
	for n := range len(text) {
		c := text[n]
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && strings.IndexByte(others, c) < 0 {
			return false
		}
	}
	return true
}

func ProviderID(zone, instance string) string {
	return fmt.Sprintf("%s%s/%s", ProviderIDPrefix, zone, instance)
}

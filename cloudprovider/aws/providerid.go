package aws

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
)

// placeholderPrefix begins the ID of a placeholder instance, which is desired and not launched.
const placeholderPrefix = "i-placeholder-"

// instanceID returns the instance or the placeholder instance in a node's provider ID. A placeholder ends in the name of its group, which
// may contain nearly anything. It is not ok for a node that is not on EC2, or not yet known to be.
func instanceID(id string) (instance string, ok bool) {
	_, rest, found := strings.Cut(strings.TrimPrefix(id, nodemeta.ProviderIDPrefix), "/")
	if found && strings.HasPrefix(rest, placeholderPrefix) {
		return rest, true
	}
	return nodemeta.Instance(id)
}

func placeholderGroup(id string) (group string, ok bool) {
	rest, found := strings.CutPrefix(id, placeholderPrefix)
	cut := strings.LastIndexByte(rest, '-')
	if !found || cut < 0 {
		return "", false
	}
	return rest[:cut], true
}

// failedMark begins the number of a placeholder instance of a failed increase.
const failedMark = "failed"

// failedID names the n-th instance of a failed increase. No later failure has the same names: the core acts upon new names only.
func failedID(group string, increase, n int) string {
	return fmt.Sprintf("%s%s-%s%d.%d", placeholderPrefix, group, failedMark, increase, n)
}

// failedIncrease returns the failed increase of a placeholder instance, if it is of one.
func failedIncrease(id string) (increase int, ok bool) {
	mark, marked := strings.CutPrefix(id[strings.LastIndexByte(id, '-')+1:], failedMark)
	number, _, _ := strings.Cut(mark, ".")
	increase, err := strconv.Atoi(number)
	return increase, marked && err == nil
}

package why

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
)

// Late is the reason of an instance that this autoscaler has seen since a moment without a node, and that the core gives up at another.
// setting names the flag or tag that sets that limit. cause and remedy are "" while they are not known.
func Late(instance, group string, since, until time.Time, setting, cause, remedy string) decision.Reason {
	if cause != "" {
		cause = ": " + cause
	}
	return decision.Reason{Code: decision.CodeNotReady,
		Message: fmt.Sprintf("instance %s of group %s has been seen without a node since %s, and is given up at %s (%s)%s",
			clean(instance, maxName), quote(group), Clock(since), Clock(until), setting, cause),
		Remedy: cmp.Or(remedy, "look at its console output: "+bootstrap(instance, " --latest"))}
}

// Unjoined is the reason of a group that the core leaves alone until a moment, because no node was Ready in time. The instances came up, and the
// unready nodes registered. setting names the flag or tag that sets that time.
func Unjoined(group *decision.Group, instances, unready []string, within time.Duration, setting string, until time.Time) decision.Reason {
	name, came, remedy := quote(group.Name), "no node got ready", "look at its launches: aws autoscaling describe-scaling-activities --auto-scaling-group-name "+
		shell(autoScaling(group))
	if len(instances) > 0 {
		came = Count(len(instances), "instance") + " came up and registered no node"
		remedy = "the autoscaler has terminated such instances, and EC2 keeps their console output for at least an hour: " +
			bootstrap(instances[0], "")
	} else if len(unready) > 0 {
		came = Count(len(unready), "node") + " registered and did not get ready"
		remedy = "kubectl describe node " + shell(slices.Min(unready))
	}
	return decision.Reason{Code: decision.CodeNotReady, Remedy: remedy, Message: fmt.Sprintf("group %s cannot grow now: %s within %s (%s)%s",
		name, came, decision.Span(within), setting, nextTry(decision.CodeNotReady, time.Time{}, until))}
}

// bootstrap shows the console output of an instance that does not become a node, and says what is usually wrong. options are of the command.
func bootstrap(instance, options string) string {
	return "aws ec2 get-console-output --instance-id " + shell(instance) + options + " --output text\n" +
		"usual causes: a wrong cluster name or API endpoint in its user data, a node role that the cluster does not map, " +
		"a security group or route that keeps it from the API server, a limit below the time that such nodes need to boot"
}

// GivenUp is the reason of the end of such an instance.
func GivenUp(since time.Time) decision.Reason {
	return decision.Reason{Code: decision.CodeNotReady, Message: "its instance was given up, seen without a node since " + Clock(since)}
}

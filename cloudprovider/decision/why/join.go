package why

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/shellword"
)

// Late is the reason of an instance that this autoscaler has seen since a moment without a node, and that the core gives up at another, or
// never if that is zero, because its group may have no fewer nodes. setting names the flag or tag that sets that limit, and is "" where the
// cause says that the instance stays. cause and remedy are "" while they are not known.
func Late(instance, group string, since, until time.Time, setting, cause, remedy string) decision.Reason {
	end, look := "", "look at its console output: "+bootstrap(instance, " --latest")
	if until.IsZero() {
		end, look = ", and stays, because its group may have no fewer nodes",
			look+"\nonce the cause is mended, "+shellword.TerminateInstance(shell(instance))
	} else if setting != "" {
		end = fmt.Sprintf(", and is given up at %s (%s)", Clock(until), setting)
	}
	if cause != "" {
		cause = ": " + cause
	}
	return decision.Reason{Code: decision.CodeNotReady, Remedy: cmp.Or(remedy, look),
		Message: fmt.Sprintf("instance %s of group %s has been seen without a node since %s%s%s",
			clean(instance, maxName), quote(group), Clock(since), end, cause)}
}

// Unjoined is the reason of a group that the core leaves alone until a moment, because no node was Ready in time. The instances came up, and the
// unready nodes registered. setting names the flag or tag that sets that time.
func Unjoined(group *decision.Group, instances, unready []string, within time.Duration, setting string, until time.Time) decision.Reason {
	name, came, remedy := quote(group.Name), "no node got ready", "look at its launches: aws autoscaling describe-scaling-activities --auto-scaling-group-name "+
		shell(autoScaling(group))
	if len(instances) > 0 {
		came = Count(len(instances), "instance") + " came up and registered no node"
		remedy = "EC2 keeps the console output of such instances for at least an hour after their end: " +
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

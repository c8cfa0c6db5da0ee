package aws

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient/lookup"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/shellword"
)

const ReasonNotJoining = "not-joining"

// eksImage matches the names of EKS's images, which join the cluster that user data names.
var eksImage = regexp.MustCompile(`^amazon-eks-|^bottlerocket-aws-k8s-|EKS_Optimized|^ubuntu-eks/`)

// notJoining is the Problem of a group, about one of its instances.
type notJoining struct {
	launch  *launchspec.LaunchSpec // of the group
	joined  map[string]string      // the nodes that had joined when the instance was last late, by instance
	until   time.Time              // an hour after that
	problem Problem
}

// SetLate notes the instances that have had no node for much longer than usual, and since when. EC2 is asked about them beside the loop.
func (p *Provider) SetLate(since map[string]time.Time) {
	snapshot := p.cache.Snapshot()
	maps.DeleteFunc(since, func(id string, _ time.Time) bool {
		i, _ := snapshot.Instance(id)
		return i == nil || i.Lifecycle != "InService" && i.Lifecycle != "Pending:Wait" // where a hook waits for its bootstrap
	})
	p.starts.Want(slices.Collect(maps.Keys(since))...)
	p.changing.Lock()
	defer p.changing.Unlock()
	if !maps.Equal(p.late, since) {
		p.late, p.anew = since, true
	}
}

// NodeDeleted reports whether somebody has deleted the node of an instance that counts in its group. Its kubelet registers again once it is restarted.
func (p *Provider) NodeDeleted(instance string) bool {
	return (*p.joined.Load())[instance] != "" && p.registered.ids()[instance] == ""
}

// Late says why an instance does not become a node. It is zero before EC2 has answered.
type Late struct {
	Cause   string
	Remedy  string   // the next step, "" for a look at its console
	Console []string // the end of its console output
	Stays   bool     // by its cause
}

// Late returns why an instance that SetLate noted does not become a node.
func (v *View) Late(instance string) Late { return v.late[instance] }

// whyNotJoining finds the most certain reason. A fact that holds for an instance of the same start that has or had one of the nodes is none.
func whyNotJoining(start lookup.Start, g *group.Group, i *group.Instance, ours string, nodes map[string]string) (cause, remedy string) {
	joined := slices.ContainsFunc(g.Instances, func(o group.Instance) bool { return nodes[o.ID] != "" && o.Origin == i.Origin })
	spec, joins, entry, groups := cmp.Or(g.LaunchSpec, &launchspec.LaunchSpec{}), "", "EC2_LINUX", "group system:nodes"
	role := cmp.Or(spec.Nodegroup, &launchspec.Nodegroup{}).Role
	eks := spec.Image != nil && eksImage.MatchString(spec.Image.Name)
	for _, s := range g.LaunchStated {
		if s.Source == launchspec.SourceUserData {
			joins = s.Cluster
		}
	}
	if spec.Windows() {
		entry, groups = "EC2_WINDOWS", "groups system:nodes and eks:kube-proxy-windows"
	}
	// stranger reports whether the cluster lets in no role that is called like the ARN's last part, as far as could be read.
	stranger := func(arn string) bool {
		same := func(known string) bool { return path.Base(known) == path.Base(arn) }
		return !joined && arn != "" && (start.AWSAuth || start.Entries) && !slices.ContainsFunc(start.Roles, same)
	}
	terminate := shellword.TerminateInstance(i.ID)
	correct := "correct the group's launch template, and " + terminate
	cluster := " --cluster-name " + shellword.Quote(cmp.Or(ours, "CLUSTER_NAME"))
	letIn := "see which roles are let in: aws eks list-access-entries" + cluster + "\nif it is missing: aws eks create-access-entry --type " + entry + cluster +
		" --principal-arn ROLE_ARN\nor add it to mapRoles with the " + groups + ": kubectl -n kube-system edit configmap aws-auth"
	switch {
	case joins != "" && ours != "" && joins != ours && nodes[i.ID] == "":
		return fmt.Sprintf("its user data joins cluster %q, and this one is %q", joins, ours), correct
	case eks && spec.UserData == "" && !joined:
		return "it has no user data, and its image joins no cluster without", correct
	case !slices.Contains([]string{"", "pending", "running"}, start.State):
		return "EC2 shows it as " + start.State, "see who stopped it: aws ec2 describe-instances --instance-ids " + i.ID
	case start.Check == "system":
		return "EC2's system status check fails, so its host is broken", terminate
	case start.Check != "":
		return "EC2's instance status check fails, so it has not booted or has no network", ""
	case nodes[i.ID] != "":
		return "its node was deleted from Kubernetes", "restart its kubelet, or " + terminate
	case start.Closed:
		return "its security groups let nothing out: " + strings.Join(start.Groups, ", "),
			"see their rules: aws ec2 describe-security-group-rules --filters Name=group-id,Values=" + strings.Join(start.Groups, ",")
	case start.Route == "blackhole":
		return "the default route of its subnet " + start.Subnet + " leads to a target that is gone", "correct the route table: aws ec2 describe-route-tables --route-table-ids " + start.Table
	case joins != "" && ours == "" && !joined:
		return fmt.Sprintf("its user data joins cluster %q, and the name of this one is not known", joins), "name this cluster by --asg-cluster-name"
	case stranger(role):
		letsIn := fmt.Sprintf(" lets in the role %q", path.Base(role))
		cause = "neither an access entry of EKS nor aws-auth" + letsIn
		if !start.Entries {
			cause = "no line of aws-auth" + letsIn + ", and access entries of EKS could not be checked"
		} else if !start.AWSAuth {
			cause = "no access entry of EKS" + letsIn + ", and aws-auth is missing or could not be read"
		}
		return cause, letIn
	case start.Full:
		return "its subnet " + start.Subnet + " has no free addresses, so that pods may get none", "add a subnet to the group: aws ec2 describe-subnets --subnet-ids " + start.Subnet
	case start.Route == "none" && !slices.ContainsFunc(g.Instances, func(o group.Instance) bool { return nodes[o.ID] != "" && o.Zone == i.Zone }):
		return "its subnet " + start.Subnet + " has no route to the internet: a private cluster needs VPC endpoints for EC2, ECR, EKS, STS",
			"see whether they exist: aws ec2 describe-vpc-endpoints --filters Name=vpc-id,Values=" + start.VPC + "\nand the routes: aws ec2 describe-route-tables --route-table-ids " + start.Table
	}
	cause = "nothing wrong was found in AWS"
	if i.Lifecycle == "Pending:Wait" {
		cause += ", and a launch lifecycle hook still holds it"
	}
	if eks && spec.UserData != "" && joins == "" && !joined { // a script may name it in a way that is not understood
		cause += ", but its user data names no cluster that could be found"
	}
	if start.State == "" {
		cause += ", and its state could not be checked"
	}
	if !start.AWSAuth && !start.Entries && !joined {
		cause += ", and whether the cluster lets in its role could not be checked"
	}
	if role == "" && stranger(spec.Profile) {
		name := path.Base(spec.Profile)
		return cause + fmt.Sprintf(", but no role called like its instance profile %q is let in (its role may have another name)", name),
			"see what its role is called: aws iam get-instance-profile --instance-profile-name " + shellword.Quote(name) + "\n" + letIn
	}
	return cause, ""
}

// withoutNodes enters why instances are late, and returns their groups, each with the reason of the one that has been late for longest. The Problem
// stays while the core tries the group again, until a node joins or the group launches something else. An instance whose node was deleted is no
// problem of its group, because it has joined.
func (p *Provider) withoutNodes(v *View) (found []Problem) {
	joined, registered, now := *p.joined.Load(), p.registered.ids(), p.clock.Now() // in this order, or a node that registers now seems deleted
	v.late = make(map[string]Late, len(p.late))
	mayBe := p.elsewhere()
	for _, id := range slices.SortedFunc(maps.Keys(p.late), func(a, b string) int { return cmp.Or(p.late[b].Compare(p.late[a]), strings.Compare(b, a)) }) {
		start, known := v.starts.Of(id)
		i, g := v.snapshot.Instance(id)
		if !known || i == nil || registered[id] != "" {
			continue
		}
		cause, remedy := whyNotJoining(start, g, i, p.cache.Cluster(), joined)
		other, helps := mayBe(id)
		cause, remedy = cmp.Or(other, cause), cmp.Or(helps, remedy)
		if v.late[id] = (Late{cause, remedy, start.Console, other != ""}); joined[id] != "" {
			continue
		}
		p.unjoined[g.Name] = notJoining{g.LaunchSpec, joined, now.Add(time.Hour), Problem{Group: g.Name, Reason: ReasonNotJoining,
			Message: fmt.Sprintf("Auto Scaling group %q: its instance %s has been seen without a node since %s: %s", g.Name, id, p.late[id].UTC().Format("15:04:05 UTC"), cause),
			Remedy:  shellword.InRegion(p.region, cmp.Or(remedy, "see its console output: asgctl explain node "+id))}}
	}
	for _, name := range slices.Sorted(maps.Keys(p.unjoined)) {
		n, g := p.unjoined[name], v.snapshot.Group(name)
		if g == nil || !launchspec.SameLaunch(g.LaunchSpec, n.launch) || now.After(n.until) ||
			slices.ContainsFunc(g.Instances, func(i group.Instance) bool { return registered[i.ID] != "" && n.joined[i.ID] == "" }) {
			delete(p.unjoined, name)
		} else {
			found = append(found, n.problem)
		}
	}
	return found
}

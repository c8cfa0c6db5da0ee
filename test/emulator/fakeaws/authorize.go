package fakeaws

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws/iam"
)

// A Denial is an action on a resource that the policies in force do not allow.
type Denial struct {
	Action   string `json:"action"`   // service:Name
	Resource string `json:"resource"` // its ARN, or * for actions that AWS does not check by resource
}

// authority holds the policies in force and the record of their decisions.
type authority struct {
	policies []*iam.Document
	used     map[string]bool // actions that were allowed
	denials  []Denial
}

// SetPolicies puts IAM policy documents in force, as the policies of every caller's role. With none, every call is allowed. On an
// error the policies stay as they are.
func (s *Server) SetPolicies(documents ...string) error {
	policies, err := parsePolicies(documents)
	if err != nil {
		return err
	}
	s.account.mu.Lock()
	defer s.account.mu.Unlock()
	s.account.authority.policies = policies
	return nil
}

func parsePolicies(documents []string) ([]*iam.Document, error) {
	var policies []*iam.Document
	for _, text := range documents {
		policy, err := iam.Parse([]byte(text))
		if err != nil {
			return nil, err
		}
		policies = append(policies, policy)
	}
	return policies, nil
}

// Denials returns what policies denied since the start, each once, oldest first.
func (s *Server) Denials() []Denial {
	s.account.mu.Lock()
	defer s.account.mu.Unlock()
	return slices.Clone(s.account.authority.denials)
}

// Permitted returns the actions, sorted, that a policy has allowed to somebody since the start.
func (s *Server) Permitted() []string {
	s.account.mu.Lock()
	defer s.account.mu.Unlock()
	return slices.Sorted(maps.Keys(s.account.authority.used))
}

// anyResource is the resource of actions that AWS does not check by resource.
const anyResource = "*"

// authorize checks a call as the service authorization reference describes its action. A call to a group or an instance that does
// not exist passes, because its answer says so. No permission is needed for STS: a role's trust policy decides who assumes it.
func (a *account) authorize(r *request) error {
	action := r.service + ":" + strings.TrimSuffix(r.action, "Batch") // SQS has no permission of its own for a batch
	switch {
	case r.service == serviceSTS:
		return nil
	case r.service == serviceSQS:
		return a.permit(r, action, a.queueARN(r.form), nil, false)
	case r.service == serviceEKS && len(r.path) == 3:
		return a.permit(r, action, "arn:"+a.partition+":eks:"+a.region+":"+a.id+":cluster/"+r.path[1], nil, false)
	case r.service == serviceEKS && len(r.path) == 4:
		return a.permit(r, action, a.nodegroupARN(r.path[1], r.path[3]), tagKeys(a.nodegroups[r.path[1]+"/"+r.path[3]].Tags, "aws"), false)
	case r.service == serviceAutoScaling && !strings.HasPrefix(r.action, "Describe"):
		name := r.form.get("AutoScalingGroupName")
		if i := a.instances[r.form.get("InstanceId")]; name == "" && i != nil {
			name = i.group.Name
		}
		if g := a.groups[name]; g != nil {
			return a.permit(r, action, g.arn, tagKeys(g.Tags, "aws", "autoscaling"), false)
		}
		return nil
	case r.action == "GetConsoleOutput", r.action == "RebootInstances":
		for _, id := range append(r.form.list("InstanceId"), r.form.get("InstanceId")) {
			if i := a.instances[id]; i != nil {
				if err := a.permit(r, action, "arn:"+a.partition+":ec2:"+a.region+":"+a.id+":instance/"+i.id, tagKeys(i.tags, "aws", "ec2"), false); err != nil {
					return err
				}
			}
		}
		return nil
	}
	return a.permit(r, action, anyResource, nil, false)
}

// tagKeys are the condition keys of a resource's tags.
func tagKeys(tags map[string]string, services ...string) map[string]string {
	keys := map[string]string{}
	for key, value := range tags {
		for _, service := range services {
			keys[strings.ToLower(service+":ResourceTag/"+key)] = value
		}
	}
	return keys
}

// permit is the service's error for an action that the policies deny, or nil. A service on behalf of the caller is viaAWS.
func (a *account) permit(r *request, action, resource string, keys map[string]string, viaAWS bool) error {
	policies, checked := a.policiesOf(r.caller)
	if !checked {
		return nil
	}
	if keys == nil {
		keys = map[string]string{}
	}
	keys["aws:requestedregion"], keys["aws:viaawsservice"] = a.region, fmt.Sprint(viaAWS)
	decision := iam.Evaluate(policies, iam.Request{Action: action, Resource: resource, Keys: keys})
	if decision == iam.Allowed {
		a.authority.used[action] = true
		return nil
	}
	if denial := (Denial{action, resource}); !slices.Contains(a.authority.denials, denial) {
		a.authority.denials = append(a.authority.denials, denial)
	}
	text := a.notAuthorized(r.caller, action, resource, decision == iam.ExplicitlyDenied)
	if r.service == serviceEC2 {
		text = ec2NotAuthorized + text
	}
	return faultError(r, a, Fault{Code: codeAccessDenied, Message: text})
}

const ec2NotAuthorized = "You are not authorized to perform this operation. "

// notAuthorized is AWS's text of a denial. It names the resource of actions that are checked by resource. SQS spells its actions in
// lower case.
func (a *account) notAuthorized(caller, action, resource string, explicit bool) string {
	if strings.HasPrefix(action, serviceSQS+":") {
		action = strings.ToLower(action)
	}
	on := ""
	if resource != anyResource {
		on = " on resource: " + resource
	}
	why := "because no identity-based policy allows the " + action + " action"
	if explicit {
		why = "with an explicit deny in an identity-based policy"
	}
	return fmt.Sprintf("User: %s is not authorized to perform: %s%s %s", a.callerARN(caller), action, on, why)
}

// permitLaunch checks the calls that Auto Scaling makes for the caller of LaunchInstances. AWS documents that they need permission, but not
// the answer without. For a parameter it is CreateFleet's.
func (a *account) permitLaunch(r *request, candidates []candidate) error {
	fleet := "arn:" + a.partition + ":ec2:" + a.region + ":" + a.id + ":fleet/*"
	if err := a.permit(r, "ec2:CreateFleet", fleet, nil, true); err != nil {
		return err
	}
	for _, action := range a.launchNeeds {
		if err := a.permit(r, action, anyResource, nil, true); err != nil {
			return err
		}
	}
	for _, c := range candidates {
		if a.permitImage(r, c.imageID) != nil {
			return &apiError{Code: "SsmAccessDenied", Message: "Access denied to SSM"}
		}
	}
	return nil
}

// permitImage checks the look-up of a parameter that names an image, which EC2 makes for its caller.
func (a *account) permitImage(r *request, imageID string) error {
	path, alias := strings.CutPrefix(imageID, "resolve:ssm:")
	if !alias {
		return nil
	}
	owner := a.id
	if strings.HasPrefix(path, "/aws/") {
		owner = "" // a public parameter
	}
	resource := "arn:" + a.partition + ":ssm:" + a.region + ":" + owner + ":parameter/" + strings.TrimPrefix(path, "/")
	return a.permit(r, "ssm:GetParameters", resource, nil, true)
}

// queueARN is the ARN of the queue that a call names, by its URL or by its name, whether or not it exists.
func (a *account) queueARN(f form) string {
	url := first(f.get("QueueUrl"), f.get("QueueName"))
	return "arn:" + a.partition + ":sqs:" + a.region + ":" + a.id + ":" + url[strings.LastIndex(url, "/")+1:]
}

func (a *account) nodegroupARN(cluster, name string) string {
	return "arn:" + a.partition + ":eks:" + a.region + ":" + a.id + ":nodegroup/" + cluster + "/" + name + "/" + uuidOf("nodegroup", cluster, name)
}

package doctor

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/sync/errgroup"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/shellword"
	"github.com/asg-autoscaler/asg-autoscaler/manifests"
)

// rolesFile has the roles that every installation needs. The chart has the same rules.
const rolesFile = "deploy/rbac.yaml"

// deletion is the rule of deploy/rbac-interruption.yaml, which --asg-interruption-queue needs.
var deletion = access{resource: "pods", verb: "delete"}

// maxReviews bounds the reviews under way at once.
const maxReviews = 8

// An access is one thing that the roles allow.
type access struct{ namespace, group, resource, subresource, name, verb string }

func checkRBAC(ctx context.Context, in *installation, c *Check) (looked bool) {
	user := fmt.Sprintf("system:serviceaccount:%s:%s", in.namespace, in.serviceAccount)
	if in.kubeErr != nil {
		c.skip("the roles of "+user, brief(in.kubeErr), "--kubeconfig")
		return false
	}
	wanted, err := in.grants()
	if err != nil {
		c.skip("the roles of "+user, brief(err), "another build of asgctl")
		return false
	}
	refused := make([]bool, len(wanted))
	reviews, limited := errgroup.WithContext(ctx)
	reviews.SetLimit(maxReviews)
	for at, a := range wanted {
		reviews.Go(func() error {
			allowed, err := in.allowed(limited, user, a)
			refused[at] = !allowed
			return err
		})
	}
	if err := reviews.Wait(); err != nil {
		c.skip("the roles of "+user, brief(err), "create subjectaccessreviews.authorization.k8s.io, or the ServiceAccount's own credentials")
		return false
	}
	for at := 0; at < len(wanted); {
		first, verbs := wanted[at], []string{}
		for ; at < len(wanted) && wanted[at].object() == first.object(); at++ {
			if refused[at] {
				verbs = append(verbs, wanted[at].verb)
			}
		}
		if len(verbs) > 0 {
			c.find("ServiceAccount "+user, "it may not "+strings.Join(verbs, ", ")+" "+first.String(), "a SubjectAccessReview for each rule of manifests/"+first.file(),
				in.remedy(user, first, verbs[0]))
		}
	}
	return true
}

// remedy applies the roles, which name the usual namespace and account.
func (in *installation) remedy(user string, a access, verb string) string {
	if in.namespace == usualNamespace && in.serviceAccount == clusterAutoscaler {
		return "kubectl apply -f manifests/" + a.file()
	}
	resource := a.resource
	if a.group != "" {
		resource += "." + a.group
	}
	return fmt.Sprintf("kubectl auth can-i %s %s --as %s, and give its role the rules of manifests/%s", verb, resource, shellword.Quote(user), a.file())
}

// file is the file of manifests with the rule.
func (a access) file() string {
	if a == deletion {
		return "deploy/rbac-interruption.yaml"
	}
	return rolesFile
}

func (a access) object() access { a.verb = ""; return a }

func (a access) String() string {
	text := a.resource
	if a.group != "" {
		text += "." + a.group
	}
	if a.subresource != "" {
		text += "/" + a.subresource
	}
	if a.name != "" {
		text += " " + a.name
	}
	if a.namespace != "" {
		text += " in namespace " + a.namespace
	}
	return text
}

// grants are the accesses of the shipped roles, grouped by object, with the namespace and names of this installation.
func (in *installation) grants() ([]access, error) {
	raw, err := manifests.FS.ReadFile(rolesFile)
	if err != nil {
		return nil, err
	}
	var found []access
	documents := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(raw), len(raw))
	for {
		var role rbacv1.Role // a ClusterRole has the same fields
		switch err := documents.Decode(&role); {
		case errors.Is(err, io.EOF) && in.Queue != "":
			return append(found, deletion), nil
		case errors.Is(err, io.EOF):
			return found, nil
		case err != nil:
			return nil, fmt.Errorf("%s: %w", rolesFile, err)
		}
		namespace := ""
		if role.Namespace != "" {
			namespace = in.namespace
		}
		for _, rule := range role.Rules {
			for at, name := range rule.ResourceNames {
				rule.ResourceNames[at] = in.nameOf(name)
			}
			found = append(found, accesses(namespace, rule)...)
		}
	}
}

// nameOf is the name of the lease or the config map that the roles name, as the autoscaler's flags change it.
func (in *installation) nameOf(name string) string {
	return cmp.Or(in.flags.last(map[string]string{"cluster-autoscaler": "leader-elect-resource-name", "cluster-autoscaler-status": "status-config-map-name"}[name]), name)
}

func accesses(namespace string, rule rbacv1.PolicyRule) []access {
	var found []access
	names := rule.ResourceNames
	if len(names) == 0 {
		names = []string{""}
	}
	for _, group := range rule.APIGroups {
		for _, resource := range rule.Resources {
			resource, subresource, _ := strings.Cut(resource, "/")
			for _, name := range names {
				for _, verb := range rule.Verbs {
					found = append(found, access{namespace, group, resource, subresource, name, verb})
				}
			}
		}
	}
	return found
}

// allowed asks the API server whether the user may. Without the right to ask about others it asks about itself, if it is that user.
func (in *installation) allowed(ctx context.Context, user string, a access) (bool, error) {
	attributes := &authorizationv1.ResourceAttributes{Namespace: a.namespace, Verb: a.verb, Group: a.group, Resource: a.resource,
		Subresource: a.subresource, Name: a.name}
	authorization := in.kube.AuthorizationV1()
	review, err := authorization.SubjectAccessReviews().Create(ctx, &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: user, Groups: []string{"system:serviceaccounts", "system:serviceaccounts:" + in.namespace, "system:authenticated"}, ResourceAttributes: attributes,
	}}, metav1.CreateOptions{})
	if err == nil {
		return review.Status.Allowed, nil
	}
	if !apierrors.IsForbidden(err) {
		return false, err
	}
	self, selfErr := in.kube.AuthenticationV1().SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if selfErr != nil || self.Status.UserInfo.Username != user {
		return false, err
	}
	own, err := authorization.SelfSubjectAccessReviews().Create(ctx, &authorizationv1.SelfSubjectAccessReview{
		Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: attributes}}, metav1.CreateOptions{})
	if err != nil {
		return false, err
	}
	return own.Status.Allowed, nil
}

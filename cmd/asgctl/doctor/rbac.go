package doctor

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/shellword"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/running"
	"github.com/asg-autoscaler/asg-autoscaler/manifests"
)

// Files with the roles that every installation needs, that --asg-interruption-queue needs, and that a plugin needs. The chart has the same rules.
const (
	rolesFile    = "deploy/rbac.yaml"
	deletionFile = "deploy/rbac-interruption.yaml"
	pluginFile   = "deploy/rbac-plugin.yaml"
)

const maxReviews = 8

// An access is what the roles allow with one object.
type access struct {
	file   string // of manifests, with the rule
	object authorizationv1.ResourceAttributes
	verbs  []string
}

func checkRBAC(ctx context.Context, in *installation, c *Check) (looked bool) {
	user := fmt.Sprintf("system:serviceaccount:%s:%s", in.namespace, in.serviceAccount)
	if in.kubeErr != nil {
		c.skip("the roles of "+user, brief(in.kubeErr), "--kubeconfig")
		return false
	}
	if in.unsure && in.Account == "" {
		in.skipUnsure(c, "the roles of the autoscaler")
		return false
	}
	if in.ours == nil && in.Account == "" && in.pods.missing(c) {
		return false
	}
	if in.flags.Shadows() {
		c.skip("the roles of "+user, "it runs with --shadow", "kubectl auth can-i --list --as "+shellword.Quote(user))
		return false
	}
	wanted := in.accesses()
	if err := in.kube.Discovery().RESTClient().Get().AbsPath("/apis/resource.k8s.io/v1").Do(ctx).Error(); apierrors.IsNotFound(err) {
		wanted = slices.DeleteFunc(wanted, func(a access) bool { return a.object.Group == "resource.k8s.io" }) // Kubernetes before 1.34
	}
	refused := make([][]string, len(wanted)) // verbs
	reviews, limited := errgroup.WithContext(ctx)
	reviews.SetLimit(maxReviews)
	for at, a := range wanted {
		reviews.Go(func() error {
			for _, verb := range a.verbs {
				asked := a.object
				asked.Verb = verb
				allowed, err := in.allowed(limited, user, &asked)
				if err != nil {
					return err
				}
				if !allowed {
					refused[at] = append(refused[at], verb)
				}
			}
			return nil
		})
	}
	if err := reviews.Wait(); err != nil {
		c.skip("the roles of "+user, brief(err), "create subjectaccessreviews.authorization.k8s.io, or the ServiceAccount's own credentials")
		return false
	}
	for at, a := range wanted {
		if len(refused[at]) > 0 {
			c.find("ServiceAccount "+user, "it may not "+strings.Join(refused[at], ", ")+" "+a.String(),
				"a SubjectAccessReview for each rule of manifests/"+a.file, in.remedy(user, a, refused[at][0]))
		}
	}
	return true
}

// remedy applies the roles, which name the usual namespace and account.
func (in *installation) remedy(user string, a access, verb string) string {
	if a.object.Namespace != "" && a.object.Namespace != in.namespace {
		return fmt.Sprintf("start the autoscaler with --namespace=%s, or give its account the rules of manifests/%s in namespace %s",
			shellword.Quote(in.namespace), a.file, a.object.Namespace)
	}
	if in.namespace == usualNamespace && in.serviceAccount == clusterAutoscaler {
		return "kubectl apply -f manifests/" + a.file
	}
	return fmt.Sprintf("kubectl auth can-i %s %s --as %s, and give its role the rules of manifests/%s",
		verb, a.resource(), shellword.Quote(user), a.file)
}

func (a access) resource() string {
	return schema.GroupResource{Group: a.object.Group, Resource: a.object.Resource}.String()
}

func (a access) String() string {
	text := a.resource()
	if a.object.Subresource != "" {
		text += "/" + a.object.Subresource
	}
	if a.object.Name != "" {
		text += " " + a.object.Name
	}
	if a.object.Namespace != "" {
		text += " in namespace " + a.object.Namespace
	}
	return text
}

// accesses are those of the shipped roles, with the namespace and names of this installation.
func (in *installation) accesses() (found []access) {
	files := []string{rolesFile}
	// The conservative profile leaves the pods, too, unless the flag is given.
	deadline := cmp.Or(in.flags.Last("asg-interruption-deadline"), in.flags.Last("asg-profile"))
	if in.Queue != "" && deadline != "leave" && deadline != "conservative" {
		files = append(files, deletionFile)
	}
	for _, file := range files {
		raw, _ := manifests.FS.ReadFile(file) // which the build embeds
		documents := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(raw), len(raw))
		for role := new(rbacv1.Role); documents.Decode(role) == nil; role = new(rbacv1.Role) { // a ClusterRole has the same fields
			for _, rule := range role.Rules {
				found = append(found, in.accessesOf(file, role, rule)...)
			}
		}
	}
	return found
}

// nameOf is the name of the lease or the config map that the roles name, as the autoscaler's flags change it.
func (in *installation) nameOf(name string) string {
	if name == clusterAutoscaler {
		return leaseOf(in.flags)
	}
	return cmp.Or(in.flags.Last("status-config-map-name"), name)
}

// leaseOf is the name of an autoscaler's lease. A plugin has another one than the core that it answers.
func leaseOf(f running.Flags) string {
	usual := clusterAutoscaler
	if f.Plugin() {
		usual += "-plugin"
	}
	name := cmp.Or(f.Last("lease-resource-name"), f.Last("leader-elect-resource-name"), usual)
	if f.Shadows() {
		name = strings.TrimSuffix(name, "-shadow") + "-shadow"
	}
	return name
}

func (in *installation) leaseNamespace() string {
	if in.ours == nil {
		return in.namespace
	}
	return leaseNamespaceOf(in.ours)
}

// leaseNamespaceOf is where the lease and the config maps of the pod's autoscaler are, which need not be the namespace of the pod.
func leaseNamespaceOf(pod *corev1.Pod) string {
	container, _ := running.AutoscalerIn(&pod.Spec)
	given := running.FlagsOf(container).Last("namespace")
	if unknown(given) || given == "" && running.Shell(container) {
		return pod.Namespace
	}
	return cmp.Or(given, usualNamespace)
}

// accessesOf are those of one rule of a role.
func (in *installation) accessesOf(file string, role *rbacv1.Role, rule rbacv1.PolicyRule) (found []access) {
	object := authorizationv1.ResourceAttributes{}
	if role.Namespace != "" {
		object.Namespace = in.leaseNamespace()
	}
	if in.flags.Plugin() && slices.Contains(rule.ResourceNames, clusterAutoscaler) {
		file = pluginFile // has the lease
	}
	names := []string{""}
	for at, name := range rule.ResourceNames {
		names = append(names[:at], in.nameOf(name))
	}
	for _, object.Group = range rule.APIGroups {
		for _, resource := range rule.Resources {
			object.Resource, object.Subresource, _ = strings.Cut(resource, "/")
			for _, object.Name = range names {
				found = append(found, access{file, object, rule.Verbs})
			}
		}
	}
	return found
}

// allowed asks the API server whether the user may. Without the right to ask about others it asks about itself, if it is that user.
func (in *installation) allowed(ctx context.Context, user string, attributes *authorizationv1.ResourceAttributes) (bool, error) {
	authorization := in.kube.AuthorizationV1()
	review, err := authorization.SubjectAccessReviews().Create(ctx, &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: user, Groups: []string{"system:serviceaccounts", "system:serviceaccounts:" + in.namespace, "system:authenticated"}, ResourceAttributes: attributes,
	}}, metav1.CreateOptions{})
	if !apierrors.IsForbidden(err) {
		return err == nil && review.Status.Allowed, err
	}
	self, selfErr := in.kube.AuthenticationV1().SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if selfErr != nil || self.Status.UserInfo.Username != user {
		return false, err
	}
	own, err := authorization.SelfSubjectAccessReviews().Create(ctx, &authorizationv1.SelfSubjectAccessReview{
		Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: attributes}}, metav1.CreateOptions{})
	return err == nil && own.Status.Allowed, err
}

package scenario

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/asg-autoscaler/asg-autoscaler/manifests"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/controlplane"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// The ServiceAccount and the lease of a shadow, and the beginning of its user agent at AWS. The stock autoscaler has another one.
const (
	shadowName  = "cluster-autoscaler-shadow"
	shadowAgent = "asg-autoscaler/"
)

// shadow gives the autoscaler the permissions of a shadow alone. The stock autoscaler keeps its own.
func (s *script) shadow(args []string) error {
	if len(args) != 0 {
		return errors.New("usage: shadow")
	}
	access, err := manifests.FS.ReadFile("deploy/rbac-shadow.yaml")
	if err != nil {
		return err
	}
	if _, err = s.Kubectl(s.ctx, string(access), "apply", "-f", "-"); err != nil {
		return err
	}
	s.kubeconfig, err = s.Cluster.ServiceAccountKubeconfig(s.ctx, serviceAccountNamespace, shadowName)
	return err
}

// neverWrote reads the audit log of the API server and the calls of AWS. A request that was refused is in the list, too.
func (s *script) neverWrote() error {
	granted, err := s.Cluster.Granted()
	if err != nil {
		return err
	}
	wrote := append(writesOf(granted), awsWrites(s.AWS.CallLog())...)
	refused, err := s.forbidden()
	if err == nil && len(wrote) > 0 {
		err = fmt.Errorf("the shadow wrote: %s", strings.Join(wrote, ", "))
	}
	return errors.Join(err, refusals(refused))
}

// writesOf are the shadow's requests that do not only read, but for its lease. It must have read something.
func writesOf(granted []controlplane.Request) (wrote []string) {
	reads := 0
	for _, r := range granted {
		switch {
		case !strings.HasSuffix(r.User, ":"+shadowName):
		case slices.Contains([]string{"get", "list", "watch"}, r.Verb):
			reads++
		case r.Resource != "leases" || r.Verb == "update" && r.Name != shadowName:
			wrote = append(wrote, strings.Join([]string{r.Verb, r.Resource, r.Namespace, r.Name}, " "))
		}
	}
	if reads == 0 {
		wrote = append(wrote, "nothing, and it read nothing either")
	}
	return wrote
}

// awsWrites are the actions of the shadow that do not only read. It must have read something.
func awsWrites(calls []fakeaws.Call) (wrote []string) {
	reads := 0
	for _, c := range calls {
		switch {
		case !strings.Contains(c.Agent, shadowAgent):
		case strings.HasPrefix(c.Action, "Describe") || strings.HasPrefix(c.Action, "Get") || strings.HasPrefix(c.Action, "List"):
			reads++
		default:
			wrote = append(wrote, c.Action)
		}
	}
	if reads == 0 {
		wrote = append(wrote, "nothing, and it asked AWS for nothing either")
	}
	return wrote
}

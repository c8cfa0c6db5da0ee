package manifests_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"
)

func TestPodsRunWithoutPrivileges(t *testing.T) {
	for _, name := range []string{"deploy/s0-gpu-spot-china.yaml", "deploy/s3-eks-addons.yaml", "deploy/plugin.yaml"} {
		pod := deployment(t, name).Spec.Template.Spec
		if c := pod.SecurityContext; c == nil || c.RunAsNonRoot == nil || !*c.RunAsNonRoot || c.SeccompProfile == nil || c.SeccompProfile.Type != "RuntimeDefault" {
			t.Errorf("%s: security context of the pod = %+v, want no root and the runtime's seccomp profile", name, c)
		}
		assert.Falsef(t, pod.HostNetwork || pod.HostPID || pod.HostIPC, "%s: the pod shares namespaces with its host", name)
		for _, container := range pod.Containers {
			c := container.SecurityContext
			if c == nil || c.AllowPrivilegeEscalation == nil || *c.AllowPrivilegeEscalation || c.ReadOnlyRootFilesystem == nil || !*c.ReadOnlyRootFilesystem ||
				c.Capabilities == nil || len(c.Capabilities.Drop) != 1 || c.Capabilities.Drop[0] != "ALL" || len(c.Capabilities.Add) > 0 ||
				c.Privileged != nil && *c.Privileged {
				t.Errorf("%s: security context of %s = %+v, want no escalation, a read-only root and no capabilities", name, container.Name, c)
			}
			for _, mount := range container.VolumeMounts {
				assert.Truef(t, mount.ReadOnly, "%s: %s may write to %s", name, container.Name, mount.MountPath)
			}
		}
	}
}

func TestRolesGrantNoSecretsAndNoWildcards(t *testing.T) {
	for _, name := range []string{"deploy/rbac.yaml", "deploy/rbac-interruption.yaml", "deploy/rbac-optional.yaml", "deploy/rbac-plugin.yaml", "deploy/rbac-shadow.yaml"} {
		roles := 0
		for document := range strings.SplitSeq(read(t, name), "\n---\n") {
			if !strings.Contains(document, "\nkind: ClusterRole\n") && !strings.Contains(document, "\nkind: Role\n") {
				continue
			}
			var role rbacv1.ClusterRole // a Role has the same rules
			require.NoErrorf(t, yaml.Unmarshal([]byte(document), &role), "%s", name)
			roles++
			for _, rule := range role.Rules {
				for _, granted := range append(append(append([]string{}, rule.Verbs...), rule.APIGroups...), rule.Resources...) {
					assert.Truef(t, granted != "*" && granted != "secrets" && granted != "impersonate" && granted != "escalate" && granted != "bind",
						"%s: role %s grants %q", name, role.Name, granted)
				}
			}
		}
		assert.Truef(t, roles != 0, "%s holds no role", name)
	}
}

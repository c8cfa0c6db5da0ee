package manifests_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// A certificate is an object of cert-manager, as far as the files use it.
type certificate struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		SecretName, CommonName        string
		IsCA                          bool
		DNSNames, IPAddresses, Usages []string
		IssuerRef                     struct{ Name string }
		Duration, RenewBefore         metav1.Duration
		PrivateKey                    struct{ Algorithm string }
		SelfSigned                    *struct{}
		CA                            *struct{ SecretName string }
	}
}

// cert-manager writes the Secrets that the pods of plugin.yaml mount, and one CA signs both.
func TestCertManagerWritesTheSecretsOfThePlugin(t *testing.T) {
	made := map[string]certificate{}
	for document := range strings.SplitSeq(read(t, "deploy/plugin-cert-manager.yaml"), "\n---\n") {
		var c certificate
		require.NoError(t, yaml.UnmarshalStrict([]byte(document), &c))
		made[c.Kind+" "+c.Name] = c
	}
	issuer := func(c certificate) certificate { return made["Issuer "+c.Spec.IssuerRef.Name] }
	pod := deployment(t, "deploy/plugin.yaml")
	for volume, use := range map[string]string{"plugin-certificates": "server auth", "client-certificates": "client auth"} {
		i := slices.IndexFunc(pod.Spec.Template.Spec.Volumes, func(v corev1.Volume) bool { return v.Name == volume })
		name := pod.Spec.Template.Spec.Volumes[i].Secret.SecretName
		c := made["Certificate "+name]
		assert.Truef(t, c.Spec.SecretName == name && c.Namespace == pod.Namespace && slices.Contains(c.Spec.Usages, use),
			"volume %s: certificate %+v, want one in Secret %s for %s", volume, c, name, use)
		ca := issuer(c).Spec.CA
		assert.Truef(t, ca != nil && made["Certificate "+ca.SecretName].Spec.IsCA && issuer(made["Certificate "+ca.SecretName]).Spec.SelfSigned != nil,
			"certificate %s comes from %+v, want the CA that signs itself", name, ca)
	}
	plugin := made["Certificate cluster-autoscaler-plugin"].Spec
	hosts := append(plugin.DNSNames, plugin.IPAddresses...)
	for _, host := range []string{"127.0.0.1", "cluster-autoscaler-plugin.kube-system.svc"} {
		assert.Truef(t, slices.Contains(hosts, host), "the plugin's certificate is for %q, want %s, too", hosts, host)
	}
}

package command

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/plugin"
)

// pluginSecret is the Secret of the plugin. The core's has the same name with "-client" behind it.
const pluginSecret = "cluster-autoscaler-plugin"

func (c *cli) certificates() *cobra.Command {
	var namespace string
	var days int
	cmd := &cobra.Command{
		Use:   "certificates [HOST…]",
		Short: "Secrets with certificates for the plugin and for the Cluster Autoscaler that it serves",
		Long: `New certificates, as two Secrets. HOST is a name or an IP address by which the Cluster Autoscaler reaches the plugin, and 127.0.0.1 if there
is none. The key of the CA that signs them is forgotten, so that the next ones come from another CA. It makes no AWS call.`,
		Example: "  asgctl certificates | kubectl apply -f -\n  asgctl certificates cluster-autoscaler-plugin.kube-system.svc | kubectl apply -f -",
		RunE: func(_ *cobra.Command, hosts []string) error {
			if len(hosts) == 0 {
				hosts = []string{"127.0.0.1"}
			}
			made, err := plugin.NewCertificates(time.Now(), time.Duration(days)*24*time.Hour, hosts...)
			if err != nil {
				return failure{err}
			}
			for _, secret := range []*corev1.Secret{
				tlsSecret(namespace, pluginSecret, made.CA, made.Cert, made.Key),
				tlsSecret(namespace, pluginSecret+"-client", made.CA, made.ClientCert, made.ClientKey),
			} {
				text, err := yaml.Marshal(secret)
				if err != nil {
					return failure{err}
				}
				fmt.Fprintf(c.stdout, "---\n%s", text)
			}
			return nil
		},
	}
	cmd.Flags().StringVarP(&namespace, "namespace", "n", metav1.NamespaceSystem, "Namespace of the Secrets.")
	cmd.Flags().IntVar(&days, "days", 365, "How long the certificates are good for.")
	return cmd
}

// tlsSecret has the keys that cert-manager writes.
func tlsSecret(namespace, name string, ca, cert, key []byte) *corev1.Secret {
	return &corev1.Secret{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace},
		Type:       corev1.SecretTypeTLS,
		Data:       map[string][]byte{"ca.crt": ca, corev1.TLSCertKey: cert, corev1.TLSPrivateKeyKey: key},
	}
}

package controlplane

import (
	"context"
	"fmt"
	"os"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// tokenLifetime is how long a service account's token is valid: longer than any test, short enough to be harmless.
const tokenLifetime = 24 * time.Hour

// Rate limits of the admin's client, far above what tests do, so that a wait is never the client's own.
const (
	clientQPS   = 500
	clientBurst = 1000
)

// writeKubeconfig writes a kubeconfig with one cluster, one user and one context, named "controlplane". Only this user can read the file.
func writeKubeconfig(path, server string, ca []byte, user *clientcmdapi.AuthInfo) error {
	const name = "controlplane"
	config := clientcmdapi.NewConfig()
	config.Clusters[name] = &clientcmdapi.Cluster{Server: server, CertificateAuthorityData: ca}
	config.AuthInfos[name] = user
	config.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: name}
	config.CurrentContext = name
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		return fmt.Errorf("write kubeconfig %q: %w", path, err)
	}
	return nil
}

// restConfigFrom returns the client configuration in a kubeconfig, with the cluster's generous rate limits.
func restConfigFrom(kubeconfig string) (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("read kubeconfig %q: %w", kubeconfig, err)
	}
	config.QPS, config.Burst = clientQPS, clientBurst
	return config, nil
}

// ServiceAccountKubeconfig writes a kubeconfig that acts as the given service account and returns its path, in the cluster's
// directory. Each call requests a new token, valid for a day, and replaces the file of an earlier call. The error satisfies
// apierrors.IsNotFound when there is no such service account. It costs one API call.
func (c *Cluster) ServiceAccountKubeconfig(ctx context.Context, namespace, name string) (string, error) {
	seconds := int64(tokenLifetime.Seconds())
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &seconds}}
	token, err := c.client.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, name, request, metav1.CreateOptions{})
	if err != nil {
		return "", fmt.Errorf("request token of service account %q in namespace %q: %w", name, namespace, err)
	}
	ca, err := os.ReadFile(c.layout.key("ca.crt"))
	if err != nil {
		return "", err
	}
	// An underscore occurs in neither name, so no two accounts share a file.
	path := c.layout.kubeconfig("serviceaccount_" + namespace + "_" + name)
	return path, writeKubeconfig(path, c.restConfig.Host, ca, &clientcmdapi.AuthInfo{Token: token.Status.Token})
}

package process

import (
	"fmt"
	"net/url"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/autoscaler/cluster-autoscaler/config"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// kubeConfig finds the API server by --kubeconfig, by --kubernetes, or as a pod of the cluster, in this order.
func kubeConfig(opts config.KubeClientOptions) (kube *rest.Config, err error) {
	switch {
	case opts.KubeConfigPath != "":
		if kube, err = clientcmd.BuildConfigFromFlags("", opts.KubeConfigPath); err != nil {
			return nil, fmt.Errorf("--kubeconfig=%s: %w", opts.KubeConfigPath, err)
		}
	case opts.Master != "":
		address, err := url.Parse(opts.Master)
		if err != nil {
			return nil, fmt.Errorf("--kubernetes: %w", err)
		}
		if kube, err = config.GetKubeClientConfig(address); err != nil {
			return nil, fmt.Errorf("--kubernetes=%s: %w", opts.Master, err)
		}
	default:
		if kube, err = rest.InClusterConfig(); err != nil {
			return nil, fmt.Errorf("find the API server (outside a cluster, set --kubeconfig): %w", err)
		}
	}
	return asFlagged(kube, opts)
}

// asFlagged has the rate and the content type of the flags, where kube has none of its own. It refuses what no client can be made of.
func asFlagged(kube *rest.Config, opts config.KubeClientOptions) (*rest.Config, error) {
	kube = rest.CopyConfig(kube)
	if kube.QPS == 0 {
		kube.QPS, kube.Burst = opts.KubeClientQPS, opts.KubeClientBurst
	}
	if kube.ContentType == "" {
		kube.ContentType = opts.APIContentType
	}
	if _, err := kubernetes.NewForConfig(kube); err != nil {
		return nil, fmt.Errorf("client of the API server: %w", err)
	}
	return kube, nil
}

// urgentQPS and urgentBurst are the least rate of the clients for interruptions and for nominations. A hundred instances may get their two
// minutes at the same moment. A nomination is worth something only in the moment in which its node becomes Ready. docs/nominations.md and
// docs/scale.md state the rate.
const urgentQPS, urgentBurst = 200, 400

// urgent is kube for clients that the core's own calls must not hold up.
func urgent(kube *rest.Config) *rest.Config {
	kube = rest.CopyConfig(kube)
	kube.QPS, kube.Burst = max(kube.QPS, urgentQPS), max(kube.Burst, urgentBurst)
	return kube
}

// forCustomResources is kube for the clients of custom resources. Custom resources have no protobuf form, whatever
// --kube-api-content-type says. With its default, stock cannot write the status of a ProvisioningRequest.
func forCustomResources(kube *rest.Config) *rest.Config {
	kube = rest.CopyConfig(kube)
	kube.ContentType = runtime.ContentTypeJSON
	return kube
}

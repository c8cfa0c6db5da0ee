package running

import (
	"cmp"
	"fmt"

	"github.com/spf13/pflag"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Options say where the autoscaler is. The zero value means the current context of the user's kubeconfig, and namespace kube-system.
type Options struct {
	Kubeconfig string // path
	Context    string // of the kubeconfig
	Namespace  string // of the autoscaler
	Lease      string // of the autoscaler, "" for the usual one
	LeaseIn    string // namespace of the lease, "" for the autoscaler's
	Selector   string // label selector of the autoscaler's pods, "" for the usual labels
	URL        string // of the autoscaler itself, instead of a cluster
	File       string // saved report, instead of a cluster
	Leading    bool   // a replica that stands by is an error, and so is a leader before its first loop: their reports hold no decisions
}

func (o *Options) KubeFlags(flags *pflag.FlagSet) {
	flags.StringVar(&o.Kubeconfig, "kubeconfig", "", "Path of the kubeconfig. If empty: $KUBECONFIG, ~/.kube/config, or the pod's own account.")
	flags.StringVar(&o.Context, "context", "", "Context of the kubeconfig. If empty: its current one.")
}

// Flags adds the flags that choose a cluster and an autoscaler of it, or another source.
func (o *Options) Flags(flags *pflag.FlagSet) {
	o.KubeFlags(flags)
	flags.StringVar(&o.Namespace, "autoscaler-namespace", defaultNamespace, "Namespace of the running autoscaler and its lease.")
	flags.StringVar(&o.Lease, "autoscaler-lease", cmp.Or(o.Lease, leaseName), "Lease of the running autoscaler, as its --leader-elect-resource-name.")
	flags.StringVar(&o.Selector, "autoscaler-selector", "", "Labels of the running autoscaler's pods. "+
		"If empty: the pod that holds the lease, or the labels of the shipped manifests and charts.")
	flags.StringVar(&o.URL, "url", "", "Address of the running autoscaler, such as http://127.0.0.1:8085 after kubectl port-forward. "+
		"If empty: it is asked through the API server.")
	flags.StringVar(&o.File, "report", "", "File with a report that /status.json returned, to read instead.")
}

// Kube returns the connection to the cluster that the options choose.
func (o *Options) Kube() (*rest.Config, error) {
	config, err := o.config().ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("find the cluster (--kubeconfig and --context select one): %w", err)
	}
	return config, nil
}

func (o *Options) Client() (*kubernetes.Clientset, error) {
	config, err := o.Kube()
	if err != nil {
		return nil, err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("client of the API server: %w", err)
	}
	return client, nil
}

func (o *Options) config() clientcmd.ClientConfig {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = o.Kubeconfig
	return clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: o.Context})
}

package running

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
)

const (
	defaultNamespace = "kube-system"
	leaseName        = "cluster-autoscaler"
	ShadowLease      = leaseName + "-shadow" // of an autoscaler that watches the leader
	defaultPort      = 8085
	path             = "/status.json"

	// ownOrigin says by the value none that no web page is behind the request. The autoscaler asks for it where the host has a name that it
	// does not know, as the API server's.
	ownOrigin = "Sec-Fetch-Site"

	// maxReport bounds the memory that a report takes. One of 1,000 groups and 10,000 pods is below 20 MiB.
	maxReport = 256 << 20
)

// selectors are the labels of the shipped manifests, and of this project's chart and the stock one.
var selectors = []string{
	"app=cluster-autoscaler",
	"app.kubernetes.io/name in (cluster-autoscaler, aws-cluster-autoscaler, externalgrpc-cluster-autoscaler)",
}

var ErrNone = errors.New("no running autoscaler")

// Autoscaler is one that runs, or its saved report. It is safe for use by several goroutines.
type Autoscaler struct {
	Client *kubernetes.Clientset // nil where no cluster is asked

	options   Options
	selectors []string
}

// Open prepares the reading. It makes no call.
func Open(options Options) (*Autoscaler, error) {
	a := &Autoscaler{options: options, selectors: selectors}
	if options.Selector != "" {
		a.selectors = []string{options.Selector}
	}
	if options.URL != "" && options.File != "" {
		return nil, errors.New("--url and --report exclude each other")
	}
	if options.URL != "" || options.File != "" {
		return a, nil
	}
	a.options.Namespace = cmp.Or(options.Namespace, defaultNamespace)
	a.options.Lease = cmp.Or(options.Lease, leaseName)
	var err error
	a.Client, err = options.Client()
	return a, err
}

func Read(ctx context.Context, options Options) (*decision.Report, error) {
	a, err := Open(options)
	if err != nil {
		return nil, err
	}
	return a.Report(ctx)
}

// Report reads the latest report. The error is ErrNone if the cluster runs no autoscaler. Where the options ask for a leader's report, one
// without decisions comes with an error. It finds the leader each time, because a pod that lost the lease still answers.
func (a *Autoscaler) Report(ctx context.Context) (*decision.Report, error) {
	r, err := a.report(ctx)
	switch {
	case err != nil || !a.options.Leading:
	case !r.Process.Leader:
		err = fmt.Errorf("the autoscaler that answers does not lead, and %s does", cmp.Or(r.Process.Holder, "another replica"))
	case r.Loop.Number == 0:
		err = errors.New("the autoscaler that leads has run no loop yet, and its log and /readyz say what it waits for")
	}
	return r, err
}

func (a *Autoscaler) report(ctx context.Context) (*decision.Report, error) {
	switch {
	case a.options.File != "":
		file, err := os.Open(a.options.File)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		return Decode(file, a.options.File)
	case a.options.URL != "":
		return a.direct(ctx)
	}
	pod, err := a.find(ctx)
	if err != nil {
		return nil, err
	}
	return a.proxied(ctx, pod)
}

func (a *Autoscaler) direct(ctx context.Context) (*decision.Report, error) {
	page := strings.TrimSuffix(strings.TrimSuffix(a.options.URL, path), "/")
	address := strings.TrimSuffix(page, "/status") + path // of the page in the browser, too
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return nil, err
	}
	request.Header.Set(ownOrigin, "none")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answered %s", address, response.Status)
	}
	return Decode(response.Body, address)
}

func (a *Autoscaler) proxied(ctx context.Context, pod *corev1.Pod) (*decision.Report, error) {
	name := pod.Namespace + "/" + pod.Name
	request := a.Client.CoreV1().RESTClient().Get().Namespace(pod.Namespace).Resource("pods").
		Name(pod.Name+":"+strconv.Itoa(port(pod))).SubResource("proxy").Suffix(path).SetHeader(ownOrigin, "none")
	body, err := request.Stream(ctx)
	switch {
	case apierrors.IsForbidden(err):
		return nil, fmt.Errorf("read %s of pod %s through the API server: %w: grant that, or forward port %d and give --url", path, name, err, port(pod))
	case apierrors.IsNotFound(err):
		return nil, fmt.Errorf("pod %s answers no %s: it runs another autoscaler, an older version, or one whose flags switch it off", name, path)
	case errors.Is(err, context.DeadlineExceeded), apierrors.IsServiceUnavailable(err), apierrors.IsTimeout(err):
		// Without the error's chain, because who shortens such an error shows its status alone.
		return nil, fmt.Errorf("the API server does not reach port %d of pod %s: "+
			"a security group of the nodes, a NetworkPolicy or a loopback --address or --asg-status-address may keep it out: "+
			"kubectl --namespace %s port-forward pod/%s %[1]d, and give --url http://127.0.0.1:%[1]d (%[5]v)",
			port(pod), name, pod.Namespace, pod.Name, err)
	case err != nil:
		return nil, fmt.Errorf("read %s of pod %s through the API server: %w", path, name, err)
	}
	defer body.Close()
	return Decode(body, "pod "+name)
}

// port is the port of the autoscaler's page. Without a flag of its address it is the first port that the container names.
func port(pod *corev1.Pod) int {
	containers := pod.Spec.Containers
	if autoscaler, runs := AutoscalerIn(&pod.Spec); runs { // others may stand before it
		flags := FlagsOf(autoscaler)
		_, stated, _ := net.SplitHostPort(cmp.Or(flags.Last("asg-status-address"), flags.Last("address")))
		if port, err := strconv.Atoi(stated); err == nil {
			return port
		}
		containers = []corev1.Container{autoscaler}
	}
	for _, c := range containers {
		for _, p := range c.Ports {
			return int(p.ContainerPort)
		}
	}
	return defaultPort
}

// Decode reads a report. Its form must be the one this program knows.
func Decode(body io.Reader, source string) (*decision.Report, error) {
	report := &decision.Report{}
	if err := json.NewDecoder(io.LimitReader(body, maxReport)).Decode(report); err != nil {
		return nil, fmt.Errorf("read the report of %s: %w", source, err)
	}
	if report.Version != decision.Version {
		return nil, fmt.Errorf("the report of %s has version %q, and this asgctl reads %q: take asgctl of the autoscaler's release", source,
			report.Version, decision.Version)
	}
	return report, nil
}

// find returns the pod that holds the lease, or else the only running pod with the labels. A core is none where its plugin runs.
func (a *Autoscaler) find(ctx context.Context) (*corev1.Pod, error) {
	holder, unknown := a.holder(ctx)
	if broken(unknown) {
		return nil, unknown
	}
	if holder != "" && a.options.Selector == "" {
		switch pod, err := a.Client.CoreV1().Pods(a.options.Namespace).Get(ctx, holder, metav1.GetOptions{}); {
		case err == nil && runs(pod) && !isCore(*pod):
			return pod, nil
		case broken(err):
			return nil, fmt.Errorf("find the autoscaler: %w", err)
		}
	}
	pods, err := a.labelled(ctx)
	if err != nil {
		return nil, err
	}
	var names []string
	for i, pod := range pods {
		// A pod on its host's network may call itself by the host's name.
		if pod.Name == holder || pod.Spec.HostNetwork && pod.Spec.NodeName == holder {
			return &pods[i], nil
		}
		names = append(names, pod.Name)
	}
	switch len(pods) {
	case 0:
		return nil, fmt.Errorf("%w in namespace %s: see --autoscaler-namespace and --autoscaler-selector", ErrNone, a.options.Namespace)
	case 1:
		return &pods[0], nil
	}
	err = fmt.Errorf("pods %s run in namespace %s, and lease %s names none of them as the leader: "+
		"give --autoscaler-lease, or forward port %d of the leader and give --url",
		strings.Join(names, ", "), a.options.Namespace, a.options.Lease, defaultPort)
	return nil, errors.Join(err, unknown)
}

// broken reports whether the API server does not work for the caller, so that no other question helps.
func broken(err error) bool {
	return err != nil && !apierrors.IsNotFound(err) && !apierrors.IsForbidden(err)
}

// holder is the leader's name for itself, a pod's as a rule, or "".
func (a *Autoscaler) holder(ctx context.Context) (string, error) {
	leases := a.Client.CoordinationV1().Leases(cmp.Or(a.options.LeaseIn, a.options.Namespace))
	lease, err := leases.Get(ctx, a.options.Lease, metav1.GetOptions{})
	if err != nil {
		return "", fmt.Errorf("read lease %s: %w", a.options.Lease, err)
	}
	return ptr.Deref(lease.Spec.HolderIdentity, ""), nil
}

// labelled are the running pods with the autoscaler's labels, cores only where there is nothing else.
func (a *Autoscaler) labelled(ctx context.Context) ([]corev1.Pod, error) {
	var found []corev1.Pod
	for _, selector := range a.selectors {
		list, err := a.Client.CoreV1().Pods(a.options.Namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
		if err != nil {
			return nil, fmt.Errorf("find the autoscaler: %w", err)
		}
		for _, pod := range list.Items {
			if runs(&pod) && !slices.ContainsFunc(found, func(p corev1.Pod) bool { return p.Name == pod.Name }) {
				found = append(found, pod)
			}
		}
	}
	if others := slices.DeleteFunc(slices.Clone(found), isCore); len(others) > 0 {
		return others, nil
	}
	return found, nil
}

// isCore reports whether the pod is a core whose plugin, which has the report, is elsewhere.
func isCore(pod corev1.Pod) bool {
	container, _ := AutoscalerIn(&pod.Spec)
	return FlagsOf(container).Core()
}

func runs(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodRunning && pod.DeletionTimestamp == nil
}

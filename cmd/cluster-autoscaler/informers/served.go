package informers

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/autoscaler/cluster-autoscaler/config"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
)

// askLimit bounds the question whether one kind is served. askPause is between two questions of a start, and againInterval between later ones.
const askLimit, askPause, againInterval = 10 * time.Second, time.Second, 5 * time.Minute

// moreTries is how often kinds that are refused are asked for again at a start.
const moreTries = 2

// features are the features without which the core still works.
var features = []struct {
	flag        string
	paths       []string // of the kinds that it reads
	switches    func(*config.AutoscalingOptions) []*bool
	consequence string
}{
	{
		flag: "--enable-dynamic-resource-allocation", // since Kubernetes 1.34
		paths: []string{"/apis/resource.k8s.io/v1/deviceclasses", "/apis/resource.k8s.io/v1/resourceclaims",
			"/apis/resource.k8s.io/v1/resourceslices"},
		switches:    func(o *config.AutoscalingOptions) []*bool { return []*bool{&o.DynamicResourceAllocationEnabled} },
		consequence: "no node is launched for pods with resource claims, and none that has such pods is removed",
	},
	{
		flag:        "--capacity-quotas-enabled",
		paths:       []string{"/apis/autoscaling.x-k8s.io/v1alpha1/capacityquotas"},
		switches:    func(o *config.AutoscalingOptions) []*bool { return []*bool{&o.CapacityQuotasEnabled} },
		consequence: "no CapacityQuota limits the nodes",
	},
	{
		flag:        "--enable-provisioning-requests",
		paths:       []string{"/apis/autoscaling.x-k8s.io/v1/provisioningrequests", "/api/v1/podtemplates"},
		switches:    func(o *config.AutoscalingOptions) []*bool { return []*bool{&o.ProvisioningRequestEnabled} },
		consequence: "no ProvisioningRequest is worked on",
	},
	{
		flag: "--capacity-buffer-controller-enabled, --capacity-buffer-pod-injection-enabled",
		// The core waits for all of them for ever.
		paths: []string{"/apis/autoscaling.x-k8s.io/v1beta1/capacitybuffers", "/api/v1/podtemplates", "/api/v1/resourcequotas",
			"/apis/apps/v1/deployments"},
		switches: func(o *config.AutoscalingOptions) []*bool {
			return []*bool{&o.CapacitybufferControllerEnabled, &o.CapacitybufferPodInjectionEnabled}
		},
		consequence: "no CapacityBuffer keeps room",
	},
}

// SwitchOff asks for each feature that is on whether its kinds are served, and switches it off where one is not, or is denied. It says
// so once, with the consequence, and returns a sentence for each. It makes one call for each kind, and a few more if one is refused. While the
// API server fails otherwise, it asks on until ctx ends.
//
// A process cannot switch a feature on, so served returns an error once one that is off could be on, and ends with ctx.
func SwitchOff(ctx context.Context, client rest.Interface, options *config.AutoscalingOptions) (off []string, served func(context.Context) error) {
	var wanted [][]string // the paths of each that is off
	tries := moreTries
	for _, f := range features {
		switches := f.switches(options)
		if !slices.ContainsFunc(switches, func(on *bool) bool { return *on }) {
			continue
		}
		for _, path := range f.paths {
			if missing := ask(ctx, client, path, &tries); missing != "" {
				for _, on := range switches {
					*on = false
				}
				api := strings.TrimPrefix(strings.TrimPrefix(path, "/apis/"), "/api/")
				klog.FromContext(ctx).Info("Switched a feature off: the API server does not let us read what it needs",
					"flag", f.flag, "api", api, "reason", missing, "consequence", f.consequence)
				off, wanted = append(off, fmt.Sprintf("%s is switched off: %s is %s", f.flag, api, missing)), append(wanted, f.paths)
				break
			}
		}
	}
	return off, func(ctx context.Context) error {
		return wait.PollUntilContextCancel(ctx, againInterval, false, func(ctx context.Context) (bool, error) {
			for at, paths := range wanted {
				if !slices.ContainsFunc(paths, func(path string) bool { return list(ctx, client, path) != nil }) {
					return true, fmt.Errorf("the API server shows what was missing (%s): this process ends, to restart with the feature", off[at])
				}
			}
			return false, nil
		})
	}
}

// DoWithoutAttachments has the factory keep no VolumeAttachments where we may not list them. The scheduler's plugin for limits of volumes reads
// them since Kubernetes 1.32, and older roles of charts, of kOps and of others lack the rule. It says so once, and asks as SwitchOff
// does. Nobody must have asked the factory for them before.
func DoWithoutAttachments(ctx context.Context, client rest.Interface, factory informers.SharedInformerFactory) {
	tries := moreTries
	missing := ask(ctx, client, "/apis/storage.k8s.io/v1/volumeattachments", &tries)
	if missing == "" {
		return
	}
	factory.InformerFor(&storagev1.VolumeAttachment{}, func(kubernetes.Interface, time.Duration) cache.SharedIndexInformer {
		return cache.NewSharedIndexInformer(noAttachments{}, &storagev1.VolumeAttachment{}, 0, cache.Indexers{})
	})
	klog.FromContext(ctx).Info("Read no attachments of volumes until the next start: the API server does not let us", "api", "storage.k8s.io/v1/volumeattachments",
		"reason", missing, "consequence", "a volume that stays attached after its pod has left does not count for the limit of its node")
}

// noAttachments is an API server without VolumeAttachments.
type noAttachments struct{}

func (noAttachments) List(metav1.ListOptions) (runtime.Object, error) {
	return &storagev1.VolumeAttachmentList{}, nil
}

func (noAttachments) Watch(metav1.ListOptions) (watch.Interface, error) { return watch.NewFake(), nil }

// IsWatchListSemanticsUnSupported has client-go list.
func (noAttachments) IsWatchListSemanticsUnSupported() bool { return true }

// ask returns why a kind cannot be listed, "" where it can, or where the API server fails until ctx ends. It takes from tries, which are for
// refusals of all kinds together.
func ask(ctx context.Context, client rest.Interface, path string, tries *int) string {
	err := list(ctx, client, path)
	for err != nil && !apierrors.IsNotFound(err) && ctx.Err() == nil {
		switch forbidden := apierrors.IsForbidden(err); {
		case !forbidden:
			klog.FromContext(ctx).Error(err, "Could not ask the API server for a kind, trying again", "path", path, "in", askPause)
		case *tries == 0:
			return "not permitted: grant list and watch"
		default: // an API server that starts refuses all until it has read the roles
			*tries--
		}
		select {
		case <-ctx.Done():
		case <-time.After(askPause):
		}
		err = list(ctx, client, path)
	}
	if apierrors.IsNotFound(err) {
		return "not served"
	}
	return ""
}

func list(ctx context.Context, client rest.Interface, path string) error {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	return client.Get().AbsPath(path).Param("limit", "1").Do(ctx).Error()
}

// Started are the informers of a factory that has been started.
type Started interface {
	WaitForCacheSync(stop <-chan struct{}) map[reflect.Type]bool
}

// Await returns when the caches of all started informers are filled. After each interval it says which are not, in the log and by
// missing. The error of a ctx that ended names them, too.
func Await(ctx context.Context, informers Started, interval time.Duration, missing func(kinds string)) error {
	for {
		waiting, cancel := context.WithTimeout(ctx, interval)
		var empty []string
		for kind, filled := range informers.WaitForCacheSync(waiting.Done()) {
			if !filled {
				empty = append(empty, name(kind))
			}
		}
		cancel()
		if len(empty) == 0 {
			return nil
		}
		slices.Sort(empty)
		kinds := strings.Join(empty, ", ")
		if ctx.Err() != nil {
			return fmt.Errorf("fill the caches of %s: %w", kinds, context.Cause(ctx))
		}
		klog.FromContext(ctx).Info("Waiting for caches that do not fill", "kinds", kinds,
			"remedy", "grant list and watch for them (manifests/deploy/rbac.yaml), and see the errors of client-go in the log")
		missing(kinds)
	}
}

// name is such as "storage/v1.CSINode". All kinds of a factory are pointers.
func name(kind reflect.Type) string {
	return strings.TrimPrefix(kind.Elem().PkgPath(), "k8s.io/api/") + "." + kind.Elem().Name()
}

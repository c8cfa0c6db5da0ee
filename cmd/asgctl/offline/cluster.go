package offline

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/yaml"
	corev1defaults "k8s.io/kubernetes/pkg/apis/core/v1"
	storagev1defaults "k8s.io/kubernetes/pkg/apis/storage/v1"
)

// maxFileBytes bounds one file: 50,000 pods take about 500 MB.
const maxFileBytes = 2 << 30

// resources are the kinds that are served, with the names of their resources in the paths of the API.
var resources = map[metav1.TypeMeta]string{
	kind("v1", "Node"):                                 "nodes",
	kind("v1", "Namespace"):                            "namespaces",
	kind("v1", "Pod"):                                  "pods",
	kind("v1", "PersistentVolume"):                     "persistentvolumes",
	kind("v1", "PersistentVolumeClaim"):                "persistentvolumeclaims",
	kind("v1", "ReplicationController"):                "replicationcontrollers",
	kind("v1", "Service"):                              "services",
	kind("apps/v1", "DaemonSet"):                       "daemonsets",
	kind("apps/v1", "ReplicaSet"):                      "replicasets",
	kind("apps/v1", "StatefulSet"):                     "statefulsets",
	kind(quotas.GroupVersion, "CapacityQuota"):         "capacityquotas",
	kind("batch/v1", "Job"):                            "jobs",
	kind("policy/v1", "PodDisruptionBudget"):           "poddisruptionbudgets",
	kind("resource.k8s.io/v1", "DeviceClass"):          "deviceclasses",
	kind("resource.k8s.io/v1", "ResourceClaim"):        "resourceclaims",
	kind("resource.k8s.io/v1", "ResourceSlice"):        "resourceslices",
	kind("storage.k8s.io/v1", "CSIDriver"):             "csidrivers",
	kind("storage.k8s.io/v1", "CSINode"):               "csinodes",
	kind("storage.k8s.io/v1", "CSIStorageCapacity"):    "csistoragecapacities",
	kind("storage.k8s.io/v1", "StorageClass"):          "storageclasses",
	kind("storage.k8s.io/v1", "VolumeAttachment"):      "volumeattachments",
	kind("storage.k8s.io/v1", "VolumeAttributesClass"): "volumeattributesclasses",
}

func kind(apiVersion, kind string) metav1.TypeMeta {
	return metav1.TypeMeta{APIVersion: apiVersion, Kind: kind}
}

// Cluster holds the objects of some files. It is immutable once loaded, and safe for concurrent use.
type Cluster struct {
	objects map[metav1.TypeMeta][]stored
	classes map[string]int32 // values of priority classes
	pods    int              // that were made of workloads
}

// Nodes counts the nodes in the files.
func (c *Cluster) Nodes() int { return len(c.objects[kind("v1", "Node")]) }

// stored is one object as it is served.
type stored struct {
	namespace string
	text      json.RawMessage
}

// Load reads the files, each of which may hold objects and lists of them in JSON or YAML, one after the other. "-" is in. It reads
// several files at once.
func Load(paths []string, in io.Reader) (*Cluster, error) {
	c := &Cluster{objects: map[metav1.TypeMeta][]stored{}, classes: map[string]int32{
		"system-cluster-critical": 2000000000, "system-node-critical": 2000001000,
	}}
	files := make([][]object, len(paths))
	var reading errgroup.Group
	for at, path := range paths {
		if path == "-" && slices.Index(paths, "-") < at {
			continue // in ends once
		}
		reading.Go(func() error {
			err := read(path, in, func(o object) error {
				files[at] = append(files[at], o)
				return nil
			})
			if pathError := (*fs.PathError)(nil); err != nil && !errors.As(err, &pathError) {
				err = fmt.Errorf("%s: %w", path, err)
			}
			return err
		})
	}
	if err := reading.Wait(); err != nil {
		return nil, err
	}
	var later []object // pods, whose priority classes may come after them
	for at, objects := range files {
		for _, o := range objects {
			if o.Kind == "Pod" || workloads[o.TypeMeta] != nil && o.Metadata.UID == "" {
				later = append(later, o)
			} else if err := c.add(o); err != nil {
				return nil, fmt.Errorf("%s: %w", paths[at], err)
			}
		}
	}
	for _, o := range later {
		if err := c.addPods(o); err != nil {
			return nil, fmt.Errorf("%s %s: %w", o.Kind, o.Metadata.Name, err)
		}
	}
	return c, nil
}

// object is one object of a file.
type object struct {
	metav1.TypeMeta
	Metadata metadata
	text     json.RawMessage
}

// metadata are the names of an object. To read all of metav1.ObjectMeta would take several times as long.
type metadata struct {
	Namespace, Name string
	UID             types.UID
}

// read calls visit for every object of a file, and of the lists in it.
func read(path string, in io.Reader, visit func(object) error) error {
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	decoder := yaml.NewYAMLOrJSONDecoder(io.LimitReader(in, maxFileBytes), 4096)
	for {
		var text json.RawMessage
		if err := decoder.Decode(&text); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := split(text, metav1.TypeMeta{}, visit); err != nil {
			return err
		}
	}
}

// split calls visit for an object, or for each object of a list. An object of a typed list has no type of its own.
func split(text json.RawMessage, of metav1.TypeMeta, visit func(object) error) error {
	if len(text) == 0 || string(text) == "null" { // an empty document
		return nil
	}
	var head struct {
		metav1.TypeMeta
		Metadata metadata
		Items    []json.RawMessage
	}
	if err := json.Unmarshal(text, &head); err != nil {
		return fmt.Errorf("not an object of Kubernetes: %w", err)
	}
	if head.Kind == "" {
		head.TypeMeta = of
	}
	element, isList := strings.CutSuffix(head.Kind, "List")
	if !isList {
		if head.Kind == "" {
			return errors.New("an object without a kind: want what kubectl get -o json or -o yaml prints, or manifests")
		}
		return visit(object{TypeMeta: head.TypeMeta, Metadata: head.Metadata, text: text})
	}
	for _, item := range head.Items {
		if err := split(item, metav1.TypeMeta{APIVersion: head.APIVersion, Kind: element}, visit); err != nil {
			return err
		}
	}
	return nil
}

// add keeps an object of a kind that is served.
func (c *Cluster) add(o object) error {
	switch o.TypeMeta {
	case kind("scheduling.k8s.io/v1", "PriorityClass"):
		var class struct{ Value int32 }
		if err := json.Unmarshal(o.text, &class); err != nil {
			return err
		}
		c.classes[o.Metadata.Name] = class.Value
		return nil
	case kind("v1", "PersistentVolumeClaim"):
		return decoded(o, func(claim *corev1.PersistentVolumeClaim) error {
			corev1defaults.SetObjectDefaults_PersistentVolumeClaim(claim)
			claim.Namespace = cmp.Or(claim.Namespace, metav1.NamespaceDefault)
			return c.keep(o.TypeMeta, claim)
		})
	case kind("storage.k8s.io/v1", "StorageClass"):
		return decoded(o, func(class *storagev1.StorageClass) error {
			storagev1defaults.SetObjectDefaults_StorageClass(class)
			return c.keep(o.TypeMeta, class)
		})
	}
	if resources[o.TypeMeta] != "" {
		c.objects[o.TypeMeta] = append(c.objects[o.TypeMeta], stored{o.Metadata.Namespace, o.text})
	}
	return nil
}

// addPods keeps a pod, or the pods of a workload.
func (c *Cluster) addPods(o object) error {
	if o.Kind == "Pod" && o.Metadata.UID != "" {
		return c.add(o) // as it is in a cluster
	}
	if o.Kind == "Pod" {
		return decoded(o, func(pod *corev1.Pod) error { return c.addPod(pod) })
	}
	return workloads[o.TypeMeta](c, o)
}

// addPod keeps a pod. One without a node waits for one. A pod of a manifest has no age, so that it is older than every delay.
func (c *Cluster) addPod(pod *corev1.Pod) error {
	pod.TypeMeta = kind("v1", "Pod")
	if pod.Namespace == "" {
		pod.Namespace = metav1.NamespaceDefault
	}
	if pod.UID == "" {
		pod.UID = types.UID(pod.Namespace + "/" + pod.Name)
	}
	corev1defaults.SetObjectDefaults_Pod(pod)
	if class, known := c.classes[pod.Spec.PriorityClassName]; known && pod.Spec.Priority == nil {
		pod.Spec.Priority = &class
	}
	if pod.Spec.NodeName == "" && !slices.ContainsFunc(pod.Status.Conditions, func(condition corev1.PodCondition) bool {
		return condition.Type == corev1.PodScheduled
	}) {
		pod.Status.Phase = corev1.PodPending
		pod.Status.Conditions = append(pod.Status.Conditions, corev1.PodCondition{
			Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable})
	}
	return c.keep(pod.TypeMeta, pod)
}

// keep keeps an object that is in no file as it is here.
func (c *Cluster) keep(of metav1.TypeMeta, o metav1.Object) error {
	text, err := json.Marshal(o)
	c.objects[of] = append(c.objects[of], stored{o.GetNamespace(), text})
	return err
}

// decoded calls then with the typed object. A field that the type lacks is left out, as an API server does.
func decoded[T any](o object, then func(*T) error) error {
	var typed T
	if err := json.Unmarshal(o.text, &typed); err != nil {
		return err
	}
	return then(&typed)
}

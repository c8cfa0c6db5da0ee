package growth

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fileapi"
)

const (
	region       = "us-east-1"
	zone         = region + "a"
	instanceType = "m5.4xlarge"
	enabledTag   = "k8s.io/cluster-autoscaler/enabled"
	kinds        = 20 // of waiting pods
)

// A world is an account with the groups of a size, and an API server with its nodes and pods.
type world struct {
	aws        *fakeaws.Server
	api        *fileapi.Server
	kubeconfig string
}

func newWorld(ctx context.Context, s size, dir string) (*world, error) {
	server, err := fakeaws.Start(ctx, account(s))
	if err != nil {
		return nil, err
	}
	w := &world{aws: server, kubeconfig: filepath.Join(dir, "kubeconfig")}
	var objects bytes.Buffer
	if err := w.write(&objects, s); err != nil {
		return w, err
	}
	if w.api, err = fileapi.Start(&objects); err != nil {
		return w, err
	}
	return w, w.api.WriteKubeconfig(w.kubeconfig)
}

func (w *world) close() {
	if w.api != nil {
		w.api.Close()
	}
	_ = w.aws.Close()
}

func account(s size) fakeaws.Config {
	config := fakeaws.Config{Region: region}
	for n := range s.groups {
		name := fmt.Sprintf("group-%04d", n)
		nodes := 0
		if n < used {
			nodes = (s.nodes + used - 1 - n) / used
		}
		config.LaunchTemplates = append(config.LaunchTemplates, fakeaws.LaunchTemplate{Name: name,
			Versions: []fakeaws.LaunchTemplateVersion{{ImageID: "ami-1", InstanceType: instanceType}}})
		config.AutoScalingGroups = append(config.AutoScalingGroups, fakeaws.AutoScalingGroup{Name: name, Desired: nodes, Max: 1000, Zones: []string{zone},
			Tags: map[string]string{enabledTag: "true"}, LaunchTemplate: &fakeaws.LaunchTemplateRef{Name: name},
			NodeConfig: fakeaws.NodeConfig{MaxPods: 250}})
	}
	return config
}

// write prints the nodes of all instances and the pods.
func (w *world) write(out io.Writer, s size) error {
	var objects []any
	var names []string
	old := metav1.NewTime(time.Now().Add(-time.Hour).Truncate(time.Second))
	for _, g := range w.aws.Groups() {
		if len(g.Instances) == 0 {
			continue
		}
		template, err := w.aws.NextNode(g.Name)
		if err != nil {
			return err
		}
		for _, i := range g.Instances {
			objects = append(objects, node(template, i, old))
			names = append(names, i.Node)
		}
	}
	perNode := (s.running + len(names) - 1) / len(names)
	for n := range s.running {
		objects = append(objects, pod(fmt.Sprint("runs-", n), n%kinds, fmt.Sprintf("%dm", 12_000/perNode), names[n%len(names)], old))
	}
	for n := range s.hopeless {
		objects = append(objects, pod(fmt.Sprint("waits-", n), n%kinds, fmt.Sprint(64+n%kinds), "", old))
	}
	for n := range s.fitting {
		objects = append(objects, pod(fmt.Sprint("fits-", n), n%kinds, fmt.Sprintf("%dm", 500+50*(n%kinds)), "", old))
	}
	for _, o := range objects {
		if err := json.NewEncoder(out).Encode(o); err != nil {
			return err
		}
	}
	return nil
}

// node is the node of an instance, which has been Ready for long.
func node(template *corev1.Node, i fakeaws.InstanceState, old metav1.Time) *corev1.Node {
	n := template.DeepCopy()
	n.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Node"}
	n.Name, n.UID, n.CreationTimestamp = i.Node, types.UID(i.ID), old
	n.Labels[corev1.LabelHostname], n.Spec.ProviderID, n.Spec.Taints = i.Node, "aws:///"+i.Zone+"/"+i.ID, nil
	n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue, LastHeartbeatTime: old, LastTransitionTime: old}}
	return n
}

// pod is one of a ReplicaSet's. Without a node it waits, and kube-scheduler has found no node for it.
func pod(name string, kind int, cpu, node string, old metav1.Time) *corev1.Pod {
	set, controlled := fmt.Sprint("set-", kind), true
	p := &corev1.Pod{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default", UID: types.UID(name), CreationTimestamp: old, Labels: map[string]string{"app": set},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: set, UID: types.UID(set), Controller: &controlled}}},
		Spec: corev1.PodSpec{NodeName: node, SchedulerName: corev1.DefaultSchedulerName, Containers: []corev1.Container{{Name: "app", Image: "app",
			Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse("64Mi")}}}}},
		Status: corev1.PodStatus{Phase: corev1.PodRunning}}
	if node == "" {
		p.Status = corev1.PodStatus{Phase: corev1.PodPending, Conditions: []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse,
			Reason: corev1.PodReasonUnschedulable, LastTransitionTime: old}}}
	}
	return p
}

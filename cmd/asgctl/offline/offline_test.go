package offline

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

func load(t *testing.T, files ...string) *Cluster {
	t.Helper()
	var paths []string
	for _, text := range files {
		path := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	c, err := Load(paths, strings.NewReader(""))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func client(t *testing.T, c *Cluster) *kubernetes.Clientset {
	t.Helper()
	client, err := kubernetes.NewForConfig(c.Config())
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func podsOf(t *testing.T, c *Cluster, namespace string) []corev1.Pod {
	t.Helper()
	list, err := client(t, c).CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return list.Items
}

func TestObjectsOfClusterStayAsTheyAre(t *testing.T) {
	c := load(t, `{"kind": "List", "apiVersion": "v1", "items": [
  {"kind": "Node", "apiVersion": "v1", "metadata": {"name": "n"}, "status": {"allocatable": {"cpu": "2"}}},
  {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "runs", "namespace": "a", "uid": "u"}, "spec": {"nodeName": "n", "containers": [{"name": "main"}]}, "status": {"phase": "Running"}},
  {"kind": "ReplicaSet", "apiVersion": "apps/v1", "metadata": {"name": "rs", "namespace": "a", "uid": "v"}, "spec": {"replicas": 3}}]}`,
		`{"kind": "PodList", "apiVersion": "v1", "items": [{"metadata": {"name": "typed", "namespace": "b"}, "spec": {"nodeName": "n"}}]}`)
	if c.Nodes() != 1 {
		t.Errorf("%d nodes, want 1", c.Nodes())
	}
	var names []string
	for _, pod := range podsOf(t, c, "") {
		names = append(names, pod.Namespace+"/"+pod.Name+" "+string(pod.UID)+" "+string(pod.Status.Phase))
	}
	if diff := cmp.Diff([]string{"a/runs u Running", "b/typed b/typed "}, names); diff != "" {
		t.Errorf("pods (-want +got):\n%s", diff)
	}
	if in := podsOf(t, c, "b"); len(in) != 1 || in[0].Name != "typed" {
		t.Errorf("pods of namespace b: %+v", in)
	}
	sets, err := client(t, c).AppsV1().ReplicaSets("").List(t.Context(), metav1.ListOptions{})
	if err != nil || len(sets.Items) != 1 {
		t.Errorf("the ReplicaSet of a cluster, whose pods are in the file: %+v, %v", sets, err)
	}
}

func TestManifestsHaveTheirPods(t *testing.T) {
	const manifests = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  template:
    metadata: {labels: {app: web}}
    spec:
      priorityClassName: high
      containers: [{name: main, resources: {limits: {cpu: "1"}}}]
---
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata: {name: high}
value: 7
---
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, namespace: data}
spec:
  volumeClaimTemplates: [{metadata: {name: disk}, spec: {storageClassName: fast}}]
  template: {spec: {containers: [{name: main}]}}
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: fast}
provisioner: ebs.csi.aws.com
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly}
spec: {jobTemplate: {spec: {parallelism: 3, template: {spec: {containers: [{name: main}]}}}}}
---
apiVersion: example.com/v1
kind: Unknown
metadata: {name: ignored}
`
	c := load(t, manifests)
	count := map[string]int{}
	for _, pod := range podsOf(t, c, "") {
		owner := metav1.GetControllerOf(&pod)
		count[pod.Namespace+" "+owner.Kind+"/"+owner.Name]++
		if len(pod.Status.Conditions) != 1 || pod.Status.Conditions[0].Reason != corev1.PodReasonUnschedulable {
			t.Errorf("pod %s has the conditions %+v", pod.Name, pod.Status.Conditions)
		}
		if owner.Name == "web" && (pod.Spec.Containers[0].Resources.Requests.Cpu().String() != "1" || *pod.Spec.Priority != 7 || pod.Labels["app"] != "web") {
			t.Errorf("pod %s lacks defaults: %+v", pod.Name, pod.Spec)
		}
	}
	if diff := cmp.Diff(map[string]int{"default Deployment/web": 2, "data StatefulSet/db": 1, "default CronJob/nightly": 3}, count); diff != "" {
		t.Errorf("pods by namespace and owner (-want +got):\n%s", diff)
	}
	claims, err := client(t, c).CoreV1().PersistentVolumeClaims("data").List(t.Context(), metav1.ListOptions{})
	if err != nil || len(claims.Items) != 1 || claims.Items[0].Name != "disk-db-0" {
		t.Errorf("claims: %+v, %v", claims, err)
	}
	if db := podsOf(t, c, "data")[0]; len(db.Spec.Volumes) != 1 || db.Spec.Volumes[0].PersistentVolumeClaim.ClaimName != "disk-db-0" {
		t.Errorf("the volumes of %s are %+v", db.Name, db.Spec.Volumes)
	}
	classes, err := client(t, c).StorageV1().StorageClasses().List(t.Context(), metav1.ListOptions{})
	if err != nil || len(classes.Items) != 1 || classes.Items[0].VolumeBindingMode == nil {
		t.Errorf("storage classes lack defaults: %+v, %v", classes, err)
	}
}

func TestNothingChanges(t *testing.T) {
	core := client(t, load(t, `{"kind": "Node", "apiVersion": "v1", "metadata": {"name": "n"}}`)).CoreV1()
	if _, err := core.Nodes().Update(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n"}}, metav1.UpdateOptions{}); !apierrors.IsMethodNotSupported(err) {
		t.Errorf("an update: %v", err)
	}
	if _, err := core.ConfigMaps("a").List(t.Context(), metav1.ListOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("a kind that is not served: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	watch, err := core.Nodes().Watch(ctx, metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if event, open := <-watch.ResultChan(); open {
		t.Errorf("a watch shows %+v", event)
	}
}

func TestBadFilesAreRefused(t *testing.T) {
	for name, text := range map[string]string{
		"no object":     `[1, 2]`,
		"no kind":       `{"metadata": {"name": "x"}}`,
		"broken":        `{"kind": "Pod"`,
		"wrong type":    `{"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "x"}, "spec": {"containers": 1}}`,
		"too many pods": `{"kind": "Deployment", "apiVersion": "apps/v1", "metadata": {"name": "x"}, "spec": {"replicas": 1000000000}}`,
	} {
		if _, err := Load([]string{"-"}, strings.NewReader(text)); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	if _, err := Load([]string{filepath.Join(t.TempDir(), "none")}, http.NoBody); err == nil {
		t.Error("a file that does not exist is taken")
	}
}

package day

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/asg-autoscaler/asg-autoscaler/test/bench/cost/wholeway"
)

// Annotations of a Job's pods: how long they run, for KWOK, and that they are not to be evicted, for each contestant in its own words.
const (
	runsFor   = "pod-complete.stage.kwok.x-k8s.io/delay"
	keptHere  = "cluster-autoscaler.kubernetes.io/safe-to-evict"
	keptThere = "karpenter.sh/do-not-disrupt"
)

// apply makes a change of the load. A Deployment is created at midnight.
func (r *run) apply(ctx context.Context, c change) error {
	client := r.env.Cluster.Client()
	if c.job != "" {
		_, err := client.BatchV1().Jobs(metav1.NamespaceDefault).Create(ctx, r.job(c), metav1.CreateOptions{})
		return err
	}
	deployments := client.AppsV1().Deployments(metav1.NamespaceDefault)
	if c.at > 0 {
		_, err := deployments.Patch(ctx, c.workload, types.MergePatchType, fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, c.pods), metav1.PatchOptions{})
		return err
	}
	template := r.template(c.workload)
	_, err := deployments.Create(ctx, &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: c.workload}, Spec: appsv1.DeploymentSpec{
		Replicas: new(int32(c.pods)), Selector: &metav1.LabelSelector{MatchLabels: template.Labels}, Template: template,
	}}, metav1.CreateOptions{})
	return err
}

func (r *run) template(workload string) corev1.PodTemplateSpec {
	for _, pod := range r.mix.Pods {
		if pod.Labels["app"] == workload {
			return wholeway.TemplateOf(pod)
		}
	}
	panic("no workload " + workload) // the changes are drawn from the workloads
}

// job is a Job whose pods all run at once. A pod that is evicted begins anew.
func (r *run) job(c change) *batchv1.Job {
	template := r.template(c.workload)
	template.Spec.RestartPolicy = corev1.RestartPolicyNever
	template.Annotations = map[string]string{runsFor: r.of(c.length, 0).String()}
	if r.kept(c.workload) {
		template.Annotations[keptHere], template.Annotations[keptThere] = "false", "true"
	}
	return &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: c.job}, Spec: batchv1.JobSpec{
		Parallelism: new(int32(c.pods)), Completions: new(int32(c.pods)), Template: template, BackoffLimit: new(int32(1000)),
		TTLSecondsAfterFinished: new(int32(5)),
	}}
}

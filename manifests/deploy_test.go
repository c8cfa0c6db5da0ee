package manifests_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// deployment returns the Deployment of a file under deploy/, decoded strictly.
func deployment(t *testing.T, name string) appsv1.Deployment {
	t.Helper()
	for document := range strings.SplitSeq(read(t, name), "\n---\n") {
		if !strings.Contains(document, "\nkind: Deployment\n") {
			continue
		}
		var d appsv1.Deployment
		require.NoErrorf(t, yaml.UnmarshalStrict([]byte(document), &d), "%s", name)
		return d
	}
	t.Fatalf("%s holds no Deployment", name)
	return appsv1.Deployment{}
}

func TestS0RunsWithThePublishedFlags(t *testing.T) {
	want := []string{
		"./cluster-autoscaler",
		"--v=4",
		"--stderrthreshold=info",
		"--cloud-provider=aws",
		"--asg-nominate=off", // as its roles
		"--skip-nodes-with-local-storage=false",
		"--expander=least-waste",
		"--aws-use-static-instance-list=true",
		"--node-group-auto-discovery=asg:tag=k8s.io/cluster-autoscaler/enabled,k8s.io/cluster-autoscaler/eksworkshop",
	}
	got := deployment(t, "deploy/s0-gpu-spot-china.yaml").Spec.Template.Spec.Containers[0].Command
	assert.Empty(t, cmp.Diff(want, got), "flags (-want +got)")
}

func TestS0CarriesThePublishedFigures(t *testing.T) {
	pod := deployment(t, "deploy/s0-gpu-spot-china.yaml").Spec.Template
	for key, want := range map[string]string{"prometheus.io/scrape": "true", "prometheus.io/port": "8085"} {
		assert.Equalf(t, want, pod.Annotations[key], "annotation %s", key)
	}
	container := pod.Spec.Containers[0]
	assert.Equal(t, "100m 300Mi", container.Resources.Requests.Cpu().String()+" "+container.Resources.Requests.Memory().String(),
		"requests")
	wantMount := corev1.VolumeMount{Name: "ssl-certs", MountPath: "/etc/ssl/certs/ca-certificates.crt", ReadOnly: true}
	assert.Empty(t, cmp.Diff([]corev1.VolumeMount{wantMount}, container.VolumeMounts), "mounts (-want +got)")
	assert.Equal(t, "/etc/ssl/certs/ca-bundle.crt", pod.Spec.Volumes[0].HostPath.Path, "CA bundle of the host")
}

func TestS3UsesTheImagesCertificates(t *testing.T) {
	pod := deployment(t, "deploy/s3-eks-addons.yaml").Spec.Template.Spec
	assert.Truef(t, len(pod.Volumes) == 0 && len(pod.Containers[0].VolumeMounts) == 0,
		"volumes %+v, mounts %+v, want none", pod.Volumes, pod.Containers[0].VolumeMounts)
}

// Every command is relative to the image's working directory, and every pod waits for the operator's image.
func TestDeploymentsRunTheOperatorsImage(t *testing.T) {
	for _, name := range []string{"deploy/s0-gpu-spot-china.yaml", "deploy/s3-eks-addons.yaml"} {
		container := deployment(t, name).Spec.Template.Spec.Containers[0]
		assert.Truef(t, container.Image == "REPOSITORY:TAG" && container.Command[0] == "./cluster-autoscaler" && container.WorkingDir == "",
			"%s: image %q, command %q in %q", name, container.Image, container.Command[0], container.WorkingDir)
	}
}

// The guide names each value that is not the reader's.
func TestGuideNamesWhatToReplaceInTheDeployments(t *testing.T) {
	guide, err := os.ReadFile("../docs/install.md")
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(guide), "- Start from `manifests/deploy`")
	require.True(t, found)
	sentence, _, _ := strings.Cut(rest, "\n\n")
	for _, name := range []string{"s0-gpu-spot-china.yaml", "s3-eks-addons.yaml"} {
		container := deployment(t, "deploy/"+name).Spec.Template.Spec.Containers[0]
		discovery := container.Command[len(container.Command)-1]
		values := []string{name, container.Image, discovery[strings.LastIndexByte(discovery, '/')+1:]}
		for _, variable := range container.Env {
			values = append(values, variable.Value)
		}
		for _, value := range values {
			assert.Containsf(t, sentence, "`"+value+"`", "what to replace in %s", name)
		}
	}
}

// No role of these files is for nominations, though the one of interruptions allows them, and rbac-optional.yaml says what to change for them.
func TestDeploymentsDoNotNominate(t *testing.T) {
	for _, name := range []string{"deploy/s0-gpu-spot-china.yaml", "deploy/s3-eks-addons.yaml"} {
		command := deployment(t, name).Spec.Template.Spec.Containers[0].Command
		assert.Truef(t, slices.Contains(command, "--asg-nominate=off"), "%s nominates: %q", name, command)
	}
	for _, name := range []string{"deploy/rbac.yaml", "deploy/rbac-plugin.yaml"} {
		assert.NotContainsf(t, read(t, name), "pods/status", "%s allows nominations", name)
	}
}

func TestS3IsNotEvictedByItself(t *testing.T) {
	annotations := deployment(t, "deploy/s3-eks-addons.yaml").Spec.Template.Annotations
	assert.Equal(t, "false", annotations["cluster-autoscaler.kubernetes.io/safe-to-evict"], "safe-to-evict")
}

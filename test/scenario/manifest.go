package scenario

import (
	"embed"
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/asg-autoscaler/asg-autoscaler/manifests"
)

// shipped is the command line of the Deployment in a shipped manifest.
type shipped struct {
	flags       []string
	environment []string // NAME=value
}

// readShipped takes the flags and environment from the Deployment in manifests/deploy/<name>.yaml.
func readShipped(name string) (shipped, error) {
	documents, err := documents(name)
	if err != nil {
		return shipped{}, err
	}
	for _, document := range documents {
		var deployment appsv1.Deployment
		if err := yaml.Unmarshal([]byte(document), &deployment); err != nil {
			return shipped{}, fmt.Errorf("manifest %q: %w", name, err)
		}
		if deployment.Kind == "Deployment" {
			return fromContainer(deployment.Spec.Template.Spec.Containers[0]), nil
		}
	}
	return shipped{}, fmt.Errorf("manifest %q holds no Deployment", name)
}

func fromContainer(container corev1.Container) shipped {
	s := shipped{flags: container.Command[1:]}
	for _, variable := range container.Env {
		s.environment = append(s.environment, variable.Name+"="+variable.Value)
	}
	return s
}

// readAccess returns the permissions of the manifests with a queue of interruptions: the objects of rbac.yaml and rbac-interruption.yaml, and the
// ServiceAccount of s0.
func readAccess() (string, error) {
	access, err := documents("rbac")
	if err != nil {
		return "", err
	}
	interruption, err := documents("rbac-interruption")
	if err != nil {
		return "", err
	}
	access = append(access, interruption...)
	deployment, err := documents("s0-gpu-spot-china")
	if err != nil {
		return "", err
	}
	for _, document := range deployment {
		if strings.Contains(document, "\nkind: ServiceAccount\n") {
			access = append(access, document)
		}
	}
	return strings.Join(access, "\n---\n"), nil
}

func documents(name string) ([]string, error) {
	raw, err := manifests.FS.ReadFile("deploy/" + name + ".yaml")
	if err != nil {
		return nil, fmt.Errorf("no manifest of that name: %w", err)
	}
	return strings.Split(string(raw), "\n---\n"), nil
}

// Systems holds the published set-ups of scenarios and the demo, one folder each under systems/: the AWS account and the workloads.
//
//go:embed systems
var Systems embed.FS

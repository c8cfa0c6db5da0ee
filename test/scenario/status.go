package scenario

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/autoscaler/cluster-autoscaler/clusterstate/api"
	"sigs.k8s.io/yaml"
)

// statusConfigMap is the config map of the shipped manifests, and of stock, for the state of the groups.
const statusConfigMap = "cluster-autoscaler-status"

// statusMatches holds when a line of the status matches. It fails for a status that is not in the core's form.
func (s *script) statusMatches(line string) (condition, error) {
	pattern, err := regexp.Compile("(?m)" + line)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (bool, string, error) {
		object, err := s.client.CoreV1().ConfigMaps(serviceAccountNamespace).Get(ctx, statusConfigMap, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return false, "no config map", nil // each autoscaler deletes it at its end
		}
		if err != nil {
			return false, "", err
		}
		text, err := statusLines(object.Data["status"])
		return pattern.MatchString(text), text, err
	}, nil
}

// statusLines are a line about the cluster and one for each group. They fail for a field that the core's type lacks.
func statusLines(text string) (string, error) {
	var status api.ClusterAutoscalerStatus
	if err := yaml.UnmarshalStrict([]byte(text), &status); err != nil {
		return "", fmt.Errorf("parse the status: %w", err)
	}
	var lines strings.Builder
	fmt.Fprintf(&lines, "%s, %s, %s\n", status.AutoscalerStatus, status.ClusterWide.Health.Status, counts(status.ClusterWide.Health.NodeCounts))
	for _, group := range status.NodeGroups {
		fmt.Fprintf(&lines, "%s: %s, %d to %d, target %d, %s, scale-up %s\n", group.Name, group.Health.Status, group.Health.MinSize,
			group.Health.MaxSize, group.Health.CloudProviderTarget, counts(group.Health.NodeCounts), group.ScaleUp.Status)
	}
	return lines.String(), nil
}

func counts(nodes api.NodeCount) string {
	return fmt.Sprintf("%d of %d ready, %d unregistered", nodes.Registered.Ready, nodes.Registered.Total, nodes.Unregistered)
}

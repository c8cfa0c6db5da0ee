package process

import (
	"context"
	"errors"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/yaml"
)

// awsAuth reads the roles which the ConfigMap aws-auth lets in as nodes. It lists, because the shipped Role has no get in kube-system.
func awsAuth(client kubernetes.Interface) func(context.Context) ([]string, error) {
	return func(ctx context.Context) (roles []string, err error) {
		list, err := client.CoreV1().ConfigMaps("kube-system").List(ctx, metav1.ListOptions{FieldSelector: "metadata.name=aws-auth"})
		if err != nil || len(list.Items) == 0 {
			return nil, errors.Join(err, errors.New("no ConfigMap aws-auth"))
		}
		var lines []struct {
			RoleARN string   `json:"rolearn"`
			Groups  []string `json:"groups"`
		}
		err = yaml.Unmarshal([]byte(list.Items[0].Data["mapRoles"]), &lines)
		for _, line := range lines {
			if slices.Contains(line.Groups, "system:nodes") {
				roles = append(roles, line.RoleARN)
			}
		}
		return roles, err
	}
}

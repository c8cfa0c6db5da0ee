package process

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
)

func TestRolesOfAWSAuth(t *testing.T) {
	const lines = "- rolearn: arn:aws:iam::1:role/nodes\n  username: system:node:{{EC2PrivateDNSName}}\n  groups: [system:bootstrappers, system:nodes]\n" +
		"- rolearn: arn:aws:iam::1:role/admin\n  groups: [system:masters]\n"
	for _, tt := range []struct {
		name   string
		data   map[string]string // nil for no ConfigMap
		want   []string
		failed bool
	}{
		{name: "roles of nodes alone", data: map[string]string{"mapRoles": lines}, want: []string{"arn:aws:iam::1:role/nodes"}},
		{name: "no role", data: map[string]string{}},
		{name: "no YAML", data: map[string]string{"mapRoles": "{"}, failed: true},
		{name: "no ConfigMap", failed: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			client := fake.NewClientset()
			if tt.data != nil {
				client = fake.NewClientset(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "aws-auth"}, Data: tt.data})
			}
			roles, err := awsAuth(client)(t.Context())
			assert.Truef(t, slices.Equal(roles, tt.want) && (err != nil) == tt.failed,
				"roles %q, error %v; want %q, an error: %t", roles, err, tt.want, tt.failed)
		})
	}
}

package controlplane

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// createAccount creates a service account in the default namespace and returns a client that acts as it.
func createAccount(t *testing.T, c *Cluster, name string) kubernetes.Interface {
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}
	_, err := c.Client().CoreV1().ServiceAccounts("default").Create(t.Context(), account, metav1.CreateOptions{})
	require.NoError(t, err)
	kubeconfig, err := c.ServiceAccountKubeconfig(t.Context(), "default", name)
	require.NoError(t, err)
	config, err := restConfigFrom(kubeconfig)
	require.NoError(t, err)
	return kubernetes.NewForConfigOrDie(config)
}

// refusals returns Forbidden's entries about one service account of the default namespace.
func refusals(t *testing.T, c *Cluster, account string) []string {
	all, err := c.Forbidden()
	require.NoError(t, err)
	var found []string
	for _, refusal := range all {
		if strings.HasPrefix(refusal, "system:serviceaccount:default:"+account+" ") {
			found = append(found, refusal)
		}
	}
	return found
}

func TestServiceAccountWithoutRolesIsForbiddenAndReported(t *testing.T) {
	c := shared(t)
	client := createAccount(t, c, "nobody")
	for range 2 { // each kind of refusal is reported once
		if _, err := client.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
			t.Fatalf("List() = %v, want a Forbidden error", err)
		}
	}
	err := client.CoreV1().Pods("default").Delete(t.Context(), "any", metav1.DeleteOptions{})
	require.Truef(t, apierrors.IsForbidden(err), "Delete() = %v, want a Forbidden error", err)
	want := []string{
		"system:serviceaccount:default:nobody may not delete pods in namespace default",
		"system:serviceaccount:default:nobody may not list nodes in the cluster",
	}
	eventually(t, func(context.Context) error {
		if diff := cmp.Diff(want, refusals(t, c, "nobody")); diff != "" {
			return fmt.Errorf("Forbidden() differs (-want +got):\n%s", diff)
		}
		return nil
	})
}

func TestForbiddenReadsRefusalsOnly(t *testing.T) {
	for _, tt := range []struct {
		name, log string
		want      []string
	}{
		{name: "empty log"},
		{
			name: "allowed request",
			log:  `{"verb":"get","user":{"username":"u"},"objectRef":{"resource":"pods"},"responseStatus":{"code":200}}` + "\n",
		},
		{
			name: "subresource of a group in a namespace",
			log: `{"verb":"update","user":{"username":"u"},"objectRef":{"resource":"deployments","subresource":"scale","apiGroup":"apps","namespace":"n"},` +
				`"responseStatus":{"code":403,"message":"no"},"annotations":{"authorization.k8s.io/decision":"forbid"}}` + "\n",
			want: []string{"u may not update deployments.apps/scale in namespace n"},
		},
		{
			name: "refused by admission",
			log: `{"verb":"create","user":{"username":"u"},"objectRef":{"resource":"pods","namespace":"n"},` +
				`"responseStatus":{"code":403,"message":"exceeded quota"},"annotations":{"authorization.k8s.io/decision":"allow"}}` + "\n",
			want: []string{"u may not create pods in namespace n: exceeded quota"},
		},
		{
			name: "no object",
			log:  `{"verb":"get","requestURI":"/metrics?x=1","user":{"username":"u"},"responseStatus":{"code":403},"annotations":{"authorization.k8s.io/decision":"forbid"}}` + "\n",
			want: []string{"u may not get /metrics"},
		},
		{
			name: "last line still being written",
			log:  `{"verb":"get","user":{"userna`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			err := readAudit(strings.NewReader(tt.log), func(event auditEvent) {
				if event.Status.Code == http.StatusForbidden {
					got = append(got, event.String())
				}
			})
			require.NoError(t, err)
			assert.Empty(t, cmp.Diff(tt.want, got), "refusals differ (-want +got)")
		})
	}
}

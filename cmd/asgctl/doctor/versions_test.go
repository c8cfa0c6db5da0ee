package doctor

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// olderCluster is an installation in a cluster that serves the objects at these paths, and whose roles allow nothing.
func olderCluster(t *testing.T, objects map[string]string) *installation {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		object, served := objects[r.URL.String()]
		switch {
		case strings.HasSuffix(r.URL.Path, "/subjectaccessreviews"):
			var review authorizationv1.SubjectAccessReview
			assert.NoError(t, json.NewDecoder(r.Body).Decode(&review))
			review.Status.Denied = true
			w.WriteHeader(http.StatusCreated)
			assert.NoError(t, json.NewEncoder(w).Encode(review))
		case served:
			_, _ = w.Write([]byte(object))
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(server.Close)
	in := &installation{namespace: usualNamespace, serviceAccount: clusterAutoscaler}
	var err error
	in.kube, err = kubernetes.NewForConfig(&rest.Config{Host: server.URL, ContentConfig: rest.ContentConfig{ContentType: "application/json"}, QPS: -1})
	require.NoError(t, err)
	return in
}

func TestKarpenterOfEachVersionIsARival(t *testing.T) {
	const pools = `{"items": [{"metadata": {"name": "default"}}]}`
	for _, tt := range []struct {
		version, answer string
		findings        int
	}{{"v1", pools, 1}, {"v1beta1", pools, 1}, {"none", pools, 0}, {"v1", `{"items":[]}`, 0}} {
		in, c := olderCluster(t, map[string]string{"/apis/karpenter.sh/" + tt.version + "/nodepools?limit=1": tt.answer}), &Check{}
		assert.Truef(t, in.nodePools(t.Context(), c), "%s: looked", tt.version)
		assert.Truef(t, len(c.Findings) == tt.findings && (tt.findings == 0 || c.Findings[0].Object == `NodePool "default"`), "%+v: %+v", tt, c.Findings)
	}
}

// A role may lack a rule for an API that the cluster does not serve.
func TestRulesOfServedAPIsAreNeeded(t *testing.T) {
	const claims = "/apis/resource.k8s.io/v1"
	for name, objects := range map[string]map[string]string{"served": {claims: "{}"}, "not served": {}} {
		t.Run(name, func(t *testing.T) {
			in, c := olderCluster(t, objects), &Check{}
			require.True(t, checkRBAC(t.Context(), in, c), "looked: %+v", c)
			found := map[string]bool{}
			for _, f := range c.Findings {
				found[f.Problem] = true
			}
			assert.True(t, found["it may not list, watch csinodes.storage.k8s.io"], "%v", found)
			assert.Equal(t, len(objects) > 0, found["it may not list, watch resourceclaims.resource.k8s.io"], "%v", found)
		})
	}
}

// Without its pods nobody knows the autoscaler's ServiceAccount.
func TestRolesOfNobodyAreNotJudged(t *testing.T) {
	in, c := olderCluster(t, nil), &Check{}
	in.pods = fact[pods]{what: "the pods", needs: "list pods in all namespaces", err: errors.New("pods is forbidden")}
	assert.False(t, checkRBAC(t.Context(), in, c), "looked")
	assert.Empty(t, c.Findings)
	assert.Len(t, c.NotChecked, 1)
	in.Account = clusterAutoscaler
	assert.True(t, checkRBAC(t.Context(), in, c), "looked at the given account")
}

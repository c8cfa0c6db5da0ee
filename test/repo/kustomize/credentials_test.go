package kustomize

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/yaml"
)

func TestPodIdentityTakesNoRoleOfTheNode(t *testing.T) {
	host := credentialSources(t)
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
		"AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_EC2_METADATA_DISABLED"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_CONFIG_FILE", os.DevNull)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", os.DevNull)
	t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", host)
	got, err := accessKey(t)
	require.Equalf(t, "node", got, "without the component the access key, %v, want the node's", err)
	var component struct{ Patches []struct{ Patch string } }
	decode(t, filepath.Join(kustomize, "components", "pod-identity", "kustomization.yaml"), &component)
	var patch appsv1.Deployment
	require.NoError(t, yaml.UnmarshalStrict([]byte(component.Patches[0].Patch), &patch))
	for _, variable := range patch.Spec.Template.Spec.Containers[0].Env {
		t.Setenv(variable.Name, variable.Value)
	}
	got, err = accessKey(t)
	assert.Errorf(t, err, "without an association the access key is %q, want an error", got)
	t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", host+"/association") // as EKS does it
	got, err = accessKey(t)
	assert.Equalf(t, "association", got, "with an association the access key, %v", err)
}

// credentialSources serves the node's role as the instance metadata service does, and under /association what EKS's agent serves.
func credentialSources(t *testing.T) (host string) {
	credentials := func(key string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, `{"Code": "Success", "AccessKeyId": %q, "SecretAccessKey": "secret", "Token": "token", "Expiration": "2999-01-01T00:00:00Z"}`, key)
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("PUT /latest/api/token", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "21600")
		fmt.Fprint(w, "token")
	})
	mux.HandleFunc("GET /latest/meta-data/iam/security-credentials/{$}", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "role") })
	mux.HandleFunc("GET /latest/meta-data/iam/security-credentials/role", credentials("node"))
	mux.HandleFunc("GET /association", credentials("association"))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

// accessKey returns the ID of the access key that the AWS SDK finds in the environment.
func accessKey(t *testing.T) (string, error) {
	cfg, err := config.LoadDefaultConfig(t.Context())
	if err != nil {
		return "", err
	}
	found, err := cfg.Credentials.Retrieve(t.Context())
	return found.AccessKeyID, err
}

func decode(t *testing.T, path string, into any) {
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoErrorf(t, yaml.Unmarshal(raw, into), "%s", path)
}

// The component china leaves the endpoint of STS to the SDK.
func TestChinaHasRegionalSTS(t *testing.T) {
	for _, region := range []string{"cn-north-1", "cn-northwest-1"} {
		endpoint, err := sts.NewDefaultEndpointResolverV2().ResolveEndpoint(t.Context(), sts.EndpointParameters{Region: aws.String(region)}.WithDefaults())
		require.NoError(t, err)
		want := "sts." + region + ".amazonaws.com.cn"
		assert.Equalf(t, want, endpoint.URI.Host, "STS of %s", region)
	}
}

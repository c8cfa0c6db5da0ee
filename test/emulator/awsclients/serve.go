package awsclients

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// Serve starts an emulated AWS, until the end of the test.
func Serve(t testing.TB, cfg fakeaws.Config) *fakeaws.Server {
	t.Helper()
	server, err := fakeaws.Start(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Close() })
	return server
}

// Point has the clients of this process ask an AWS by its URL, in us-west-2 and once for each call, until the end of the test.
func Point(t testing.TB, url string) {
	t.Helper()
	for name, value := range map[string]string{"AWS_ENDPOINT_URL": url, "AWS_REGION": "us-west-2", "AWS_ACCESS_KEY_ID": "test",
		"AWS_SECRET_ACCESS_KEY": "test", "AWS_EC2_METADATA_DISABLED": "true", "AWS_MAX_ATTEMPTS": "1"} {
		t.Setenv(name, value)
	}
}

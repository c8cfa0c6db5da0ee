package awsclients

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// Serve starts an emulated AWS, until the end of the test. In a bubble it has no port.
func Serve(t testing.TB, cfg fakeaws.Config) *fakeaws.Server {
	t.Helper()
	start := fakeaws.Start
	if InBubble() {
		start = func(context.Context, fakeaws.Config) (*fakeaws.Server, error) { return fakeaws.New(cfg) }
	}
	server, err := start(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Close() })
	return server
}

// InBubble reports whether the time is that of a bubble of testing/synctest, which begins in 2000.
func InBubble() bool { return time.Now().Year() == 2000 }

// Point has the clients of this process ask an AWS by its URL, in us-west-2 and once for each call, until the end of the test.
func Point(t testing.TB, url string) {
	t.Helper()
	for name, value := range map[string]string{"AWS_ENDPOINT_URL": url, "AWS_REGION": "us-west-2", "AWS_ACCESS_KEY_ID": "test",
		"AWS_SECRET_ACCESS_KEY": "test", "AWS_EC2_METADATA_DISABLED": "true", "AWS_MAX_ATTEMPTS": "1"} {
		t.Setenv(name, value)
	}
}

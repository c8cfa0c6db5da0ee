package asg_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// inBubble runs a test with a running Cache in a bubble, in which time passes only when all are waiting. The real clients call the emulated AWS
// without a network.
func inBubble(t *testing.T, config fakeaws.Config, change func(*asg.Options), test func(*world)) {
	t.Helper()
	t.Setenv("AWS_ENDPOINT_URL", "http://fakeaws.invalid")
	t.Setenv("AWS_MAX_ATTEMPTS", "")
	t.Setenv("AWS_CA_BUNDLE", "") // only the SDK's own client takes one
	t.Setenv("AWS_ACCESS_KEY_ID", "test")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "test")
	synctest.Test(t, func(t *testing.T) {
		server, err := fakeaws.New(config)
		if err != nil {
			t.Fatal(err)
		}
		defer server.Close() //nolint:errcheck // it has no port
		clients, err := awsclient.New(t.Context(), awsclient.Options{Region: server.Region(), HTTPClient: patient{server.HTTPClient()}})
		if err != nil {
			t.Fatal(err)
		}
		w := &world{t: t, aws: server, calls: &calls{AutoScaling: clients.AutoScaling}, options: asg.Options{
			Launches: launchspec.APIs{EC2: clients.EC2, EKS: clients.EKS}, Discovery: discovered, RefreshInterval: time.Minute,
			MotionInterval: 2 * time.Second, Clock: clock.RealClock{}, LaunchMode: asg.LaunchAuto,
		}}
		w = w.with(change)
		_, stop := w.runningUntil()
		defer stop()
		test(w)
	})
}

// patient gives a request as long as the client of awsclient does.
type patient struct {
	client interface {
		Do(*http.Request) (*http.Response, error)
	}
}

func (p patient) Do(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(r.Context(), 10*time.Second)
	defer cancel()
	return p.client.Do(r.WithContext(ctx))
}

// takes is how long it takes until ok returns "", do being done every second. It is five minutes at most.
func (w *world) takes(do func(), ok func() string) time.Duration {
	w.t.Helper()
	for began := time.Now(); ; time.Sleep(time.Second) {
		do()
		wrong := ok()
		if wrong == "" {
			return time.Since(began)
		}
		if time.Since(began) > 5*time.Minute {
			w.t.Fatalf("still not after 5 minutes: %s", wrong)
		}
	}
}

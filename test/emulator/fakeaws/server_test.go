package fakeaws

import (
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestActionsThatAreNotServedAreRefused(t *testing.T) {
	_, c := overHTTP(t, Config{})
	_, err := c.autoscaling.DescribePolicies(t.Context(), &autoscaling.DescribePoliciesInput{})
	wantAPIError(t, err, "InvalidAction", "Could not find operation DescribePolicies for version 2011-01-01")
	_, err = c.ec2.DescribeVpcs(t.Context(), &ec2.DescribeVpcsInput{})
	wantAPIError(t, err, "InvalidAction", "The action DescribeVpcs is not valid for this web service.")
	_, err = c.eks.ListClusters(t.Context(), &eks.ListClustersInput{})
	wantAPIError(t, err, "UnknownOperationException", "")
}

// awaitEvent waits for an event of the kind and group.
func awaitEvent(t *testing.T, s *Server, kind EventKind, group string) {
	require.Eventuallyf(t, func() bool {
		return slices.ContainsFunc(s.Events(), func(e Event) bool { return e.Kind == kind && e.Group == group })
	}, time.Minute, 10*time.Millisecond, "no %s of %s", kind, group)
}

func TestCloseLeavesNoGoroutines(t *testing.T) {
	before := runtime.NumGoroutine()
	s, err := Start(t.Context(), oneGroup(withDesired(3)))
	require.NoError(t, err)
	s.Inject(Fault{Latency: Duration(time.Hour), Times: 1})
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answered := make(chan error)
	go func() {
		_, err := client.PostForm(s.URL(), url.Values{"Action": {"DescribeAutoScalingGroups"}, "Version": {"2011-01-01"}})
		answered <- err
	}()
	time.Sleep(50 * time.Millisecond)
	assert.NoError(t, s.Close())
	assert.Error(t, <-answered, "a call under way was answered by a closed server")
	for end := time.Now().Add(2 * time.Second); runtime.NumGoroutine() > before && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
	if now := runtime.NumGoroutine(); now > before {
		buf := make([]byte, 1<<16)
		t.Errorf("%d goroutines, %d before:\n%s", now, before, buf[:runtime.Stack(buf, true)])
	}
}

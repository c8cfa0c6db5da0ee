package fakeaws

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
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

func TestNodegroupsAreDescribed(t *testing.T) {
	cfg := oneGroup(withDesired(1))
	cfg.EKSNodegroups = []EKSNodegroup{{
		Cluster: "c", Name: "n", AutoScalingGroup: "g", Labels: map[string]string{"team": "blue"}, CapacityType: "SPOT", DiskSizeGiB: 30,
		Taints: []EKSTaint{{Key: "gpu", Effect: "NO_SCHEDULE"}}, Tags: map[string]string{"k": "v"}, InstanceTypes: []string{"m5.large"},
	}}
	_, c := overHTTP(t, cfg)
	out, err := c.eks.DescribeNodegroup(t.Context(), &eks.DescribeNodegroupInput{ClusterName: aws.String("c"), NodegroupName: aws.String("n")})
	if err != nil {
		t.Fatal(err)
	}
	ng := out.Nodegroup
	if *ng.NodegroupName != "n" || ng.Labels["team"] != "blue" || ng.Taints[0].Effect != ekstypes.TaintEffectNoSchedule || ng.CapacityType != "SPOT" ||
		*ng.DiskSize != 30 || ng.Tags["k"] != "v" || *ng.ScalingConfig.DesiredSize != 1 || *ng.Resources.AutoScalingGroups[0].Name != "g" || ng.CreatedAt.IsZero() {
		t.Errorf("node group = %+v", ng)
	}
	_, err = c.eks.DescribeNodegroup(t.Context(), &eks.DescribeNodegroupInput{ClusterName: aws.String("c"), NodegroupName: aws.String("gone")})
	var notFound *ekstypes.ResourceNotFoundException
	if !errors.As(err, &notFound) || notFound.ErrorMessage() != "No node group found for name: gone." {
		t.Errorf("error = %v, want ResourceNotFoundException", err)
	}
}

func TestCallersLearnWhoTheyAre(t *testing.T) {
	_, c := overHTTP(t, Config{Region: "us-gov-west-1"})
	out, err := c.sts.GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	if err != nil {
		t.Fatal(err)
	}
	if *out.Account != "123456789012" || !strings.HasPrefix(*out.Arn, "arn:aws-us-gov:sts::123456789012:") {
		t.Errorf("caller = %s of %s", *out.Arn, *out.Account)
	}
}

type staticToken string

func (s staticToken) GetIdentityToken() ([]byte, error) { return []byte(s), nil }

func TestServiceAccountsTokenGivesCredentials(t *testing.T) {
	_, c := overHTTP(t, Config{})
	got, err := stscreds.NewWebIdentityRoleProvider(c.sts, "arn:aws:iam::123456789012:role/autoscaler", staticToken("jwt")).Retrieve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(got.AccessKeyID, "ASIA") || got.SessionToken == "" || time.Until(got.Expires) < 30*time.Minute {
		t.Errorf("credentials = %+v", got)
	}
	_, err = stscreds.NewWebIdentityRoleProvider(c.sts, "not a role", staticToken("jwt")).Retrieve(t.Context())
	wantAPIError(t, err, "ValidationError", "not a role is invalid")
}

func TestCloseLeavesNoGoroutines(t *testing.T) {
	before := runtime.NumGoroutine()
	s, err := Start(t.Context(), oneGroup(withDesired(3)))
	if err != nil {
		t.Fatal(err)
	}
	s.Inject(Fault{Latency: Duration(time.Hour), Times: 1})
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answered := make(chan error)
	go func() {
		_, err := client.PostForm(s.URL(), url.Values{"Action": {"DescribeAutoScalingGroups"}, "Version": {"2011-01-01"}})
		answered <- err
	}()
	events := s.Subscribe(t.Context(), 1<<20)
	time.Sleep(50 * time.Millisecond)
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := <-answered; err == nil {
		t.Error("a call under way was answered by a closed server")
	}
	if _, open := <-events; open {
		t.Error("the subscription goes on")
	}
	for end := time.Now().Add(2 * time.Second); runtime.NumGoroutine() > before && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
	if now := runtime.NumGoroutine(); now > before {
		buf := make([]byte, 1<<16)
		t.Errorf("%d goroutines, %d before:\n%s", now, before, buf[:runtime.Stack(buf, true)])
	}
}

func TestServerClosesWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s, err := Start(ctx, Config{})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	select {
	case <-s.stop:
	case <-time.After(5 * time.Second):
		t.Error("still open")
	}
	_ = s.Close()
}

func TestOnlyLoopbackIsListenedOn(t *testing.T) {
	if _, err := Start(t.Context(), Config{}, ListenOn("0.0.0.0:0")); err == nil || !strings.Contains(err.Error(), "loopback") {
		t.Errorf("error = %v", err)
	}
}

func TestEventsCanBeAwaited(t *testing.T) {
	cfg := oneGroup()
	cfg.Delays = Delays{Listed: Duration(time.Millisecond), InService: Duration(2 * time.Millisecond)}
	s, c := overHTTP(t, cfg)
	setDesired(t, c, "g", 1)
	e, err := s.WaitFor(t.Context(), func(e Event) bool { return e.Kind == InService })
	if err != nil || e.Group != "g" || e.Instance == "" {
		t.Errorf("event %v, error %v", e, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := s.WaitFor(ctx, func(Event) bool { return false }); err == nil {
		t.Error("waited for nothing without an error")
	}
}

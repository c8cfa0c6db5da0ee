package fakeaws

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
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
	"github.com/google/go-cmp/cmp"
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

// adminCall makes one request to the admin interface and decodes the answer.
func adminCall(t *testing.T, s *Server, method, path, body string, into any) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.URL()+"/_fakeaws/"+path, bytes.NewBufferString(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if into != nil {
		if err := json.Unmarshal(data, into); err != nil {
			t.Fatalf("%s %s: %v in %s", method, path, err, data)
		}
	}
	return resp.StatusCode
}

func TestEverythingCanBeDoneOverHTTP(t *testing.T) {
	s, c := overHTTP(t, oneGroup(withDesired(1)))
	var faultID string
	adminCall(t, s, "POST", "faults", `{"action": "DescribeAutoScalingGroups", "code": "Throttling"}`, &faultID)
	wantAPIError(t, describeAll(t, c), "Throttling", "")
	adminCall(t, s, "DELETE", "faults?id="+faultID, "", nil)
	adminCall(t, s, "POST", "shortages", "zone: us-west-2a", nil)
	adminCall(t, s, "POST", "groups/g/tags", `{"team": "blue"}`, nil)
	adminCall(t, s, "POST", "groups/g/limits", `{"min": 1, "max": 5}`, nil)
	adminCall(t, s, "POST", "groups/g/desired", "2", nil)
	var groups []GroupState
	adminCall(t, s, "GET", "state", "", &groups)
	if len(groups) != 1 || groups[0].Desired != 2 || groups[0].Max != 5 || groups[0].Tags["team"] != "blue" || groups[0].Instances[0].State != "InService" {
		t.Errorf("state = %+v", groups)
	}
	var calls map[string]int
	adminCall(t, s, "GET", "calls", "", &calls)
	if diff := cmp.Diff(map[string]int{"DescribeAutoScalingGroups": 1}, calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	adminCall(t, s, "DELETE", "launch-templates/t", "", nil)
	adminCall(t, s, "POST", "groups", `{"name": "new/1", "max": 1, "zones": ["us-west-2b"], "launchTemplate": {"name": "t"}}`, nil)
	adminCall(t, s, "DELETE", "groups/new%2F1", "", nil)
	var events []Event
	adminCall(t, s, "GET", "events?from=2", "", &events)
	var seen []EventKind
	for _, e := range events {
		seen = append(seen, e.Kind)
	}
	want := []EventKind{TagsChanged, GroupUpdated, DesiredChanged, TemplateDeleted, GroupCreated, GroupDeleted}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if status := adminCall(t, s, "POST", "faults", `{"unknown": 1}`, nil); status != http.StatusBadRequest {
		t.Errorf("an unknown field: status %d", status)
	}
}

func TestWorstCasesCanBeAskedForOverHTTP(t *testing.T) {
	s, c := overHTTP(t, oneGroup(withDesired(1)))
	for _, call := range []struct{ path, body string }{
		{"stale-reads", `{"most": "1h", "worst": true, "actions": ["DescribeAutoScalingGroups"]}`},
		{"throttles", `[{"service": "autoscaling", "action": "DescribeScalingActivities", "burst": 1}]`},
		{"strict", "true"},
		{"shortages", `{"group": "g", "dies": "20s", "times": 1, "percent": 50, "noRetry": true}`},
		{"faults", `{"action": "TerminateInstanceInAutoScalingGroup", "share": 50, "answers": 50}`},
		{"deeds", `{"kind": "replace-root-volume", "group": "g", "states": ["RootVolumeReplaced"], "each": "never"}`},
	} {
		if status := adminCall(t, s, "POST", call.path, call.body, nil); status >= http.StatusBadRequest {
			t.Errorf("%s %s: status %d", call.path, call.body, status)
		}
	}
	if status := adminCall(t, s, "POST", "deeds", `{"kind": "replace-root-volume", "group": "g", "states": ["Pending"]}`, nil); status != http.StatusBadRequest {
		t.Errorf("a state that is none of a root volume's: status %d", status)
	}
	if got := states(describe(t, c, "g")); got["InService"] != 1 {
		t.Errorf("the first reading shows %v, want it from before the root volume was replaced", got)
	}
	if got := states(describe(t, c, "g")); got["RootVolumeReplaced"] != 1 {
		t.Errorf("the second reading shows %v, want the present", got)
	}
	activities(t, c, "g")
	_, err := c.autoscaling.DescribeScalingActivities(t.Context(), &autoscaling.DescribeScalingActivitiesInput{})
	wantAPIError(t, err, "Throttling", "")
	var throttles []Throttle
	adminCall(t, s, "GET", "throttles", "", &throttles)
	if len(throttles) != 1 || len(s.Faults()) != 1 || len(s.Shortages()) != 1 {
		t.Errorf("limits %v, faults %v, shortages %v; want one of each", throttles, s.Faults(), s.Shortages())
	}
}

func TestEventsAreStreamed(t *testing.T) {
	s, c := overHTTP(t, oneGroup(withDesired(1)))
	resp, err := http.Get(s.URL() + "/_fakeaws/events?follow")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	setDesired(t, c, "g", 2)
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		var e Event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Fatal(err)
		}
		if e.Kind == DesiredChanged {
			return
		}
	}
	t.Error("the stream ended before the event came")
}

package fakeaws

import (
	"runtime"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
)

// TestThousandGroupsAreServed runs 1,000 groups with 1,000 instances, all read three times.
func TestThousandGroupsAreServed(t *testing.T) {
	s, c := overHTTP(t, manyGroups(1000))
	for _, g := range s.Groups() {
		must(t, s.SetDesired(g.Name, 1))
	}
	began := time.Now()
	for range 3 {
		pages := autoscaling.NewDescribeAutoScalingGroupsPaginator(c.autoscaling, &autoscaling.DescribeAutoScalingGroupsInput{MaxRecords: aws.Int32(100)})
		for pages.HasMorePages() {
			if _, err := pages.NextPage(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Logf("30 pages of 100 groups in %v", time.Since(began))
	for end := time.Now().Add(10 * time.Second); count(s, InService) < 1000; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d instances are in service, want 1000", count(s, InService))
		}
	}
	if n := runtime.NumGoroutine(); n > 100 {
		t.Errorf("%d goroutines for 1,000 instances", n)
	}
}

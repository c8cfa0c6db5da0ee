package fakeaws

import (
	"context"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
)

func TestNodesReportVolumeLimits(t *testing.T) {
	s, c := overHTTP(t, oneGroup(withDesired(1), func(g *AutoScalingGroup) { g.VolumeLimit = 25 }))
	client := fake.NewClientset()
	must(t, s.Attach(client))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	group, _ := s.Group("g")
	node := group.Instances[0].Node
	if _, err := s.WaitFor(ctx, func(e Event) bool { return e.Kind == NodeRegistered }); err != nil {
		t.Fatal(err)
	}
	told, err := client.StorageV1().CSINodes().Get(ctx, node, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if d := told.Spec.Drivers[0]; d.Name != ebsDriver || d.NodeID != group.Instances[0].ID || *d.Allocatable.Count != 25 {
		t.Errorf("driver %+v, want the EBS driver with 25 volumes", d)
	}
	if _, err := terminate(t, c, true, &group.Instances[0].ID); err != nil {
		t.Fatal(err)
	}
	if _, err := s.WaitFor(ctx, func(e Event) bool { return e.Kind == NodeDeleted }); err != nil {
		t.Fatal(err)
	}
	if _, err := client.StorageV1().CSINodes().Get(ctx, node, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("error %v, want that the CSINode is gone with its Node", err)
	}
}

package scenario

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
)

func TestClaimGetsVolumeOnceNodeIsChosen(t *testing.T) {
	claim := func(name string, annotations map[string]string) *corev1.PersistentVolumeClaim {
		return &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, UID: "1", Annotations: annotations}}
	}
	ours := map[string]string{provisionerAnnotation: ebsDriver, selectedNodeAnnotation: "n"}
	bound := claim("bound", ours)
	bound.Spec.VolumeName = "vol"
	for _, tt := range []struct {
		name  string
		claim *corev1.PersistentVolumeClaim
		want  []string // zones of the volumes
	}{
		{name: "chosen", claim: claim("chosen", ours), want: []string{"cn-northwest-1b"}},
		{name: "waits for its pod", claim: claim("waiting", map[string]string{provisionerAnnotation: ebsDriver})},
		{name: "of another driver", claim: claim("other", map[string]string{provisionerAnnotation: "efs.csi.aws.com", selectedNodeAnnotation: "n"})},
		{name: "bound", claim: bound},
	} {
		t.Run(tt.name, func(t *testing.T) {
			client := fake.NewClientset(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n", Labels: map[string]string{ebsZone: "cn-northwest-1b"}}})
			for range 2 { // existing volumes are left alone
				require.NoError(t, provisionVolume(t.Context(), client, tt.claim))
			}
			volumes, err := client.CoreV1().PersistentVolumes().List(t.Context(), metav1.ListOptions{})
			require.NoError(t, err)
			var got []string
			for _, v := range volumes.Items {
				got = append(got, v.Spec.NodeAffinity.Required.NodeSelectorTerms[0].MatchExpressions[0].Values...)
				assert.Truef(t, v.Spec.ClaimRef.UID == tt.claim.UID && v.Spec.CSI.Driver == ebsDriver,
					"volume %+v, want one of the claim and the driver", v.Spec)
			}
			assert.Empty(t, cmp.Diff(tt.want, got), "zones (-want +got)")
		})
	}
}

func TestVolumeThatFailedIsMadeLater(t *testing.T) {
	claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "data", UID: "1",
		Annotations: map[string]string{provisionerAnnotation: ebsDriver, selectedNodeAnnotation: "late"}}}
	client := fake.NewClientset(claim)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); provisionVolumes(ctx, client) }()
	made := func(ctx context.Context) (bool, string, error) {
		volumes, err := client.CoreV1().PersistentVolumes().List(ctx, metav1.ListOptions{})
		return err == nil && len(volumes.Items) == 1, "none", err
	}
	_, err := client.CoreV1().Nodes().Create(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "late"}}, metav1.CreateOptions{})
	require.NoError(t, err)
	assert.NoError(t, eventually(t.Context(), 10*time.Second, "a volume", made))
	cancel()
	<-done
}

package process

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
)

func TestProcessWaitsForTheAPIServer(t *testing.T) {
	down := errors.New("connection refused")
	forbidden := apierrors.NewForbidden(corev1.Resource("nodes"), "", errors.New("no"))
	for _, tt := range []struct {
		name    string
		answers []error
		took    time.Duration
		want    error
	}{
		{"that answers", []error{nil}, 0, nil},
		{"that is down for a while", []error{down, down, down, nil}, 22 * time.Second, nil},
		{"that refuses", []error{forbidden, forbidden, forbidden}, 4 * time.Second, forbidden},
		{"that refuses as it comes back", []error{down, apierrors.NewUnauthorized("no"), forbidden, nil}, 6 * time.Second, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, client, answers, began := &Process{}, fake.NewClientset(), tt.answers, time.Now()
				client.PrependReactor("list", "nodes", func(clienttesting.Action) (bool, runtime.Object, error) {
					assert.Equal(t, len(answers) == len(tt.answers), p.ready.waiting.Load() == nil, "ready")
					err := answers[0]
					answers = answers[1:]
					return true, &corev1.NodeList{}, err
				})
				err := p.reach(t.Context(), client)
				assert.Equal(t, tt.want == nil, err == nil, "error %v", err)
				assert.Equal(t, apierrors.ReasonForError(tt.want), apierrors.ReasonForError(err))
				assert.Equal(t, tt.took, time.Since(began))
			})
		})
	}
}

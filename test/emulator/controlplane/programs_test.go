package controlplane

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The rates are kube-scheduler's and kube-controller-manager's own, of Kubernetes 1.35.
func TestDefaultRatesAreKubernetes(t *testing.T) {
	l := layout{dir: t.TempDir()}
	opts := Options{DefaultRates: true}
	manager := strings.Join(controllerManagerCommand(l, Binaries{}, ports{}, opts).args, " ")
	assert.Containsf(t, manager, "--kube-api-qps=20 --kube-api-burst=30 ", "kube-controller-manager has %s", manager)
	require.NoError(t, os.MkdirAll(filepath.Dir(l.config("scheduler.yaml")), 0o700))
	require.NoError(t, writeConfigs(l, opts))
	scheduler, err := os.ReadFile(l.config("scheduler.yaml"))
	assert.Truef(t, err == nil && strings.Contains(string(scheduler), "qps: 50\n  burst: 100\n"), "%v, kube-scheduler has\n%s", err, scheduler)
}

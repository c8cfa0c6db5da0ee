package controlplane

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCommandLines(t *testing.T) {
	b := Binaries{
		Etcd: "etcd", APIServer: "kube-apiserver", Scheduler: "kube-scheduler",
		ControllerManager: "kube-controller-manager", KWOK: "kwok",
	}
	p := ports{etcdClient: 1, etcdPeer: 2, apiServer: 3, scheduler: 4, controllerManager: 5, kwok: 6}
	opts := Options{
		FeatureGates:  map[string]bool{"B": false, "A": true},
		RuntimeConfig: map[string]bool{"resource.k8s.io/v1beta1": true},

		EmulatedVersion: "1.34",
	}
	all := commandsFor(layout{dir: "/cluster"}, b, p, opts)
	opts.Crowded = true
	for i, c := range commandsFor(layout{dir: "/cluster"}, b, p, opts).clients {
		assert.Truef(t, c.nice != 0 && all.clients[i].nice == 0,
			"%s has nice %d, and %d in a crowded cluster", c.name, all.clients[i].nice, c.nice)
	}
	var got strings.Builder
	for _, c := range append([]command{all.etcd, all.apiServer}, all.clients...) {
		fmt.Fprintf(&got, "%s, healthy at %s:\n  %s\n  %s\n", c.name, c.health, c.path, strings.Join(c.args, "\n  "))
	}
	golden(t, "commands.golden", got.String())
}

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

func TestTakenPortIsRecognised(t *testing.T) {
	for _, tt := range []struct {
		name, log string
		want      bool
	}{
		{name: "port taken", log: "listen tcp 127.0.0.1:20001: bind: address already in use", want: true},
		{name: "anything else", log: "unknown flag", want: false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "log")
			require.NoError(t, os.WriteFile(path, []byte(tt.log), 0o600))
			c := &child{command: command{name: "etcd"}, logPath: path}
			assert.Equalf(t, tt.want, errors.Is(c.failure(), errPortTaken), "errors.Is(%v, errPortTaken)", c.failure())
		})
	}
}

// golden compares text with a file in testdata, or writes the file with -update.
func golden(t *testing.T, file, got string) {
	path := filepath.Join("testdata", file)
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
		return
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err, "write it with -update")
	assert.Emptyf(t, cmp.Diff(string(want), got), "%s differs (-want +got); rewrite it with -update", path)
}

package controlplane

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// victimVariable makes the test binary start a cluster and wait to be killed, see playVictim.
const victimVariable = "CONTROLPLANE_TEST_VICTIM"

// running describes the processes and the directory of a cluster.
type running struct {
	PIDs []int
	Dir  string
}

func describe(c *Cluster) running {
	r := running{Dir: c.Dir, PIDs: []int{c.processes.watchdog.Process.Pid}}
	for _, child := range c.processes.children {
		r.PIDs = append(r.PIDs, child.cmd.Process.Pid)
	}
	return r
}

// leftovers lists the remains of a cluster.
func (r running) leftovers() error {
	var errs []error
	for _, pid := range r.PIDs {
		if alive(pid) {
			errs = append(errs, fmt.Errorf("process %d is alive", pid))
		}
	}
	if _, err := os.Stat(r.Dir); !errors.Is(err, os.ErrNotExist) {
		errs = append(errs, fmt.Errorf("directory %q is left (%v)", r.Dir, err))
	}
	return errors.Join(errs...)
}

// alive reports whether a process runs. It does not count one that has ended but was not waited for, which is up to its new parent.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || !strings.Contains(string(status), ") Z ")
}

func TestStopLeavesNothing(t *testing.T) {
	c := StartFor(t, Options{})
	was := describe(c)
	got, want := len(was.PIDs), 6
	assert.Equal(t, want, got, "processes of the cluster: five programs and the watchdog")
	require.NoError(t, c.Stop())
	assert.NoError(t, was.leftovers())
	assert.NoError(t, c.Stop(), "second Stop()")
}

func TestStopKeepsTheLogsInANamedDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "with a blank")
	c := StartFor(t, Options{Dir: dir, WithoutKWOK: true})
	require.NoError(t, c.Stop())
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Truef(t, len(entries) == 1 && entries[0].Name() == "logs", "Stop() left %v, want logs only", entries)
	info, err := os.Stat(filepath.Join(dir, "logs", "kube-apiserver.log"))
	assert.Truef(t, err == nil && info.Size() != 0, "log of kube-apiserver: %v, %v", info, err)
}

func TestEndOfAProgramIsReported(t *testing.T) {
	c := StartFor(t, Options{WithoutKWOK: true})
	for _, child := range c.processes.children {
		if child.command.name == "kube-scheduler" {
			require.NoError(t, child.cmd.Process.Kill())
		}
	}
	for range 2 { // every caller of Wait gets it
		err := c.Wait(t.Context())
		assert.ErrorContains(t, err, "kube-scheduler ended", "Wait(), want the end of kube-scheduler")
	}
}

func TestRestartKeepsTheState(t *testing.T) {
	c := StartFor(t, Options{WithoutKWOK: true})
	kept := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "kept"}}
	_, err := c.Client().CoreV1().ConfigMaps(metav1.NamespaceDefault).Create(t.Context(), kept, metav1.CreateOptions{})
	require.NoError(t, err)
	for _, program := range []string{EtcdName, APIServerName} {
		was := c.processes.last(program)
		require.NoError(t, c.Restart(t.Context(), program))
		assert.Falsef(t, alive(was.cmd.Process.Pid), "the old %s is alive", program)
		_, err := c.Client().CoreV1().ConfigMaps(metav1.NamespaceDefault).Get(t.Context(), "kept", metav1.GetOptions{})
		assert.NoErrorf(t, err, "after the restart of %s", program)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	assert.NoError(t, c.Wait(ctx), "a restart was reported as an end")
	assert.Error(t, c.Restart(t.Context(), "kubelet"), "a program that was never started was restarted")
}

func TestStartGivesUpWhenItsContextEnds(t *testing.T) {
	needsCluster(t)
	binaries, err := Build(t.Context(), os.Stderr)
	require.NoError(t, err)
	binaries.APIServer = filepath.Join(t.TempDir(), "never-ready")
	require.NoError(t, os.WriteFile(binaries.APIServer, []byte("#!/bin/sh\nexec sleep 3600\n"), 0o700))
	t.Setenv("TMPDIR", t.TempDir())
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	c, err := Start(ctx, Options{Binaries: binaries})
	if err == nil {
		_ = c.Stop()
		t.Fatal("Start() has waited for no answer of the API server")
	}
	assert.ErrorIs(t, err, context.DeadlineExceeded, "Start(), want a deadline error")
	left, err := os.ReadDir(os.TempDir())
	assert.Truef(t, err == nil && len(left) == 0, "Start() left %v (%v), want nothing", left, err)
}

func TestStartRefusesADirectoryWithOtherFiles(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "thesis.txt")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err := Start(t.Context(), Options{Dir: dir, Binaries: Binaries{Etcd: "/nonexistent"}})
	assert.ErrorContains(t, err, "thesis.txt", "Start(), want an error that names the file")
	_, err = os.Stat(file)
	assert.NoError(t, err)
}

func TestNothingOutlivesAKilledProcess(t *testing.T) {
	needsCluster(t)
	_, err := Build(t.Context(), os.Stderr)
	require.NoError(t, err)
	victim := exec.Command(os.Args[0])
	victim.Env = append(os.Environ(), victimVariable+"=1")
	victim.Stderr = os.Stderr
	out, err := victim.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, victim.Start())
	defer victim.Process.Kill() //nolint:errcheck // it has ended already
	line, err := bufio.NewReader(out).ReadBytes('\n')
	require.NoError(t, err)
	var was running
	require.NoError(t, json.Unmarshal(line, &was))
	require.Error(t, was.leftovers(), "the cluster does not run")
	require.NoError(t, victim.Process.Kill())
	victim.Wait() //nolint:errcheck // its error is the signal
	eventually(t, func(context.Context) error { return was.leftovers() })
}

// playVictim starts a cluster, describes it on standard output, and waits to be killed.
func playVictim() {
	c, err := Start(context.Background(), Options{Progress: os.Stderr})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	_ = json.NewEncoder(os.Stdout).Encode(describe(c))
	select {}
}

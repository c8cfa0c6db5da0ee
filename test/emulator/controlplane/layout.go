package controlplane

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// layout names the places of a cluster's files in its directory.
type layout struct{ dir string }

func (l layout) keys() string                  { return filepath.Join(l.dir, "pki") }
func (l layout) key(file string) string        { return filepath.Join(l.keys(), file) }
func (l layout) kubeconfigs() string           { return filepath.Join(l.dir, "kubeconfig") }
func (l layout) kubeconfig(user string) string { return filepath.Join(l.kubeconfigs(), user+".yaml") }
func (l layout) configs() string               { return filepath.Join(l.dir, "config") }
func (l layout) config(file string) string     { return filepath.Join(l.configs(), file) }
func (l layout) data() string                  { return filepath.Join(l.dir, "etcd") }
func (l layout) logs() string                  { return filepath.Join(l.dir, "logs") }
func (l layout) log(program string) string     { return filepath.Join(l.logs(), program+".log") }
func (l layout) auditLog() string              { return l.log("audit") }

// disposable returns the files that are worthless, or secret, once the cluster has stopped: all but the logs.
func (l layout) disposable() []string {
	if l.dir == "" {
		return nil
	}
	return []string{l.keys(), l.kubeconfigs(), l.configs(), l.data()}
}

// create makes the directories, readable by this user only, and removes an earlier cluster's files in them. It refuses a
// directory that holds other files.
func (l layout) create() error {
	ours := map[string]bool{}
	for _, path := range append(l.disposable(), l.logs()) {
		ours[filepath.Base(path)] = true
	}
	entries, err := os.ReadDir(l.dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	for _, entry := range entries {
		if !ours[entry.Name()] {
			return fmt.Errorf("directory %q holds %q, which is not a control plane's: name an empty or a new directory",
				l.dir, entry.Name())
		}
	}
	for _, path := range append(l.disposable(), l.logs()) {
		if err := os.RemoveAll(path); err != nil {
			return err
		}
		if err := os.MkdirAll(path, 0o700); err != nil {
			return err
		}
	}
	return nil
}

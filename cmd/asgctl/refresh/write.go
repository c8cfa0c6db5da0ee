package refresh

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Write writes a file as a whole: its name holds the old content or the new. A link stays, and the file that it leads to is replaced.
// The file keeps its permissions. A new one has 0644 without the bits of the user's umask.
func Write(path, text string) error {
	if final, err := filepath.EvalSymlinks(path); err == nil {
		path = final
	}
	old, missing := os.Stat(path)
	if missing == nil && !old.Mode().IsRegular() {
		return fmt.Errorf("%q is not a regular file", path)
	}
	staged := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+"."+rand.Text())
	f, err := os.OpenFile(staged, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(staged) }() // unless it has the name by then
	if missing == nil {
		err = f.Chmod(old.Mode().Perm())
	}
	if err == nil {
		_, err = f.WriteString(text)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(staged, path)
}

package refresh

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Write writes files by path, each as a whole: a name holds the old content or the new. No file takes its name before all of
// them are on the disk.
func Write(files map[string]string) error {
	staged := map[string]string{}
	defer func() {
		for _, temporary := range staged {
			_ = os.Remove(temporary)
		}
	}()
	for path, text := range files {
		final, err := target(path)
		if err != nil {
			return err
		}
		temporary, err := stage(final, text)
		if err != nil {
			return err
		}
		staged[final] = temporary
	}
	for final, temporary := range staged {
		if err := os.Rename(temporary, final); err != nil {
			return err
		}
		delete(staged, final)
	}
	return nil
}

// target is the file that a path leads to, links followed, so that it is replaced rather than the link.
func target(path string) (string, error) {
	final, err := filepath.EvalSymlinks(path)
	if errors.Is(err, os.ErrNotExist) {
		return path, nil
	}
	if err != nil {
		return "", err
	}
	info, err := os.Stat(final)
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%q is not a regular file", path)
	}
	return final, err
}

// stage writes the text to a file of another name beside the final one, and returns that name. The file has the permissions of the
// final one, or, where that is new, 0644 without the bits of the user's umask.
func stage(final, text string) (temporary string, err error) {
	temporary = filepath.Join(filepath.Dir(final), "."+filepath.Base(final)+"."+rand.Text())
	f, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return "", err
	}
	if info, missing := os.Stat(final); missing == nil {
		err = f.Chmod(info.Mode().Perm())
	}
	if err == nil {
		_, err = f.WriteString(text)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return "", errors.Join(err, os.Remove(f.Name()))
	}
	return f.Name(), nil
}

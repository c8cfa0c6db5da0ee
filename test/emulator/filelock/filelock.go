package filelock

import (
	"context"
	"fmt"
	"os"
	"syscall"
	"time"
)

// interval is the pause between two looks whether another process has finished.
const interval = 200 * time.Millisecond

// Lock waits until it holds the lock of the file, which it makes if it is missing, and returns the release. The system releases the lock,
// too, when the process ends. While another process holds it, Lock calls waiting, unless that is nil, before each look. The error wraps the
// cause of ctx's end.
func Lock(ctx context.Context, path string, waiting func()) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	for {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { file.Close() }, nil
		}
		if err == syscall.EWOULDBLOCK || err == syscall.EINTR {
			if waiting != nil {
				waiting()
			}
			err = pause(ctx)
		}
		if err != nil {
			file.Close()
			return nil, fmt.Errorf("lock %q: %w", path, err)
		}
	}
}

func pause(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(interval):
		return nil
	}
}

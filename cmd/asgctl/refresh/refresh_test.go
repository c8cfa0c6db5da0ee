package refresh

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/utils/clock"
	testclock "k8s.io/utils/clock/testing"
)

func TestWhereAWSPublishesTheOfferOfARegion(t *testing.T) {
	const public, china = "https://pricing.us-east-1.amazonaws.com/offers/v1.0/aws/", "https://pricing.cn-north-1.amazonaws.com.cn/offers/v1.0/cn/"
	for region, want := range map[string]string{
		"us-east-1":      public + "AmazonEC2/current/us-east-1/index.json",
		"us-gov-west-1":  public + "AmazonEC2/current/us-gov-west-1/index.json",
		"cn-north-1":     china + "AmazonEC2/current/cn-north-1/index.json",
		"cn-northwest-1": china + "AmazonEC2/current/cn-northwest-1/index.json",
		"us-iso-east-1":  "", "eusc-de-east-1": "", "": "", "nowhere": "", "../x-y-z": "", "EU-WEST-1": "",
	} {
		got, err := URL(region)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("URL(%q) = %q, %v, want %q", region, got, err, want)
		}
	}
}

// slowly advances the clock by a second at each reading of 10 bytes.
type slowly struct {
	clock *testclock.FakePassiveClock
	left  int
}

func (s *slowly) Read(p []byte) (int, error) {
	s.clock.SetTime(s.clock.Now().Add(time.Second))
	n := min(10, s.left, len(p))
	s.left -= n
	return n, nil
}

func (s *slowly) Close() error { return nil }

func TestProgress(t *testing.T) {
	const tenMB = 10_000_000
	for _, tt := range []struct {
		name string
		size int64
		want string
	}{
		{name: "length known", size: 2 * tenMB, want: "asgctl: read 10.0 MB of 20.0 MB (50 %), 1.0 MB/s\nasgctl: read 12.0 MB of 20.0 MB (60 %), 1.0 MB/s in 12s\n"},
		{name: "length unknown", size: -1, want: "asgctl: read 10.0 MB, 1.0 MB/s\nasgctl: read 12.0 MB, 1.0 MB/s in 12s\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var told bytes.Buffer
			clock := testclock.NewFakePassiveClock(time.Unix(1e9, 0))
			s, err := open(t.Context(), os.DevNull, Options{Clock: clock, Progress: &told, Stall: time.Hour})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			s.in, s.size = &slowly{clock: clock, left: 1 << 30}, tt.size
			for range 12 {
				s.done += 999_990 // as if more had come
				if _, err := s.Read(make([]byte, 10)); err != nil {
					t.Fatal(err)
				}
			}
			s.finish()
			if diff := cmp.Diff(tt.want, told.String()); diff != "" {
				t.Errorf("progress differs (-want +got):\n%s", diff)
			}
		})
	}
}

func names(t *testing.T, folder string) string {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return strings.Join(list, " ")
}

func TestWriteReplacesLinkTargetAndKeepsPermissions(t *testing.T) {
	folder := t.TempDir()
	file, link := filepath.Join(folder, "prices.csv"), filepath.Join(folder, "link.csv")
	if err := errors.Join(os.WriteFile(file, []byte("old, and longer"), 0o600), os.Symlink("prices.csv", link)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(Write(link, "new"), Write(filepath.Join(folder, "another.csv"), "more")); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	info, _ := os.Lstat(file)
	if err != nil || string(text) != "new" || info.Mode() != 0o600 {
		t.Errorf("file = %q, %v, mode %v, want it new with the old permissions", text, err, info.Mode())
	}
	if got := names(t, folder); got != "another.csv link.csv prices.csv" {
		t.Errorf("files are %s", got)
	}
}

// The umask belongs to the process, so this test must not run beside others.
func TestNewFileObeysUmask(t *testing.T) {
	file := filepath.Join(t.TempDir(), "prices.csv")
	old := syscall.Umask(0o077)
	err := Write(file, "new")
	syscall.Umask(old)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode() != 0o600 {
		t.Errorf("file = %v, %v, want mode 0600 under umask 077", info, err)
	}
}

func TestFailedWriteLeavesNothing(t *testing.T) {
	folder := t.TempDir()
	taken := filepath.Join(folder, "prices.csv")
	if err := os.Mkdir(taken, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{taken, filepath.Join(folder, "missing", "prices.csv"), "/dev/null"} {
		if err := Write(path, "new"); err == nil {
			t.Errorf("%s was replaced", path)
		}
	}
	if got := names(t, folder); got != "prices.csv" {
		t.Errorf("files are %s", got)
	}
}

// A pipe whose writer sends nothing is given up when the user does, or when it stalls.
func TestAReaderOfAPipeCanBeInterrupted(t *testing.T) {
	from := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(from, 0o600); err != nil {
		t.Fatal(err)
	}
	w, err := os.OpenFile(from, os.O_RDWR, 0) // both ends, so that no open waits for the other
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	ctx, cancel := context.WithCancel(t.Context())
	s, err := open(ctx, from, Options{Clock: clock.RealClock{}, Stall: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	time.AfterFunc(50*time.Millisecond, cancel)
	if _, err := s.Read(make([]byte, 1)); err == nil || err.Error() != "interrupted" {
		t.Errorf("Read() error = %v, want that it was interrupted", err)
	}
	stalled, err := open(t.Context(), from, Options{Clock: clock.RealClock{}, Stall: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer stalled.Close()
	if _, err := stalled.Read(make([]byte, 1)); err == nil || err.Error() != "no byte came for 50ms" {
		t.Errorf("Read() error = %v, want that nothing came", err)
	}
}

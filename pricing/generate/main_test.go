package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	header = "region,instance_type,currency,price_per_hour,source_date\n"
	prices = header + "us-east-1,m5.large,USD,0.0960,2026-07-20\ncn-north-1,m5.large,CNY,1.2,2024-11-06\nus-east-1,c5.large,USD,0.085,2026-07-20\n"
	usEast = "# region: us-east-1\n# currency: USD\n# date: 2026-07-20\n# source: a test\ninstance_type,price_per_hour\nc5.large,0.085\nm5.large,0.096\n"
	china  = "# region: cn-north-1\n# currency: CNY\n# date: 2024-11-06\n# source: a test\ninstance_type,price_per_hour\nm5.large,1.2\n"
)

func write(t *testing.T, path, content string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// files returns the contents of the files in dir by name.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		found[filepath.Base(path)] = string(content)
	}
	return found
}

func TestRunWritesOneSortedListPerRegion(t *testing.T) {
	o := options{dir: t.TempDir(), prices: write(t, filepath.Join(t.TempDir(), "prices.csv"), prices), source: "a test"}
	if err := run(o); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"us-east-1.csv": usEast, "cn-north-1.csv": china}
	if diff := cmp.Diff(want, files(t, o.dir)); diff != "" {
		t.Errorf("lists differ (-want +got):\n%s", diff)
	}
	if err := run(options{dir: o.dir}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, files(t, o.dir)); diff != "" {
		t.Errorf("a second run changed the lists (-want +got):\n%s", diff)
	}
}

func TestBareMetalCostsAsItsVirtualType(t *testing.T) {
	rows := "us-east-1,c7i.24xlarge,USD,4.284,2026-07-20\nus-east-1,c7i.48xlarge,USD,8.568,2026-07-20\nus-east-1,c7i.metal-24xl,USD,4.7124,2026-07-20\n" +
		"us-east-1,c7i.metal-48xl,USD,8,2026-07-20\nus-east-1,g4dn.metal,USD,7.824,2026-07-20\nus-east-1,g4dn.16xlarge,USD,4.352,2026-07-20\n"
	o := options{dir: t.TempDir(), prices: write(t, filepath.Join(t.TempDir(), "prices.csv"), header+rows), source: "a test"}
	if err := run(o); err != nil {
		t.Fatal(err)
	}
	got := files(t, o.dir)["us-east-1.csv"]
	for _, want := range []string{"c7i.metal-24xl,4.284", "c7i.metal-48xl,8", "g4dn.metal,7.824"} { // the last has GPUs of no virtual type
		if !strings.Contains(got, "\n"+want+"\n") {
			t.Errorf("no %q in:\n%s", want, got)
		}
	}
}

func TestBadPricesLeaveListsUnchanged(t *testing.T) {
	for _, tt := range []struct{ name, prices, source, want string }{
		{name: "no source", prices: prices, want: "needs -source"},
		{name: "source of two lines", prices: prices, source: "a\nb", want: "needs -source, one line"},
		{name: "empty", source: "a test", want: "columns are not"},
		{name: "other columns", prices: "a,b\n", source: "a test", want: "columns are not"},
		{name: "ragged", prices: header + "us-east-1\n", source: "a test", want: "wrong number of fields"},
		{name: "second currency", prices: prices + "us-east-1,m5.xlarge,CNY,1,2026-07-20\n", source: "a test", want: "line 5: m5.xlarge: a second currency"},
		{name: "second date", prices: prices + "us-east-1,m5.xlarge,USD,1,2026-07-21\n", source: "a test", want: "second currency or date"},
		{name: "not a price", prices: prices + "us-west-2,m5.large,USD,-1,2026-07-20\n", source: "a test", want: `us-west-2.csv: price list, line 6: type "m5.large": price "-1"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, filepath.Join(dir, "us-east-1.csv"), "as it was")
			err := run(options{dir: dir, prices: write(t, filepath.Join(t.TempDir(), "prices.csv"), tt.prices), source: tt.source})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("run() error = %v, want one with %q", err, tt.want)
			}
			if diff := cmp.Diff(map[string]string{"us-east-1.csv": "as it was"}, files(t, dir)); diff != "" {
				t.Errorf("lists changed (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRunRefusesAListUnderTheWrongName(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "us-west-2.csv"), usEast)
	if err := run(options{dir: dir}); err == nil || !strings.Contains(err.Error(), `the list of "us-east-1" belongs in`) {
		t.Errorf("run() error = %v, want one that names the right file", err)
	}
	if err := run(options{dir: t.TempDir()}); err == nil || !strings.Contains(err.Error(), "has no lists") {
		t.Errorf("run() error = %v, want one for the empty folder", err)
	}
}

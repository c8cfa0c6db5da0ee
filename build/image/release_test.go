package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// A release holds what the Makefile is asked for, in a folder of the test.
type release struct {
	t        *testing.T
	dir      string
	registry string // host and path
	env      []string
}

// newRelease has a small program in place of the product, a registry of the test's process, and programs that write down how the
// release calls cosign and gh.
func newRelease(t *testing.T) release {
	t.Helper()
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	r := release{t: t, dir: t.TempDir(), registry: strings.TrimPrefix(server.URL, "http://") + "/Owner"}
	bin := filepath.Join(r.dir, "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, program := range []string{"cosign", "gh"} {
		script := "#!/bin/sh\necho " + program + " \"$@\" >>" + filepath.Join(r.dir, "calls") + "\n"
		if program == "gh" {
			script += "cat >" + filepath.Join(r.dir, "notes") + "\n"
		}
		if err := os.WriteFile(filepath.Join(bin, program), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(r.dir, "main.go"), []byte(small), 0o644); err != nil {
		t.Fatal(err)
	}
	r.env = append(os.Environ(), "MAKEFLAGS=", "PATH="+bin+":"+os.Getenv("PATH"), "HELM_PUSH_FLAGS=--plain-http", "GITHUB_OUTPUT="+filepath.Join(r.dir, "output"),
		"DOCKER_CONFIG="+r.dir, "GITHUB_ACTOR=maintainer", "GITHUB_TOKEN=secret")
	return r
}

// make runs a target, and returns what it prints.
func (r release) make(target, version string, more ...string) (string, error) {
	r.t.Helper()
	program := filepath.Join(r.dir, "main.go")
	cmd := exec.Command("make", append([]string{"--no-print-directory", "-C", "../..", target, "VERSION=" + version, "RELEASE=" + filepath.Join(r.dir, "release"),
		"REGISTRY=" + r.registry, "PROGRAM=" + program, "ASGCTL=" + program, "ARCHS=" + runtime.GOARCH,
		"REVISION=" + revision, "SOURCE_DATE_EPOCH=1700000000"}, more...)...)
	cmd.Env = r.env
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (r release) must(target string) string {
	r.t.Helper()
	out, err := r.make(target, "v0.2.0")
	if err != nil {
		r.t.Fatalf("make %s: %v\n%s", target, err, out)
	}
	return out
}

func (r release) file(path ...string) []byte {
	r.t.Helper()
	return read(r.t, append([]string{r.dir}, path...)...)
}

// filesOf returns the content of a tar.gz by path.
func filesOf(t *testing.T, archive []byte) map[string]string {
	t.Helper()
	unzipped, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		t.Fatal(err)
	}
	content := map[string]string{}
	for r := tar.NewReader(unzipped); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return content
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.ModTime.Unix() != epoch || h.Uid != 0 || h.Gid != 0 {
			t.Errorf("%s has owner %d:%d and time %v", h.Name, h.Uid, h.Gid, h.ModTime)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		content[h.Name] = string(text)
	}
}

// A release is built, published, signed and announced, from nothing but the sources, a registry and the programs of the forge.
func TestReleaseFromSourcesToItsPage(t *testing.T) {
	r := newRelease(t)
	out := r.must("release")
	digest, _ := named(t, filepath.Join(r.dir, "release"))
	image := strings.ToLower(r.registry) + "/asg-autoscaler"
	if !strings.HasSuffix(out, "\n"+image+"@"+digest.String()+"\n") {
		t.Errorf("make release ends with %q, want the image with its digest %s", out, digest)
	}

	files := filepath.Join(r.dir, "release", "files")
	sums := string(r.file("release", "files", "SHA256SUMS"))
	for _, name := range []string{
		"asgctl_v0.2.0_linux_amd64.tar.gz", "asgctl_v0.2.0_darwin_arm64.tar.gz", "asg-autoscaler-0.2.0.tgz", "asg-autoscaler-crds-0.2.0.tgz",
		"asgctl_v0.2.0_linux_arm64.tar.gz", "asgctl_v0.2.0_darwin_amd64.tar.gz",
		"asg-autoscaler.oci.tar", "asg-autoscaler.provenance.json", "asg-autoscaler.openvex.json", sbomName(runtime.GOARCH), "asg.yaml",
	} {
		sum := sha256.Sum256(read(t, files, name))
		if !strings.Contains(sums, hex.EncodeToString(sum[:])+"  "+name+"\n") {
			t.Errorf("SHA256SUMS has another sum of %s:\n%s", name, sums)
		}
		entry := "/releases/download/v0.2.0/" + name + "\n      sha256: " + hex.EncodeToString(sum[:]) + "\n"
		if strings.HasPrefix(name, "asgctl_") && !strings.Contains(string(read(t, files, "asg.yaml")), entry) {
			t.Errorf("the manifest of the kubectl plugin lacks %q", entry)
		}
	}
	if krew := string(read(t, files, "asg.yaml")); strings.Contains(krew, "SHA256") || strings.Contains(krew, "VERSION") {
		t.Errorf("the manifest of the kubectl plugin is not filled in:\n%s", krew)
	}
	for name, magic := range map[string]string{"linux_" + runtime.GOARCH: "\x7fELF", "darwin_arm64": "\xcf\xfa\xed\xfe"} {
		archive := filesOf(t, read(t, files, "asgctl_v0.2.0_"+name+".tar.gz"))
		if !strings.HasPrefix(archive["asgctl"], magic) || archive["LICENSE"] == "" || archive["licences.md"] == "" {
			t.Errorf("the archive for %s lacks a program of that system, or a licence", name)
		}
	}
	chart := filesOf(t, read(t, files, "asg-autoscaler-0.2.0.tgz"))
	for _, want := range []string{"  repository: " + image + "\n", "  tag: v0.2.0@" + digest.String() + "\n"} {
		if !strings.Contains(chart["asg-autoscaler/values.yaml"], want) {
			t.Errorf("the chart's values lack %q", want)
		}
	}
	if !strings.Contains(chart["asg-autoscaler/Chart.yaml"], "\nversion: 0.2.0\n") {
		t.Errorf("the chart has another version:\n%s", chart["asg-autoscaler/Chart.yaml"])
	}

	definitions := filesOf(t, read(t, files, "asg-autoscaler-crds-0.2.0.tgz"))
	if definitions["asg-autoscaler-crds/files/autoscaling.x-k8s.io_provisioningrequests.yaml"] == "" ||
		!strings.Contains(definitions["asg-autoscaler-crds/Chart.yaml"], "\nversion: 0.2.0\n") {
		t.Errorf("the chart of the definitions lacks one, or has another version:\n%s", definitions["asg-autoscaler-crds/Chart.yaml"])
	}

	r.must("registry-login")
	if config := string(r.file("config.json")); !strings.Contains(config, `"`+strings.Split(r.registry, "/")[0]+`"`) {
		t.Errorf("the login is not where crane, helm and cosign look for it: %s", config)
	}
	for arg, want := range map[string]string{"REGISTRY=127.0.0.1:1": "another registry", "VERSION=v0.3.0": "no release v0.3.0"} {
		if out, err := r.make("publish", "v0.2.0", arg); err == nil || !strings.Contains(out, want) {
			t.Errorf("make publish %s: %v, want %q\n%s", arg, err, want, out)
		}
	}
	r.must("publish")
	ref, err := name.ParseReference(image + ":v0.2.0")
	if err != nil {
		t.Fatal(err)
	}
	index, err := remote.Index(ref)
	if err != nil {
		t.Fatal(err)
	}
	if pushed, err := index.Digest(); err != nil || pushed != digest {
		t.Errorf("the registry has %s, %v, want %s", pushed, err, digest)
	}
	if got, want := string(r.file("output")), "name="+image+"\ndigest="+digest.String()+"\n"; got != want {
		t.Errorf("publish gives the workflow %q, want %q", got, want)
	}

	r.must("sign")
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	calls := string(r.file("calls"))
	for _, want := range []string{
		"cosign sign --yes --recursive " + image + "@" + digest.String() + "\n",
		"cosign sign --yes " + strings.ToLower(r.registry) + "/charts/asg-autoscaler@sha256:",
		"cosign sign --yes " + strings.ToLower(r.registry) + "/charts/asg-autoscaler-crds@sha256:",
		"cosign attest --yes --type spdxjson --predicate " + filepath.Join(files, sbomName(runtime.GOARCH)) + " " + image + "@" + manifest.Manifests[0].Digest.String() + "\n",
	} {
		if !strings.Contains(calls, want) {
			t.Errorf("no call %q in\n%s", want, calls)
		}
	}

	r.must("release-page")
	if calls, want := string(r.file("calls")), "gh release create v0.2.0 --verify-tag --title v0.2.0 --notes-file - "+files+"/SHA256SUMS "; !strings.Contains(calls, want) {
		t.Errorf("no call %q in\n%s", want, calls)
	}
	if notes := string(r.file("notes")); !strings.HasPrefix(notes, "\n### ") || strings.Contains(notes, "\n## ") {
		t.Errorf("the notes are not one section of the changelog: %q", notes)
	}
}

func TestReleaseNeedsAVersion(t *testing.T) {
	r := newRelease(t)
	for _, version := range []string{"0.2.0", "v0.2", "main", "v0.2.0-dirty"} {
		if out, err := r.make("release", version); err == nil || !strings.Contains(out, "want one such as v0.2.0") {
			t.Errorf("make release VERSION=%s: %v\n%s", version, err, out)
		}
	}
}

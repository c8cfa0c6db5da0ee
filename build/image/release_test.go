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
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
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
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	r := release{t: t, dir: t.TempDir(), registry: strings.TrimPrefix(server.URL, "http://") + "/Owner"}
	bin := filepath.Join(r.dir, "bin")
	require.NoError(t, os.Mkdir(bin, 0o755))
	for _, program := range []string{"cosign", "gh"} {
		script := "#!/bin/sh\necho " + program + " \"$@\" >>" + filepath.Join(r.dir, "calls") + "\n"
		if program == "gh" {
			script += "cat >" + filepath.Join(r.dir, "notes") + "\n"
		}
		require.NoError(t, os.WriteFile(filepath.Join(bin, program), []byte(script), 0o755))
	}
	require.NoError(t, os.WriteFile(filepath.Join(r.dir, "main.go"), []byte(small), 0o644))
	r.env = append(os.Environ(), "MAKEFLAGS=", "PATH="+bin+":"+os.Getenv("PATH"), "HELM_PUSH_FLAGS=--plain-http", "GITHUB_OUTPUT="+filepath.Join(r.dir, "output"),
		"DOCKER_CONFIG="+r.dir, "GITHUB_ACTOR=maintainer", "GITHUB_TOKEN=secret")
	return r
}

// make runs a target, and returns what it prints.
func (r release) make(target, version string, more ...string) (string, error) {
	program := filepath.Join(r.dir, "main.go")
	cmd := exec.Command("make", append([]string{"--no-print-directory", "-C", "../..", target, "VERSION=" + version, "RELEASE=" + filepath.Join(r.dir, "release"),
		"REGISTRY=" + r.registry, "PROGRAM=" + program, "ASGCTL=" + program, "ARCHS=" + runtime.GOARCH,
		"REVISION=" + revision, "SOURCE_DATE_EPOCH=1700000000"}, more...)...)
	cmd.Env = r.env
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (r release) must(target string) string {
	out, err := r.make(target, "v0.2.0")
	require.NoErrorf(r.t, err, "make %s\n%s", target, out)
	return out
}

func (r release) file(path ...string) []byte {
	return read(r.t, append([]string{r.dir}, path...)...)
}

func filesOf(t *testing.T, archive []byte) map[string]string {
	unzipped, err := gzip.NewReader(bytes.NewReader(archive))
	require.NoError(t, err)
	content := map[string]string{}
	for r := tar.NewReader(unzipped); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return content
		}
		require.NoError(t, err)
		assert.Truef(t, h.ModTime.Unix() == epoch && h.Uid == 0 && h.Gid == 0,
			"%s has owner %d:%d and time %v", h.Name, h.Uid, h.Gid, h.ModTime)
		text, err := io.ReadAll(r)
		require.NoError(t, err)
		content[h.Name] = string(text)
	}
}

// A release is built, published, signed and announced, from nothing but the sources, a registry and the programs of the forge.
func TestReleaseFromSourcesToItsPage(t *testing.T) {
	r := newRelease(t)
	out := r.must("release")
	digest, _ := named(t, filepath.Join(r.dir, "release"))
	image := strings.ToLower(r.registry) + "/asg-autoscaler"
	assert.Truef(t, strings.HasSuffix(out, "\n"+image+"@"+digest.String()+"\n"),
		"make release ends with %q, want the image with its digest %s", out, digest)

	files := filepath.Join(r.dir, "release", "files")
	sums := string(r.file("release", "files", "SHA256SUMS"))
	for _, name := range []string{
		"asgctl_v0.2.0_linux_amd64.tar.gz", "asgctl_v0.2.0_darwin_arm64.tar.gz", "asg-autoscaler-0.2.0.tgz", "asg-autoscaler-crds-0.2.0.tgz",
		"asgctl_v0.2.0_linux_arm64.tar.gz", "asgctl_v0.2.0_darwin_amd64.tar.gz",
		"asg-autoscaler.oci.tar", "asg-autoscaler.provenance.json", "asg-autoscaler.openvex.json", sbomName(runtime.GOARCH), "asg.yaml",
	} {
		sum := sha256.Sum256(read(t, files, name))
		assert.Containsf(t, sums, hex.EncodeToString(sum[:])+"  "+name+"\n", "SHA256SUMS has another sum of %s", name)
		entry := "/releases/download/v0.2.0/" + name + "\n      sha256: " + hex.EncodeToString(sum[:]) + "\n"
		assert.Truef(t, !strings.HasPrefix(name, "asgctl_") || strings.Contains(string(read(t, files, "asg.yaml")), entry),
			"the manifest of the kubectl plugin lacks %q", entry)
	}
	assert.NotRegexp(t, "SHA256|VERSION", string(read(t, files, "asg.yaml")), "the manifest of the kubectl plugin is not filled in")
	for name, magic := range map[string]string{"linux_" + runtime.GOARCH: "\x7fELF", "darwin_arm64": "\xcf\xfa\xed\xfe"} {
		archive := filesOf(t, read(t, files, "asgctl_v0.2.0_"+name+".tar.gz"))
		assert.Truef(t, strings.HasPrefix(archive["asgctl"], magic) && archive["LICENSE"] != "" && archive["licences.md"] != "",
			"the archive for %s lacks a program of that system, or a licence", name)
	}
	chart := filesOf(t, read(t, files, "asg-autoscaler-0.2.0.tgz"))
	for _, want := range []string{"  repository: " + image + "\n", "  tag: v0.2.0@" + digest.String() + "\n"} {
		assert.Containsf(t, chart["asg-autoscaler/values.yaml"], want, "the chart's values lack %q", want)
	}
	assert.Contains(t, chart["asg-autoscaler/Chart.yaml"], "\nversion: 0.2.0\n", "the chart has another version")

	definitions := filesOf(t, read(t, files, "asg-autoscaler-crds-0.2.0.tgz"))
	assert.Truef(t, definitions["asg-autoscaler-crds/files/autoscaling.x-k8s.io_provisioningrequests.yaml"] != "" &&
		strings.Contains(definitions["asg-autoscaler-crds/Chart.yaml"], "\nversion: 0.2.0\n"),
		"the chart of the definitions lacks one, or has another version:\n%s", definitions["asg-autoscaler-crds/Chart.yaml"])

	r.must("registry-login")
	assert.Contains(t, string(r.file("config.json")), `"`+strings.Split(r.registry, "/")[0]+`"`,
		"the login is not where crane, helm and cosign look for it")
	for arg, want := range map[string]string{"REGISTRY=127.0.0.1:1": "another registry", "VERSION=v0.3.0": "no release v0.3.0"} {
		out, err := r.make("publish", "v0.2.0", arg)
		assert.Errorf(t, err, "make publish %s", arg)
		assert.Containsf(t, out, want, "make publish %s", arg)
	}
	r.must("publish")
	ref, err := name.ParseReference(image + ":v0.2.0")
	require.NoError(t, err)
	index, err := remote.Index(ref)
	require.NoError(t, err)
	pushed, err := index.Digest()
	require.NoError(t, err)
	assert.Equal(t, digest, pushed)
	assert.Equal(t, "name="+image+"\ndigest="+digest.String()+"\n", string(r.file("output")), "publish gives the workflow")

	r.must("sign")
	manifest, err := index.IndexManifest()
	require.NoError(t, err)
	calls := string(r.file("calls"))
	for _, want := range []string{
		"cosign sign --yes --recursive " + image + "@" + digest.String() + "\n",
		"cosign sign --yes " + strings.ToLower(r.registry) + "/charts/asg-autoscaler@sha256:",
		"cosign sign --yes " + strings.ToLower(r.registry) + "/charts/asg-autoscaler-crds@sha256:",
		"cosign attest --yes --type spdxjson --predicate " + filepath.Join(files, sbomName(runtime.GOARCH)) + " " + image + "@" + manifest.Manifests[0].Digest.String() + "\n",
	} {
		assert.Contains(t, calls, want)
	}

	r.must("release-page")
	assert.Contains(t, string(r.file("calls")), "gh release create v0.2.0 --verify-tag --title v0.2.0 --notes-file - "+files+"/SHA256SUMS ")
	notes := string(r.file("notes"))
	assert.Truef(t, strings.HasPrefix(notes, "\n### ") && !strings.Contains(notes, "\n## "),
		"the notes are not one section of the changelog: %q", notes)
}

func TestReleaseNeedsAVersion(t *testing.T) {
	r := newRelease(t)
	for _, version := range []string{"0.2.0", "v0.2", "main", "v0.2.0-dirty"} {
		out, err := r.make("release", version)
		assert.Errorf(t, err, "make release VERSION=%s", version)
		assert.Containsf(t, out, "want one such as v0.2.0", "make release VERSION=%s", version)
	}
}

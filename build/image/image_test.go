package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"crypto/x509"
	"debug/buildinfo"
	"debug/elf"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	provenance "github.com/in-toto/attestation/go/predicates/provenance/v1"
	statement "github.com/in-toto/attestation/go/v1"
	spdxjson "github.com/spdx/tools-golang/json"
	"github.com/spdx/tools-golang/spdxlib"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"
)

const (
	revision = "0123456789abcdef0123456789abcdef01234567"
	epoch    = 1700000000
	// Limits of docs/install.md.
	mostCompressed = 26_000_000
	mostProgram    = 80_000_000 // it is above that once anything finds methods by name, see docs/adr/one-program.md
)

// small is a program that links one of the product's modules.
const small = `package main

import (
	"os"

	"k8s.io/utils/ptr"
)

func main() {
	dir, err := os.Getwd()
	println(*ptr.To("small"), os.Getuid(), dir, err == nil)
}
`

// packSmall packs small programs for two architectures into a new directory.
func packSmall(t *testing.T) options {
	dir := t.TempDir()
	main := filepath.Join(dir, "main.go")
	require.NoError(t, os.WriteFile(main, []byte(small), 0o644))
	o := options{
		product: "../..", programs: dir, out: dir, archs: []string{"amd64", "arm64"}, version: "v1", revision: revision,
		ldflags: "-s -w -buildid=", created: time.Unix(epoch, 0).UTC(),
	}
	for _, arch := range o.archs {
		for _, name := range programs {
			cmd := exec.Command("go", "build", "-trimpath", "-ldflags="+o.ldflags, "-o", filepath.Join(dir, "linux_"+arch, name), main)
			cmd.Dir = o.product
			cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch)
			mustRun(t, cmd)
		}
	}
	require.NoError(t, run(o))
	return o
}

func TestSmallPrograms(t *testing.T) {
	first, second := packSmall(t), packSmall(t)
	checkSame(t, first.out, second.out)
	checkImage(t, first.out, first.archs)
	checkDockerfile(t, first.out)
	for arch, image := range images(t, first.out) {
		o := first
		o.archs, o.root = []string{arch}, t.TempDir()
		require.NoError(t, run(o))
		checkRoot(t, o.root, image)
		if arch == runtime.GOARCH {
			program, err := inImage(unpack(t, image), nil, "./cluster-autoscaler")
			assert.Truef(t, err == nil && program == "small 65532 / true\n",
				"./cluster-autoscaler: %v, %q, want user 65532 in /", err, program)
		}
	}
}

func TestProgramsThatNeedLibrariesAreRefused(t *testing.T) {
	path := filepath.Join(packSmall(t).programs, "linux_amd64", programs[0])
	_, err := readBuildInfo(path, "arm64")
	assert.ErrorContains(t, err, "GOARCH=amd64, want arm64", "a program of another architecture")
	self, err := os.Executable()
	require.NoError(t, err)
	_, err = readBuildInfo(self, runtime.GOARCH)
	assert.ErrorContains(t, err, "run make image", "a program built without the flags")
}

// make test-image sets the variable.
func TestProductIsReproducibleAndRuns(t *testing.T) {
	archs := os.Getenv("IMAGE_ARCHS")
	if archs == "" {
		t.Skip("compiling the core takes minutes: run make test-image")
	}
	var outs []string
	elsewhere := copyOfTheSources(t)
	for _, source := range []string{"../..", elsewhere} {
		out := t.TempDir()
		cmd := exec.Command("make", "-C", source, "image", "BIN="+out, "ARCHS="+archs, "VERSION=v1", "REVISION="+revision, "SOURCE_DATE_EPOCH=1700000000")
		cmd.Env = append(os.Environ(), "MAKEFLAGS=", "TMPDIR="+t.TempDir())
		mustRun(t, cmd)
		outs = append(outs, out)
	}
	checkSame(t, outs[0], outs[1])
	checkImage(t, outs[0], strings.Fields(archs))
	checkDockerfile(t, outs[0])
	for arch, image := range images(t, outs[0]) {
		checkRoot(t, dockerRoot(t, elsewhere, arch), image)
		if arch == runtime.GOARCH {
			checkRuns(t, unpack(t, image))
		}
	}
}

// dockerRoot runs the Dockerfile's one command in a copy of the sources without a git repository. It returns the directory that
// the Dockerfile copies.
func dockerRoot(t *testing.T, source, arch string) string {
	command := regexp.MustCompile(`(?m)^RUN (make .*) BIN=/out$`).FindSubmatch(read(t, "../..", "Dockerfile"))
	require.NotNil(t, command, "the Dockerfile does not build into /out")
	dir := t.TempDir()
	cmd := exec.Command("sh", "-c", string(command[1])+" BIN="+dir)
	cmd.Dir, cmd.Env = source, append(os.Environ(), "MAKEFLAGS=", "TARGETARCH="+arch, "VERSION=v1")
	mustRun(t, cmd)
	return filepath.Join(dir, "root")
}

func mustRun(t *testing.T, cmd *exec.Cmd) {
	out, err := cmd.CombinedOutput()
	require.NoErrorf(t, err, "%s", out)
}

// copyOfTheSources returns a directory with everything that the image is built from.
func copyOfTheSources(t *testing.T) string {
	dir := t.TempDir()
	for _, path := range []string{"build", "cloudprovider", "cmd", "expander", "manifests", "pricing"} {
		require.NoError(t, os.CopyFS(filepath.Join(dir, path), os.DirFS(filepath.Join("../..", path))))
	}
	for _, path := range []string{"go.mod", "go.sum", "Makefile", "LICENSE"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, path), read(t, "../..", path), 0o644))
	}
	return dir
}

func read(t *testing.T, path ...string) []byte {
	content, err := os.ReadFile(filepath.Join(path...))
	require.NoError(t, err)
	return content
}

func checkSame(t *testing.T, first, second string) {
	names, err := filepath.Glob(filepath.Join(first, product+"*"))
	require.Truef(t, err == nil && len(names) >= 3, "files of the first build: %q, %v", names, err)
	for _, path := range append(names, filepath.Join(first, "image", "index.json")) {
		name, err := filepath.Rel(first, path)
		require.NoError(t, err)
		assert.Truef(t, bytes.Equal(read(t, path), read(t, second, name)), "two builds differ in %s", name)
	}
}

func images(t *testing.T, dir string) map[string]v1.Image {
	_, index := named(t, dir)
	manifest, err := index.IndexManifest()
	require.NoError(t, err)
	images := map[string]v1.Image{}
	for _, d := range manifest.Manifests {
		images[d.Platform.Architecture], err = index.Image(d.Digest)
		require.NoError(t, err)
	}
	return images
}

func named(t *testing.T, dir string) (v1.Hash, v1.ImageIndex) {
	outer, err := layout.ImageIndexFromPath(filepath.Join(dir, "image"))
	require.NoError(t, err)
	manifest, err := outer.IndexManifest()
	require.NoError(t, err)
	require.Len(t, manifest.Manifests, 1, "want one index")
	digest := manifest.Manifests[0].Digest
	index, err := outer.ImageIndex(digest)
	require.NoError(t, err)
	return digest, index
}

// annotations are some that the index, each image and, as labels, each configuration have.
var annotations = map[string]string{
	"org.opencontainers.image.title":    product,
	"org.opencontainers.image.licenses": "Apache-2.0",
	"org.opencontainers.image.version":  "v1",
	"org.opencontainers.image.revision": revision,
	"org.opencontainers.image.created":  "2023-11-14T22:13:20Z",
}

func checkImage(t *testing.T, dir string, archs []string) {
	digest, index := named(t, dir)
	assert.NoError(t, validate.Index(index))
	subjects := map[string]string{product: digest.Hex}
	manifest, err := index.IndexManifest()
	require.NoError(t, err)
	for key, want := range annotations {
		assert.Equalf(t, want, manifest.Annotations[key], "index: %s", key)
	}
	images := images(t, dir)
	assert.Len(t, images, len(archs))
	for _, arch := range archs {
		digest, err := images[arch].Digest()
		require.NoError(t, err)
		subjects[product+"-"+arch] = digest.Hex
		checkConfig(t, arch, images[arch])
		modules := checkFiles(t, arch, images[arch])
		checkSBOM(t, read(t, dir, sbomName(arch)), digest, modules)
	}
	checkProvenance(t, read(t, dir, product+".provenance.json"), subjects)
}

func checkConfig(t *testing.T, arch string, image v1.Image) {
	config, err := image.ConfigFile()
	require.NoError(t, err)
	manifest, err := image.Manifest()
	require.NoError(t, err)
	c := config.Config
	assert.Truef(t, config.OS == "linux" && config.Architecture == arch && c.User == "65532:65532" && c.WorkingDir == "/" &&
		slices.Equal(c.Entrypoint, []string{"/cluster-autoscaler"}),
		"%s: configuration %+v", arch, config)
	for key, want := range annotations {
		assert.Truef(t, manifest.Annotations[key] == want && c.Labels[key] == want,
			"%s: %s is %q, and %q as a label, want %q", arch, key, manifest.Annotations[key], c.Labels[key], want)
	}
	size := compressedSize(manifest)
	t.Logf("%s: %.1f MB compressed", arch, float64(size)/1e6)
	assert.Truef(t, size <= mostCompressed, "%s: %d bytes compressed, want at most %d", arch, size, mostCompressed)
}

func compressedSize(manifest *v1.Manifest) (size int64) {
	for _, layer := range manifest.Layers {
		size += layer.Size
	}
	return size
}

// checkFiles checks owners, modes and times of all files, and the content of the programs and certificates. It returns the modules
// that each program links.
func checkFiles(t *testing.T, arch string, image v1.Image) map[string][]*debug.Module {
	content := map[string][]byte{}
	r := tar.NewReader(mutate.Extract(image))
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		want := int64(0o644)
		if h.Typeflag == tar.TypeDir || h.Typeflag == tar.TypeSymlink || slices.Contains(programs, h.Name) {
			want = 0o755
		}
		assert.Truef(t, h.Typeflag != tar.TypeSymlink || names[h.Name] != "" && names[h.Name] == h.Linkname,
			"%s: %s is a link to %q", arch, h.Name, h.Linkname)
		assert.Truef(t, h.Uid == 0 && h.Gid == 0 && h.Mode == want && h.ModTime.Unix() == epoch,
			"%s: %s has owner %d:%d, mode %o, time %v", arch, h.Name, h.Uid, h.Gid, h.Mode, h.ModTime)
		content[h.Name], err = io.ReadAll(r)
		require.NoError(t, err)
	}
	for name := range names {
		assert.NotNilf(t, content[name], "%s: the image has no %s", arch, name)
	}
	modules := map[string][]*debug.Module{}
	for _, name := range programs {
		t.Logf("%s: %s has %.1f MB", arch, name, float64(len(content[name]))/1e6)
		assert.Truef(t, len(content[name]) <= mostProgram,
			"%s: %s has %d bytes, want at most %d", arch, name, len(content[name]), mostProgram)
		program, err := elf.NewFile(bytes.NewReader(content[name]))
		require.NoErrorf(t, err, "%s: %s", arch, name)
		assert.Equalf(t, map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}[arch], program.Machine, "%s: %s", arch, name)
		for _, p := range program.Progs {
			assert.Truef(t, p.Type != elf.PT_INTERP && p.Type != elf.PT_DYNAMIC,
				"%s: %s is linked dynamically: it has %v", arch, name, p.Type)
		}
		info, err := buildinfo.Read(bytes.NewReader(content[name]))
		require.NoErrorf(t, err, "%s: build info of %s", arch, name)
		require.NotEmptyf(t, info.Deps, "%s: build info of %s", arch, name)
		modules[name] = info.Deps
		for _, module := range info.Deps {
			assert.Truef(t, bytes.Contains(content["licenses/third-party.txt"], []byte("\n"+module.Path+" (")),
				"%s: no licence of %s, which %s links", arch, module.Path, name)
		}
	}
	checkCertificates(t, content[certificatesPath])
	for name, want := range map[string]string{
		"LICENSE": "Apache License", "instance-types.md": "moto", "prices.md": "karpenter", "third-party.txt": "the Go standard library (LICENSE)",
	} {
		assert.Truef(t, bytes.Contains(content["licenses/"+name], []byte(want)), "%s: licenses/%s lacks %q", arch, name, want)
	}
	return modules
}

// checkCertificates looks for the roots that AWS asks its clients to trust (Amazon Trust Services, repository, read 2026-11).
func checkCertificates(t *testing.T, text []byte) {
	names := map[string]bool{}
	for len(text) > 0 {
		var block *pem.Block
		block, text = pem.Decode(text)
		require.NotNilf(t, block, "%q is no certificate", text)
		certificate, err := x509.ParseCertificate(block.Bytes)
		require.NoError(t, err)
		names[certificate.Subject.CommonName] = true
	}
	for _, name := range []string{
		"Amazon Root CA 1", "Amazon Root CA 2", "Amazon Root CA 3", "Amazon Root CA 4", "Starfield Services Root Certificate Authority - G2",
	} {
		assert.Truef(t, names[name], "the certificates lack %s", name)
	}
}

// checkSBOM checks what the SPDX 2.3 specification requires of a document, and that it relates each program to all its modules.
func checkSBOM(t *testing.T, text []byte, image v1.Hash, modules map[string][]*debug.Module) {
	doc, err := spdxjson.Read(bytes.NewReader(text))
	require.NoError(t, err)
	assert.NoError(t, spdxlib.ValidateDocument(doc))
	var raw struct {
		SPDXVersion, DataLicense, SPDXID, Name, DocumentNamespace string
		CreationInfo                                              struct {
			Created  time.Time
			Creators []string
		}
		Packages []struct {
			Name, SPDXID, VersionInfo, DownloadLocation, LicenseDeclared, LicenseConcluded, CopyrightText string
			FilesAnalyzed                                                                                 *bool
		}
		Relationships []struct{ SPDXElementID, RelationshipType, RelatedSPDXElement string }
	}
	require.NoError(t, json.Unmarshal(text, &raw))
	assert.Truef(t, raw.SPDXVersion == "SPDX-2.3" && raw.DataLicense == "CC0-1.0" && raw.SPDXID == "SPDXRef-DOCUMENT" && raw.Name != "" &&
		strings.HasSuffix(raw.DocumentNamespace, image.Hex) && raw.CreationInfo.Created.Unix() == epoch && len(raw.CreationInfo.Creators) != 0,
		"document: %+v", raw)
	names := map[string]string{} // with version, by ID
	id := regexp.MustCompile(`^SPDXRef-[a-zA-Z0-9.-]+$`)
	for _, p := range raw.Packages {
		assert.Truef(t, p.Name != "" && id.MatchString(p.SPDXID) && names[p.SPDXID] == "" && p.DownloadLocation != "" && p.LicenseDeclared != "" &&
			p.LicenseConcluded != "" && p.CopyrightText != "" && p.FilesAnalyzed != nil && !*p.FilesAnalyzed,
			"package: %+v", p)
		names[p.SPDXID] = p.Name + "@" + p.VersionInfo
	}
	related := map[string]bool{}
	for _, r := range raw.Relationships {
		related[names[r.SPDXElementID]+" "+r.RelationshipType+" "+names[r.RelatedSPDXElement]] = true
	}
	want := []string{product + "@v1 CONTAINS " + certificatesModule + "@" + certificatesVersion()}
	for program, linked := range modules {
		want = append(want, product+"@v1 CONTAINS "+program+"@v1", program+"@v1 DEPENDS_ON stdlib@"+strings.TrimPrefix(runtime.Version(), "go"))
		for _, module := range linked {
			if module.Replace != nil {
				module = module.Replace
			}
			want = append(want, program+"@v1 DEPENDS_ON "+module.Path+"@"+module.Version)
		}
	}
	for _, relation := range want {
		assert.Truef(t, related[relation], "the document lacks: %s", relation)
	}
}

func checkProvenance(t *testing.T, text []byte, subjects map[string]string) {
	var s statement.Statement
	require.NoError(t, protojson.Unmarshal(text, &s))
	assert.NoError(t, s.Validate())
	assert.Truef(t, s.PredicateType == "https://slsa.dev/provenance/v1" && len(s.Subject) == len(subjects),
		"predicate %s of %d subjects", s.PredicateType, len(s.Subject))
	for _, subject := range s.Subject {
		assert.Equalf(t, subjects[subject.Name], subject.Digest["sha256"], "subject %s", subject.Name)
	}
	predicate, err := protojson.Marshal(s.Predicate)
	require.NoError(t, err)
	var p provenance.Provenance
	require.NoError(t, protojson.Unmarshal(predicate, &p))
	assert.NoError(t, p.Validate())
	assert.Equal(t, revision, p.BuildDefinition.ResolvedDependencies[0].Digest["gitCommit"])
	for _, want := range []string{runtime.Version(), "-trimpath", "CGO_ENABLED", "-buildid="} {
		assert.Truef(t, bytes.Contains(text, []byte(want)), "the provenance lacks %q", want)
	}
}

// checkDockerfile compares the Dockerfile's statements with the image's configuration.
func checkDockerfile(t *testing.T, dir string) {
	text := strings.ReplaceAll(string(read(t, "../..", "Dockerfile")), "\\\n", "")
	_, last, found := strings.Cut(text, "\nFROM scratch\n")
	assert.Truef(t, found && regexp.MustCompile(`golang:1\.26\.\d+ AS build\n`).MatchString(text) &&
		strings.Contains(text, "RUN make image-root ARCHS=$TARGETARCH "),
		"the Dockerfile does not build from scratch with a pinned Go release:\n%s", text)
	for _, image := range images(t, dir) {
		config, err := image.ConfigFile()
		require.NoError(t, err)
		c := config.Config
		entry, err := json.Marshal(c.Entrypoint)
		require.NoError(t, err)
		for _, want := range []string{"USER " + c.User, "WORKDIR " + c.WorkingDir, "ENTRYPOINT " + string(entry), "ENV " + c.Env[0], "COPY --from=build /out/root/ /"} {
			assert.Containsf(t, last, "\n"+want+"\n", "the Dockerfile lacks %q", want)
		}
		for key, value := range c.Labels {
			label := key + `="` + value + `"`
			switch strings.TrimPrefix(key, "org.opencontainers.image.") {
			case "version":
				label = key + "=$VERSION"
			case "revision":
				label = key + "=$REVISION"
			case "created":
				continue // the engine states its own time
			}
			assert.Containsf(t, last, label, "the Dockerfile lacks the label %s", label)
		}
	}
}

func checkRoot(t *testing.T, root string, image v1.Image) {
	assert.Empty(t, cmp.Diff(tree(t, unpack(t, image)), tree(t, root)), "files (-image +Dockerfile)")
}

func tree(t *testing.T, dir string) map[string]string {
	entries := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		entries[name] = info.Mode().String()
		if !entry.IsDir() {
			entries[name] += fmt.Sprintf(" %x", sha256.Sum256(read(t, path)))
		}
		return err
	}))
	return entries
}

func unpack(t *testing.T, image v1.Image) string {
	dir := t.TempDir()
	layers, err := image.Layers()
	require.NoError(t, err)
	for _, layer := range layers {
		compressed, err := layer.Compressed()
		require.NoError(t, err)
		plain, err := gzip.NewReader(compressed)
		require.NoError(t, err)
		cmd := exec.Command("tar", "-x", "-C", dir)
		cmd.Stdin = plain
		mustRun(t, cmd)
	}
	return dir
}

// checkRuns runs the programs in the image. The certificate of the server that they call is no public one. So a call succeeds
// only after the certificate is appended to the image's, which shows that the programs read that file.
func checkRuns(t *testing.T, root string) {
	for _, tt := range []struct{ program, flag, want string }{
		{"./cluster-autoscaler", "--version", "cluster-autoscaler v1"},
		{"/cluster-autoscaler", "--version", "cluster-autoscaler v1"},
		{"./cluster-autoscaler", "--help", "--node-group-auto-discovery"},
		{"/asgctl", "--help", "groups"},
	} {
		out, err := inImage(root, nil, tt.program, tt.flag)
		assert.NoErrorf(t, err, "%s %s", tt.program, tt.flag)
		assert.Containsf(t, out, tt.want, "%s %s", tt.program, tt.flag)
	}
	aws := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, `<DescribeAutoScalingGroupsResponse><DescribeAutoScalingGroupsResult><AutoScalingGroups/></DescribeAutoScalingGroupsResult></DescribeAutoScalingGroupsResponse>`)
	}))
	defer aws.Close()
	env := []string{"AWS_REGION=us-west-2", "AWS_ENDPOINT_URL=" + aws.URL, "AWS_ACCESS_KEY_ID=a", "AWS_SECRET_ACCESS_KEY=b"}
	groups := []string{"/asgctl", "groups", "--node-group-auto-discovery", "asg:tag=a"}
	out, err := inImage(root, env, groups...)
	assert.Error(t, err, "call to a server with an unknown certificate")
	assert.Contains(t, out, "certificate signed by unknown authority")
	path := filepath.Join(root, certificatesPath)
	appended := append(read(t, path), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: aws.Certificate().Raw})...)
	require.NoError(t, os.WriteFile(path, appended, 0o644))
	// the answer has no group, which asgctl says with an exit code of its own
	out, err = inImage(root, env, groups...)
	assert.Containsf(t, out, "there is no Auto Scaling group in us-west-2", "the server's certificate is in /%s: %v", certificatesPath, err)
}

// inImage runs a program as the image's user, with the image's files as the whole file system and / as working directory. Without
// root's rights it does so in a user namespace.
func inImage(root string, env []string, command ...string) (string, error) {
	if err := os.Chmod(root, 0o755); err != nil {
		return "", err
	}
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Err = nil // exec.Command looks for the program outside the image
	cmd.Dir, cmd.Env = "/", append(env, "PATH=/")
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: 65532, Gid: 65532}}
	if os.Getuid() != 0 {
		cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 65532, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 65532, HostID: os.Getgid(), Size: 1}}
		cmd.SysProcAttr.Credential.NoSetGroups = true
	}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

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
	"google.golang.org/protobuf/encoding/protojson"
)

const (
	revision = "0123456789abcdef0123456789abcdef01234567"
	epoch    = 1700000000
	// Limits of docs/install.md.
	mostCompressed = 40_000_000
	mostProgram    = 110_000_000 // it is above that with all calls of EC2, see awsclient.EC2
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
	t.Helper()
	dir := t.TempDir()
	main := filepath.Join(dir, "main.go")
	if err := os.WriteFile(main, []byte(small), 0o644); err != nil {
		t.Fatal(err)
	}
	o := options{
		product: "../..", programs: dir, out: dir, archs: []string{"amd64", "arm64"}, version: "v1", revision: revision,
		ldflags: "-s -w -buildid=", created: time.Unix(epoch, 0).UTC(),
	}
	for _, arch := range o.archs {
		for _, name := range programs {
			cmd := exec.Command("go", "build", "-trimpath", "-ldflags="+o.ldflags, "-o", filepath.Join(dir, "linux_"+arch, name), main)
			cmd.Dir = o.product
			cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
		}
	}
	if err := run(o); err != nil {
		t.Fatal(err)
	}
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
		if err := run(o); err != nil {
			t.Fatal(err)
		}
		checkRoot(t, o.root, image)
		if arch == runtime.GOARCH {
			program, err := inImage(unpack(t, image), nil, "./cluster-autoscaler")
			if err != nil || program != "small 65532 / true\n" {
				t.Errorf("./cluster-autoscaler: %v, %q, want user 65532 in /", err, program)
			}
		}
	}
}

func TestProgramsThatNeedLibrariesAreRefused(t *testing.T) {
	path := filepath.Join(packSmall(t).programs, "linux_amd64", programs[0])
	if _, err := readBuildInfo(path, "arm64"); err == nil || !strings.Contains(err.Error(), "GOARCH=amd64, want arm64") {
		t.Errorf("a program of another architecture: %v", err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := readBuildInfo(self, runtime.GOARCH); err == nil || !strings.Contains(err.Error(), "run make image") {
		t.Errorf("a program built without the flags: %v", err)
	}
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
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
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
	t.Helper()
	command := regexp.MustCompile(`(?m)^RUN (make .*) BIN=/out$`).FindSubmatch(read(t, "../..", "Dockerfile"))
	if command == nil {
		t.Fatal("the Dockerfile does not build into /out")
	}
	dir := t.TempDir()
	cmd := exec.Command("sh", "-c", string(command[1])+" BIN="+dir)
	cmd.Dir, cmd.Env = source, append(os.Environ(), "MAKEFLAGS=", "TARGETARCH="+arch, "VERSION=v1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return filepath.Join(dir, "root")
}

// copyOfTheSources returns a directory with everything that the image is built from.
func copyOfTheSources(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, path := range []string{"build", "cloudprovider", "cmd", "expander", "manifests", "pricing"} {
		if err := os.CopyFS(filepath.Join(dir, path), os.DirFS(filepath.Join("../..", path))); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{"go.mod", "go.sum", "Makefile", "LICENSE"} {
		if err := os.WriteFile(filepath.Join(dir, path), read(t, "../..", path), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func read(t *testing.T, path ...string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// checkSame compares the files of two builds byte by byte.
func checkSame(t *testing.T, first, second string) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(first, product+"*"))
	if err != nil || len(names) < 3 {
		t.Fatalf("files of the first build: %q, %v", names, err)
	}
	for _, path := range append(names, filepath.Join(first, "image", "index.json")) {
		name, err := filepath.Rel(first, path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(read(t, path), read(t, second, name)) {
			t.Errorf("two builds differ in %s", name)
		}
	}
}

// images reads the layout back and returns its images by architecture.
func images(t *testing.T, dir string) map[string]v1.Image {
	t.Helper()
	_, index := named(t, dir)
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	images := map[string]v1.Image{}
	for _, d := range manifest.Manifests {
		if images[d.Platform.Architecture], err = index.Image(d.Digest); err != nil {
			t.Fatal(err)
		}
	}
	return images
}

// named returns the one index of a layout, with its digest.
func named(t *testing.T, dir string) (v1.Hash, v1.ImageIndex) {
	t.Helper()
	outer, err := layout.ImageIndexFromPath(filepath.Join(dir, "image"))
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := outer.IndexManifest()
	if err != nil || len(manifest.Manifests) != 1 {
		t.Fatalf("%v, %v, want one index", manifest, err)
	}
	digest := manifest.Manifests[0].Digest
	index, err := outer.ImageIndex(digest)
	if err != nil {
		t.Fatal(err)
	}
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
	t.Helper()
	digest, index := named(t, dir)
	if err := validate.Index(index); err != nil {
		t.Error(err)
	}
	subjects := map[string]string{product: digest.Hex}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range annotations {
		if got := manifest.Annotations[key]; got != want {
			t.Errorf("index: %s is %q, want %q", key, got, want)
		}
	}
	images := images(t, dir)
	if len(images) != len(archs) {
		t.Errorf("%d images, want %d", len(images), len(archs))
	}
	for _, arch := range archs {
		digest, err := images[arch].Digest()
		if err != nil {
			t.Fatal(err)
		}
		subjects[product+"-"+arch] = digest.Hex
		checkConfig(t, arch, images[arch])
		modules := checkFiles(t, arch, images[arch])
		checkSBOM(t, read(t, dir, sbomName(arch)), digest, modules)
	}
	checkProvenance(t, read(t, dir, product+".provenance.json"), subjects)
}

func checkConfig(t *testing.T, arch string, image v1.Image) {
	t.Helper()
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := image.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	c := config.Config
	if config.OS != "linux" || config.Architecture != arch || c.User != "65532:65532" || c.WorkingDir != "/" || !slices.Equal(c.Entrypoint, []string{"/cluster-autoscaler"}) {
		t.Errorf("%s: configuration %+v", arch, config)
	}
	for key, want := range annotations {
		if manifest.Annotations[key] != want || c.Labels[key] != want {
			t.Errorf("%s: %s is %q, and %q as a label, want %q", arch, key, manifest.Annotations[key], c.Labels[key], want)
		}
	}
	size := compressedSize(manifest)
	t.Logf("%s: %.1f MB compressed", arch, float64(size)/1e6)
	if size > mostCompressed {
		t.Errorf("%s: %d bytes compressed, want at most %d", arch, size, mostCompressed)
	}
}

// compressedSize is the size of all layers, as a registry keeps them.
func compressedSize(manifest *v1.Manifest) (size int64) {
	for _, layer := range manifest.Layers {
		size += layer.Size
	}
	return size
}

// checkFiles checks owners, modes and times of all files, and the content of the programs and certificates. It returns the modules
// that each program links.
func checkFiles(t *testing.T, arch string, image v1.Image) map[string][]*debug.Module {
	t.Helper()
	content := map[string][]byte{}
	r := tar.NewReader(mutate.Extract(image))
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		want := int64(0o644)
		if h.Typeflag == tar.TypeDir || h.Typeflag == tar.TypeSymlink || slices.Contains(programs, h.Name) {
			want = 0o755
		}
		if h.Typeflag == tar.TypeSymlink && (names[h.Name] == "" || names[h.Name] != h.Linkname) {
			t.Errorf("%s: %s is a link to %q", arch, h.Name, h.Linkname)
		}
		if h.Uid != 0 || h.Gid != 0 || h.Mode != want || h.ModTime.Unix() != epoch {
			t.Errorf("%s: %s has owner %d:%d, mode %o, time %v", arch, h.Name, h.Uid, h.Gid, h.Mode, h.ModTime)
		}
		if content[h.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
	for name := range names {
		if _, ok := content[name]; !ok {
			t.Errorf("%s: the image has no %s", arch, name)
		}
	}
	modules := map[string][]*debug.Module{}
	for _, name := range programs {
		t.Logf("%s: %s has %.1f MB", arch, name, float64(len(content[name]))/1e6)
		if len(content[name]) > mostProgram {
			t.Errorf("%s: %s has %d bytes, want at most %d", arch, name, len(content[name]), mostProgram)
		}
		program, err := elf.NewFile(bytes.NewReader(content[name]))
		if err != nil {
			t.Fatalf("%s: %s: %v", arch, name, err)
		}
		if machine := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}[arch]; program.Machine != machine {
			t.Errorf("%s: %s is for %v", arch, name, program.Machine)
		}
		for _, p := range program.Progs {
			if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
				t.Errorf("%s: %s is linked dynamically: it has %v", arch, name, p.Type)
			}
		}
		info, err := buildinfo.Read(bytes.NewReader(content[name]))
		if err != nil || len(info.Deps) == 0 {
			t.Fatalf("%s: build info of %s: %+v, %v", arch, name, info, err)
		}
		modules[name] = info.Deps
		for _, module := range info.Deps {
			if licences := content["licenses/third-party.txt"]; !bytes.Contains(licences, []byte("\n"+module.Path+" (")) {
				t.Errorf("%s: no licence of %s, which %s links", arch, module.Path, name)
			}
		}
	}
	checkCertificates(t, content[certificatesPath])
	for name, want := range map[string]string{
		"LICENSE": "Apache License", "instance-types.md": "moto", "prices.md": "karpenter", "third-party.txt": "the Go standard library (LICENSE)",
	} {
		if !bytes.Contains(content["licenses/"+name], []byte(want)) {
			t.Errorf("%s: licenses/%s lacks %q", arch, name, want)
		}
	}
	return modules
}

// checkCertificates looks for the roots that AWS asks its clients to trust (Amazon Trust Services, repository, read 2026-11).
func checkCertificates(t *testing.T, text []byte) {
	t.Helper()
	names := map[string]bool{}
	for len(text) > 0 {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			t.Fatalf("%q is no certificate", text)
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		names[certificate.Subject.CommonName] = true
	}
	for _, name := range []string{
		"Amazon Root CA 1", "Amazon Root CA 2", "Amazon Root CA 3", "Amazon Root CA 4", "Starfield Services Root Certificate Authority - G2",
	} {
		if !names[name] {
			t.Errorf("the certificates lack %s", name)
		}
	}
}

// checkSBOM checks what the SPDX 2.3 specification requires of a document, and that it relates each program to all its modules.
func checkSBOM(t *testing.T, text []byte, image v1.Hash, modules map[string][]*debug.Module) {
	t.Helper()
	doc, err := spdxjson.Read(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := spdxlib.ValidateDocument(doc); err != nil {
		t.Error(err)
	}
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
	if err := json.Unmarshal(text, &raw); err != nil {
		t.Fatal(err)
	}
	if raw.SPDXVersion != "SPDX-2.3" || raw.DataLicense != "CC0-1.0" || raw.SPDXID != "SPDXRef-DOCUMENT" || raw.Name == "" ||
		!strings.HasSuffix(raw.DocumentNamespace, image.Hex) || raw.CreationInfo.Created.Unix() != epoch || len(raw.CreationInfo.Creators) == 0 {
		t.Errorf("document: %+v", raw)
	}
	names := map[string]string{} // with version, by ID
	id := regexp.MustCompile(`^SPDXRef-[a-zA-Z0-9.-]+$`)
	for _, p := range raw.Packages {
		if p.Name == "" || !id.MatchString(p.SPDXID) || names[p.SPDXID] != "" || p.DownloadLocation == "" || p.LicenseDeclared == "" ||
			p.LicenseConcluded == "" || p.CopyrightText == "" || p.FilesAnalyzed == nil || *p.FilesAnalyzed {
			t.Errorf("package: %+v", p)
		}
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
		if !related[relation] {
			t.Errorf("the document lacks: %s", relation)
		}
	}
}

func checkProvenance(t *testing.T, text []byte, subjects map[string]string) {
	t.Helper()
	var s statement.Statement
	if err := protojson.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	if err := s.Validate(); err != nil {
		t.Error(err)
	}
	if s.PredicateType != "https://slsa.dev/provenance/v1" || len(s.Subject) != len(subjects) {
		t.Errorf("predicate %s of %d subjects", s.PredicateType, len(s.Subject))
	}
	for _, subject := range s.Subject {
		if subject.Digest["sha256"] != subjects[subject.Name] {
			t.Errorf("subject %s has digest %q, want %s", subject.Name, subject.Digest, subjects[subject.Name])
		}
	}
	predicate, err := protojson.Marshal(s.Predicate)
	if err != nil {
		t.Fatal(err)
	}
	var p provenance.Provenance
	if err := protojson.Unmarshal(predicate, &p); err != nil {
		t.Fatal(err)
	}
	if err := p.Validate(); err != nil {
		t.Error(err)
	}
	if commit := p.BuildDefinition.ResolvedDependencies[0].Digest["gitCommit"]; commit != revision {
		t.Errorf("commit %s", commit)
	}
	for _, want := range []string{runtime.Version(), "-trimpath", "CGO_ENABLED", "-buildid="} {
		if !bytes.Contains(text, []byte(want)) {
			t.Errorf("the provenance lacks %q", want)
		}
	}
}

// checkDockerfile compares the Dockerfile's statements with the image's configuration.
func checkDockerfile(t *testing.T, dir string) {
	t.Helper()
	text := strings.ReplaceAll(string(read(t, "../..", "Dockerfile")), "\\\n", "")
	_, last, found := strings.Cut(text, "\nFROM scratch\n")
	if !found || !regexp.MustCompile(`golang:1\.26\.\d+ AS build\n`).MatchString(text) || !strings.Contains(text, "RUN make image-root ARCHS=$TARGETARCH ") {
		t.Errorf("the Dockerfile does not build from scratch with a pinned Go release:\n%s", text)
	}
	for _, image := range images(t, dir) {
		config, err := image.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		c := config.Config
		entry, err := json.Marshal(c.Entrypoint)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"USER " + c.User, "WORKDIR " + c.WorkingDir, "ENTRYPOINT " + string(entry), "ENV " + c.Env[0], "COPY --from=build /out/root/ /"} {
			if !strings.Contains(last, "\n"+want+"\n") {
				t.Errorf("the Dockerfile lacks %q", want)
			}
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
			if !strings.Contains(last, label) {
				t.Errorf("the Dockerfile lacks the label %s", label)
			}
		}
	}
}

// checkRoot compares a directory that the Dockerfile copies with the files of an image.
func checkRoot(t *testing.T, root string, image v1.Image) {
	t.Helper()
	if diff := cmp.Diff(tree(t, unpack(t, image)), tree(t, root)); diff != "" {
		t.Errorf("files (-image +Dockerfile):\n%s", diff)
	}
}

// tree returns the mode and the digest of everything below a directory, by path.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries := map[string]string{}
	if err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
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
	}); err != nil {
		t.Fatal(err)
	}
	return entries
}

// unpack returns a directory with the files of an image.
func unpack(t *testing.T, image v1.Image) string {
	t.Helper()
	dir := t.TempDir()
	layers, err := image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	for _, layer := range layers {
		compressed, err := layer.Compressed()
		if err != nil {
			t.Fatal(err)
		}
		plain, err := gzip.NewReader(compressed)
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("tar", "-x", "-C", dir)
		cmd.Stdin = plain
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	return dir
}

// checkRuns runs the programs in the image. The certificate of the server that they call is no public one. So a call succeeds
// only after the certificate is appended to the image's, which shows that the programs read that file.
func checkRuns(t *testing.T, root string) {
	t.Helper()
	for _, tt := range []struct{ program, flag, want string }{
		{"./cluster-autoscaler", "--version", "cluster-autoscaler v1"},
		{"/cluster-autoscaler", "--version", "cluster-autoscaler v1"},
		{"./cluster-autoscaler", "--help", "--node-group-auto-discovery"},
		{"/asgctl", "--help", "groups"},
	} {
		if out, err := inImage(root, nil, tt.program, tt.flag); err != nil || !strings.Contains(out, tt.want) {
			t.Errorf("%s %s: %v, want %q in\n%s", tt.program, tt.flag, err, tt.want, out)
		}
	}
	aws := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, `<DescribeAutoScalingGroupsResponse><DescribeAutoScalingGroupsResult><AutoScalingGroups/></DescribeAutoScalingGroupsResult></DescribeAutoScalingGroupsResponse>`)
	}))
	defer aws.Close()
	env := []string{"AWS_REGION=us-west-2", "AWS_ENDPOINT_URL=" + aws.URL, "AWS_ACCESS_KEY_ID=a", "AWS_SECRET_ACCESS_KEY=b"}
	groups := []string{"/asgctl", "groups", "--node-group-auto-discovery", "asg:tag=a"}
	if out, err := inImage(root, env, groups...); err == nil || !strings.Contains(out, "certificate signed by unknown authority") {
		t.Errorf("call to a server with an unknown certificate: %v\n%s", err, out)
	}
	path := filepath.Join(root, certificatesPath)
	appended := append(read(t, path), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: aws.Certificate().Raw})...)
	if err := os.WriteFile(path, appended, 0o644); err != nil {
		t.Fatal(err)
	}
	// the answer has no group, which asgctl says with an exit code of its own
	if out, err := inImage(root, env, groups...); !strings.Contains(out, "there is no Auto Scaling group in us-west-2") {
		t.Errorf("call to a server whose certificate is in /%s: %v\n%s", certificatesPath, err, out)
	}
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

package main

import (
	"archive/tar"
	"bytes"
	"cmp"
	"debug/buildinfo"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// certificatesPath is where the stock Deployments mount the host's certificates, and where Go looks first.
const certificatesPath = "etc/ssl/certs/ca-certificates.crt"

// certificatesModule holds the root certificates that Mozilla trusts.
const certificatesModule = "golang.org/x/crypto/x509roots/fallback"

// file is a file of the image. Its owner is root, and everybody may read it.
type file struct {
	path    string // relative to the root directory
	content []byte
	program bool   // everybody may run it
	link    string // the file beside it that it names, "" for a file of its own
}

func (f file) mode() os.FileMode {
	if f.program {
		return 0o755
	}
	return 0o644
}

// files returns the files of an architecture's image, sorted by path, and the build info of each program by its name.
func (o options) files(arch string) ([]file, map[string]*buildinfo.BuildInfo, error) {
	infos := map[string]*buildinfo.BuildInfo{}
	modules := map[string]bool{}
	var files []file
	for _, name := range programs {
		path := filepath.Join(o.programs, "linux_"+arch, name)
		info, err := readBuildInfo(path, arch)
		if err != nil {
			return nil, nil, err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return nil, nil, err
		}
		files = append(files, file{path: name, content: content, program: true})
		infos[name] = info
		for _, module := range info.Deps {
			modules[module.Path] = true
		}
	}
	for name, program := range names {
		files = append(files, file{path: name, link: program, program: true})
	}
	licences, err := o.licences(slices.Sorted(maps.Keys(modules)))
	if err != nil {
		return nil, nil, err
	}
	files = append(append(files, licences...), file{path: certificatesPath, content: certificates()})
	slices.SortFunc(files, func(a, b file) int { return cmp.Compare(a.path, b.path) })
	return files, infos, nil
}

// certificates returns the root certificates as PEM. It leaves out roots that Mozilla trusts only for older certificates,
// because PEM cannot state such a condition.
func certificates() []byte {
	var out bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint == nil {
			_ = pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}) // a Buffer takes everything
		}
	}
	return out.Bytes()
}

// certificatesVersion is the version of certificatesModule in this program.
func certificatesVersion() string {
	info, _ := debug.ReadBuildInfo()
	for _, module := range info.Deps {
		if module.Path == certificatesModule {
			return module.Version
		}
	}
	return ""
}

var licenceFile = regexp.MustCompile(`(?i)^(licen[sc]e|copying|notice)`)

// licences returns the product's licence, the sources of its data, and the licences and notices of everything that is linked in.
func (o options) licences(modules []string) ([]file, error) {
	var files []file
	for name, path := range map[string]string{
		"LICENSE":           "LICENSE",
		"instance-types.md": "cloudprovider/instancetypes/data/SOURCES.md",
		"prices.md":         "pricing/data/SOURCES.md",
	} {
		content, err := os.ReadFile(filepath.Join(o.product, path))
		if err != nil {
			return nil, err
		}
		files = append(files, file{path: "licenses/" + name, content: content})
	}
	dirs, err := moduleDirs(o.product, modules)
	if err != nil {
		return nil, err
	}
	roots, err := moduleDirs(".", []string{certificatesModule})
	if err != nil {
		return nil, err
	}
	maps.Copy(dirs, roots)
	goroot, err := goCommand(o.product, "env", "GOROOT")
	if err != nil {
		return nil, err
	}
	dirs["the Go standard library"] = strings.TrimSpace(goroot)
	modulesOf := map[string][]string{} // by text
	for _, module := range slices.Sorted(maps.Keys(dirs)) {
		entries, err := os.ReadDir(dirs[module])
		if err != nil {
			return nil, err
		}
		for _, entry := range entries {
			if !entry.Type().IsRegular() || !licenceFile.MatchString(entry.Name()) {
				continue
			}
			content, err := os.ReadFile(filepath.Join(dirs[module], entry.Name()))
			if err != nil {
				return nil, err
			}
			modulesOf[string(content)] = append(modulesOf[string(content)], module+" ("+entry.Name()+")")
		}
	}
	var out strings.Builder
	texts := slices.SortedFunc(maps.Keys(modulesOf), func(a, b string) int { return cmp.Compare(modulesOf[a][0], modulesOf[b][0]) })
	for _, text := range texts {
		fmt.Fprintf(&out, "%s\n%s\n\n%s\n", strings.Repeat("=", 80), strings.Join(modulesOf[text], "\n"), text)
	}
	return append(files, file{path: "licenses/third-party.txt", content: []byte(out.String())}), nil
}

// moduleDirs returns the directories with the sources of modules that dir's module requires, by module path.
func moduleDirs(dir string, modules []string) (map[string]string, error) {
	if len(modules) == 0 {
		return map[string]string{}, nil
	}
	out, err := goCommand(dir, append([]string{"list", "-m", "-f={{.Path}}\t{{.Dir}}"}, modules...)...)
	if err != nil {
		return nil, err
	}
	dirs := map[string]string{}
	for line := range strings.Lines(out) {
		module, dir, _ := strings.Cut(strings.TrimSpace(line), "\t")
		dirs[module] = dir
	}
	return dirs, nil
}

func goCommand(dir string, args ...string) (string, error) {
	cmd := exec.Command("go", args...)
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w", args[0], err)
	}
	return string(out), nil
}

// tarOf returns the files and their directories as a tar. All of it belongs to root and has the given time.
func tarOf(files []file, created time.Time) ([]byte, error) {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	seen := map[string]bool{".": true}
	for _, f := range files {
		var parents []string
		for dir := path.Dir(f.path); !seen[dir]; dir = path.Dir(dir) {
			seen[dir] = true
			parents = append(parents, dir)
		}
		for _, dir := range slices.Backward(parents) {
			if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir + "/", Mode: 0o755, ModTime: created}); err != nil {
				return nil, err
			}
		}
		header := &tar.Header{Typeflag: tar.TypeReg, Name: f.path, Mode: int64(f.mode()), ModTime: created, Size: int64(len(f.content))}
		if f.link != "" {
			header.Typeflag, header.Linkname = tar.TypeSymlink, f.link
		}
		if err := w.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := w.Write(f.content); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// writeFiles writes the files below dir.
func writeFiles(dir string, files []file) error {
	for _, f := range files {
		path := filepath.Join(dir, f.path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		write := func() error { return os.WriteFile(path, f.content, f.mode()) }
		if f.link != "" {
			write = func() error { return os.Symlink(f.link, path) }
		}
		if err := errors.Join(remove(path), write()); err != nil {
			return err
		}
	}
	return nil
}

// remove removes what an older image left, such as a link that must not be followed.
func remove(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

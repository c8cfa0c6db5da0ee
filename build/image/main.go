package main

import (
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
)

// source is where the code of the product is published.
const source = "https://github.com/asg-autoscaler/asg-autoscaler"

// programs are the names of the programs in the image's root directory. The first is the entry point.
var programs = []string{"cluster-autoscaler"}

// names are further names of programs. The autoscaler is asgctl under that name, so that the image holds the core once.
var names = map[string]string{"asgctl": "cluster-autoscaler"}

type options struct {
	product  string   // root directory of the product's module
	programs string   // directory with the programs, in linux_<arch>
	out      string   // directory to write to
	root     string   // directory for the files of one architecture, empty: write an image
	archs    []string // in the words of GOARCH
	version  string
	revision string // commit, 40 hexadecimal digits
	ldflags  string // of the programs. Their build info lacks it
	created  time.Time
}

func main() {
	var o options
	archs := flag.String("archs", "amd64 arm64", "architectures, in the words of GOARCH")
	epoch := flag.Int64("epoch", 0, "time of the commit, in seconds since 1970")
	flag.StringVar(&o.product, "product", "../..", "root directory of the product's module")
	flag.StringVar(&o.programs, "programs", "../../bin", "directory with the programs, in linux_<arch>")
	flag.StringVar(&o.out, "out", "../../bin", "directory to write to")
	flag.StringVar(&o.root, "root", "", "write the files of one architecture's image into this directory, and no image")
	flag.StringVar(&o.version, "version", "unknown", "version of the programs")
	flag.StringVar(&o.revision, "revision", "", "commit that the programs were built from")
	flag.StringVar(&o.ldflags, "ldflags", "", "linker flags that the programs were built with")
	flag.Parse()
	o.archs, o.created = strings.Fields(*archs), time.Unix(*epoch, 0).UTC()
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

func run(o options) error {
	if o.root != "" {
		if len(o.archs) != 1 {
			return fmt.Errorf("-root holds one architecture, and -archs has %d", len(o.archs))
		}
		files, _, err := o.files(o.archs[0])
		if err != nil {
			return err
		}
		return writeFiles(o.root, files)
	}
	var built []platform
	for _, arch := range o.archs {
		p, err := o.platform(arch)
		if err != nil {
			return fmt.Errorf("image for %s: %w", arch, err)
		}
		built = append(built, p)
	}
	return o.write(built)
}

// platform is the image of one architecture.
type platform struct {
	arch  string
	image v1.Image
	infos map[string]*buildinfo.BuildInfo // of each program, by its name
	sbom  []byte                          // SPDX document
}

func (o options) platform(arch string) (platform, error) {
	files, infos, err := o.files(arch)
	if err != nil {
		return platform{}, err
	}
	image, err := o.image(arch, files)
	if err != nil {
		return platform{}, err
	}
	digest, err := image.Digest()
	if err != nil {
		return platform{}, err
	}
	sbom, err := o.sbom(arch, digest, files, infos)
	return platform{arch: arch, image: image, infos: infos, sbom: sbom}, err
}

// readBuildInfo returns the build info of a program. It refuses a program that would not run in the image, or that another
// directory would build differently.
func readBuildInfo(path, arch string) (*buildinfo.BuildInfo, error) {
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return nil, err
	}
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	for key, want := range map[string]string{"GOOS": "linux", "GOARCH": arch, "CGO_ENABLED": "0", "-trimpath": "true"} {
		if settings[key] != want {
			return nil, fmt.Errorf("%q was built with %s=%s, want %s: run make image", path, key, settings[key], want)
		}
	}
	return info, nil
}

// write writes everything below o.out, and the digests to standard output.
func (o options) write(built []platform) error {
	index, err := o.index(built)
	if err != nil {
		return err
	}
	digest, err := index.Digest()
	if err != nil {
		return err
	}
	provenance, err := o.provenance(digest, built)
	if err != nil {
		return err
	}
	dir := filepath.Join(o.out, "image")
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o755)); err != nil {
		return err
	}
	if _, err := layout.Write(dir, o.named(index)); err != nil {
		return fmt.Errorf("write image: %w", err)
	}
	archived, err := archive(dir, o.created)
	if err != nil {
		return fmt.Errorf("archive image: %w", err)
	}
	beside := []file{{path: product + ".oci.tar", content: archived}, {path: product + ".provenance.json", content: provenance}}
	for _, p := range built {
		beside = append(beside, file{path: sbomName(p.arch), content: p.sbom})
	}
	fmt.Println(dir, digest)
	return writeFiles(o.out, beside)
}

// indented is JSON with keys in a fixed order.
func indented(value any) ([]byte, error) {
	text, err := json.MarshalIndent(value, "", "  ")
	return append(text, '\n'), err
}

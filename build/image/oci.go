package main

import (
	"bytes"
	"compress/gzip"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

const (
	product = "asg-autoscaler"
	// user is the user and group that images without a user database commonly run as.
	user = "65532:65532"
)

// annotations describe the image, in the keys of the OCI image specification.
func (o options) annotations() map[string]string {
	return map[string]string{
		"org.opencontainers.image.title":         product,
		"org.opencontainers.image.description":   "A Kubernetes node autoscaler for EC2 Auto Scaling groups",
		"org.opencontainers.image.licenses":      "Apache-2.0",
		"org.opencontainers.image.source":        source,
		"org.opencontainers.image.documentation": source + "/blob/main/README.md",
		"org.opencontainers.image.version":       o.version,
		"org.opencontainers.image.revision":      o.revision,
		"org.opencontainers.image.created":       o.created.Format(time.RFC3339),
	}
}

// image returns the image of one architecture. Its first layer holds files that seldom change, the second the programs.
func (o options) image(arch string, files []file) (v1.Image, error) {
	created := v1.Time{Time: o.created}
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	for _, l := range []struct {
		content  string
		programs bool
	}{{"certificates and licences", false}, {"programs", true}} {
		layer, err := o.layer(slices.DeleteFunc(slices.Clone(files), func(f file) bool { return f.program != l.programs }))
		if err != nil {
			return nil, err
		}
		image, err = mutate.Append(image, mutate.Addendum{Layer: layer, History: v1.History{Created: created, CreatedBy: "make image", Comment: l.content}})
		if err != nil {
			return nil, err
		}
	}
	appended, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config := appended.DeepCopy()
	config.OS, config.Architecture, config.Created = "linux", arch, created
	config.Config = v1.Config{
		User: user, WorkingDir: "/", Entrypoint: []string{"/" + programs[0]}, Env: []string{"PATH=/"}, Labels: o.annotations(),
	}
	image, err = mutate.ConfigFile(image, config)
	if err != nil {
		return nil, err
	}
	return mutate.Annotations(image, o.annotations()).(v1.Image), nil
}

func (o options) layer(files []file) (v1.Layer, error) {
	content, err := tarOf(files, o.created)
	if err != nil {
		return nil, err
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil }
	return tarball.LayerFromOpener(open, tarball.WithMediaType(types.OCILayer), tarball.WithCompressedCaching,
		tarball.WithCompressionLevel(gzip.DefaultCompression))
}

// index returns the image of all architectures.
func (o options) index(built []platform) (v1.ImageIndex, error) {
	index := v1.ImageIndex(empty.Index)
	for _, p := range built {
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add: p.image, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: p.arch}},
		})
	}
	return mutate.Annotations(index, o.annotations()).(v1.ImageIndex), nil
}

// named returns the index of a layout with one image, named by its version.
func (o options) named(image v1.ImageIndex) v1.ImageIndex {
	return mutate.AppendManifests(empty.Index, mutate.IndexAddendum{
		Add: image, Descriptor: v1.Descriptor{Annotations: map[string]string{"org.opencontainers.image.ref.name": o.version}},
	})
}

// archive returns the files of a layout as one tar, sorted by path.
func archive(dir string, created time.Time) ([]byte, error) {
	var files []file
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		files = append(files, file{path: filepath.ToSlash(name), content: content})
		return err
	})
	if err != nil {
		return nil, err
	}
	return tarOf(files, created)
}

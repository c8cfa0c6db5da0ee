package main

import (
	"crypto/sha256"
	"encoding/hex"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// provenance returns an unsigned in-toto statement with SLSA provenance (https://slsa.dev/spec/v1.0/provenance). It states no
// time and no machine, so the same commit gives the same statement.
func (o options) provenance(index v1.Hash, built []platform) ([]byte, error) {
	type object = map[string]any
	commit := object{"uri": "git+" + source, "digest": object{"gitCommit": o.revision}}
	subjects := []object{{"name": product, "digest": object{index.Algorithm: index.Hex}}}
	settings, sboms, release := object{}, []object{}, ""
	for _, p := range built {
		digest, err := p.image.Digest()
		if err != nil {
			return nil, err
		}
		subjects = append(subjects, object{"name": product + "-" + p.arch, "digest": object{digest.Algorithm: digest.Hex}})
		sum := sha256.Sum256(p.sbom)
		sboms = append(sboms, object{"name": sbomName(p.arch), "digest": object{"sha256": hex.EncodeToString(sum[:])}})
		info := p.infos[programs[0]]
		release = info.GoVersion
		ofArch := object{"-ldflags": o.ldflags}
		for _, s := range info.Settings {
			ofArch[s.Key] = s.Value
		}
		settings[p.arch] = ofArch
	}
	return indented(object{
		"_type":         "https://in-toto.io/Statement/v1",
		"subject":       subjects,
		"predicateType": "https://slsa.dev/provenance/v1",
		"predicate": object{
			"buildDefinition": object{
				"buildType":            source + "/tree/main/build/image",
				"externalParameters":   object{"source": commit, "target": "make image", "architectures": o.archs, "version": o.version},
				"internalParameters":   object{"goVersion": release, "buildSettings": settings, "created": o.created},
				"resolvedDependencies": []object{commit},
			},
			"runDetails": object{
				"builder":    object{"id": source + "/tree/main/build/image", "version": map[string]string{"go": release}},
				"byproducts": sboms,
			},
		},
	})
}

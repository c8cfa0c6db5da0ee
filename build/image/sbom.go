package main

import (
	"cmp"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/spdx/tools-golang/spdx/v2/common"
	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"
)

// sbomName is the name of an architecture's SPDX document.
func sbomName(arch string) string { return product + "-" + arch + ".spdx.json" }

// sbom returns an SPDX 2.3 document: the image contains the programs and the root certificates, and each program depends on
// the modules in its build info. It names no licence of a module, because build info has none. The image holds the texts.
func (o options) sbom(arch string, image v1.Hash, files []file, infos map[string]*buildinfo.BuildInfo) ([]byte, error) {
	doc := &spdx.Document{
		SPDXVersion: spdx.Version, DataLicense: spdx.DataLicense, SPDXIdentifier: "DOCUMENT", DocumentName: product + "-" + arch + "-" + o.version,
		DocumentNamespace: source + "/spdx/" + image.Hex,
		CreationInfo: &spdx.CreationInfo{
			Creators: []common.Creator{{CreatorType: "Tool", Creator: product + "-image-" + o.version}}, Created: o.created.Format(time.RFC3339),
		},
	}
	root := addPackage(doc, &spdx.Package{
		PackageName: product, PackageSPDXIdentifier: "image", PackageVersion: o.version, PackageLicenseDeclared: "Apache-2.0",
		PrimaryPackagePurpose: "CONTAINER", PackageChecksums: []common.Checksum{{Algorithm: common.SHA256, Value: image.Hex}},
	})
	relate(doc, doc.SPDXIdentifier, common.TypeRelationshipDescribe, root)
	certificates := debug.Module{Path: certificatesModule, Version: certificatesVersion()}
	relate(doc, root, common.TypeRelationshipContains, addModule(doc, &certificates))
	for _, f := range files {
		if !f.program || f.link != "" {
			continue
		}
		sum := sha256.Sum256(f.content)
		program := addPackage(doc, &spdx.Package{
			PackageName: f.path, PackageSPDXIdentifier: common.ElementID("program-" + f.path), PackageVersion: o.version, PackageFileName: "/" + f.path,
			PackageLicenseDeclared: "Apache-2.0", PrimaryPackagePurpose: "APPLICATION",
			PackageChecksums: []common.Checksum{{Algorithm: common.SHA256, Value: hex.EncodeToString(sum[:])}},
		})
		relate(doc, root, common.TypeRelationshipContains, program)
		info := infos[f.path]
		standard := debug.Module{Path: "stdlib", Version: strings.TrimPrefix(info.GoVersion, "go")}
		for _, module := range append([]*debug.Module{&standard}, info.Deps...) {
			relate(doc, program, common.TypeRelationshipDependsOn, addModule(doc, module))
		}
	}
	slices.SortStableFunc(doc.Packages, func(a, b *spdx.Package) int { return cmp.Compare(a.PackageSPDXIdentifier, b.PackageSPDXIdentifier) })
	return indented(doc)
}

// addModule adds a Go module, or what replaces it, unless the document has it.
func addModule(doc *spdx.Document, module *debug.Module) common.ElementID {
	if module.Replace != nil {
		module = module.Replace
	}
	return addPackage(doc, &spdx.Package{
		PackageName: module.Path, PackageSPDXIdentifier: elementID("module-" + module.Path + "-" + module.Version), PackageVersion: module.Version,
		PrimaryPackagePurpose: "LIBRARY",
		PackageExternalReferences: []*spdx.PackageExternalReference{{
			Category: common.CategoryPackageManager, RefType: "purl", Locator: "pkg:golang/" + module.Path + "@" + strings.ReplaceAll(module.Version, "+", "%2B"),
		}},
	})
}

// addPackage adds a package, unless the document has one of its ID.
func addPackage(doc *spdx.Document, p *spdx.Package) common.ElementID {
	p.PackageDownloadLocation, p.PackageLicenseConcluded, p.PackageCopyrightText = "NOASSERTION", "NOASSERTION", "NOASSERTION"
	p.PackageLicenseDeclared = cmp.Or(p.PackageLicenseDeclared, "NOASSERTION")
	if !slices.ContainsFunc(doc.Packages, func(other *spdx.Package) bool { return other.PackageSPDXIdentifier == p.PackageSPDXIdentifier }) {
		doc.Packages = append(doc.Packages, p)
	}
	return p.PackageSPDXIdentifier
}

func relate(doc *spdx.Document, a common.ElementID, relationship string, b common.ElementID) {
	doc.Relationships = append(doc.Relationships, &spdx.Relationship{
		RefA: common.MakeDocElementID("", string(a)), Relationship: relationship, RefB: common.MakeDocElementID("", string(b)),
	})
}

// elementID replaces the characters that SPDX does not allow in an ID.
func elementID(text string) common.ElementID {
	return common.ElementID(strings.Map(func(r rune) rune {
		if r == '.' || r == '-' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' {
			return r
		}
		return '-'
	}, text))
}

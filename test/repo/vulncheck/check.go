package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// A finding is a vulnerability in a module that is linked, in its version.
type finding struct {
	ID, Module, Version, Fixed string // Fixed is empty if no version is
	Where                      string // a binary and a function of it, for people
}

// An exception states why a finding does no harm, or what its remedy waits for.
type exception struct {
	ID     string `json:"id"`
	Module string `json:"module"`
	Seen   string `json:"seen"` // the day
	Reason string `json:"reason"`
	// Justification is the reason in one of OpenVEX's words.
	Justification string `json:"justification"`
}

// scan runs govulncheck over the binaries. It returns one finding for each vulnerability and module, sorted by both: those whose
// vulnerable functions are linked, and those of modules that count as vulnerable as a whole. tools is the directory of the
// module test/repo/tools, and db the URL of a database.
func scan(ctx context.Context, tools, db string, binaries ...string) ([]finding, error) {
	found := map[[2]string]finding{}
	for _, binary := range binaries {
		path, err := filepath.Abs(binary)
		if err != nil {
			return nil, err
		}
		var stdout, stderr bytes.Buffer
		check := exec.CommandContext(ctx, "go", "-C", tools, "tool", "govulncheck", "-db="+db, "-mode=binary", "-format=json", path)
		check.Stdout, check.Stderr = &stdout, &stderr
		if err := check.Run(); err != nil {
			return nil, fmt.Errorf("govulncheck with the database %s: %w: %s", db, err, strings.TrimSpace(stderr.String()))
		}
		if err := collect(&stdout, filepath.Base(binary), found); err != nil {
			return nil, fmt.Errorf("output of govulncheck: %w", err)
		}
	}
	return slices.SortedFunc(maps.Values(found), func(a, b finding) int {
		return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.Module, b.Module))
	}), nil
}

// collect reads govulncheck's messages about one binary.
func collect(in io.Reader, binary string, found map[[2]string]finding) error {
	entries := map[string]entry{}
	for messages := json.NewDecoder(in); ; {
		var message struct {
			OSV     *entry `json:"osv"`
			Finding *struct {
				OSV   string `json:"osv"`
				Fixed string `json:"fixed_version"`
				Trace []struct{ Module, Version, Package, Receiver, Function string }
			} `json:"finding"`
		}
		if err := messages.Decode(&message); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if message.OSV != nil {
			entries[message.OSV.ID] = *message.OSV
		}
		f := message.Finding
		if f == nil || len(f.Trace) == 0 {
			continue
		}
		at := f.Trace[0]
		if at.Function == "" && !entries[f.OSV].affectsWhole(at.Module) {
			continue
		}
		where := at.Function
		if at.Receiver != "" {
			where = at.Receiver + "." + where
		}
		found[[2]string{f.OSV, at.Module}] = finding{f.OSV, at.Module, at.Version, f.Fixed, strings.TrimSpace(binary + " " + at.Package + " " + where)}
	}
}

// affectsWhole reports whether the entry names no packages of the module, so that any use of it counts.
func (e entry) affectsWhole(module string) bool {
	return slices.ContainsFunc(e.Affected, func(a affected) bool { return a.Package.Name == module && len(a.EcosystemSpecific.Imports) == 0 })
}

// judge compares the findings with the exceptions. Its error has a line for each finding without exception, and for each exception
// that is incomplete or without finding.
func judge(findings []finding, exceptions []exception) error {
	var problems []error
	for _, f := range findings {
		if !slices.ContainsFunc(exceptions, func(e exception) bool { return e.ID == f.ID && e.Module == f.Module }) {
			remedy := "no version fixes it"
			if f.Fixed != "" {
				remedy = "fixed in " + f.Fixed
			}
			problems = append(problems, fmt.Errorf("%s: %s %s, %s (%s): https://pkg.go.dev/vuln/%s. Take a fixed version, or explain it in test/repo/vulncheck/exceptions.json",
				f.ID, f.Module, f.Version, remedy, f.Where, f.ID))
		}
	}
	for _, e := range exceptions {
		if e.Reason == "" || e.Seen == "" {
			problems = append(problems, fmt.Errorf("%s: the exception lacks its reason or the day it was seen", e.ID))
		}
		if !slices.ContainsFunc(findings, func(f finding) bool { return e.ID == f.ID && e.Module == f.Module }) {
			problems = append(problems, fmt.Errorf("%s: %s has it no more: remove the exception", e.ID, e.Module))
		}
	}
	return errors.Join(problems...)
}

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// An entry is one vulnerability in the OSV format: the fields that this program needs.
type entry struct {
	ID       string     `json:"id"`
	Modified time.Time  `json:"modified"`
	Affected []affected `json:"affected"`
}

type affected struct {
	Package struct {
		Name string `json:"name"` // of the module
	} `json:"package"`
	EcosystemSpecific struct {
		Imports json.RawMessage `json:"imports"` // packages and symbols
	} `json:"ecosystem_specific"`
}

// reachable reports why a database cannot be read over the network. It looks at no file:// URL.
func reachable(ctx context.Context, db string) error {
	if strings.HasPrefix(db, "file:") {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(db, "/")+"/index/db.json", nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", request.URL, response.Status)
	}
	return nil
}

// index makes a database of a folder of OSV files below dir, and returns its URL. govulncheck looks modules up in an index
// (https://go.dev/security/vuln/database#api), which such a folder lacks.
func index(folder, dir string) (string, error) {
	folder, err := filepath.Abs(folder)
	if err != nil {
		return "", err
	}
	paths, err := filepath.Glob(filepath.Join(folder, "GO-*.json"))
	if err != nil || len(paths) == 0 {
		return "", fmt.Errorf("%q holds no GO-*.json", folder)
	}
	type vulnerability struct {
		ID       string    `json:"id"`
		Modified time.Time `json:"modified"`
	}
	type module struct {
		Path            string          `json:"path"`
		Vulnerabilities []vulnerability `json:"vulns"`
	}
	byPath := map[string]*module{}
	modules := []*module{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		var e entry
		if err := json.Unmarshal(text, &e); err != nil {
			return "", fmt.Errorf("%s: %w", path, err)
		}
		seen := map[string]bool{}
		for _, a := range e.Affected {
			if seen[a.Package.Name] {
				continue
			}
			seen[a.Package.Name] = true
			m := byPath[a.Package.Name]
			if m == nil {
				m = &module{Path: a.Package.Name}
				byPath[m.Path], modules = m, append(modules, m)
			}
			m.Vulnerabilities = append(m.Vulnerabilities, vulnerability{e.ID, e.Modified})
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, "index"), 0o755); err != nil {
		return "", err
	}
	for name, content := range map[string]any{"modules": modules, "db": map[string]time.Time{"modified": time.Now()}} {
		text, err := json.Marshal(content)
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(filepath.Join(dir, "index", name+".json"), text, 0o644); err != nil {
			return "", err
		}
	}
	if err := os.Symlink(folder, filepath.Join(dir, "ID")); err != nil {
		return "", err
	}
	return (&url.URL{Scheme: "file", Path: filepath.ToSlash(dir)}).String(), nil
}

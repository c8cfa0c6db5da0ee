package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// An entry is one vulnerability in the OSV format: the fields that this program needs.
type entry struct {
	ID       string     `json:"id"`
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

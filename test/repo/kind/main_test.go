package main

import (
	"context"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A network of docker may have a gateway of IPv6 beside the one of IPv4, and lists it first.
func TestPodsReachTheAccount(t *testing.T) {
	bin := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(bin, "docker"), []byte("#!/bin/sh\necho fc00:f853:ccd:e793::1 127.0.0.1\n"), 0o755))
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	endpoint, err := serveAWS(ctx, "kind")
	require.NoError(t, err)
	response, err := http.PostForm(endpoint, url.Values{"Action": {"DescribeAutoScalingGroups"}, "Version": {"2011-01-01"}})
	require.NoError(t, err)
	defer response.Body.Close()
	var body strings.Builder
	if err := response.Write(&body); err != nil || response.StatusCode >= http.StatusInternalServerError {
		t.Errorf("the account answers %v\n%s", err, body.String())
	}
}

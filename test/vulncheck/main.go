package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
)

//go:embed exceptions.json
var explained []byte

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	db := flag.String("db", "https://vuln.go.dev", "`URL` of the vulnerability database, or a folder of OSV files")
	ifReachable := flag.Bool("if-reachable", false, "check nothing, and say so, where the database cannot be reached")
	flag.Parse()
	if err := reachable(ctx, *db); err != nil && *ifReachable {
		fmt.Println("vulncheck: NOT CHECKED for known vulnerabilities, the database cannot be reached:", err)
		return
	}
	if err := check(ctx, ".", *db); err != nil {
		fmt.Fprintln(os.Stderr, "vulncheck:", err)
		os.Exit(1)
	}
	fmt.Println("vulncheck: each known vulnerability of the binaries is explained")
}

// check builds the product's binaries and judges them. root is the directory of the product's module.
func check(ctx context.Context, root, db string) error {
	var exceptions []exception
	if err := json.Unmarshal(explained, &exceptions); err != nil {
		return fmt.Errorf("exceptions.json: %w", err)
	}
	dir, err := os.MkdirTemp("", "vulncheck")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if !strings.Contains(db, "://") {
		if db, err = index(db, filepath.Join(dir, "database")); err != nil {
			return err
		}
	}
	if err := build(ctx, root, dir); err != nil {
		return err
	}
	findings, err := scan(ctx, filepath.Join(root, "test/tools"), db, filepath.Join(dir, "cluster-autoscaler"), filepath.Join(dir, "asgctl"))
	if err != nil {
		return err
	}
	return judge(findings, exceptions)
}

// build compiles the binaries with their symbols, without which a finding names modules alone. It takes the race detector where
// this process has it, so that a test run compiles the core once.
func build(ctx context.Context, root, dir string) error {
	args := []string{"build", "-o", dir + string(filepath.Separator)}
	if info, ok := debug.ReadBuildInfo(); ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		args = append(args, "-race")
	}
	compile := exec.CommandContext(ctx, "go", append(args, "./cmd/...")...)
	compile.Dir, compile.Stderr = root, os.Stderr
	if err := compile.Run(); err != nil {
		return fmt.Errorf("go build: %w", err)
	}
	return nil
}

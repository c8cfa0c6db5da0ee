package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"

	"github.com/asg-autoscaler/asg-autoscaler/test/scenario"
)

//go:embed exceptions.json
var explained []byte

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	db := flag.String("db", "https://vuln.go.dev", "`URL` of the vulnerability database")
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
	fmt.Println("vulncheck: each known vulnerability of the binary is explained")
}

// check builds the product's binary and judges it. root is the directory of the product's module.
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
	// It is asgctl, too, and has symbols, without which a finding names modules alone.
	binary, err := scenario.BuildAutoscaler(ctx, dir)
	if err != nil {
		return err
	}
	findings, err := scan(ctx, filepath.Join(root, "test/repo/tools"), db, binary)
	if err != nil {
		return err
	}
	return judge(findings, exceptions)
}

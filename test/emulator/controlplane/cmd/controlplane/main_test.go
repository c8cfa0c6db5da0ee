package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestExitCodeOfWrongUsage(t *testing.T) {
	for _, tt := range []struct {
		name   string
		args   []string
		want   int
		stdout string // part of it
		stderr string // part of it
	}{
		{name: "help", args: []string{"--help"}, want: exitFine, stdout: "kwok.x-k8s.io/node=fake"},
		{name: "help of a command", args: []string{"up", "--help"}, want: exitFine, stdout: "--dir"},
		{name: "no command", want: exitBadUsage, stderr: "no command given"},
		{name: "unknown command", args: []string{"down"}, want: exitBadUsage, stderr: `unknown command "down"`},
		{name: "unknown flag", args: []string{"up", "--dirr=x"}, want: exitBadUsage, stderr: "--dirr"},
		{name: "superfluous argument", args: []string{"build", "x"}, want: exitBadUsage, stderr: `"x"`},
		{name: "versions", args: []string{"versions"}, want: exitFine, stdout: "sigs.k8s.io/kwok"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			if got := run(t.Context(), tt.args, &stdout, &stderr); got != tt.want {
				t.Errorf("run(%q) = %d, want %d", tt.args, got, tt.want)
			}
			if !strings.Contains(stdout.String(), tt.stdout) {
				t.Errorf("stdout = %q, want %q in it", stdout.String(), tt.stdout)
			}
			if !strings.Contains(stderr.String(), tt.stderr) {
				t.Errorf("stderr = %q, want %q in it", stderr.String(), tt.stderr)
			}
		})
	}
}

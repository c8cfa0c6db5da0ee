package loopback

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Listeners returns the local addresses of the listening TCP sockets of a process on Linux, as the kernel writes them.
func Listeners(t testing.TB, pid int) []string {
	t.Helper()
	const listening = "0A"
	byInode := map[string]string{}
	for _, file := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		content, err := os.ReadFile(file)
		if err != nil {
			continue // a system without IPv6 has no tcp6
		}
		for line := range strings.Lines(string(content)) {
			if fields := strings.Fields(line); len(fields) > 9 && fields[3] == listening {
				byInode[fields[9]] = fields[1]
			}
		}
	}
	links, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil {
		t.Fatal(err)
	}
	var addresses []string
	for _, link := range links {
		target, err := os.Readlink(link)
		inode, isSocket := strings.CutPrefix(target, "socket:[")
		if address := byInode[strings.TrimSuffix(inode, "]")]; err == nil && isSocket && address != "" {
			addresses = append(addresses, address)
		}
	}
	return addresses
}

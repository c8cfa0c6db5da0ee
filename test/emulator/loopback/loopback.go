package loopback

import (
	"fmt"
	"net"
)

// FreeAddress returns an address of 127.0.0.1 with a port that nobody listens on at the moment.
func FreeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	return listener.Addr().String(), listener.Close()
}

package loopback

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// The ports for programs are below the range from which Linux takes the local ports of connections (net.ipv4.ip_local_port_range, by default from
// 32768). So no connection takes a port between the search and the start of the program.
const (
	lowestPort  = 20000
	highestPort = 32000
)

// Listen listens on a port of 127.0.0.1 that nobody else listens on.
func Listen() (net.Listener, error) {
	var last error
	for range 100 {
		port := lowestPort + rand.IntN(highestPort-lowestPort)
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			return l, nil
		}
		last = err
	}
	return nil, fmt.Errorf("find a free port from %d to %d: %w", lowestPort, highestPort, last)
}

// FreeAddress returns an address of 127.0.0.1 with a port that nobody listens on at the moment.
func FreeAddress() (string, error) {
	listener, err := Listen()
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}

package loopback

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"time"
)

// The ports for programs are below the range from which Linux takes the local ports of connections (net.ipv4.ip_local_port_range, by default from
// 32768). So no connection takes a port between the search and the start of the program.
const (
	lowestPort  = 20000
	highestPort = 32000
)

// Nobody else finds a port for the time reserved. Its finder closes it meanwhile, and starts the program that listens there.
const reserved = time.Minute

// Listen listens on a port of 127.0.0.1 that nobody else listens on, and that no process on this machine has found within a minute.
func Listen() (net.Listener, error) {
	var last error
	for range 100 {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(lowestPort+rand.IntN(highestPort-lowestPort)))
		l, err := net.Listen("tcp", address)
		if err != nil {
			last = err
			continue
		}
		mark, err := net.ListenPacket("udp", address) // which no program under test uses
		if err == nil {
			time.AfterFunc(reserved, func() { _ = mark.Close() })
			return l, nil
		}
		last = errors.Join(err, l.Close())
	}
	return nil, fmt.Errorf("find a free port from %d to %d: %w", lowestPort, highestPort, last)
}

// FreeAddress is Listen for a program that is yet to start: nobody listens at the address.
func FreeAddress() (string, error) {
	listener, err := Listen()
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}

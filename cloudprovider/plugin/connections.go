package plugin

import (
	"net"
	"sync"
)

// mostConnections bounds the open connections of a host. A core has two, and the one before it on the same host may not have closed its
// two. The others are for health checks.
const mostConnections = 16

// connections is a listener that closes a connection at once if its host has too many. It keeps no other host waiting.
type connections struct {
	net.Listener
	mutex sync.Mutex
	open  map[string]int // by host
}

// Accept returns the next connection whose host has few.
func (c *connections) Accept() (net.Conn, error) {
	for {
		conn, err := c.Listener.Accept()
		if err != nil {
			return nil, err
		}
		host, _, _ := net.SplitHostPort(conn.RemoteAddr().String())
		end := sync.OnceFunc(func() { c.count(host, -1) })
		if c.count(host, 1) <= mostConnections {
			return &connection{conn, end}, nil
		}
		end()
		_ = conn.Close()
	}
}

func (c *connections) count(host string, more int) int {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.open[host] += more
	if c.open[host] == 0 {
		delete(c.open, host)
		return 0
	}
	return c.open[host]
}

// connection calls a function when it is closed.
type connection struct {
	net.Conn
	closed func()
}

func (c *connection) Close() error {
	c.closed()
	return c.Conn.Close()
}

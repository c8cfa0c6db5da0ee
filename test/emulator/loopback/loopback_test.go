package loopback

import (
	"net"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Two programs that start at the same moment would listen on one port otherwise.
func TestAFreeAddressIsReserved(t *testing.T) {
	address, err := FreeAddress()
	require.NoError(t, err)
	_, err = net.ListenPacket("udp", address)
	assert.Error(t, err, "the mark of the reservation can be set a second time")
	l, err := net.Listen("tcp", address)
	require.NoError(t, err, "the program cannot listen")
	assert.NoError(t, l.Close())
}

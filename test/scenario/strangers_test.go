package scenario

import (
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
)

// A plugin that refuses everybody alike answers the peers with the core's certificate wrongly.
func TestStrangersJudgeHowThePluginRefusesThem(t *testing.T) {
	dir := t.TempDir()
	side, err := newPluginSide(dir)
	require.NoError(t, err)
	defer side.link.close()
	creds, err := credentials.NewServerTLSFromFile(filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key"))
	require.NoError(t, err)
	listener, err := net.Listen("tcp", side.link.to)
	require.NoError(t, err)
	server := grpc.NewServer(grpc.Creds(creds), grpc.UnknownServiceHandler(func(any, grpc.ServerStream) error {
		return status.Error(codes.Unauthenticated, "nobody may call")
	}))
	defer server.Stop()
	go func() { _ = server.Serve(listener) }()
	s, err := newStrangers(side.link.to, dir, "ng-1")
	require.NoError(t, err)
	defer s.close()
	err = eventually(t.Context(), 20*time.Second, "a verdict", s.judged)
	assert.Truef(t, err != nil && strings.Contains(err.Error(), "got Unauthenticated") && strings.Contains(err.Error(), "want InvalidArgument"),
		"verdict = %v, want one on the wrong code", err)
}

package controlplane

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestForbiddenReadsRefusalsOnly(t *testing.T) {
	for _, tt := range []struct {
		name, log string
		want      []string
	}{
		{name: "empty log"},
		{
			name: "allowed request",
			log:  `{"verb":"get","user":{"username":"u"},"objectRef":{"resource":"pods"},"responseStatus":{"code":200}}` + "\n",
		},
		{
			name: "subresource of a group in a namespace",
			log: `{"verb":"update","user":{"username":"u"},"objectRef":{"resource":"deployments","subresource":"scale","apiGroup":"apps","namespace":"n"},` +
				`"responseStatus":{"code":403,"message":"no"},"annotations":{"authorization.k8s.io/decision":"forbid"}}` + "\n",
			want: []string{"u may not update deployments.apps/scale in namespace n"},
		},
		{
			name: "refused by admission",
			log: `{"verb":"create","user":{"username":"u"},"objectRef":{"resource":"pods","namespace":"n"},` +
				`"responseStatus":{"code":403,"message":"exceeded quota"},"annotations":{"authorization.k8s.io/decision":"allow"}}` + "\n",
			want: []string{"u may not create pods in namespace n: exceeded quota"},
		},
		{
			name: "no object",
			log:  `{"verb":"get","requestURI":"/metrics?x=1","user":{"username":"u"},"responseStatus":{"code":403},"annotations":{"authorization.k8s.io/decision":"forbid"}}` + "\n",
			want: []string{"u may not get /metrics"},
		},
		{
			name: "last line still being written",
			log:  `{"verb":"get","user":{"userna`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			err := readAudit(strings.NewReader(tt.log), func(event auditEvent) {
				if event.Status.Code == http.StatusForbidden {
					got = append(got, event.String())
				}
			})
			require.NoError(t, err)
			assert.Empty(t, cmp.Diff(tt.want, got), "refusals differ (-want +got)")
		})
	}
}

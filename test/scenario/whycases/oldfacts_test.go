package whycases

import (
	"html"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/command"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/cluster-autoscaler/pages"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// screens are the record as people see it.
type screens struct{ headline, page, top, explain string }

// look reads the screens of the record about a pod.
func look(t *testing.T, record *decision.Record, namespace, pod string) screens {
	t.Helper()
	paths := http.NewServeMux()
	paths.Handle(pages.Path, pages.NewPage(record.Report, clock.RealClock{}))
	paths.Handle(pages.Path+".json", pages.NewJSON(record))
	server := httptest.NewServer(paths)
	defer server.Close()
	ask := func(args ...string) string {
		var stdout, stderr strings.Builder
		command.Run(t.Context(), "asgctl", append(args, "--url", server.URL), &stdout, &stderr, "")
		return stdout.String()
	}
	s := screens{page: html.UnescapeString(string(get(t, server.URL+pages.Path))), top: ask("top"), explain: ask("explain", "pod", "-n", namespace, pod)}
	_, s.headline, _ = strings.Cut(s.page, "<h1><bdi>")
	s.headline, _, _ = strings.Cut(s.headline, "</bdi></h1>")
	return s
}

// An operator raises the maximum as the page asks, while AWS denies the readings. One missed reading is nothing to show, and after two every
// screen begins with the age of its facts.
func TestOldFactsComeWithTheirAge(t *testing.T) {
	c := caseNamed(t, "max-size")
	a := c.start(t)
	a.loop(t)
	const full = `group "web" has its maximum size of 1`
	fault := a.world.AWS.Deny("DescribeAutoScalingGroups")
	require.NoError(t, a.world.AWS.SetLimits("web", 0, 2))
	read := func() {
		_ = a.world.Cache.Refresh(t.Context())
		a.loop(t)
	}
	read()
	if s := look(t, a.collector.Record, "default", "waiting"); s.headline != "1 pod waits: "+full || strings.Contains(s.top+s.explain, "These facts are") {
		t.Errorf("after one missed reading: %q\n%s\n%s", s.headline, s.top, s.explain)
	}
	read()
	s := look(t, a.collector.Record, "default", "waiting")
	const old, why = "These facts are ", "s old: AWS denies DescribeAutoScalingGroups (AccessDenied)"
	assert.Truef(t, strings.HasPrefix(s.headline, old) && strings.HasSuffix(s.headline, why), "the page begins with %q", s.headline)
	assert.Truef(t, strings.Contains(s.page, "By these facts: 1 pod waits: "+full), "the page does not say what the facts mean:\n%s", s.page)
	line, _, _ := strings.Cut(s.top, "\n")
	assert.Truef(t, strings.HasPrefix(line, old) && strings.HasSuffix(line, why), "top begins with %q", line)
	assert.Truef(t, strings.HasPrefix(s.explain, old) && strings.Contains(s.explain, why) && strings.Contains(s.explain, "\n"+full+"\n"),
		"explain says:\n%s", s.explain)
	for name, text := range map[string]string{"page": s.page, "top": s.top, "explain": s.explain} {
		if !strings.Contains(text, "allow autoscaling:DescribeAutoScalingGroups in the autoscaler's IAM policy") ||
			!strings.Contains(text, "assumed-role/cluster-autoscaler is not authorized to perform: autoscaling:DescribeAutoScalingGroups because no identity-based policy allows") {
			t.Errorf("%s has no next step:\n%s", name, text)
		}
	}
	a.world.AWS.ClearFaults(fault)
	read()
	if s := look(t, a.collector.Record, "default", "waiting"); strings.Contains(s.page+s.top+s.explain, "These facts are") || strings.Contains(s.headline, "maximum") {
		t.Errorf("after a reading: %q\n%s\n%s", s.headline, s.top, s.explain)
	}
}

func caseNamed(t *testing.T, name string) *Case {
	t.Helper()
	cases, err := All()
	require.NoError(t, err)
	for _, c := range cases {
		if c.Name == name {
			return c
		}
	}
	t.Fatalf("no case %q", name)
	return nil
}

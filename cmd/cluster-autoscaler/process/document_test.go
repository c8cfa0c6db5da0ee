package process

import (
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/template"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	"sigs.k8s.io/yaml"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient/lookup"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision/decisionmetrics"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/move"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/plan"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/plan/nomination"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/plugin"
	"github.com/asg-autoscaler/asg-autoscaler/pricing"
	"github.com/asg-autoscaler/asg-autoscaler/pricing/pricefile"
	"github.com/asg-autoscaler/asg-autoscaler/pricing/spotprice"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsclients"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
	"github.com/asg-autoscaler/asg-autoscaler/test/repo/document"
)

var update = flag.Bool("update", false, "rewrite docs/metrics.md and the goldens of testdata")

// texts are testdata/metrics.yaml.
type texts struct {
	Series map[string]string
	Events []struct{ Reason, Kind, Object, Meaning string }
}

func readTexts(t *testing.T) (read texts) {
	require.NoError(t, yaml.UnmarshalStrict(must(os.ReadFile("testdata/metrics.yaml"))(t), &read))
	return read
}

// collectors keeps the collectors that are registered with it.
type collectors struct {
	prometheus.Registerer
	all []prometheus.Collector
}

func (c *collectors) Register(collector prometheus.Collector) error {
	c.all = append(c.all, collector)
	return nil
}

func (c *collectors) MustRegister(all ...prometheus.Collector) { c.all = append(c.all, all...) }

// registerOurs registers the metrics of every part of the product that has some.
func registerOurs(t *testing.T) *collectors {
	t.Helper()
	awsclients.SetEnvironment()
	ours := &collectors{}
	server := awsclients.Serve(t, fakeaws.Config{Region: "us-east-1"})
	options := awsclients.Options(server)
	options.Registerer = ours
	clients := must(awsclient.New(t.Context(), options))(t)
	book := pricing.NewBook(server.Region(), time.Time{})
	measureListAge(book, ours)
	cache := asg.NewCache(asg.Options{AutoScaling: clients.AutoScaling, Clock: clock.RealClock{}})
	kube := must(kubernetes.NewForConfig(&rest.Config{Host: "http://127.0.0.1:1"}))(t)
	factory := informers.NewSharedInformerFactory(kube, 0)
	aws.New(t.Context(), aws.Options{Cache: cache, Region: clients.Region, Types: lookup.NewTypes(nil, instancetypes.Embedded(), clock.RealClock{}), Prices: book,
		Nodes: factory.Core().V1().Nodes(), DaemonSets: factory.Apps().V1().DaemonSets().Lister(), Event: func(_, _, _ string) {},
		Problem: func(aws.Problem, bool) {}, Registerer: ours, Clock: clock.RealClock{}})
	path := filepath.Join(t.TempDir(), "prices.csv")
	require.NoError(t, os.WriteFile(path, []byte("# region: us-east-1\n# currency: USD\n# date: 2026-11-01\n# source: x\n# discount: all 8%\n"), 0o644))
	must(pricefile.New(pricefile.Options{Path: path, Book: book, Known: instancetypes.Embedded().Names, Clock: clock.RealClock{}, Registerer: ours}))(t)
	spot := spotprice.New(spotprice.Options{API: clients.EC2, Book: book, Clock: clock.RealClock{}, Registerer: ours,
		InUse: func() spotprice.Pools {
			return spotprice.Pools{Types: []string{"m5.large"}, Zones: []string{"us-east-1a"}}
		}})
	watched := factory.Core().V1()
	interruption.New(interruption.Options{SQS: clients.SQS, Nodes: watched.Nodes().Informer(), Pods: watched.Pods().Informer(),
		Registerer: ours, Clock: clock.RealClock{}})
	must(plugin.Listen(t.Context(), "127.0.0.1:0", plugin.Files{}, ours))(t)
	nomination.New(nomination.Options{Plan: plan.New(clock.RealClock{}), Nodes: watched.Nodes().Informer(), Pods: watched.Pods().Informer(), Registerer: ours, Clock: clock.RealClock{}})
	spot.Read(t.Context()) // its metric has no value before
	report := &decision.Report{Pods: make([]decision.Pod, 1), Groups: []decision.Group{{CoolDowns: make([]decision.CoolDown, 1)}}, Shadow: &decision.Shadow{}}
	decisionmetrics.New(decisionmetrics.Options{Registerer: ours, PerNodeGroup: true, Report: func() *decision.Report { return report }})
	move.NewMetrics(ours)
	return ours
}

// must returns the value, or fails the test with the error.
func must[T any](value T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		require.NoError(t, err)
		return value
	}
}

var described = regexp.MustCompile(`^Desc\{fqName: "(.*)", help: (".*"), constLabels: \{.*\}, variableLabels: \{(.*)\}\}$`)

// rows returns a row of the document for each metric of a collector.
func rows(t *testing.T, collector prometheus.Collector) [][]string {
	t.Helper()
	descs := make(chan *prometheus.Desc, 10)
	collector.Describe(descs)
	close(descs)
	var rows [][]string
	for desc := range descs {
		parts := described.FindStringSubmatch(desc.String())
		require.NotNilf(t, parts, "a description in another form: %s", desc)
		help := must(strconv.Unquote(parts[2]))(t)
		rows = append(rows, row(parts[1], kind(t, collector), strings.FieldsFunc(parts[3], func(r rune) bool { return r == ',' }), help))
	}
	return rows
}

// kind returns the type of a collector's metrics.
func kind(t *testing.T, collector prometheus.Collector) string {
	t.Helper()
	switch collector.(type) {
	case *prometheus.GaugeVec:
		return "gauge"
	case *prometheus.CounterVec:
		return "counter"
	case *prometheus.HistogramVec:
		return "histogram"
	}
	registry := prometheus.NewPedanticRegistry()
	require.NoError(t, registry.Register(collector))
	families := must(registry.Gather())(t)
	require.Len(t, families, 1, "metrics of a collector; this test needs one with a value")
	return strings.ToLower(families[0].GetType().String())
}

func row(name, kind string, labels []string, help string) []string {
	for i := range labels {
		labels[i] = document.Code(labels[i])
	}
	return []string{document.Code(name), kind, strings.Join(labels, ", "), document.Text(help)}
}

// stockRow returns the row of a metric that the core serves.
func stockRow(family *dto.MetricFamily) []string {
	parts := strings.Fields(describeFamily(family))
	labels := strings.Split(strings.Trim(parts[2], "-"), ",")
	return row(parts[0], parts[1], slices.DeleteFunc(labels, func(l string) bool { return l == "" }), strings.TrimPrefix(family.GetHelp(), "[ALPHA] "))
}

// bound returns the number of series of a metric.
func (r texts) bound(t *testing.T, name, labels string) string {
	t.Helper()
	text, listed := r.Series[strings.TrimPrefix(name, "asg_autoscaler_")]
	assert.Truef(t, listed == (labels != ""),
		"%s has the labels %q, and %q as its number of series: mend testdata/metrics.yaml", name, labels, text)
	if !listed {
		return "1"
	}
	return text
}

// reasonRows returns a row for each code of decisions, with its comment.
func reasonRows(t *testing.T) [][]string {
	t.Helper()
	file := must(parser.ParseFile(token.NewFileSet(), "../../../cloudprovider/decision/code.go", nil, parser.ParseComments))(t)
	var rows [][]string
	ast.Inspect(file, func(node ast.Node) bool {
		if spec, ok := node.(*ast.ValueSpec); ok && len(spec.Values) == 1 {
			if code := text(spec.Values[0], nil); code != "" {
				meaning := strings.TrimSpace(spec.Comment.Text())
				if meaning == "" {
					meaning = strings.ReplaceAll(code, "-", " ")
				}
				rows = append(rows, []string{document.Code(code), document.Text(meaning)})
			}
		}
		return true
	})
	require.Truef(t, len(rows) >= 30, "found %d codes: they are declared in another way now", len(rows))
	slices.SortFunc(rows, func(a, b []string) int { return strings.Compare(a[0], b[0]) })
	return rows
}

func metricsDocument(t *testing.T) string {
	t.Helper()
	var ours, stock, events [][]string
	texts := readTexts(t)
	golden := string(must(os.ReadFile("testdata/stock_metrics.txt"))(t))
	for _, collector := range registerOurs(t).all {
		for _, r := range rows(t, collector) {
			if name := strings.Trim(r[0], "`"); !strings.Contains(golden, name+" ") {
				ours = append(ours, slices.Insert(r, 3, texts.bound(t, name, r[2])))
			}
		}
	}
	observeOnce(t)
	for name, family := range serveMetrics(t) {
		if strings.HasPrefix(name, "cluster_autoscaler_") && strings.Contains(golden, name+" ") {
			stock = append(stock, stockRow(family))
		}
	}
	for _, e := range texts.Events {
		events = append(events, []string{document.Code(e.Reason), e.Kind, e.Object, document.Text(e.Meaning)})
	}
	for _, table := range [][][]string{ours, stock} {
		slices.SortFunc(table, func(a, b []string) int { return strings.Compare(a[0], b[0]) })
	}
	head := []string{"metric", "type", "labels", "meaning"}
	var page strings.Builder
	require.NoError(t, must(template.ParseFiles("testdata/metrics.md"))(t).Execute(&page, map[string]string{
		"Ours":    document.Table(slices.Insert(slices.Clone(head), 3, "series"), ours),
		"Stock":   document.Table(head, stock),
		"Reasons": document.Table([]string{"reason", "meaning"}, reasonRows(t)),
		"Events":  document.Table([]string{"reason", "type", "object", "meaning"}, events),
	}))
	return page.String()
}

// make docs writes the document.
func TestMetricsDocument(t *testing.T) {
	document.Check(t, "../../..", "metrics.md", metricsDocument(t), *update)
}

// The document would miss the metrics of a part of the product that registerOurs leaves out.
func TestEveryPartWithMetricsIsInTheDocument(t *testing.T) {
	parts := map[string]bool{}
	inspect(t, func(pkg string, _ map[string]string, node ast.Node) {
		if structure, ok := node.(*ast.StructType); ok && slices.ContainsFunc(structure.Fields.List, func(f *ast.Field) bool {
			return len(f.Names) == 1 && f.Names[0].Name == "Registerer"
		}) {
			parts[pkg] = true
		}
	})
	want := []string{"aws", "awsclient", "decisionmetrics", "interruption", "nomination", "pricefile", "spotprice"} // the parts that registerOurs has
	assert.Empty(t, cmp.Diff(want, slices.Sorted(maps.Keys(parts))), "packages whose options take a Registerer (-registerOurs +code)")
}

func TestEveryEventIsInTheDocument(t *testing.T) {
	want, got := map[string]string{}, map[string][]string{}
	for _, e := range readTexts(t).Events {
		want[e.Reason] = e.Kind
	}
	inspect(t, func(_ string, constants map[string]string, node ast.Node) {
		call, ok := node.(*ast.CallExpr)
		if !ok {
			return
		}
		for i := range len(call.Args) - 1 {
			if kind := eventType(call.Args[i]); kind != "" {
				reason := text(call.Args[i+1], constants)
				got[reason] = append(got[reason], kind)
			}
		}
	})
	kinds := map[string]string{}
	for reason, all := range got {
		slices.Sort(all)
		kinds[reason] = strings.Join(slices.Compact(all), ", ")
	}
	assert.Empty(t, cmp.Diff(want, kinds), "events (-testdata/metrics.yaml +code)")
}

// eventType returns Normal or Warning if the expression is the type of an event.
func eventType(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.SelectorExpr:
		if kind, ok := strings.CutPrefix(e.Sel.Name, "EventType"); ok {
			return kind
		}
	case *ast.BasicLit:
		if kind := text(e, nil); kind == "Normal" || kind == "Warning" {
			return kind
		}
	}
	return ""
}

// text returns the value of a string, literal or constant, and "" for any other expression.
func text(e ast.Expr, constants map[string]string) string {
	switch e := e.(type) {
	case *ast.Ident:
		return constants[e.Name]
	case *ast.BasicLit:
		if value, err := strconv.Unquote(e.Value); err == nil && e.Kind == token.STRING {
			return value
		}
	}
	return ""
}

// inspect calls visit for every node of the product's code, with the name of its package and the constant strings of its file.
func inspect(t *testing.T, visit func(pkg string, constants map[string]string, node ast.Node)) {
	t.Helper()
	for _, dir := range []string{"cloudprovider", "cmd", "expander", "pricing"} {
		err := filepath.WalkDir(filepath.Join("..", "..", "..", dir), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			constants := map[string]string{}
			ast.Inspect(file, func(node ast.Node) bool {
				if spec, ok := node.(*ast.ValueSpec); ok && len(spec.Names) == len(spec.Values) {
					for i := range spec.Names {
						constants[spec.Names[i].Name] = text(spec.Values[i], nil)
					}
				}
				return true
			})
			ast.Inspect(file, func(node ast.Node) bool {
				if node != nil {
					visit(file.Name.Name, constants, node)
				}
				return true
			})
			return nil
		})
		require.NoError(t, err)
	}
}

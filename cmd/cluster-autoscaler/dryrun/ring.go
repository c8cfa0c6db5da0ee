package dryrun

import (
	"archive/zip"
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go/middleware"
	"golang.org/x/sync/semaphore"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/ownership"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient/lookup"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
)

const (
	mostBytes   = 64 << 20        // of the objects that a Ring alone still holds, in the size that the API server sends
	mostAnswers = 64 << 20        // bytes of AWS's elements of one kind. Old versions of launch templates are never asked for again
	sendLimit   = 2 * time.Minute // for a recording

	ReportFile = "report.json" // of a recording, as /status.json
	kubeFolder = "kubernetes"  // of a recording, with the API server's lists by path
	groupsOf   = "AutoScalingGroups"
	typesOf    = "TypesMet"
)

var sending = semaphore.NewWeighted(1) // a recording at a time

// Ring holds what the last loops decided by, and their decisions. It refers to the objects of the caches, which nobody changes, and puts them
// into words when somebody asks. Begin belongs to the goroutine of the loops. The rest is safe for concurrent use.
type Ring struct {
	Most    int            // loops, 0 for no recording
	Reports sync.WaitGroup // of the loop that ended last, made beside the next wait

	seen map[any]bool // objects of the last loop

	mu    sync.Mutex
	loops []*recorded // oldest first
	aws   answers
}

// answers are AWS's latest ones without secrets, by member and element. The inner maps are replaced and never changed.
type answers map[string]map[string]json.RawMessage

type recorded struct {
	report  *decision.Report
	objects map[string][]any // by the path of the API server
	groups  *group.Snapshot
	aws     answers
	bytes   int // of the objects that the loop before did not have
}

// Begin records the objects of all started informers, the config map of the priority expander, nil for none, and AWS's answers. It costs a list of
// each cache. Call end when the loop has ended.
func (r *Ring) Begin(factory informers.SharedInformerFactory, priorities *corev1.ConfigMap, groups *group.Snapshot) (
	end func(report func() *decision.Report)) {
	if r.Most <= 0 {
		return func(func() *decision.Report) {}
	}
	r.Reports.Wait()
	l, seen := &recorded{groups: groups, objects: map[string][]any{}}, make(map[any]bool, len(r.seen))
	now := make(chan struct{})
	close(now)
	for kind := range factory.WaitForCacheSync(now) {
		// The factory is for the kinds of the scheme alone, and has an informer of each.
		kinds, _, _ := scheme.Scheme.ObjectKinds(reflect.New(kind.Elem()).Interface().(runtime.Object))
		resource, _ := meta.UnsafeGuessKindToResource(kinds[0])
		informer, _ := factory.ForResource(resource)
		objects := informer.Informer().GetStore().List()
		l.objects[strings.Replace("/apis/"+resource.GroupVersion().String()+"/"+resource.Resource, "/apis/v1/", "/api/v1/", 1)] = objects
		for _, o := range objects {
			seen[o] = true
			if sized, has := o.(interface{ Size() int }); has && !r.seen[o] {
				l.bytes += sized.Size()
			}
		}
	}
	if priorities != nil {
		l.objects["/api/v1/namespaces/"+priorities.Namespace+"/configmaps"] = []any{priorities}
	}
	r.mu.Lock()
	r.seen, l.aws = seen, maps.Clone(r.aws)
	r.mu.Unlock()
	return func(report func() *decision.Report) { r.Reports.Go(func() { r.add(l, report()) }) }
}

func (r *Ring) add(l *recorded, report *decision.Report) {
	l.report = report
	r.mu.Lock()
	defer r.mu.Unlock()
	r.loops = append(r.loops, l)
	bytes := 0
	for at := len(r.loops) - 1; at > 0; at-- {
		if bytes += r.loops[at].bytes; bytes > mostBytes || len(r.loops)-at >= r.Most {
			r.loops = slices.Delete(r.loops, 0, at)
			return
		}
	}
}

// members are the parts of AWS's answers that a dry run needs: the file by which asgctl reads them with --from, and the fields that tell their
// elements apart.
var members = map[string]struct {
	file string
	id   []string
}{
	groupsOf:                 {"auto-scaling-groups.json", []string{"AutoScalingGroupName"}},
	"LaunchConfigurations":   {"launch-configurations.json", []string{"LaunchConfigurationName"}},
	"LaunchTemplateVersions": {"launch-template-versions.json", []string{"LaunchTemplateId", "VersionNumber"}},
	"Images":                 {"images.json", []string{"ImageId"}},
	"Nodegroup":              {"nodegroups.json", []string{"ClusterName", "NodegroupName"}},
	"InstanceTypeOfferings":  {"instance-type-offerings.json", []string{"InstanceType", "Location"}},
	"SpotPriceHistory":       {"spot-prices.json", []string{"InstanceType", "AvailabilityZone", "ProductDescription"}},
	typesOf:                  {"instance-types-of-requirements.json", []string{"Request"}},
}

// typesMet is AWS's answer to one request for the types that meet requirements. It does not say what was asked.
type typesMet struct {
	Request string // as JSON
	*ec2.GetInstanceTypesFromInstanceRequirementsOutput
}

// AWS has the answers to a client's reads recorded.
func (r *Ring) AWS(stack *middleware.Stack) error {
	return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("Record",
		func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
			out, metadata, err := next.HandleInitialize(ctx, in)
			if types, is := out.Result.(*ec2.GetInstanceTypesFromInstanceRequirementsOutput); is && err == nil {
				request, _ := json.Marshal(in.Parameters) // a request always has a JSON form
				r.keep(typesOf, reflect.ValueOf([]typesMet{{string(request), types}}))
			} else if answer := reflect.Indirect(reflect.ValueOf(out.Result)); err == nil && answer.Kind() == reflect.Struct {
				for name := range members {
					r.keep(name, answer.FieldByName(name))
				}
			}
			return out, metadata, err
		}), middleware.Before)
}

// keep takes in a list or one element, if the answer has any.
func (r *Ring) keep(name string, found reflect.Value) {
	switch {
	case found.Kind() == reflect.Pointer && !found.IsNil():
		found = reflect.Append(reflect.MakeSlice(reflect.SliceOf(found.Type()), 0, 1), found)
	case found.Kind() != reflect.Slice:
		return
	}
	kept, size, moved := map[string]json.RawMessage{}, 0, map[string]bool{} // moved are the templates whose default the answer has
	for at := range found.Len() {
		element, key := reflect.Indirect(found.Index(at)), ""
		for _, field := range members[name].id {
			key += fmt.Sprint(reflect.Indirect(element.FieldByName(field)), " ")
		}
		if v, is := element.Interface().(ec2types.LaunchTemplateVersion); is && aws.ToBool(v.DefaultVersion) {
			moved[aws.ToString(v.LaunchTemplateId)] = true
		}
		kept[key] = redacted(element.Interface())
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for key, text := range r.aws[name] {
		if id, _, _ := strings.Cut(key, " "); moved[id] {
			text = bytes.Replace(text, []byte(`"DefaultVersion":true`), []byte(`"DefaultVersion":false`), 1)
		}
		if size += len(text); kept[key] == nil && size <= mostAnswers {
			kept[key] = text
		}
	}
	if r.aws == nil {
		r.aws = answers{}
	}
	r.aws[name] = kept
}

// ServeHTTP sends the last loop as a ZIP archive, or the one of ?loop=NUMBER.
func (r *Ring) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	have, found := "", (*recorded)(nil)
	r.mu.Lock()
	for _, l := range r.loops {
		number := strconv.FormatInt(l.report.Loop.Number, 10)
		if have += " " + number; number == cmp.Or(request.URL.Query().Get("loop"), number) {
			found = l
		}
	}
	r.mu.Unlock()
	if found == nil {
		http.Error(w, "no such loop is recorded (--asg-record-loops). There are:"+have, http.StatusNotFound)
		return
	}
	if sending.Acquire(request.Context(), 1) != nil { // the reader has gone
		return
	}
	defer sending.Release(1)
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(sendLimit)) // a recorder in a test has none
	w.Header().Set("Content-Type", "application/zip")
	if err := found.write(w); err != nil {
		klog.FromContext(request.Context()).Error(err, "Could not send the recording of a loop", "loop", found.report.Loop.Number)
	}
}

func (l *recorded) write(w io.Writer) (err error) {
	archive := zip.NewWriter(w)
	put := func(name string, content any) {
		file, failed := archive.Create(name)
		if failed == nil {
			failed = json.NewEncoder(file).Encode(content)
		}
		err = errors.Join(err, failed)
	}
	put(ReportFile, l.report)
	for name, member := range members {
		put(member.file, l.answers(name))
	}
	for path, objects := range l.objects {
		items := make([]json.RawMessage, len(objects))
		for at, object := range objects {
			items[at] = redacted(object)
		}
		list := map[string]any{"metadata": map[string]string{"resourceVersion": "1"}, "items": items}
		if len(objects) > 0 { // a reader of the priorities does not know what they are
			kinds, _, _ := scheme.Scheme.ObjectKinds(objects[0].(runtime.Object)) // as in Begin
			list["apiVersion"], list["kind"] = kinds[0].GroupVersion().String(), kinds[0].Kind+"List"
		}
		put(kubeFolder+path, list)
	}
	return errors.Join(err, archive.Close())
}

// answers are AWS's elements of a kind. Groups that the loop did not see are missing, but groups of other clusters are not. All have the
// desired capacity that the loop counted with, because AWS may not have shown our last launch.
func (l *recorded) answers(name string) []any {
	list, others := []any{}, map[string]*group.Group{}
	for _, g := range l.groups.Foreign() {
		if g.Problems[0].Reason != ownership.ReasonDropped {
			others[g.Name] = g
		}
	}
	for key, text := range l.aws[name] {
		id := strings.TrimSuffix(key, " ")
		if name != groupsOf {
			list = append(list, text)
		} else if g := cmp.Or(l.groups.Group(id), others[id]); g != nil {
			var element map[string]any
			_ = json.Unmarshal(text, &element) // as redacted has made it
			element["DesiredCapacity"] = g.DesiredCapacity
			list = append(list, element)
		}
	}
	return list
}

var (
	// unread are the lists of containers and volumes that no decision needs.
	unread = []string{"args", "command", "envFrom", "httpHeaders", "mountOptions"}
	// variables of the VPC CNI say how many pods a node takes, and whose it is.
	variables = []string{"CLUSTER_NAME", "ENABLE_PREFIX_DELEGATION", "AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG", "ENABLE_POD_ENI"}
	// domains end the keys of annotations that the core, an adapter or the scheduler reads.
	domains = []string{"kubernetes.io", "k8s.io", "karpenter.sh", "asg-autoscaler.github.io"}
)

// redacted is an object without programs, their environment, options of volumes, annotations that nobody reads, and secrets of
// user data. All of these may be secret.
func redacted(object any) json.RawMessage {
	text, _ := json.Marshal(object) // an object of an API always has a JSON form
	var plain any
	_ = json.Unmarshal(text, &plain)
	redact(plain)
	text, _ = json.Marshal(plain)
	return text
}

func redact(v any) {
	switch v := v.(type) {
	case []any:
		for _, element := range v {
			redact(element)
		}
	case map[string]any:
		for name, inner := range v {
			list, isList := inner.([]any)
			_, isMap := inner.(map[string]any)
			switch {
			case isList && slices.Contains(unread, name), isMap && (name == "options" || name == "volumeAttributes"):
				delete(v, name)
			case isList && name == "env":
				v[name] = slices.DeleteFunc(list, func(variable any) bool {
					name, _ := variable.(map[string]any)["name"].(string)
					return !slices.Contains(variables, name)
				})
			case name == "annotations":
				annotations, _ := inner.(map[string]any)
				maps.DeleteFunc(annotations, func(key string, _ any) bool {
					domain, _, _ := strings.Cut(key, "/")
					return domain == "kubectl.kubernetes.io" || !slices.ContainsFunc(domains, func(end string) bool { return strings.HasSuffix(domain, end) })
				})
			case name == "UserData":
				v[name] = masked(fmt.Sprint(inner))
			default:
				redact(inner)
			}
		}
	}
}

// masked is user data without secrets. Compressed user data is left out.
func masked(data string) any {
	text, err := base64.StdEncoding.DecodeString(data)
	if err != nil || !utf8.Valid(text) {
		return nil
	}
	return base64.StdEncoding.EncodeToString([]byte(lookup.Masked(string(text))))
}

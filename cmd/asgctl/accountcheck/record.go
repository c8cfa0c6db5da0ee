package accountcheck

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/show"
)

// An Exchange is one call and AWS's answer, a line of a recording. The members of Request and Answer have the SDK's names.
type Exchange struct {
	Version string `json:"version"`
	Region  string `json:"region"`
	Service string `json:"service"`
	Action  string `json:"action"`
	Request any    `json:"request"`
	Status  int    `json:"status,omitempty"` // of HTTP, 0 where nothing came
	Code    string `json:"code,omitempty"`   // AWS's error code
	Message string `json:"message,omitempty"`
	Answer  any    `json:"answer,omitempty"`
}

// A Recorder writes each Exchange of the SDK's clients to a file, without what belongs to the account. A text of the account becomes
// the same placeholder wherever it occurs. A Recorder is safe for concurrent use.
type Recorder struct {
	mu    sync.Mutex
	file  *os.File
	names map[string]string // placeholders, by text
	err   error             // the first of writing
}

// Record starts a recording in a file that is empty or does not exist.
func Record(path string) (*Recorder, error) {
	if info, err := os.Stat(path); err == nil && (info.Size() > 0 || !info.Mode().IsRegular()) {
		return nil, fmt.Errorf("--record %s: this is not an empty file. Name a new one, or remove it", path)
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("--record: %w. Name a file in a folder that you may write to", err)
	}
	return &Recorder{file: file, names: map[string]string{}}, file.Chmod(0o600)
}

// Close ends the recording. It returns the first error of writing.
func (r *Recorder) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := errors.Join(r.err, r.file.Close()); err != nil {
		return fmt.Errorf("--record: %w. The file lacks calls: make room, remove it, and run the check again", err)
	}
	return nil
}

// Middleware records the calls of a client of the SDK. It sees neither credentials nor signatures, because those are added below it.
func (r *Recorder) Middleware(stack *middleware.Stack) error {
	return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("Recorder",
		func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (
			out middleware.InitializeOutput, metadata middleware.Metadata, err error) {
			out, metadata, err = next.HandleInitialize(ctx, in)
			r.write(ctx, in.Parameters, out.Result, metadata, err)
			return out, metadata, err
		}), middleware.After)
}

func (r *Recorder) write(ctx context.Context, request, answer any, metadata middleware.Metadata, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := Exchange{
		Version: show.Version, Region: awsmiddleware.GetRegion(ctx), Service: middleware.GetServiceID(ctx),
		Action: middleware.GetOperationName(ctx), Request: r.masked("", reflect.ValueOf(request)),
	}
	if response, ok := awsmiddleware.GetRawResponse(metadata).(*smithyhttp.Response); ok {
		e.Status = response.StatusCode
	}
	var api smithy.APIError
	switch {
	case errors.As(err, &api):
		e.Code, e.Message = api.ErrorCode(), r.words(api.ErrorMessage())
	case err != nil:
		e.Message = awsclient.Reason(err)
	default:
		e.Answer = r.masked("", reflect.ValueOf(answer))
	}
	r.err = cmp.Or(r.err, json.NewEncoder(r.file).Encode(e))
}

// Members of the SDK's structures that are plain text. Those of public have words of AWS, and those of worded have sentences of AWS.
// All others may have anything. An enumeration of the SDK is not plain text and has words of AWS.
var (
	public = strings.Fields(`AllowedInstanceTypes AvailabilityZone AvailabilityZoneId AvailabilityZoneIds AvailabilityZones DesiredCapacityType
		ErrorCode ExcludedInstanceTypes HealthCheckType HealthStatus InstanceType InstanceTypes Location MarketType OnDemandAllocationStrategy
		PlatformDetails ProcessName RegionName ResourceType SpotAllocationStrategy SpotMaxPrice SpotPrice Version Versions WeightedCapacity
		ZoneId ZoneName ZoneType`)
	worded = strings.Fields("Cause ErrorMessage StatusMessage")
)

// masked returns what v has, as JSON writes it. Member is the name of the member that v is in.
func (r *Recorder) masked(member string, v reflect.Value) any {
	members := map[string]any{}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return nil
		}
		return r.masked(member, v.Elem())
	case reflect.Struct:
		if at, ok := v.Interface().(time.Time); ok {
			return at
		}
		for field, value := range v.Fields() {
			if !field.IsExported() || field.Name == "ResultMetadata" {
				continue
			}
			if shown := r.masked(field.Name, value); shown != nil {
				members[field.Name] = shown
			}
		}
		return members
	case reflect.Map:
		for key, value := range v.Seq2() {
			members[r.name(member, key.String())] = r.masked(member, value)
		}
		return members
	case reflect.Slice:
		if v.IsNil() {
			return nil
		}
		list := []any{}
		for _, element := range v.Seq2() {
			list = append(list, r.masked(member, element))
		}
		return list
	case reflect.String:
		text, enumeration := v.String(), v.Type() != reflect.TypeFor[string]()
		switch {
		case enumeration && text == "":
			return nil
		case enumeration || text == "" || text == "self" || slices.Contains(public, member):
			return text
		case slices.Contains(worded, member):
			return r.words(text)
		}
		return r.name(member, text)
	}
	return v.Interface()
}

// name returns the placeholder of a text: an ID of the same kind, or the name of the member that has the text first.
func (r *Recorder) name(member, text string) string {
	if r.names[text] == "" {
		n := len(r.names) + 1
		r.names[text] = fmt.Sprintf("%s-%d", member, n)
		if id := ids.FindStringSubmatch(text); id != nil && id[0] == text {
			r.names[text] = fmt.Sprintf("%s-%017x", id[1], n)
		}
	}
	return r.names[text]
}

// words masks a sentence of AWS.
func (r *Recorder) words(text string) string {
	for _, m := range masks {
		text = m.pattern.ReplaceAllString(text, m.by)
	}
	text = ids.ReplaceAllStringFunc(text, func(id string) string { return r.name("", id) })
	var texts []string
	for known := range r.names {
		if strings.Trim(known, "0123456789") != "" && strings.Contains(text, known) {
			texts = append(texts, regexp.QuoteMeta(known))
		}
	}
	slices.SortFunc(texts, func(a, b string) int { return len(b) - len(a) })
	known := regexp.MustCompile(`\b(` + strings.Join(texts, "|") + `)\b`)
	return known.ReplaceAllStringFunc(text, func(text string) string { return r.names[text] })
}

// masks hide what belongs to the account. Quoted words are names as a rule. Long words are encoded authorization messages, which hold
// names.
var masks = []struct {
	pattern *regexp.Regexp
	by      string
}{
	{regexp.MustCompile(`\barn:[^\s"',]+`), "ARN"},
	{regexp.MustCompile(`\b\d{12}\b`), "ACCOUNT_ID"},
	{regexp.MustCompile(`\bA[A-Z]IA[A-Z2-7]{12,}\b`), "ACCESS_KEY"},
	{regexp.MustCompile(`\b\d{1,3}(\.\d{1,3}){3}\b`), "ADDRESS"},
	{regexp.MustCompile(`["'][^"']+["']\B`), "…"},
	{regexp.MustCompile(`\S{60,}`), "…"},
}

// ids are of things in the account.
var ids = regexp.MustCompile(`\b(i|lt|ami|subnet|sg|vol|vpc|eni|snap|r|vpce|rtb|eipalloc|cr|fleet)-[0-9a-f]{8,}\b`)

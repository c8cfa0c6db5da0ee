package fakeaws

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// maxBody bounds the size of a request.
const maxBody = 4 << 20

// Services, by the names their requests are signed with.
const (
	serviceAutoScaling = "autoscaling"
	serviceEC2         = "ec2"
	serviceEKS         = "eks"
	serviceSQS         = "sqs"
	serviceZonalShift  = "arc-zonal-shift"
	serviceSTS         = "sts"
	serviceIAM         = "iam"
)

// apiVersions distinguish services in requests that are not signed.
var apiVersions = map[string]string{
	"2011-01-01": serviceAutoScaling,
	"2016-11-15": serviceEC2,
	"2011-06-15": serviceSTS,
	"2010-05-08": serviceIAM,
}

// A request is one AWS call, read to its end.
type request struct {
	id, service, action string
	form                form
	path                []string // of EKS requests, unescaped
	json                bool     // the answer is expected in JSON, whatever the service
	caller              string   // access key ID
	agent               string
	share               int // percent of the InstanceIds that are acted on, 0 for all
	answers             int // percent of the activities that are answered, 0 for all
}

// An operation answers one action: with a value that the service's protocol can encode, or with an error.
type operation func(*account, *request) (any, error)

// Serves reports whether the emulator knows an action, whatever the service.
func Serves(action string) bool {
	for _, actions := range operations {
		if _, known := actions[action]; known {
			return true
		}
	}
	return false
}

var operations = map[string]map[string]operation{
	serviceAutoScaling: {
		"CompleteLifecycleAction":             (*account).completeLifecycleAction,
		"DescribeAutoScalingGroups":           (*account).describeAutoScalingGroups,
		"DescribeInstanceRefreshes":           (*account).describeInstanceRefreshes,
		"DescribeLaunchConfigurations":        (*account).describeLaunchConfigurations,
		"DescribeLifecycleHooks":              (*account).describeLifecycleHooks,
		"DescribeScalingActivities":           (*account).describeScalingActivities,
		"DescribeScheduledActions":            (*account).describeScheduledActions,
		"LaunchInstances":                     (*account).launchInstances,
		"RecordLifecycleActionHeartbeat":      (*account).recordLifecycleActionHeartbeat,
		"SetDesiredCapacity":                  (*account).setDesiredCapacity,
		"TerminateInstanceInAutoScalingGroup": (*account).terminateInstance,
	},
	serviceEC2: {
		"DescribeAvailabilityZones":                (*account).describeAvailabilityZones,
		"DescribeImages":                           (*account).describeImages,
		"DescribeInstances":                        (*account).describeInstances,
		"DescribeInstanceStatus":                   (*account).describeInstanceStatus,
		"DescribeInstanceTypes":                    (*account).describeInstanceTypes,
		"DescribeInstanceTypeOfferings":            (*account).describeInstanceTypeOfferings,
		"DescribeLaunchTemplateVersions":           (*account).describeLaunchTemplateVersions,
		"DescribeRouteTables":                      (*account).describeRouteTables,
		"DescribeSecurityGroups":                   (*account).describeSecurityGroups,
		"DescribeSpotPriceHistory":                 (*account).describeSpotPriceHistory,
		"DescribeSubnets":                          (*account).describeSubnets,
		"GetConsoleOutput":                         (*account).getConsoleOutput,
		"GetInstanceTypesFromInstanceRequirements": (*account).getInstanceTypesFromRequirements,
		"RebootInstances":                          (*account).rebootInstances,
	},
	serviceEKS: {
		"DescribeCluster":   (*account).describeCluster,
		"DescribeNodegroup": (*account).describeNodegroup,
		"ListAccessEntries": (*account).listAccessEntries,
	},
	serviceSQS: {
		"ChangeMessageVisibilityBatch": batch((*queue).hide),
		"DeleteMessageBatch":           batch((*queue).discard),
		"GetQueueAttributes":           (*account).getQueueAttributes,
		"GetQueueUrl":                  (*account).getQueueURL,
		"ReceiveMessage":               (*account).receiveMessage,
		"SendMessage":                  (*account).sendMessage,
	},
	serviceZonalShift: {"ListManagedResources": (*account).listManagedResources},
	serviceSTS: {
		"AssumeRoleWithWebIdentity": (*account).assumeRoleWithWebIdentity,
		"GetCallerIdentity":         (*account).getCallerIdentity,
	},
	serviceIAM: {
		"CreateOpenIDConnectProvider": (*account).createOpenIDConnectProvider,
		"CreateRole":                  (*account).createRole,
		"PutRolePolicy":               (*account).putRolePolicy,
	},
}

// serveAWS answers every request.
func (s *Server) serveAWS(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	req, err := readRequest(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	sent := url.Values(req.form)
	hits := s.faults.strike(req, s.account.groupsOf(req))
	if !s.buckets.take(req.service, req.action) {
		hits = slices.Insert(hits, 0, Fault{Code: codeThrottling})
	}
	reply, code, waited := s.answer(r.Context(), req, hits)
	if !sleep(r.Context(), s.stop, s.latency(hits)+waited-time.Since(began)) {
		panic(http.ErrAbortHandler) // the client is gone, or the Server closes: no answer
	}
	s.calls.add(Call{
		Time: began, Service: req.service, Action: req.action, By: req.caller, Agent: req.agent,
		Params: sent, Code: code, Faults: len(hits), Duration: time.Since(began),
	})
	w.Header().Set("Date", s.account.date())
	reply.write(w, damage(hits))
}

// readRequest reads the body to its end, and determines service and action.
func readRequest(r *http.Request) (*request, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err := errors.Join(err, r.Body.Close()); err != nil {
		return nil, fmt.Errorf("read request: %w", err)
	}
	values := r.URL.Query()
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		posted, err := url.ParseQuery(string(body))
		if err != nil {
			return nil, fmt.Errorf("read request: %w", err)
		}
		for key, v := range posted {
			values[key] = v
		}
	}
	req := &request{id: newRequestID(), form: form(values), action: values.Get("Action"), agent: r.UserAgent()}
	req.caller, req.service = credentialScope(r.Header.Get("Authorization"))
	if _, known := operations[req.service]; !known {
		req.service = apiVersions[values.Get("Version")]
	}
	if prefix, target, ok := strings.Cut(r.Header.Get("X-Amz-Target"), "."); ok {
		req.json, req.action = true, target
		if prefix == "AmazonSQS" {
			req.service = serviceSQS
			if req.form, err = readJSON(body); err != nil {
				return nil, err
			}
		}
	}
	if parts := strings.Split(strings.Trim(r.URL.EscapedPath(), "/"), "/"); parts[0] == "clusters" {
		req.json, req.service = true, serviceEKS
		req.path, req.action = eksAction(r.Method, parts)
	}
	if req.service == serviceZonalShift {
		req.json, req.action = true, zonalShiftAction(r)
	}
	return req, nil
}

// credentialScope takes access key ID and service out of an Authorization header as Signature Version 4 writes it:
// AWS4-HMAC-SHA256 Credential=<key>/<date>/<region>/<service>/aws4_request, …
func credentialScope(header string) (caller, service string) {
	_, credential, found := strings.Cut(header, "Credential=")
	if !found {
		return "", ""
	}
	credential, _, _ = strings.Cut(credential, ",")
	scope := strings.Split(credential, "/")
	if len(scope) < 5 {
		return scope[0], ""
	}
	return scope[0], scope[len(scope)-2]
}

// answer performs the call as the faults allow. The code is the error's, or none. waited is how long the call itself took.
func (s *Server) answer(ctx context.Context, req *request, hits []Fault) (p reply, code string, waited time.Duration) {
	var result any
	var err error
	for _, f := range hits {
		req.share, req.answers = first(f.Share, req.share), first(f.Answers, req.answers)
	}
	failure, late := failureOf(req, s.account, hits)
	if failure == nil || late {
		result, err = s.account.perform(req)
		if l, ok := result.(later); ok {
			waited = l.after
			result, err = s.await(l)
		}
		if p, ok := result.(polling); ok {
			began := time.Now()
			result, waited = s.poll(ctx, p), time.Since(began)
		}
	}
	if failure != nil {
		err = failure
	}
	if err == nil {
		p, err = encodeResult(req, result)
	}
	if err != nil {
		known := asAPIError(err)
		return encodeError(req, known), known.Code, waited
	}
	return p, "", waited
}

// perform runs the operation with the account's state locked.
func (a *account) perform(req *request) (any, error) {
	op, ok := operations[req.service][req.action]
	if !ok {
		return nil, unknownAction(req)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if slices.Contains(a.lacks.Actions, req.action) {
		return nil, unknownAction(req)
	}
	if err := a.authorize(req); err != nil {
		return nil, err
	}
	a.noteWrite(req.action)
	return op(a, req)
}

// groups are the Auto Scaling groups that the request names.
func (r *request) groups() []string {
	names := r.form.list("AutoScalingGroupNames.member")
	if name := r.form.get("AutoScalingGroupName"); name != "" {
		names = append(names, name)
	}
	return names
}

// groupsOf are the groups that the request names, and the groups of the instances it names. Called without mu held.
func (a *account) groupsOf(r *request) []string {
	names := r.groups()
	ids := append(r.form.list("InstanceIds.member"), r.form.get("InstanceId"))
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, id := range ids {
		if i, ok := a.instances[id]; ok {
			names = append(names, i.group.Name)
		}
	}
	return names
}

func (r *request) by() string {
	if r.caller == "" {
		return r.action
	}
	return r.action + " " + r.caller
}

// latency is the Server's own plus every fault's.
func (s *Server) latency(hits []Fault) time.Duration {
	d := time.Duration(s.cfg.Latency)
	for _, f := range hits {
		d += time.Duration(f.Latency)
	}
	return d
}

func sleep(ctx context.Context, stop <-chan struct{}, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
	case <-stop:
	}
	return false
}

// A reply is an encoded answer.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// write sends the reply, damaged if asked.
func (p reply) write(w http.ResponseWriter, damage BodyDamage) {
	if damage == Lost {
		panic(http.ErrAbortHandler) // breaks the connection, quietly
	}
	for key, values := range p.header {
		w.Header()[key] = values
	}
	body := p.body
	if damage == Garbled {
		body = bytes.ReplaceAll(body, []byte("</"), []byte("<\x01"))
		body = bytes.ReplaceAll(body, []byte(`":`), []byte(`"=`))
	}
	w.Header().Set("Content-Length", fmt.Sprint(len(body)))
	w.WriteHeader(p.status)
	if damage == Truncated {
		_, _ = w.Write(body[:len(body)/2])
		panic(http.ErrAbortHandler) // breaks the connection, quietly
	}
	_, _ = w.Write(body)
}

// damage is the first damage that a fault asks for.
func damage(hits []Fault) BodyDamage {
	for _, f := range hits {
		if f.Body != "" {
			return f.Body
		}
	}
	return ""
}

// newRequestID is a random UUID, as AWS has them.
func newRequestID() string {
	var b [16]byte
	_, _ = rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

package podserver

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	clienttesting "k8s.io/client-go/testing"
)

// Pods is the resource in the tracker.
var Pods = corev1.SchemeGroupVersion.WithResource("pods")

// Call is one eviction, deletion or patch of the status of a pod.
type Call struct {
	Verb  string // "evict", "delete" or "patch"
	Pod   string
	UID   string // the precondition
	Grace int64  // in seconds, -1 for the pod's own
	At    time.Time
}

// Server serves pods. Set its functions before the first request. They may be nil.
type Server struct {
	Tracker clienttesting.ObjectTracker
	// Refuse returns why a pod may not be evicted, deleted or patched, or nil. It may block until the request ends.
	Refuse func(request *http.Request, call Call) error
	// RefuseList returns why pods cannot be listed.
	RefuseList func() error
	// Grace is how long a pod with so many seconds of grace takes to end. If nil, it takes all of them.
	Grace func(seconds int64) time.Duration

	mu    sync.Mutex
	calls []Call // guarded by mu
}

// Client returns a client of the server.
func (s *Server) Client() kubernetes.Interface {
	return kubernetes.NewForConfigOrDie(&rest.Config{Host: "http://podserver", Transport: s, QPS: -1})
}

// Calls returns all requests in order, refused ones included.
func (s *Server) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Call(nil), s.calls...)
}

// RoundTrip answers a request as the API server does.
func (s *Server) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := s.serve(r)
	if r.Context().Err() != nil {
		return nil, r.Context().Err()
	}
	code, header := http.StatusOK, http.Header{"Content-Type": {"application/json"}}
	if err != nil {
		var status apierrors.APIStatus
		if !errors.As(err, &status) {
			status = apierrors.NewInternalError(err)
		}
		refusal := status.Status()
		refusal.Kind, refusal.APIVersion = "Status", "v1"
		code, answer = int(refusal.Code), &refusal
		if refusal.Details != nil && refusal.Details.RetryAfterSeconds > 0 {
			header.Set("Retry-After", strconv.Itoa(int(refusal.Details.RetryAfterSeconds)))
		}
	}
	body, err := json.Marshal(answer)
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: code, Status: http.StatusText(code), Header: header, Request: r, ContentLength: int64(len(body)),
		Body: io.NopCloser(bytes.NewReader(body))}, nil
}

func (s *Server) serve(r *http.Request) (any, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
	}
	words := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	switch {
	case r.Method == http.MethodGet && r.URL.Path == "/api/v1/pods":
		return s.list(r)
	case r.Method == http.MethodPost && len(words) == 7 && words[6] == "eviction":
		var eviction policyv1.Eviction
		if err := json.Unmarshal(body, &eviction); err != nil {
			return nil, err
		}
		return s.end(r, "evict", words[3], words[5], eviction.DeleteOptions)
	case r.Method == http.MethodDelete && len(words) == 6:
		var options metav1.DeleteOptions
		if err := json.Unmarshal(body, &options); err != nil {
			return nil, err
		}
		return s.end(r, "delete", words[3], words[5], &options)
	case r.Method == http.MethodPatch && len(words) == 7 && words[6] == "status" && r.Header.Get("Content-Type") == string(types.StrategicMergePatchType):
		return s.patch(r, words[3], words[5], body)
	}
	return nil, fmt.Errorf("podserver does not serve %s %s", r.Method, r.URL)
}

func (s *Server) list(r *http.Request) (any, error) {
	if s.RefuseList != nil {
		if err := s.RefuseList(); err != nil {
			return nil, err
		}
	}
	selector, err := fields.ParseSelector(r.URL.Query().Get("fieldSelector"))
	if err != nil {
		return nil, err
	}
	all, err := s.Tracker.List(Pods, schema.GroupVersionKind{Version: "v1", Kind: "Pod"}, "")
	if err != nil {
		return nil, err
	}
	list := &corev1.PodList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "PodList"}}
	for _, pod := range all.(*corev1.PodList).Items {
		if selector.Matches(fields.Set{"spec.nodeName": pod.Spec.NodeName}) {
			list.Items = append(list.Items, pod)
		}
	}
	return list, nil
}

// end ends a pod after its grace, or the given one.
func (s *Server) end(r *http.Request, verb, namespace, name string, o *metav1.DeleteOptions) (any, error) {
	call := Call{Verb: verb, Pod: name, Grace: -1, At: time.Now()}
	if o != nil && o.GracePeriodSeconds != nil {
		call.Grace = *o.GracePeriodSeconds
	}
	if o != nil && o.Preconditions != nil && o.Preconditions.UID != nil {
		call.UID = string(*o.Preconditions.UID)
	}
	pod, err := s.take(r, namespace, call)
	if err != nil {
		return nil, err
	}
	return &metav1.Status{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusSuccess}, s.terminate(pod, call.Grace)
}

// patch changes the pod's status by a strategic merge.
func (s *Server) patch(r *http.Request, namespace, name string, body []byte) (any, error) {
	var precondition metav1.PartialObjectMetadata
	if err := json.Unmarshal(body, &precondition); err != nil {
		return nil, err
	}
	pod, err := s.take(r, namespace, Call{Verb: "patch", Pod: name, UID: string(precondition.UID), At: time.Now()})
	if err != nil {
		return nil, err
	}
	before, err := json.Marshal(pod)
	if err != nil {
		return nil, err
	}
	after, err := strategicpatch.StrategicMergePatch(before, body, pod)
	if err != nil {
		return nil, err
	}
	patched := &corev1.Pod{}
	if err := json.Unmarshal(after, patched); err != nil {
		return nil, err
	}
	patched.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}
	return patched, s.Tracker.Update(Pods, patched, namespace)
}

// take notes the call, and returns a copy of the pod if the call may change it.
func (s *Server) take(r *http.Request, namespace string, call Call) (*corev1.Pod, error) {
	s.mu.Lock()
	s.calls = append(s.calls, call)
	s.mu.Unlock()
	object, err := s.Tracker.Get(Pods, namespace, call.Pod)
	if err != nil {
		return nil, err
	}
	pod := object.(*corev1.Pod).DeepCopy()
	if call.UID != "" && call.UID != string(pod.UID) {
		return nil, apierrors.NewConflict(Pods.GroupResource(), call.Pod, errors.New("the UID in the precondition does not match"))
	}
	if s.Refuse != nil {
		return pod, s.Refuse(r, call)
	}
	return pod, nil
}

// terminate removes the pod after its grace in seconds. -1 is its own grace.
func (s *Server) terminate(pod *corev1.Pod, grace int64) error {
	if grace < 0 {
		grace = corev1.DefaultTerminationGracePeriodSeconds
		if own := pod.Spec.TerminationGracePeriodSeconds; own != nil {
			grace = *own
		}
	}
	after := time.Duration(grace) * time.Second
	if s.Grace != nil {
		after = s.Grace(grace)
	}
	pod.DeletionTimestamp = &metav1.Time{Time: time.Now().Add(after)}
	if err := s.Tracker.Update(Pods, pod, pod.Namespace); err != nil {
		return err
	}
	time.AfterFunc(after, func() { _ = s.Tracker.Delete(Pods, pod.Namespace, pod.Name) })
	return nil
}

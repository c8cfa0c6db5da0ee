package controlplane

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
)

// Forbidden returns the requests that kube-apiserver refused with 403 so far, each kind once, sorted, as "<user> may not <verb>
// <resource>[.<group>][/<subresource>] in <namespace|the cluster>: <reason>". Requests of the cluster's own programs and of its
// admin do not count. A request enters the list as its answer is sent.
func (c *Cluster) Forbidden() ([]string, error) {
	found := map[string]struct{}{}
	err := c.audit(func(event auditEvent) {
		if event.Status.Code == http.StatusForbidden {
			found[event.String()] = struct{}{}
		}
	})
	return slices.Sorted(maps.Keys(found)), err
}

// A Request is a kind of request for an object of the Kubernetes API.
type Request struct {
	User, Verb, Group, Resource, Subresource string
	Namespace                                string // empty for all namespaces and for objects outside of them
	Name                                     string // empty for most verbs of collections
}

// Granted returns the requests for objects that kube-apiserver authorised so far, each kind once, in no order. Whose requests do
// not count, and when a request enters the list, is as with Forbidden. A watch is answered when it ends.
func (c *Cluster) Granted() ([]Request, error) {
	found := map[Request]struct{}{}
	err := c.audit(func(event auditEvent) {
		if o := event.Object; o != nil && event.Annotations[decision] == "allow" {
			found[Request{event.User.Username, event.Verb, o.APIGroup, o.Resource, o.Subresource, o.Namespace, o.Name}] = struct{}{}
		}
	})
	return slices.Collect(maps.Keys(found)), err
}

// audit calls see with each answer of kube-apiserver so far.
func (c *Cluster) audit(see func(auditEvent)) error {
	file, err := os.Open(c.layout.auditLog())
	if errors.Is(err, os.ErrNotExist) {
		return nil // kube-apiserver creates it with the first entry
	}
	if err != nil {
		return err
	}
	defer file.Close()
	return readAudit(file, see)
}

// decision is the annotation with the authoriser's answer, "allow" or "forbid".
const decision = "authorization.k8s.io/decision"

// auditEvent is the part of an audit.k8s.io/v1 Event that describes who asked for what, and the answer.
type auditEvent struct {
	Verb       string `json:"verb"`
	RequestURI string `json:"requestURI"`
	User       struct {
		Username string `json:"username"`
	} `json:"user"`
	Object *struct {
		Resource    string `json:"resource"`
		Namespace   string `json:"namespace"`
		APIGroup    string `json:"apiGroup"`
		Subresource string `json:"subresource"`
		Name        string `json:"name"`
	} `json:"objectRef"`
	Status struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	} `json:"responseStatus"`
	Annotations map[string]string `json:"annotations"`
}

// readAudit calls see with each entry of an audit log, one JSON object a line. It leaves out a last line that is still being written.
func readAudit(log io.Reader, see func(auditEvent)) error {
	reader := bufio.NewReader(log)
	for {
		line, err := reader.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read audit log: %w", err)
		}
		var event auditEvent
		if err := json.Unmarshal(line, &event); err != nil {
			return fmt.Errorf("parse audit log: %w", err)
		}
		see(event)
	}
}

// String describes a refused request without the details that differ from one such request to the next.
func (e auditEvent) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s may not %s ", e.User.Username, e.Verb)
	switch {
	case e.Object == nil:
		path, _, _ := strings.Cut(e.RequestURI, "?")
		b.WriteString(path)
	default:
		b.WriteString(e.Object.Resource)
		if e.Object.APIGroup != "" {
			b.WriteString("." + e.Object.APIGroup)
		}
		if e.Object.Subresource != "" {
			b.WriteString("/" + e.Object.Subresource)
		}
		if e.Object.Namespace != "" {
			b.WriteString(" in namespace " + e.Object.Namespace)
		} else {
			b.WriteString(" in the cluster")
		}
	}
	// RBAC's refusals explain themselves. Refusals by admission do not.
	if e.Annotations[decision] != "forbid" && e.Status.Message != "" {
		b.WriteString(": " + e.Status.Message)
	}
	return b.String()
}

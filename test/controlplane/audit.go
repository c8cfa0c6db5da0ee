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
	file, err := os.Open(c.layout.auditLog())
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil // kube-apiserver creates it with the first entry
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return forbiddenIn(file)
}

// auditEvent is the part of an audit.k8s.io/v1 Event that describes a refusal.
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
	} `json:"objectRef"`
	Status struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	} `json:"responseStatus"`
	Annotations map[string]string `json:"annotations"`
}

// forbiddenIn reads an audit log, one JSON object a line. It leaves out a last line that is still being written.
func forbiddenIn(log io.Reader) ([]string, error) {
	found := map[string]struct{}{}
	reader := bufio.NewReader(log)
	for {
		line, err := reader.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return slices.Sorted(maps.Keys(found)), nil
		}
		if err != nil {
			return nil, fmt.Errorf("read audit log: %w", err)
		}
		var event auditEvent
		if err := json.Unmarshal(line, &event); err != nil {
			return nil, fmt.Errorf("parse audit log: %w", err)
		}
		if event.Status.Code == http.StatusForbidden {
			found[event.String()] = struct{}{}
		}
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
	if e.Annotations["authorization.k8s.io/decision"] != "forbid" && e.Status.Message != "" {
		b.WriteString(": " + e.Status.Message)
	}
	return b.String()
}

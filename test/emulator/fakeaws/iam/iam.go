package iam

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// A Document is one policy of an identity.
type Document struct{ statements []statement }

type statement struct {
	sid        string
	deny       bool
	actions    []string // in lower case
	resources  []string
	conditions []condition
}

// A Request is one action on one resource.
type Request struct {
	Action   string            // service:Name
	Resource string            // its ARN, or "*" for actions that AWS does not check by resource
	Keys     map[string]string // condition keys of the request and their values, each key in lower case
}

// A Decision is the answer of all policies of an identity.
type Decision int

// Decisions. Without a statement that allows a request, it is denied.
const (
	ImplicitlyDenied Decision = iota
	Allowed
	ExplicitlyDenied
)

// Evaluate decides a request: one statement that denies wins over all that allow.
func Evaluate(policies []*Document, r Request) Decision {
	decision := ImplicitlyDenied
	for _, p := range policies {
		for _, s := range p.statements {
			switch {
			case !s.applies(r):
			case s.deny:
				return ExplicitlyDenied
			default:
				decision = Allowed
			}
		}
	}
	return decision
}

// applies reports whether one of the actions, one of the resources and every condition match.
func (s *statement) applies(r Request) bool {
	action := func(pattern string) bool { return like(pattern, strings.ToLower(r.Action)) }
	resource := func(pattern string) bool { return pattern == "*" || likeARN(pattern, r.Resource) }
	return slices.ContainsFunc(s.actions, action) && slices.ContainsFunc(s.resources, resource) &&
		!slices.ContainsFunc(s.conditions, func(c condition) bool { return !c.holds(r.Keys) })
}

// like matches text with a pattern in which * is any text and ? any one character.
func like(pattern, text string) bool {
	if !strings.ContainsAny(pattern, "*?") {
		return pattern == text
	}
	expression := strings.NewReplacer(`\*`, ".*", `\?`, ".").Replace(regexp.QuoteMeta(pattern))
	return regexp.MustCompile("(?s)^" + expression + "$").MatchString(text)
}

// arnParts is how many parts an ARN has. The last one, the resource, may hold more colons.
const arnParts = 6

// likeARN matches ARNs part by part: a wildcard does not reach over a colon, except in the last part.
func likeARN(pattern, arn string) bool {
	return slices.EqualFunc(strings.SplitN(pattern, ":", arnParts), strings.SplitN(arn, ":", arnParts), like)
}

// A list may be written as one text.
type list []string

func (l *list) UnmarshalJSON(raw []byte) error {
	var one string
	if json.Unmarshal(raw, &one) == nil {
		*l = list{one}
		return nil
	}
	return json.Unmarshal(raw, (*[]string)(l))
}

type writtenStatement struct {
	Sid, Effect      string
	Action, Resource list
	Condition        map[string]map[string]list
}

// Parse reads a document. The error joins everything that is wrong with it.
func Parse(text []byte) (*Document, error) {
	var written struct {
		Version, ID string
		Statement   []writtenStatement
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&written); err != nil {
		return nil, fmt.Errorf("policy document: %w", err)
	}
	var errs []error
	if written.Version != "2012-10-17" {
		errs = append(errs, fmt.Errorf("version %q: use 2012-10-17", written.Version))
	}
	if len(written.Statement) == 0 {
		errs = append(errs, errors.New("no statement"))
	}
	d, sids := &Document{}, map[string]bool{}
	for n, w := range written.Statement {
		s, err := w.parse()
		if w.Sid != "" && sids[w.Sid] {
			err = errors.Join(err, errors.New("two statements have this Sid"))
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("statement %d %q: %w", n+1, w.Sid, err))
		}
		d.statements, sids[w.Sid] = append(d.statements, s), true
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("policy document: %w", err)
	}
	return d, nil
}

var (
	validSid    = regexp.MustCompile(`^[A-Za-z0-9]*$`)
	validAction = regexp.MustCompile(`^(\*|[a-z0-9-]+:[A-Za-z0-9*?]+)$`)
	// A pattern of an ARN must name the service. Partition, region and account may be wildcards, and the last two empty.
	validResource = regexp.MustCompile(`^(\*|arn:[a-z*-]+:[a-z0-9-]+:[a-z0-9*?-]*:[0-9*?]*:[^$]+)$`)
)

func (w writtenStatement) parse() (statement, error) {
	s := statement{sid: w.Sid, deny: w.Effect == "Deny", resources: w.Resource}
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if !validSid.MatchString(w.Sid) {
		wrong("Sid may hold letters and digits only")
	}
	if w.Effect != "Allow" && w.Effect != "Deny" {
		wrong("effect %q", w.Effect)
	}
	if len(w.Action) == 0 || len(w.Resource) == 0 {
		wrong("Action and Resource are needed")
	}
	for _, action := range w.Action {
		if !validAction.MatchString(action) {
			wrong("action %q", action)
		}
		s.actions = append(s.actions, strings.ToLower(action))
	}
	for _, resource := range w.Resource {
		if !validResource.MatchString(resource) {
			wrong("resource %q", resource)
		}
	}
	for _, operator := range slices.Sorted(maps.Keys(w.Condition)) {
		for key, values := range w.Condition[operator] {
			c, err := parseCondition(operator, key, values)
			errs = append(errs, err)
			s.conditions = append(s.conditions, c)
		}
	}
	return s, errors.Join(errs...)
}

package userdata

import (
	"maps"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate"
)

// document holds the results of user data for every image. It is immutable.
type document struct {
	forms   []string          // in it, newer images' first
	results map[string]result // by form, "" for an image that knows none of them
	// bottlerocket holds the settings that Bottlerocket takes from user data without its own.
	bottlerocket *result
}

// result holds the facts of user data in one form.
type result struct {
	facts    Facts
	problems []nodetemplate.Problem
}

// maxCachedBytes bounds the user data whose documents are remembered. A thousand groups have about 4 MB.
const maxCachedBytes = 32 << 20

// cache holds the documents by user data. User data belongs to a version of a launch template and never changes. Many
// groups and zones may use it again and again.
var cache struct {
	sync.Mutex
	documents map[string]*document
	bytes     int // of their user data
}

// read reads user data, once while it is remembered.
func read(data string) *document {
	cache.Lock()
	known := cache.documents[data]
	cache.Unlock()
	if known != nil {
		return known
	}
	d := readUncached(data)
	cache.Lock()
	defer cache.Unlock()
	if known := cache.documents[data]; known != nil {
		return known // another goroutine was quicker
	}
	if cache.bytes+len(data) > maxCachedBytes || cache.documents == nil {
		cache.documents, cache.bytes = map[string]*document{}, 0
	}
	if len(data) <= maxRawBytes {
		cache.documents[data] = d
		cache.bytes += len(data)
	}
	return d
}

// readUncached reads user data that is not remembered.
func readUncached(data string) *document {
	r := &reader{budget: budget{work: maxWork}}
	if text, ok := r.unwrap(data); ok {
		r.document(text, "", 0)
	}
	d := &document{results: map[string]result{}}
	if r.settings == nil && len(r.others) > 0 {
		bare := *r
		bare.problems = slices.Clone(r.problems)
		for _, text := range r.others {
			bare.bottlerocket(text)
		}
		found := bare.inForm(formOf(bare.forms(), nodetemplate.Bottlerocket))
		d.bottlerocket = &found
	}
	if r.unmarked {
		r.unreadable("", "a first line such as #!/bin/bash, without which the node does not run it")
	}
	d.forms = r.forms()
	for _, form := range append(slices.Clone(d.forms), "") {
		d.results[form] = r.inForm(form)
	}
	return d
}

// facts returns the facts that an image of the family takes from user data. The caller owns the list of Problems.
func (d *document) facts(family nodetemplate.AMIFamily) (Facts, []nodetemplate.Problem) {
	found := d.results[formOf(d.forms, family)]
	if family == nodetemplate.Bottlerocket && d.bottlerocket != nil {
		found = *d.bottlerocket
	}
	f := found.facts
	switch {
	case f.Form == FormKubelet:
		f.AMIFamily = family
	case f.Form == FormBootstrap && family == nodetemplate.Ubuntu:
		f.AMIFamily = nodetemplate.Ubuntu
	}
	return f, slices.Clone(found.problems)
}

// inForm evaluates the settings in one form. It does not change the reader and has its own budget: hostile documents must not
// hide a good one.
func (r *reader) inForm(form string) result {
	j := *r
	j.problems, j.work, j.tooMuch = slices.Clone(r.problems), formWork, false
	var f Facts
	switch form {
	case FormBottlerocket:
		f = j.bottlerocketFacts()
	case FormNodeConfig:
		f = j.nodeConfigFacts()
	case FormBootstrap, FormPowerShell:
		f = j.bootstrapFacts(form == FormPowerShell)
	case FormKubelet:
		j.settingsOf(&f).apply(slices.Concat(j.splitArgs(j.kubeletEnv), j.kubeletArgs), j.kubelet)
		f.Form = FormKubelet
	}
	return result{f, j.problems}
}

// forms returns the forms of the user data, newer ones first. Templates that serve several images often carry the older ones
// along.
func (r *reader) forms() []string {
	var forms []string
	for _, present := range []struct {
		form  string
		there bool
	}{
		{FormBottlerocket, r.settings != nil},
		{FormNodeConfig, r.nodeConfig != nil || r.branches != nil},
		{FormBootstrap, slices.ContainsFunc(r.calls, func(c call) bool { return !c.windows })},
		{FormPowerShell, slices.ContainsFunc(r.calls, func(c call) bool { return c.windows })},
	} {
		if present.there {
			forms = append(forms, present.form)
		}
	}
	if forms == nil && (r.kubeletEnv != "" || len(r.kubeletArgs) > 0 || r.kubelet != nil) {
		forms = append(forms, FormKubelet)
	}
	return forms
}

// formOfFamily is the form that the images of a family read. They ignore the others.
var formOfFamily = map[nodetemplate.AMIFamily]string{
	nodetemplate.Bottlerocket: FormBottlerocket,
	nodetemplate.AL2023:       FormNodeConfig,
	nodetemplate.AL2:          FormBootstrap,
	nodetemplate.Ubuntu:       FormBootstrap,
	nodetemplate.Windows:      FormPowerShell,
}

// formOf returns the form that counts for a family: the one its images read, or else the newest, or "".
func formOf(forms []string, family nodetemplate.AMIFamily) string {
	if form := formOfFamily[family]; slices.Contains(forms, form) {
		return form
	}
	return append(slices.Clone(forms), "")[0]
}

// clone returns f with its own maps and lists.
func (f Facts) clone() Facts {
	f.Labels, f.Taints = maps.Clone(f.Labels), slices.Clone(f.Taints)
	for _, reserved := range []*corev1.ResourceList{&f.KubeReserved.Resources, &f.SystemReserved.Resources} {
		*reserved = reserved.DeepCopy()
	}
	return f
}

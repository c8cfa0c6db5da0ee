package userdata

import (
	"cmp"
	"slices"

	"k8s.io/utils/lru"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate"
)

// maxCached bounds how many user data are remembered. A thousand have about 4 MB, and 22 MB at most.
const maxCached = 1000

// cache holds the readers by user data. User data belongs to a version of a launch template and never changes. Many groups and
// zones may use it again and again.
var cache = lru.New(maxCached)

// Parse reads user data as EC2 keeps it (base64), or before that encoding. family is the family of the image, or "". It selects the form
// that counts where there are several, as an image does.
//
// The Problems have no Group, which Parse does not know. A setting with a Problem is missing from the Facts, unless the Problem
// is Used. The caller owns both.
func Parse(data string, family nodetemplate.AMIFamily) (Facts, []nodetemplate.Problem) {
	return read(data).judge(family)
}

// read reads the documents of user data, once while it is remembered. The reader must not be changed.
func read(data string) *reader {
	if known, ok := cache.Get(data); ok {
		return known.(*reader)
	}
	r := readUncached(data)
	if len(data) <= maxRawBytes {
		cache.Add(data, r)
	}
	return r
}

// readUncached reads base64 as well as the text itself. Every form has characters that base64 does not have. So text that can be decoded is
// base64, even if a script holds bytes of another encoding, or an archive.
func readUncached(data string) *reader {
	r := &reader{budget: budget{work: maxWork}}
	if len(data) > maxRawBytes {
		r.unreadable("", "64 KiB at most, EC2 keeps 16 KiB")
		return r
	}
	r.document(cmp.Or(decodeBase64(data), data), "", 0)
	return r
}

// judge evaluates the form that counts for an image of the family. It has its own budget: hostile documents must not hide a good one.
func (r *reader) judge(family nodetemplate.AMIFamily) (Facts, []nodetemplate.Problem) {
	j := *r
	j.problems, j.work, j.tooMuch = slices.Clone(r.problems), formWork, false
	if family == nodetemplate.Bottlerocket && j.settings == nil {
		for _, text := range j.others { // it takes whatever it is given for its settings
			j.bottlerocket(text)
		}
	} else if j.unmarked {
		j.unreadable("", "a first line such as #!/bin/bash, without which the node does not run it")
	}
	form := j.form(family)
	f := j.facts(form, family)
	for i := 0; i < len(j.kubeletBranches) && !j.tooMuch; i++ {
		j.kubeletInBranch = j.kubeletBranches[i]
		j.intersect(&f, j.facts(form, family), inAllBranches)
	}
	return f, j.problems
}

// facts evaluates a form, with one of the kubelet configurations in branches or with none.
func (j *reader) facts(form string, family nodetemplate.AMIFamily) (f Facts) {
	switch form {
	case FormBottlerocket:
		f = j.bottlerocketFacts()
	case FormNodeConfig:
		f = j.nodeConfigFacts()
	case FormBootstrap, FormPowerShell:
		f = j.bootstrapFacts(form == FormPowerShell)
	case FormKubelet:
		f.IgnoreAddresses = family == "" // neither bootstrap.sh nor nodeadm is there to count them
		j.settingsOf(&f).apply(slices.Concat(j.splitArgs(j.kubeletEnv), j.kubeletArgs), j.kubelet, j.kubeletInBranch)
	}
	f.Form = form
	if j.localDisks != "" && form != FormBottlerocket && form != FormPowerShell {
		f.InstanceStore, f.Mirrored = true, f.Mirrored || j.localDisks == "raid10"
	}
	return f
}

// formOfFamily is the form that the images of a family read. They ignore the others.
var formOfFamily = map[nodetemplate.AMIFamily]string{
	nodetemplate.Bottlerocket: FormBottlerocket,
	nodetemplate.AL2023:       FormNodeConfig,
	nodetemplate.AL2:          FormBootstrap,
	nodetemplate.Ubuntu:       FormBootstrap,
	nodetemplate.Windows:      FormPowerShell,
}

// form returns the form that a family's images read, or else the newest, or "". Templates for several images often carry older ones along.
func (r *reader) form(family nodetemplate.AMIFamily) string {
	present := map[string]bool{
		FormBottlerocket: r.settings != nil,
		FormNodeConfig:   r.nodeConfigs != nil || r.dropIns != nil || r.branches != nil,
		FormBootstrap:    slices.ContainsFunc(r.calls, func(c call) bool { return !c.windows }),
		FormPowerShell:   slices.ContainsFunc(r.calls, func(c call) bool { return c.windows }),
		FormKubelet:      r.kubeletEnv != "" || len(r.kubeletArgs) > 0 || r.kubelet != nil || r.kubeletBranches != nil,
	}
	forms := []string{formOfFamily[family], FormBottlerocket, FormNodeConfig, FormBootstrap, FormPowerShell, FormKubelet}
	return append(slices.DeleteFunc(forms, func(form string) bool { return !present[form] }), "")[0]
}

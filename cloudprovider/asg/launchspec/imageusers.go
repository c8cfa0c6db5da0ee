package launchspec

import (
	"bytes"
	"encoding/base64"
	"slices"
)

// imageUser is a launch template with its reference. A launch configuration, and an image of an override, have none.
type imageUser struct {
	ref TemplateRef
	*template
}

// imageUsers returns the launch sources of g whose image adds facts, and the images of overrides. Their launch templates and configurations must have
// been fetched.
func (r *Resolver) imageUsers(g *Group) []imageUser {
	var users []imageUser
	if name := g.Source.ConfigurationName; name != "" {
		if c, _ := r.configurations.get(name); c != nil {
			users = append(users, imageUser{template: &template{imageID: c.ImageID, userData: c.UserData, blockDevices: c.BlockDevices}})
		}
	}
	for _, ref := range g.Source.templates() {
		if t, _ := r.templates.get(ref); t != nil {
			users = append(users, imageUser{ref: ref, template: t})
		}
	}
	users = slices.DeleteFunc(users, func(u imageUser) bool { return u.imageID == "" || !r.imageMatters(g, u.template) })
	for _, o := range g.Source.Overrides {
		if o.ImageID != "" {
			users = append(users, imageUser{template: &template{imageID: o.ImageID}})
		}
	}
	return users
}

// imageMatters reports whether the image adds a fact about g's nodes. User data or EKS may state the operating system, the template the volume, and a
// single type the architecture. Only the image's name or EKS's image type states the release of Windows.
func (r *Resolver) imageMatters(g *Group, t *template) bool {
	asksForTypes := func(o Override) bool { return o.Requirements != nil }
	if t.requirements != nil || slices.ContainsFunc(g.Source.Overrides, asksForTypes) {
		return true
	}
	if n, _ := r.nodegroups.get(nodegroupOf(g)); n != nil && n.AMIType != "" && n.AMIType != "CUSTOM" {
		return len(t.blockDevices) == 0 && n.DiskSizeGiB == 0
	}
	return t.userData == "" || len(t.blockDevices) == 0 || len(g.Source.Overrides) > 1 || forWindows(t.userData)
}

// forWindows reports whether user data, in base64, is a script for Windows.
func forWindows(userData string) bool {
	text, err := base64.StdEncoding.DecodeString(userData)
	return err == nil && bytes.Contains(bytes.ToLower(text), []byte("<powershell>"))
}

package launchspec

import "context"

// Fetch looks up what the groups need and the memos lack. Errors stay with their key.
func (r *Resolver) Fetch(ctx context.Context, groups []*Group) {
	r.mu.Lock()
	suspects := r.suspects
	r.suspects = map[string]bool{}
	r.mu.Unlock()
	for _, g := range groups {
		if name := g.Source.ConfigurationName; name != "" {
			r.configurations.want(name)
		}
		for _, ref := range g.Source.templates() {
			r.templates.want(ref)
		}
		if key := nodegroupOf(g); key != (nodegroupKey{}) {
			r.nodegroups.want(key)
		}
		if suspects[g.Name] {
			r.expire(g)
		}
	}
	r.fetchConfigurations(ctx, r.configurations.due(r.clock.Now()))
	r.fetchTemplates(ctx, r.templates.due(r.clock.Now()))
	r.fetchNodegroups(ctx, r.nodegroups.due(r.clock.Now()))
	r.fetchImages(ctx, groups)
	for _, g := range groups {
		for _, key := range r.requirementsOf(g) {
			r.requirements.want(key)
		}
	}
	r.fetchRequirements(ctx, r.requirements.due(r.clock.Now()))
	r.Failing = r.templates.failing() || r.configurations.failing() || r.requirements.failing() || r.nodegroups.failing()
}

// expire makes all look-ups of g due.
func (r *Resolver) expire(g *Group) {
	r.configurations.expire(g.Source.ConfigurationName)
	for _, ref := range g.Source.templates() {
		r.templates.expire(ref)
	}
	for _, key := range r.requirementsOf(g) {
		r.requirements.expire(key)
	}
	r.nodegroups.expire(nodegroupOf(g))
	for _, u := range r.imageUsers(g) {
		if image, _ := r.image(u.imageID); image != nil {
			r.images.expire(image.ID)
		}
		r.aliases.expire(u.imageID)
	}
}

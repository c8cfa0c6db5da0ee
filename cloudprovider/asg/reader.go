package asg

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/ownership"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
)

// Absent returns the names in --nodes flags that no group and no zone of a group has, as of the last complete reading.
func (c *Cache) Absent() []string {
	c.groups.mu.Lock()
	defer c.groups.mu.Unlock()
	return c.absent
}

// Refresh reads every group that the flags name or the filters match, keyed by name, and publishes them. It makes one call per 100 groups and search.
// On error the last Snapshot stays and keeps its age: stale beats partial.
func (c *Cache) Refresh(ctx context.Context) error {
	err := c.readAll(ctx)
	if awsclient.IsTrouble(err) {
		c.trouble.Store(c.clock.Now().UnixNano())
	}
	switch last := c.groups.Snapshot().ReadAt; {
	case ctx.Err() != nil:
	case err == nil:
		c.options.Read(last, "", "")
	case awsclient.IsUnauthenticated(err):
		c.options.Read(last, "unauthenticated", awsclient.Brief(err))
	default:
		c.options.Read(last, awsclient.Reason(err), awsclient.Brief(err))
	}
	return err
}

func (c *Cache) readAll(ctx context.Context) error {
	start := c.clock.Now()
	found, err := c.named(ctx, c.options.Discovery.Names())
	if err != nil {
		return err
	}
	maps.DeleteFunc(found, func(name string, g types.AutoScalingGroup) bool { // the text after a slash may name no zone of it
		return !c.options.Discovery.Selects(name, g.AvailabilityZones, nil)
	})
	for _, filter := range c.options.Discovery.Searches() {
		searched, err := c.describe(ctx, &autoscaling.DescribeAutoScalingGroupsInput{Filters: filtersOf(filter)})
		if err != nil {
			return err
		}
		// An endpoint other than AWS's may ignore the filter. If it shows no tags at all, nobody can tell.
		if slices.ContainsFunc(slices.Collect(maps.Values(searched)), func(g types.AutoScalingGroup) bool { return len(g.Tags) > 0 }) {
			maps.DeleteFunc(searched, func(name string, g types.AutoScalingGroup) bool {
				return !c.options.Discovery.Selects(name, g.AvailabilityZones, tagsOf(g))
			})
		}
		maps.Copy(found, searched)
	}
	left, err := c.lookAgain(ctx, found, nil)
	if err != nil {
		return err
	}
	_ = c.apply(ctx, found, left, start, nil) // the other groups are read
	klog.FromContext(ctx).V(4).Info("Refreshed Auto Scaling groups", "groups", len(found), "duration", c.clock.Since(start))
	return nil
}

// lookAgain asks AWS once more, by name, for the groups that we have and found lacks: AWS may answer with an empty page, and its search by
// tags may lag. Groups that are still selected join found. lookAgain returns the tags of the others that AWS has. asked is as in apply.
func (c *Cache) lookAgain(ctx context.Context, found map[string]types.AutoScalingGroup, asked []string) (map[string]map[string]string, error) {
	c.groups.mu.Lock()
	missing := c.missing(found, asked)
	c.groups.mu.Unlock()
	again, err := c.named(ctx, missing)
	left := map[string]map[string]string{}
	for name, described := range again {
		if tags := tagsOf(described); c.options.Discovery.Selects(name, described.AvailabilityZones, tags) {
			found[name] = described
		} else {
			left[name] = tags
		}
	}
	return left, err
}

// missing returns the groups we have that a reading was about and did not find. The caller holds mu.
func (c *Cache) missing(found map[string]types.AutoScalingGroup, asked []string) []string {
	if asked == nil {
		asked = slices.Sorted(maps.Keys(c.groups.entries))
	}
	return slices.DeleteFunc(slices.Clone(asked), func(name string) bool {
		_, ok := found[name]
		return ok || c.groups.entries[name] == nil
	})
}

// refreshNamed reads the named groups only. Groups that two answers lack are gone. Groups without sizes are an error, after the others are read.
func (c *Cache) refreshNamed(ctx context.Context, names []string) (err error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	for some := range slices.Chunk(names, maxGroupsPerCall) {
		start := c.clock.Now()
		found, failed := c.named(ctx, some)
		if failed != nil {
			return failed
		}
		left, failed := c.lookAgain(ctx, found, some)
		if failed != nil { // none is gone for sure, and the others are read: maybe none, but a nil list would mean all
			return cmp.Or(c.apply(ctx, found, nil, start, slices.AppendSeq([]string{}, maps.Keys(found))), failed)
		}
		err = cmp.Or(c.apply(ctx, found, left, start, some), err)
	}
	return err
}

// Reread reads the group now and publishes it, by one call, or together with other groups if one is being read. Such a call may outlast
// ctx by readTimeout. The error is ErrGroupNotFound or the reading's.
func (c *Cache) Reread(ctx context.Context, name string) (*group.Group, error) {
	began := c.clock.Now()
	var err error
	if c.rereading.Add(1) == 1 {
		err = c.refreshNamed(ctx, []string{name})
	} else {
		err = c.readings.Join(ctx, struct{}{}, gatherReadings, name)
	}
	c.rereading.Add(-1)
	_, g := c.groups.entry(name)
	switch {
	case g != nil && (err == nil || g.ReadAt.After(began)): // the error is another group's
		return g, nil
	case err != nil:
		return nil, fmt.Errorf("auto scaling group %q: %w", name, err)
	}
	return nil, notFound(name)
}

// lockAndRead takes the group lock and reads the group with read. before is the group as it was known under the lock. The error is ErrGroupNotFound if
// the group was recreated meanwhile.
func (c *Cache) lockAndRead(ctx context.Context, name string, read func(context.Context, string) (*group.Group, error)) (
	writing context.Context, unlock func(), before, g *group.Group, err error) {
	writing, unlock, locked, err := c.groups.lock(ctx, name)
	if err != nil {
		return nil, nil, nil, nil, err
	}
	_, before = c.groups.entry(name)
	if g, err = read(writing, name); err == nil {
		if now, _ := c.groups.entry(name); now != locked {
			err = fmt.Errorf("auto scaling group %q was recreated: %w", name, ErrGroupNotFound)
		}
	}
	if err != nil {
		unlock()
		return nil, nil, nil, nil, err
	}
	return writing, unlock, before, g, nil
}

// named reads the groups of those names that AWS has. AWS leaves out the others. Another endpoint may refuse them, and is asked for
// fewer at a time.
func (c *Cache) named(ctx context.Context, names []string) (map[string]types.AutoScalingGroup, error) {
	all := map[string]types.AutoScalingGroup{}
	for chunks := slices.Collect(slices.Chunk(names, maxGroupsPerCall)); len(chunks) > 0; chunks = chunks[1:] {
		some := chunks[0]
		found, err := c.describe(ctx, &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: some})
		switch half := len(some) / 2; {
		case err == nil:
			maps.Copy(all, found)
		case !awsclient.IsNotFound(err):
			return nil, err
		case half > 0:
			chunks = append(chunks, some[:half], some[half:])
		}
	}
	return all, nil
}

// describe follows the pages of one request and returns the groups by name.
func (c *Cache) describe(ctx context.Context, in *autoscaling.DescribeAutoScalingGroupsInput) (map[string]types.AutoScalingGroup, error) {
	found := map[string]types.AutoScalingGroup{}
	in.MaxRecords = aws.Int32(maxGroupsPerCall)
	pages := autoscaling.NewDescribeAutoScalingGroupsPaginator(c.api, in)
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("describe auto scaling groups: %w", err)
		}
		now := c.clock.Now()
		c.skew.Store(int64(serverTime(page.ResultMetadata, now).Sub(now)))
		for _, g := range page.AutoScalingGroups {
			if name := aws.ToString(g.AutoScalingGroupName); name != "" {
				found[name] = g
			}
		}
	}
	return found, nil
}

// filtersOf returns the filters of one DescribeAutoScalingGroups call, which AWS joins by AND.
func filtersOf(f ownership.TagFilter) []types.Filter {
	out := make([]types.Filter, 0, len(f))
	for _, tag := range f {
		if tag.Value == "" {
			out = append(out, types.Filter{Name: aws.String("tag-key"), Values: []string{tag.Key}})
		} else {
			out = append(out, types.Filter{Name: aws.String("tag:" + tag.Key), Values: []string{tag.Value}})
		}
	}
	return out
}

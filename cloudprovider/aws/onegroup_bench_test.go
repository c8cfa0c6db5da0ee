package aws_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// BenchmarkOneGroup is what one group adds to the loop that meets it, the dearest there is: its template is built, and every
// question of the core about the group is answered once: go test -run - -bench OneGroup ./cloudprovider/aws
func BenchmarkOneGroup(b *testing.B) {
	var types []fakeaws.Override
	for _, t := range instancetypes.Embedded().Types() {
		if len(types) < 300 && t.Architecture == instancetypes.ArchitectureAMD64 {
			types = append(types, fakeaws.Override{InstanceType: t.Name})
		}
	}
	tags := map[string]string{}
	for n := range 40 {
		maps.Copy(tags, map[string]string{fmt.Sprint(template, "label/", n): strings.Repeat("x", 255), fmt.Sprint(template, "resources/", n): "1e999999999",
			fmt.Sprint(template, "taint/", n): strings.Repeat(":", 255)})
	}
	for _, tt := range []struct {
		name     string
		userData string
		group    func(*fakeaws.AutoScalingGroup)
	}{
		{name: "like others"},
		{name: "a thousand instances", group: func(g *fakeaws.AutoScalingGroup) { g.Desired, g.Max = 1000, 1000 }},
		{name: "300 types", group: func(g *fakeaws.AutoScalingGroup) {
			g.MixedInstancesPolicy = &fakeaws.MixedInstancesPolicy{LaunchTemplate: *g.LaunchTemplate, Overrides: types}
			g.LaunchTemplate = nil
		}},
		{name: "120 tags that mean nothing", group: func(g *fakeaws.AutoScalingGroup) { maps.Copy(g.Tags, tags) }},
		{name: "a template that is gone", group: func(g *fakeaws.AutoScalingGroup) { g.LaunchTemplate.Version = "7" }},
		{name: "64 KiB of assignments", userData: "#!/bin/bash\n" + strings.Repeat("a=$a$a\nb=${a}${b}\n", 64<<10/17) + "/etc/eks/bootstrap.sh $a --kubelet-extra-args $b"},
		{name: "64 KiB of here-documents", userData: "#!/bin/bash\n" + strings.Repeat("cat <<A <<B <<C\n", 64<<10/16)},
		{name: "64 KiB of parts", userData: "Content-Type: multipart/mixed; boundary=\"x\"\n\n" + strings.Repeat("--x\nContent-Type: text/x-shellscript\n y\n\n", 64<<10/41)},
	} {
		b.Run(tt.name, func(b *testing.B) {
			g := awsworld.Group("g", "worst", 0, 0, 10, nil)
			if tt.group != nil {
				tt.group(&g)
			}
			w := newAWS(b, func(c *fakeaws.Config) {
				c.LaunchTemplates = append(c.LaunchTemplates, fakeaws.LaunchTemplate{Name: "worst", Versions: []fakeaws.LaunchTemplateVersion{{
					ImageID: "ami-0abc", InstanceType: "m5.large", UserData: tt.userData}}})
			}, g).restartedWith(func(o *asg.Options, _ *aws.Options) { idle(o) })
			for b.Loop() {
				w.ForgetView()
				w.NextLoop()
				for _, ng := range w.NodeGroups() {
					_, _ = ng.TargetSize()
					_, _ = ng.Nodes()
					_, _ = ng.TemplateNodeInfo() // fails where nothing can be promised
				}
			}
		})
	}
}

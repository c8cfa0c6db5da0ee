package asg_test

import (
	"encoding/base64"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// al2023 is an image of EKS with a volume of its own.
var al2023 = fakeaws.Image{ID: "ami-0abc", Name: "amazon-eks-node-al2023-x86_64-standard-1.33-v20250801", Description: "EKS-optimized node", RootDevice: "/dev/xvda",
	BlockDevices: []fakeaws.BlockDevice{{DeviceName: "/dev/xvda", SizeGiB: 30}}}

var ofAL2023 = fakeaws.LaunchTemplateVersion{ImageID: al2023.ID, InstanceType: "m5.large"}

// withImages is the world of one group whose launch template has the version.
func withImages(t *testing.T, version fakeaws.LaunchTemplateVersion, g fakeaws.AutoScalingGroup, images ...fakeaws.Image) *world {
	t.Helper()
	return newWorldOf(t, fakeaws.Config{Delays: quick, Images: images, SSMParameters: map[string]string{"/eks/ami": "ami-0abc"},
		LaunchTemplates:   []fakeaws.LaunchTemplate{{Name: "workers", Versions: []fakeaws.LaunchTemplateVersion{version}}},
		AutoScalingGroups: []fakeaws.AutoScalingGroup{g}}, discovered)
}

// small are the types of the list with two vCPUs.
func small(types ...string) *fakeaws.InstanceRequirements {
	most := 2
	return &fakeaws.InstanceRequirements{VCPUs: fakeaws.Range{Min: 2, Max: &most}, MemoryMiB: fakeaws.Range{Min: 1}, AllowedInstanceTypes: types}
}

// byParameter launches types of two architectures with an image that a parameter names.
var byParameter = fakeaws.LaunchTemplateVersion{ImageID: "resolve:ssm:/eks/ami", Requirements: small("m5.large", "m6g.large")}

func TestImageFacts(t *testing.T) {
	w := withImages(t, ofAL2023, scalingGroup("g", 0, 0, 3), al2023).started()
	want := &launchspec.Image{ID: "ami-0abc", Name: al2023.Name, Description: al2023.Description, Architecture: "x86_64", RootDevice: "/dev/xvda",
		BlockDevices: []launchspec.BlockDevice{{Device: "/dev/xvda", SizeGiB: 30}}}
	assert.Empty(t, cmp.Diff(want, w.group("g").LaunchSpec.Image), "image (-want +got)")
	windows := al2023
	windows.Platform = "windows"
	for _, userData := range []string{"", "#!/bin/sh"} { // which says less than the image
		w = withImages(t, fakeaws.LaunchTemplateVersion{ImageID: "ami-0abc", InstanceType: "m5.large", UserData: userData, BlockDevices: al2023.BlockDevices}, scalingGroup("g", 0, 0, 3), windows).started()
		i := w.group("g").LaunchSpec.Image
		assert.Truef(t, i != nil && i.Windows, "image %+v beside user data %q, want one of Windows", i, userData)
	}
}

func TestStartSurvivesImageErrors(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fault fakeaws.Fault
	}{
		{name: "denied", fault: fakeaws.Fault{Action: "DescribeImages", Code: "AccessDenied"}},
		{name: "never answered", fault: fakeaws.Fault{Action: "DescribeImages", Latency: fakeaws.Duration(time.Minute)}},
	} {
		t.Run(tt.name, bubbled(func(t *testing.T) {
			w := withImages(t, ofAL2023, scalingGroup("g", 0, 0, 3), al2023)
			w.aws.Inject(tt.fault)
			begun := time.Now()
			w.started()
			assert.LessOrEqual(t, time.Since(begun), 8*time.Second, "the start took")
			g := w.group("g")
			assert.Truef(t, g.LaunchSpec != nil && g.LaunchSpec.Image == nil && len(g.Problems) == 0,
				"launches %+v with problems %+v, want the template's facts and none", g.LaunchSpec, g.Problems)
		}))
	}
}

func TestStartDoesNotWaitForManyNodegroups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		groups := []fakeaws.AutoScalingGroup{mixing(scalingGroup("by attributes", 0, 0, 3), fakeaws.Override{Requirements: small("m5.large")})}
		for n := range 60 {
			g := managed(fmt.Sprintf("g%02d", n), 0, 0, 3)
			g.Tags["eks:nodegroup-name"] = g.Name
			groups = append(groups, g)
		}
		config := having(groups...)
		config.Images = []fakeaws.Image{al2023}
		w := newWorldOf(t, config, discovered)
		w.aws.Inject(fakeaws.Fault{Action: "DescribeNodegroup", Latency: fakeaws.Duration(time.Minute)})
		w.started()
		g := w.group("by attributes")
		assert.Truef(t, g.LaunchSpec != nil && len(g.LaunchSpec.Types) == 1, "launches %+v with problems %+v, want one type", g.LaunchSpec, g.Problems)
	})
}

// ofImages has a group with a launch template for each image, all of its name.
func ofImages(names ...string) (config fakeaws.Config) {
	config.Delays = quick
	for _, image := range names {
		g := scalingGroup(image, 0, 0, 3)
		g.LaunchTemplate = &fakeaws.LaunchTemplateRef{Name: image, Version: "1"}
		config.AutoScalingGroups = append(config.AutoScalingGroups, g)
		config.LaunchTemplates = append(config.LaunchTemplates, fakeaws.LaunchTemplate{Name: image,
			Versions: []fakeaws.LaunchTemplateVersion{{ImageID: image, InstanceType: "m5.large"}}})
	}
	return config
}

func TestMissingImageSpoilsNoOther(t *testing.T) {
	t.Parallel()
	for _, spoiler := range []string{"ami-0gone", "ami-REPLACEME"} {
		config := ofImages("ami-0abc", spoiler)
		config.Images = []fakeaws.Image{al2023}
		w := newWorldOf(t, config, discovered).started()
		assert.Truef(t, w.group("ami-0abc").LaunchSpec.Image != nil && w.group(spoiler).LaunchSpec.Image == nil,
			"images %+v and %+v, want the first alone", w.group("ami-0abc").LaunchSpec.Image, w.group(spoiler).LaunchSpec.Image)
	}
}

func TestHundredImagesAreReadPerCall(t *testing.T) {
	t.Parallel()
	var names []string
	var images []fakeaws.Image
	for n := range 150 {
		names = append(names, fmt.Sprintf("ami-%04d", n))
		images = append(images, fakeaws.Image{ID: names[n]})
	}
	config := ofImages(names...)
	config.Images = images
	w := newWorldOf(t, config, discovered).started()
	assert.Equal(t, 2, w.aws.Calls()["DescribeImages"], "calls for 150 images")
	for _, g := range w.cache.Snapshot().Groups() {
		require.Truef(t, g.LaunchSpec.Image != nil && g.LaunchSpec.Image.ID == g.Name, "image of %s is %+v", g.Name, g.LaunchSpec.Image)
	}
}

func TestImagesOfAllPagesAreKnown(t *testing.T) {
	t.Parallel()
	config := ofImages("ami-0001", "ami-0002", "ami-0003")
	for _, g := range config.AutoScalingGroups {
		config.Images = append(config.Images, fakeaws.Image{ID: g.Name})
	}
	w := newWorldOf(t, config, discovered).with(func(o *asg.Options) { o.Launches.EC2 = shortPages{o.Launches.EC2} }).started()
	for _, g := range w.cache.Snapshot().Groups() {
		assert.NotNilf(t, g.LaunchSpec.Image, "image of %s", g.Name)
	}
}

func TestImageParameterIsResolved(t *testing.T) {
	arm := al2023
	arm.Architecture = "arm64"
	w := withImages(t, byParameter, scalingGroup("g", 0, 0, 3), arm).started()
	g := w.group("g")
	require.Truef(t, g.LaunchSpec != nil && g.LaunchSpec.Image != nil && g.LaunchSpec.Image.ID == "ami-0abc" && g.LaunchSpec.ImageID == "resolve:ssm:/eks/ami",
		"launches %+v with problems %+v, want the image behind the parameter", g.LaunchSpec, g.Problems)
	if assert.Len(t, g.LaunchSpec.Types, 1, "types that run an arm64 image") {
		assert.Equal(t, "m6g.large", g.LaunchSpec.Types[0].Name)
	}
	// One plain reading of the template, and one that resolves it.
	assert.Equal(t, 2, w.aws.Calls()["DescribeLaunchTemplateVersions"], "readings of the launch template")
}

// An image whose look-up fails for a moment may be for arm64.
func TestUnreadImageOfAParameterIsWaitedFor(t *testing.T) {
	t.Parallel()
	arm := al2023
	arm.Architecture = "arm64"
	resolves := fakeaws.Fault{Action: "DescribeLaunchTemplateVersions", Params: map[string]string{"ResolveAlias": "true"}}
	for name, tt := range map[string]struct {
		fault fakeaws.Fault
		lasts time.Duration
		want  string // type in the end
	}{
		"the parameter, for a moment": {resolves, 5 * time.Second, "m6g.large"},
		"the image, for a moment":     {fakeaws.Fault{Action: "DescribeImages"}, 5 * time.Second, "m6g.large"},
		"the parameter, for long":     {resolves, time.Hour, "m5.large"},
	} {
		t.Run(name, bubbled(func(t *testing.T) {
			w := withImages(t, byParameter, scalingGroup("g", 0, 0, 3), arm)
			tt.fault.Code, tt.fault.For = "InternalFailure", fakeaws.Duration(tt.lasts)
			w.aws.Inject(tt.fault)
			w.running()
			var got string
			for range 50 {
				if spec := w.group("g").LaunchSpec; spec != nil {
					got = spec.Types[0].Name
					require.Equal(t, tt.want, got, "the first type that is known")
				}
				time.Sleep(500 * time.Millisecond)
			}
			assert.Equal(t, tt.want, got, "type within 25 s")
		}))
	}
}

// Of an image that cannot be read nobody knows the architecture. The group's own image may have another.
func TestUnreadImageOfAnOverrideIsNotTheGroups(t *testing.T) {
	t.Parallel()
	for _, image := range []string{"resolve:ssm:/denied", "ami-0gone"} {
		g := mixing(scalingGroup("g", 0, 0, 9), fakeaws.Override{InstanceType: "m5.large"},
			fakeaws.Override{InstanceType: "m6g.large", LaunchTemplate: &fakeaws.LaunchTemplateRef{Name: "arm", Version: "1"}})
		w := newWorldOf(t, fakeaws.Config{Delays: quick, Images: []fakeaws.Image{al2023}, AutoScalingGroups: []fakeaws.AutoScalingGroup{g},
			LaunchTemplates: []fakeaws.LaunchTemplate{workers("m5.large"), {Name: "arm", Versions: []fakeaws.LaunchTemplateVersion{{ImageID: image}}}},
		}, discovered).started()
		launch := w.group("g").LaunchSpec
		require.NotNilf(t, launch, "what it launches is not known: %+v", w.group("g").Problems)
		assert.Nil(t, launch.Types[0].Image, "image of the override without a launch template")
		assert.Equal(t, &launchspec.Image{ID: image}, launch.Types[1].Image, "image of the other override")
	}
}

func TestOnlyUsedTemplatesCount(t *testing.T) {
	t.Parallel()
	ref := &fakeaws.LaunchTemplateRef{Name: "arm", Version: "1"}
	for _, tt := range []struct {
		name      string
		overrides []fakeaws.Override
		want      string   // user data of the first template
		others    []string // of the others
	}{
		{name: "the group's own", overrides: []fakeaws.Override{{InstanceType: "m5.large"}}, want: "own"},
		{name: "no override", want: "own"},
		{name: "both", overrides: []fakeaws.Override{{InstanceType: "m6g.large", LaunchTemplate: ref}, {InstanceType: "m5.large"}, {InstanceType: "m7g.large", LaunchTemplate: ref}},
			want: "own", others: []string{"arm"}},
		{name: "that of all overrides", overrides: []fakeaws.Override{{InstanceType: "m6g.large", LaunchTemplate: ref}, {InstanceType: "m7g.large", LaunchTemplate: ref}}, want: "arm"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := scalingGroup("g", 0, 0, 9)
			g.LaunchTemplate.Name = "own"
			version := func(text string) []fakeaws.LaunchTemplateVersion {
				return []fakeaws.LaunchTemplateVersion{{ImageID: "ami-0abc", InstanceType: "m5.large", UserData: text}}
			}
			w := newWorldOf(t, fakeaws.Config{Delays: quick, Images: []fakeaws.Image{al2023},
				AutoScalingGroups: []fakeaws.AutoScalingGroup{mixing(g, tt.overrides...)},
				LaunchTemplates:   []fakeaws.LaunchTemplate{{Name: "own", Versions: version("own")}, {Name: "arm", Versions: version("arm")}},
			}, discovered).started()
			launch := w.group("g").LaunchSpec
			require.NotNilf(t, launch, "what it launches is not known: %+v", w.group("g").Problems)
			plain := func(userData string) string {
				text, err := base64.StdEncoding.DecodeString(userData)
				require.NoError(t, err)
				return string(text)
			}
			var others []string
			for _, o := range launch.Others {
				others = append(others, plain(o.UserData))
				assert.NotNil(t, o.Image, "another template has no image")
			}
			assert.Equal(t, tt.want, plain(launch.UserData), "user data")
			assert.Equal(t, tt.others, others, "user data of others")
		})
	}
}

func TestUnresolvedImageIsReportedIfArchitectureMatters(t *testing.T) {
	for _, tt := range []struct {
		name      string
		version   fakeaws.LaunchTemplateVersion
		overrides []fakeaws.Override
		denied    bool     // to read the image
		want      []string // reasons
	}{
		{name: "types by requirements", version: fakeaws.LaunchTemplateVersion{ImageID: "resolve:ssm:/missing", Requirements: byParameter.Requirements},
			want: []string{launchspec.ReasonImageUnread}},
		{name: "types by requirements, images denied", version: fakeaws.LaunchTemplateVersion{ImageID: "ami-0abc", Requirements: byParameter.Requirements},
			denied: true, want: []string{launchspec.ReasonImageUnread}},
		{name: "type by name", version: fakeaws.LaunchTemplateVersion{ImageID: "resolve:ssm:/missing", InstanceType: "m5.large"}},
		{name: "no image", version: fakeaws.LaunchTemplateVersion{InstanceType: "m5.large"}},
		{name: "requirements of the template that all overrides replace", version: fakeaws.LaunchTemplateVersion{ImageID: "resolve:ssm:/missing", Requirements: byParameter.Requirements},
			overrides: []fakeaws.Override{{InstanceType: "m5.large"}}},
		{name: "requirements of an override", version: fakeaws.LaunchTemplateVersion{ImageID: "resolve:ssm:/missing"},
			overrides: []fakeaws.Override{{Requirements: byParameter.Requirements}}, want: []string{launchspec.ReasonImageUnread}},
		{name: "the image of an override", version: fakeaws.LaunchTemplateVersion{InstanceType: "m5.large"}, denied: true,
			overrides: []fakeaws.Override{{ImageID: "ami-0abc", Requirements: byParameter.Requirements}}, want: []string{launchspec.ReasonImageUnread}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := scalingGroup("g", 0, 0, 3)
			if len(tt.overrides) > 0 {
				g = mixing(g, tt.overrides...)
			}
			w := withImages(t, tt.version, g, al2023)
			if tt.denied {
				w.aws.Deny("DescribeImages")
			}
			w.started()
			assert.True(t, tt.denied || w.aws.Calls()["DescribeImages"] == 0, "look-ups of images")
			got := w.group("g")
			var reasons []string
			for _, p := range got.Problems {
				reasons = append(reasons, p.Reason)
			}
			if diff := cmp.Diff(tt.want, reasons); diff != "" || got.Blocked() || got.LaunchSpec == nil || got.LaunchSpec.Types[0].Name != "m5.large" {
				t.Errorf("problems %+v of a group that launches %+v (-want +got):\n%s", got.Problems, got.LaunchSpec, diff)
			}
		})
	}
}

func TestImageOfAnOverrideCounts(t *testing.T) {
	t.Parallel()
	arm := fakeaws.Image{ID: "ami-0arm", Name: "amazon-eks-node-al2023-arm64-standard-1.33-v20250801", Architecture: "arm64", RootDevice: "/dev/xvda"}
	for _, tt := range []struct {
		name      string
		overrides []fakeaws.Override
		want      []string // type and the architecture of its image
		image     string   // of the launch
		origins   int
	}{
		{name: "types by requirements", overrides: []fakeaws.Override{{ImageID: "ami-0arm", Requirements: byParameter.Requirements}},
			want: []string{"m6g.large arm64"}, image: "ami-0arm"},
		{name: "types by name", overrides: []fakeaws.Override{{InstanceType: "m5.large"}, {InstanceType: "m6g.large", ImageID: "ami-0arm"}},
			want: []string{"m5.large x86_64", "m6g.large arm64"}, image: "ami-0abc"},
		{name: "none of its own", overrides: []fakeaws.Override{{Requirements: byParameter.Requirements}}, want: []string{"m5.large x86_64"}, image: "ami-0abc", origins: 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := scalingGroup("g", 0, 0, 3)
			g.LaunchTemplate.Version = "$Latest"
			w := withImages(t, ofAL2023, mixing(g, tt.overrides...), al2023, arm).started()
			launch := w.group("g").LaunchSpec
			require.NotNilf(t, launch, "what it launches is not known: %+v", w.group("g").Problems)
			var got []string
			for _, lt := range launch.Types {
				image := launch.Image
				if lt.Image != nil {
					image = lt.Image
				}
				got = append(got, lt.Name+" "+image.Architecture)
			}
			assert.Empty(t, cmp.Diff(tt.want, got), "types with the architecture of their images (-want +got)")
			assert.Truef(t, launch.ImageID == tt.image && len(launch.Origins) == tt.origins,
				"image %s, origins %q, want %s and %d origins", launch.ImageID, launch.Origins, tt.image, tt.origins)
		})
	}
}

func TestNextImages(t *testing.T) {
	t.Parallel()
	sized := []fakeaws.BlockDevice{{DeviceName: "/dev/xvda", SizeGiB: 50}}
	for _, tt := range []struct {
		name      string
		image     string // of the launch template
		overrides []fakeaws.Override
		unasked   bool
		want      []string
	}{
		{name: "by the version alone", image: "ami-0abc"},
		{name: "by a parameter", image: "resolve:ssm:/eks/ami", want: []string{"ami-0abc"}},
		{name: "by a parameter that is missing", image: "resolve:ssm:/missing"},
		{name: "by a parameter, which nobody asked for", image: "resolve:ssm:/eks/ami", unasked: true},
		{name: "by overrides", image: "ami-0abc", overrides: []fakeaws.Override{{InstanceType: "m5.large", ImageID: "ami-1"}, {InstanceType: "m6i.large", ImageID: "ami-2"}},
			want: []string{"ami-1", "ami-2"}},
		{name: "by an override or a parameter", image: "resolve:ssm:/eks/ami", overrides: []fakeaws.Override{{InstanceType: "m5.large"}, {InstanceType: "m6i.large", ImageID: "ami-2"}},
			want: []string{"ami-0abc", "ami-2"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := scalingGroup("g", 0, 0, 3)
			if tt.overrides != nil {
				g = mixing(g, tt.overrides...)
			}
			version := fakeaws.LaunchTemplateVersion{ImageID: tt.image, InstanceType: "m5.large", UserData: "#!/bin/sh", BlockDevices: sized}
			w := withImages(t, version, g, al2023).with(func(o *asg.Options) { o.Launches.NextImages = !tt.unasked }).started()
			assert.Empty(t, cmp.Diff(tt.want, w.group("g").LaunchSpec.NextImages), "images of new instances (-want +got)")
		})
	}
}

// AWS launches by the parameter as it is, so the old answer would make a new instance look old.
func TestNextImagesFollowTheParameter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := withImages(t, fakeaws.LaunchTemplateVersion{ImageID: "resolve:ssm:/eks/ami", InstanceType: "m5.large"},
			scalingGroup("g", 0, 0, 3), al2023).with(func(o *asg.Options) { o.Launches.NextImages = true }).running()
		images := func(when string, want ...string) {
			t.Helper()
			synctest.Wait() // for a reading at this very moment
			got := w.group("g").LaunchSpec.NextImages
			assert.Truef(t, slices.Equal(got, want), "%s: images of new instances %q, want %q", when, got, want)
		}
		images("at first", "ami-0abc")
		w.aws.SetParameter("/eks/ami", "ami-0new")
		time.Sleep(10 * time.Minute)
		images("ten minutes after it changed", "ami-0new")
		fault := w.aws.Inject(fakeaws.Fault{Action: "DescribeLaunchTemplateVersions", Code: "ServiceUnavailable"})
		time.Sleep(10 * time.Minute)
		images("while it cannot be read")
		w.aws.ClearFaults(fault)
		time.Sleep(10 * time.Minute)
		images("once it can be read", "ami-0new")
	})
}

// The first group's new version names another parameter. The second one's still names the old one.
func TestParameterIsNotResolvedThroughAVersionThatNamesAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		of := func(name, image string, versions ...string) (fakeaws.AutoScalingGroup, fakeaws.LaunchTemplate) {
			g, template := scalingGroup(name, 0, 0, 3), fakeaws.LaunchTemplate{Name: name}
			g.LaunchTemplate = &fakeaws.LaunchTemplateRef{Name: name, Version: "$Latest"}
			for _, image := range append(versions, image) {
				template.Versions = append(template.Versions, fakeaws.LaunchTemplateVersion{ImageID: "resolve:ssm:" + image, InstanceType: "m5.large"})
			}
			return g, template
		}
		b, templateB := of("b", "/old")
		a, templateA := of("a", "/old")
		_, moved := of("a", "/new", "/old")
		w := newWorldOf(t, fakeaws.Config{Delays: quick, Images: []fakeaws.Image{{ID: "ami-0old"}, {ID: "ami-0new", Architecture: "arm64"}},
			SSMParameters:   map[string]string{"/old": "ami-0old", "/new": "ami-0new"},
			LaunchTemplates: []fakeaws.LaunchTemplate{templateA, templateB}, AutoScalingGroups: []fakeaws.AutoScalingGroup{b}},
			discovered).with(func(o *asg.Options) { o.Launches.NextImages = true }).running()
		time.Sleep(2 * time.Minute) // so the parameter is due before the template of a group that comes now
		w.must(w.aws.AddGroup(a))
		time.Sleep(2 * time.Minute)
		w.must(w.aws.PutLaunchTemplate(moved))
		for range 8 * 60 {
			time.Sleep(time.Second)
			synctest.Wait()
			launch := w.group("b").LaunchSpec
			require.Truef(t, launch.Image != nil && launch.Image.ID == "ami-0old" && (launch.NextImages == nil || launch.NextImages[0] == "ami-0old"),
				"the second group launches %+v with new images %q", launch.Image, launch.NextImages)
		}
		assert.Equal(t, []string{"ami-0old"}, w.group("b").LaunchSpec.NextImages, "images of the second group in the end")
		assert.Equal(t, []string{"ami-0new"}, w.group("a").LaunchSpec.NextImages, "images of the first group in the end")
	})
}

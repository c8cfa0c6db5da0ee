package fromgroup

import (
	"cmp"
	"regexp"
	"strings"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate"
)

// imageNames match the names of Amazon's and Canonical's images for EKS nodes. A name that only resembles them does not count.
// AL2023 comes before AL2, whose names continue with a version of Kubernetes.
var imageNames = []struct {
	name   *regexp.Regexp
	family nodetemplate.AMIFamily
}{
	{regexp.MustCompile(`^amazon-eks-node-al2023-`), nodetemplate.AL2023},
	{regexp.MustCompile(`^amazon-eks-(?:gpu-|arm64-)?node-[0-9]+\.[0-9]+-`), nodetemplate.AL2},
	{regexp.MustCompile(`^bottlerocket-aws-k8s-[0-9]+\.[0-9]+-`), nodetemplate.Bottlerocket},
	{regexp.MustCompile(`^ubuntu-eks(?:-pro)?/`), nodetemplate.Ubuntu},
	{regexp.MustCompile(`^Windows_Server-.*-EKS_Optimized-`), nodetemplate.Windows},
}

// familyOfImage returns the family of the image, by its name or because it runs Windows, or "".
func familyOfImage(i *launchspec.Image) nodetemplate.AMIFamily {
	if i == nil {
		return ""
	}
	if i.Windows {
		return nodetemplate.Windows
	}
	for _, n := range imageNames {
		if n.name.MatchString(i.Name) {
			return n.family
		}
	}
	return ""
}

// labelsGPUs matches the names of images whose nodeadm labels nodes with NVIDIA's GPUs, from Kubernetes 1.35 on (awslabs/amazon-eks-ami,
// nodeadm/doc/api-concepts.md, read 2026-11).
var labelsGPUs = regexp.MustCompile(`^amazon-eks-node-al2023-.*-1\.(?:3[5-9]|[4-9][0-9])-v`)

// windowsName finds the year in Amazon's names and descriptions of Windows Server images.
var windowsName = regexp.MustCompile(`(?i)\bwindows[ _-]server[ _-](20[0-9]{2})(?:[^0-9]|$)`)

// windowsRelease returns the year that the names or else the descriptions of all images state, "" where one states none or they differ.
func windowsRelease(l *launchspec.LaunchSpec) string {
	release := ""
	for i, t := range l.Types {
		year, image := "", cmp.Or(t.Image, l.Image, &launchspec.Image{})
		for _, text := range []string{image.Description, image.Name} {
			if match := windowsName.FindStringSubmatch(text); match != nil {
				year = match[1]
			}
		}
		if i > 0 && year != release {
			return ""
		}
		release = year
	}
	return release
}

// architectures are those of images, in the words of instancetypes.
var architectures = map[string]string{"x86_64": instancetypes.ArchitectureAMD64, "i386": instancetypes.ArchitectureAMD64,
	"arm64": instancetypes.ArchitectureARM64}

// The devices that the images of EKS and of Canonical boot from, and Bottlerocket's second volume, which holds the data.
var rootDevices, bottlerocketData = []string{"/dev/xvda", "/dev/sda1"}, []string{"/dev/xvdb"}

// leastVolumeBytes is volumeBytes of the launch template that gives its nodes the smallest.
func leastVolumeBytes(l *launchspec.LaunchSpec, family nodetemplate.AMIFamily) (bytes int64, ofImage bool) {
	bytes, ofImage = volumeBytes(l, family)
	for _, o := range l.Others {
		its := cmp.Or(familyOfImage(o.Image), family)
		other, ofOther := volumeBytes(&launchspec.LaunchSpec{BlockDevices: o.BlockDevices, Image: o.Image, Nodegroup: l.Nodegroup}, its)
		if cmp.Or(other, nodetemplate.DefaultVolumeBytes(its)) < cmp.Or(bytes, nodetemplate.DefaultVolumeBytes(family)) {
			bytes, ofImage = other, ofOther
		}
	}
	return bytes, ofImage
}

// volumeBytes returns the size of the volume for the pods' data, or 0, and whether the image sets that size. It is the root
// volume, or Bottlerocket's second one (Bottlerocket image layout: /dev/xvda is its operating system, /dev/xvdb its data).
func volumeBytes(l *launchspec.LaunchSpec, family nodetemplate.AMIFamily) (bytes int64, ofImage bool) {
	image, devices := cmp.Or(l.Image, &launchspec.Image{}), rootDevices
	switch {
	case family == nodetemplate.Bottlerocket:
		devices = bottlerocketData
	case image.RootDevice != "":
		devices = []string{image.RootDevice}
	}
	if size := sizeOf(l.BlockDevices, devices...); size > 0 {
		return size, false
	}
	if l.Nodegroup != nil && l.Nodegroup.DiskSizeGiB > 0 {
		return int64(l.Nodegroup.DiskSizeGiB) * gib, false
	}
	size := sizeOf(image.BlockDevices, devices...)
	return size, size > 0
}

// sizeOf is the size of the first of the named devices that has one, or 0.
func sizeOf(devices []launchspec.BlockDevice, names ...string) int64 {
	for _, name := range names {
		for _, b := range devices {
			if strings.EqualFold(b.Device, name) && b.SizeGiB > 0 {
				return int64(b.SizeGiB) * gib
			}
		}
	}
	return 0
}

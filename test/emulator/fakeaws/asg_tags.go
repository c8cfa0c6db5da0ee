package fakeaws

import (
	"encoding/base64"
)

type (
	xmlLaunchConfiguration struct {
		Name               string                `xml:"LaunchConfigurationName"`
		ARN                string                `xml:"LaunchConfigurationARN"`
		ImageID            string                `xml:"ImageId"`
		InstanceType       string                `xml:"InstanceType"`
		UserData           string                `xml:"UserData"`
		KeyName            string                `xml:"KeyName"`
		KernelID           string                `xml:"KernelId"`
		RamdiskID          string                `xml:"RamdiskId"`
		SecurityGroups     members[string]       `xml:"SecurityGroups"`
		Mappings           members[xmlAsgDevice] `xml:"BlockDeviceMappings"`
		SpotPrice          string                `xml:"SpotPrice,omitempty"`
		IamInstanceProfile string                `xml:"IamInstanceProfile,omitempty"`
		CreatedTime        string                `xml:"CreatedTime"`
		EbsOptimized       bool                  `xml:"EbsOptimized"`
	}
	xmlAsgDevice struct {
		DeviceName  string     `xml:"DeviceName"`
		VirtualName string     `xml:"VirtualName,omitempty"`
		Ebs         *xmlAsgEbs `xml:"Ebs"`
	}
	xmlAsgEbs struct {
		VolumeSize          int    `xml:"VolumeSize,omitempty"`
		VolumeType          string `xml:"VolumeType"`
		SnapshotID          string `xml:"SnapshotId,omitempty"`
		DeleteOnTermination bool   `xml:"DeleteOnTermination"`
	}
)

func (a *account) configurationShape(lc LaunchConfiguration) xmlLaunchConfiguration {
	x := xmlLaunchConfiguration{
		Name: lc.Name, ImageID: lc.ImageID, InstanceType: lc.InstanceType, SpotPrice: lc.SpotPrice,
		UserData: base64.StdEncoding.EncodeToString([]byte(lc.UserData)), IamInstanceProfile: lc.IAMInstanceProfile,
		CreatedTime: timestamp(a.started),
		ARN: "arn:" + a.partition + ":autoscaling:" + a.region + ":" + a.id + ":launchConfiguration:" + uuidOf("launch configuration", lc.Name) +
			":launchConfigurationName/" + lc.Name,
	}
	for _, d := range lc.BlockDevices {
		shape := xmlAsgDevice{DeviceName: d.DeviceName, VirtualName: d.Virtual}
		if d.Virtual == "" {
			shape.Ebs = &xmlAsgEbs{VolumeSize: d.SizeGiB, VolumeType: first(d.VolumeType, "gp3"), SnapshotID: d.SnapshotID, DeleteOnTermination: true}
		}
		x.Mappings.Member = append(x.Mappings.Member, shape)
	}
	return x
}

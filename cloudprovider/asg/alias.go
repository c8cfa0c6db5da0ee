package asg

import "github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"

// The types of a group's launches.
type (
	BlockDevice    = launchspec.BlockDevice
	Image          = launchspec.Image
	Launch         = launchspec.LaunchSpec
	LaunchAPIs     = launchspec.APIs
	LaunchSource   = launchspec.Source
	LaunchType     = launchspec.Type
	Nodegroup      = launchspec.Nodegroup
	NodegroupTaint = launchspec.Taint
	OtherTemplate  = launchspec.OtherTemplate
	Override       = launchspec.Override
	Problem        = launchspec.Problem
	Statement      = launchspec.Statement
	TemplateRef    = launchspec.TemplateRef
)

// Problem reasons of launches.
const (
	ReasonImageUnread         = launchspec.ReasonImageUnread
	ReasonLaunchSourceMissing = launchspec.ReasonLaunchSourceMissing
	ReasonLaunchSourceUnread  = launchspec.ReasonLaunchSourceUnread
	ReasonLaunchSuspended     = launchspec.ReasonLaunchSuspended
	ReasonNodegroupUnread     = launchspec.ReasonNodegroupUnread
	ReasonNoInstanceType      = launchspec.ReasonNoInstanceType
)

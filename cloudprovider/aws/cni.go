package aws

import (
	"strconv"

	corev1 "k8s.io/api/core/v1"
	appslisters "k8s.io/client-go/listers/apps/v1"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate"
)

// The Amazon VPC CNI of every EKS cluster, and the settings that nodetemplate knows (aws/amazon-vpc-cni-k8s, README,
// read 2026-11).
const (
	cniNamespace        = "kube-system"
	cniDaemonSet        = "aws-node" // and its container
	cniPrefixDelegation = "ENABLE_PREFIX_DELEGATION"
	cniCustomNetworking = "AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG"
	cniPodInterfaces    = "ENABLE_POD_ENI"
)

// cniOf reads the settings of the cluster's VPC CNI. A cluster without one, or without a lister, has the defaults.
func cniOf(daemonSets appslisters.DaemonSetLister) nodetemplate.CNI {
	env := cniEnvironment(daemonSets)
	return nodetemplate.CNI{
		PrefixDelegation: isOn(env, cniPrefixDelegation),
		CustomNetworking: isOn(env, cniCustomNetworking),
		PodInterfaces:    isOn(env, cniPodInterfaces),
	}
}

// isOn reads a switch as the CNI does: the last of that name counts, and anything but a Boolean is off.
func isOn(env []corev1.EnvVar, name string) bool {
	on := false
	for _, e := range env {
		if e.Name == name {
			on, _ = strconv.ParseBool(e.Value)
		}
	}
	return on
}

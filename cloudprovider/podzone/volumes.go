package podzone

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	storagelisters "k8s.io/client-go/listers/storage/v1"
)

// zoneSeparator separates the zones in the label of a volume that is in several (k8s.io/cloud-provider/volume).
const zoneSeparator = "__"

// Volumes finds the constraints of a pod's volumes. It is safe for concurrent use.
type Volumes struct {
	Claims  corelisters.PersistentVolumeClaimLister
	Volumes corelisters.PersistentVolumeLister
	Classes storagelisters.StorageClassLister
}

// Of returns the constraints of the pod's volumes: of bound volumes, or of the storage class before there is one. A claim,
// volume or class that cannot be found has none, and the scheduler informs the pod's owner.
func (v Volumes) Of(pod *corev1.Pod) []Constraint {
	var constraints []Constraint
	for _, volume := range pod.Spec.Volumes {
		name := pod.Name + "-" + volume.Name // of the claim of an ephemeral volume
		if volume.PersistentVolumeClaim != nil {
			name = volume.PersistentVolumeClaim.ClaimName
		} else if volume.Ephemeral == nil {
			continue
		}
		if claim, err := v.Claims.PersistentVolumeClaims(pod.Namespace).Get(name); err == nil {
			constraints = append(constraints, v.ofClaim(claim)...)
		}
	}
	return constraints
}

func (v Volumes) ofClaim(claim *corev1.PersistentVolumeClaim) []Constraint {
	if claim.Spec.VolumeName != "" {
		volume, err := v.Volumes.Get(claim.Spec.VolumeName)
		if err != nil {
			return nil
		}
		return ofVolume(volume, fmt.Sprintf("volume %q of claim %q", volume.Name, claim.Name))
	}
	if claim.Spec.StorageClassName == nil {
		return nil
	}
	class, err := v.Classes.Get(*claim.Spec.StorageClassName)
	if err != nil || len(class.AllowedTopologies) == 0 {
		return nil
	}
	return []Constraint{ofClass(class, fmt.Sprintf("storage class %q of claim %q", class.Name, claim.Name))}
}

// ofVolume takes the node affinity or, on one of the old in-tree drivers, the labels.
func ofVolume(volume *corev1.PersistentVolume, said string) []Constraint {
	var constraints []Constraint
	if a := volume.Spec.NodeAffinity; a != nil && a.Required != nil {
		constraints = append(constraints, Constraint{Said: said, Terms: a.Required.NodeSelectorTerms})
	}
	for _, key := range NameLabels {
		if zones, ok := volume.Labels[key]; ok {
			constraints = append(constraints, Constraint{Said: said, Terms: in(key, strings.Split(zones, zoneSeparator)...)})
		}
	}
	return constraints
}

func ofClass(class *storagev1.StorageClass, said string) Constraint {
	c := Constraint{Said: said}
	for _, topology := range class.AllowedTopologies {
		var term corev1.NodeSelectorTerm
		for _, e := range topology.MatchLabelExpressions {
			term.MatchExpressions = append(term.MatchExpressions,
				corev1.NodeSelectorRequirement{Key: e.Key, Operator: corev1.NodeSelectorOpIn, Values: e.Values})
		}
		c.Terms = append(c.Terms, term)
	}
	return c
}

package buffers

import (
	"k8s.io/autoscaler/cluster-autoscaler/apis/capacitybuffer/autoscaling.x-k8s.io/v1beta1"
	translator "k8s.io/autoscaler/cluster-autoscaler/capacitybuffer/translators"
	"k8s.io/utils/ptr"
)

// percentages sizes buffers as their definition says: the percentage is rounded up, and of replicas and percentage the larger one counts.
// The core rounds down and takes the smaller one, as CA pull request 9959 found.
type percentages struct{ translator.Translator }

// Translate asks the core for 100 %, which is the number of pods of the scaled object, and works out the size of the buffer from that.
func (t percentages) Translate(list []*v1beta1.CapacityBuffer) []error {
	var errs []error
	for _, b := range list {
		errs = append(errs, t.translate(b)...)
	}
	return errs
}

func (t percentages) translate(b *v1beta1.CapacityBuffer) []error {
	asked, one := b.Spec, []*v1beta1.CapacityBuffer{b}
	if asked.ScalableRef == nil || asked.Percentage == nil {
		return t.Translator.Translate(one)
	}
	defer func() { b.Spec = asked }()
	b.Spec.Percentage, b.Spec.Replicas, b.Spec.Limits = ptr.To[int32](100), nil, nil
	if errs := t.Translator.Translate(one); b.Status.Replicas == nil {
		return errs
	}
	share := (int64(*asked.Percentage)*int64(*b.Status.Replicas) + 99) / 100
	replicas := max(int32(share), ptr.Deref(asked.Replicas, 0))
	b.Status.Replicas = &replicas
	if asked.Limits == nil {
		return nil
	}
	b.Spec.Percentage, b.Spec.Replicas, b.Spec.Limits = nil, &replicas, asked.Limits
	return t.Translator.Translate(one)
}

package plugin

import (
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// newer has, by message and by the number of a field that cores before 1.35 know, the number of today's field. A Node, a Pod, a map of Nodes and
// a time have the same bytes in both fields. A duration has other bytes. (externalgrpc.proto and expander.proto, read 2026-11)
var newer = map[protoreflect.Name]map[protowire.Number]protowire.Number{
	"BestOptionsRequest":                {2: 3},
	"Option":                            {4: 5},
	"NodeGroupAutoscalingOptions":       {3: 8, 4: 9, 5: 10},
	"NodeGroupTemplateNodeInfoResponse": {1: 2},
	"PricingNodePriceRequest":           {2: 4, 3: 5},
	"PricingPodPriceRequest":            {1: 4, 2: 5, 3: 6},
}

// fromOlder sets the fields of a request for which an older core has sent the old ones. These count, because cores of 1.34 send the same in
// both, and a field 5 of an Option was something else.
func fromOlder(request proto.Message) error {
	m := request.ProtoReflect()
	var set []byte
	for rest := m.GetUnknown(); len(rest) > 0; {
		old, kind, n := protowire.ConsumeTag(rest)
		number := newer[m.Descriptor().Name()][old]
		if field := m.Descriptor().Fields().ByNumber(number); field != nil && kind == protowire.BytesType {
			m.Clear(field)
			value, _ := protowire.ConsumeBytes(rest[n:])
			if field.Message() != nil && field.Message().FullName() == "google.protobuf.Duration" {
				var d metav1.Duration
				if err := d.Unmarshal(value); err != nil {
					return err
				}
				value, _ = proto.Marshal(durationpb.New(d.Duration))
			}
			set = protowire.AppendBytes(protowire.AppendTag(set, number, protowire.BytesType), value)
		}
		rest = rest[n+protowire.ConsumeFieldValue(old, kind, rest[n:]):]
	}
	if len(set) == 0 {
		return nil
	}
	m.SetUnknown(nil) // it may be large
	return proto.UnmarshalOptions{Merge: true}.Unmarshal(set, request)
}

// forOlder adds the fields that an older core reads.
func forOlder(response proto.Message) {
	m := response.ProtoReflect()
	for old, number := range newer[m.Descriptor().Name()] {
		var value []byte
		switch now := m.Get(m.Descriptor().Fields().ByNumber(number)).Interface().(type) {
		case []byte:
			value = now
		case protoreflect.Message:
			value, _ = (&metav1.Duration{Duration: now.Interface().(*durationpb.Duration).AsDuration()}).Marshal()
		}
		m.SetUnknown(protowire.AppendBytes(protowire.AppendTag(m.GetUnknown(), old, protowire.BytesType), value))
	}
}

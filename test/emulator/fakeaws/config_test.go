package fakeaws

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestConfigErrorsNameTheirObject(t *testing.T) {
	for _, tt := range []struct{ name, config, want string }{
		{"unknown field", "autoScalingGroups: [{name: a, minimum: 1}]", `unknown field "minimum"`},
		{"number for a duration", "latency: 5", `write it as a string such as "1.5s"`},
		{"duration without unit", "latency: '5'", `duration "5": write it as a number with a unit`},
		{"no zones", "autoScalingGroups: [{name: a, launchTemplate: {name: t}}]", `auto scaling group "a": no zones`},
		{"no source", "autoScalingGroups: [{name: a, zones: [z]}]", `auto scaling group "a": give one of launchTemplate`},
		{"sizes", "autoScalingGroups: [{name: a, zones: [z], launchTemplate: {name: t}, min: 2}]", `auto scaling group "a": min 2`},
		{"twice", "launchTemplates: [{name: t, versions: [{}]}, {name: t, versions: [{}]}]", `launch template "t": declared twice`},
		{"taint", "autoScalingGroups: [{name: a, zones: [z], launchTemplate: {name: t}, nodeTaints: [gpu=true]}]", `taint "gpu=true"`},
		{"type", "instanceTypes: [{name: x1.tiny}]", `instance type "x1.tiny": name, vcpu and memoryMiB are needed`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg, err := ParseConfig([]byte(tt.config))
			if err == nil {
				_, err = New(cfg)
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error = %v, want one with %q", err, tt.want)
			}
		})
	}
}

func TestDurationsReadAsTheyAreWritten(t *testing.T) {
	for _, d := range []Duration{Never, 0, Duration(1500 * time.Millisecond), Duration(time.Hour)} {
		text, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		var back Duration
		if err := json.Unmarshal(text, &back); err != nil || back != d {
			t.Errorf("%s reads as %v, %v; want %v", text, back, err, d)
		}
	}
}

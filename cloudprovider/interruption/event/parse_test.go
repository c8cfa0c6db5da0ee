package event

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asg-autoscaler/asg-autoscaler/test/bench/costlimit"
)

func at(text string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		panic(err)
	}
	return t
}

// testdata/*.json are bodies as AWS documents or sends them.
func TestParseReadsEveryDocumentedForm(t *testing.T) {
	kops := "testt1.demo-0a20f32c.kops.sh"
	for file, want := range map[string]Event{
		"spot.json": {ID: "1e5527d7-bb36-4607-3370-4164db56a40e", Kind: SpotInterruption, Time: at("1970-01-01T00:00:00Z"),
			Instances: []string{"i-0b662ef9931388ba0"}, State: "terminate"},
		"rebalance.json": {ID: "5d5555d5-dd55-5555-5555-5555dd55d55d", Kind: Rebalance, Time: at("2020-10-26T14:14:14Z"),
			Instances: []string{"i-0b662ef9931388ba0"}},
		"state.json": {ID: "7bf73129-1428-4cd3-a780-95db273d1602", Kind: StateChange, Time: at("2015-11-11T21:29:54Z"),
			Instances: []string{"i-abcd1111"}, State: "pending"},
		"reservation.json": {ID: "r", Kind: ReservationEnd, Time: at("2026-11-20T10:00:00Z"),
			Instances: []string{"i-0b662ef9931388ba0"}, State: "terminate", Starts: at("2026-11-20T10:02:00Z")},
		"health.json": {ID: "7fb65329-1628-4cf3-a740-95fg457h1402", Kind: ScheduledChange, Time: at("2016-06-05T06:27:57Z"),
			Instances: []string{"i-12345678"}, Starts: at("2016-06-05T15:10:09Z"),
			Code: "AWS_EC2_DEDICATED_HOST_NETWORK_MAINTENANCE_SCHEDULED",
			ARN:  "arn:aws:health:region::event/id"},
		"health_retirement.json": {ID: "7bf73129-1428-4cd3-a780-95db273d1602", Kind: ScheduledChange, Time: at("2026-01-27T01:43:21Z"),
			Instances: []string{"i-1234567890abcdef0"}, Starts: at("2026-08-27T13:19:03Z"), Code: "AWS_EC2_INSTANCE_RETIREMENT_SCHEDULED",
			ARN: "arn:aws:health:us-east-1::event/AWS_EC2_INSTANCE_RETIREMENT_SCHEDULED_90353408594353983"},
		"lifecycle.json": {ID: "782d5b4c-0f6f-1fd6-9d62-ecf6aed0a470", Kind: TerminateHook, Time: at("2020-07-01T22:19:58Z"),
			Instances: []string{"i-0633ac2b0d9769723"}, Group: kops,
			Hook: "cluster-termination-handler", Token: "0befcbdb-6ecd-498a-9ff7-ae9b54447cd6"},
		"lifecycle_root_volume.json": {ID: "12345678-1234-1234-1234-123456789012", Kind: TerminateHook, Time: at("2021-01-13T00:12:37.214Z"),
			Instances: []string{"i-1234567890abcdef0"}, State: ReplaceRootVolume, Group: "my-asg",
			Hook: "my-terminate-lifecycle-hook", Token: "71514b9d-6a40-4b26-8523-05e7eEXAMPLE"},
		"lifecycle_direct.json": {ID: "request", Kind: TerminateHook, Time: at("2022-01-31T23:07:47.872Z"),
			Instances: []string{"i-0633ac2b0d9769723"}, Group: kops, Hook: "hook", Token: "token"},
		"lifecycle_sns.json": {ID: "request", Kind: TerminateHook, Time: at("2022-01-31T23:07:47.872Z"),
			Instances: []string{"i-0633ac2b0d9769723"}, Group: kops, Hook: "hook", Token: "token"},
		"lifecycle_launch.json": {ID: "l", Kind: LaunchHook, Time: at("2020-07-01T22:19:58Z"),
			Instances: []string{"i-0633ac2b0d9769723"}, Group: kops, Hook: "h", Token: "t"},
		"launch_unsuccessful.json": {ID: "12345678-1234-1234-1234-123456789012", Kind: LaunchUnsuccessful,
			Instances: []string{"i-1234567890abcdef0"}, Group: "my-auto-scaling-group"},
	} {
		t.Run(file, func(t *testing.T) {
			body, err := os.ReadFile(filepath.Join("testdata", file))
			require.NoError(t, err)
			got, err := Parse(string(body))
			require.NoError(t, err)
			assert.Empty(t, cmp.Diff(want, got))
		})
	}
}

func TestChangesThatAreOverNameTheirInstances(t *testing.T) {
	for _, tt := range []struct {
		name, detail    string
		instances, over []string
	}{
		{"for all", `"statusCode":"closed","affectedEntities":[{"entityValue":"i-2"},{"entityValue":"i-1"}]`, nil, []string{"i-1", "i-2"}},
		{"for its only instance", `"statusCode":"open","affectedEntities":[{"entityValue":"i-1","status":"RESOLVED"}]`, nil, []string{"i-1"}},
		{"for one of two", `"affectedEntities":[{"entityValue":"i-1","status":"RESOLVED"},{"entityValue":"i-2","status":"PENDING"}]`,
			[]string{"i-2"}, []string{"i-1"}},
	} {
		got, err := Parse(`{"detail-type":"AWS Health Event","source":"aws.health","detail":{"service":"EC2","eventTypeCategory":"scheduledChange",` +
			`"eventArn":"arn:1",` + tt.detail + `}}`)
		require.NoError(t, err, tt.name)
		assert.Empty(t, cmp.Diff(Event{Kind: ScheduledChange, ARN: "arn:1", Instances: tt.instances, Over: tt.over}, got), tt.name)
	}
}

func TestWarningWithoutAReadableEndCounts(t *testing.T) {
	for _, end := range []string{`"soon"`, `1764583200`, `null`, `["2026-11-20T10:02:00Z"]`} {
		got, err := Parse(`{"detail-type":"EC2 Capacity Reservation Instance Interruption Warning","source":"aws.ec2",` +
			`"detail":{"instance-id":"i-0123","instance-termination-time":` + end + `}}`)
		require.NoError(t, err, end)
		assert.Empty(t, cmp.Diff(Event{Kind: ReservationEnd, Instances: []string{"i-0123"}}, got), end)
	}
}

func TestUnusableMessagesGiveTheirReason(t *testing.T) {
	const spot = `{"detail-type":"EC2 Spot Instance Interruption Warning","source":"aws.ec2","detail":`
	const health = `{"detail-type":"AWS Health Event","source":"aws.health","detail":`
	for _, tt := range []struct {
		name, body string
		want       Reason
	}{
		{"nothing", "", Garbage},
		{"text", "hello", Garbage},
		{"another kind of JSON", `["i-0123"]`, Garbage},
		{"null", `null`, UnknownType},
		{"no type", `{}`, UnknownType},
		{"another event", `{"detail-type":"EC2 Fleet Error","source":"aws.ec2","detail":{}}`, UnknownType},
		{"an event of somebody else by the same name", strings.Replace(spot, "aws.ec2", "my.app", 1) + `{"instance-id":"i-0123"}}`, UnknownType},
		{"no detail", strings.TrimSuffix(spot, `,"detail":`) + `}`, Garbage},
		{"detail of another type", spot + `"i-0123"}`, Garbage},
		{"no instance", spot + `{}}`, NoInstance},
		{"an instance that cannot be", spot + `{"instance-id":"i-../../etc"}}`, NoInstance},
		{"no instance by its kind", spot + `{"instance-id":"vol-0123"}}`, NoInstance},
		{"an instance in a longer text", spot + `{"instance-id":"an i-0123 b"}}`, NoInstance},
		{"an instance behind a line", spot + `{"instance-id":"x\ni-0123"}}`, NoInstance},
		{"an instance with capitals", spot + `{"instance-id":"i-0ABC"}}`, NoInstance},
		{"an instance without its number", spot + `{"instance-id":"i-"}}`, NoInstance},
		{"an instance of 41 digits", spot + `{"instance-id":"i-` + strings.Repeat("0", 41) + `"}}`, NoInstance},
		{"the test of a hook", `{"Event":"autoscaling:TEST_NOTIFICATION","AutoScalingGroupName":"g"}`, Test},
		{"the other test of a hook", `{"LifecycleTransition":"autoscaling:TEST_NOTIFICATION"}`, Test},
		{"a test in SNS", `{"Type":"Notification","Message":"{\"Event\":\"autoscaling:TEST_NOTIFICATION\"}"}`, Test},
		{"SNS in SNS", `{"Message":"{\"Message\":\"{}\"}"}`, UnknownType},
		{"an unknown transition", `{"LifecycleTransition":"autoscaling:EC2_INSTANCE_DREAMING","EC2InstanceId":"i-0123"}`, UnknownType},
		{"a hook without its group", `{"LifecycleTransition":"autoscaling:EC2_INSTANCE_TERMINATING","EC2InstanceId":"i-0123"}`, Garbage},
		{"a hook without its name", `{"LifecycleTransition":"autoscaling:EC2_INSTANCE_TERMINATING","EC2InstanceId":"i-0123","AutoScalingGroupName":"g"}`, Garbage},
		{"a hook of no group", `{"LifecycleTransition":"autoscaling:EC2_INSTANCE_TERMINATING","EC2InstanceId":"i-0123","LifecycleHookName":"h"}`, Garbage},
		{"health of another service", health + `{"service":"RDS","eventTypeCategory":"scheduledChange"}}`, OtherHealth},
		{"the end of an instance generation", health + `{"service":"EC2","eventTypeCategory":"scheduledChange",` +
			`"eventTypeCode":"AWS_EC2_PLANNED_LIFECYCLE_EVENT","affectedEntities":[{"entityValue":"i-0123","status":"PENDING"}]}}`, OtherHealth},
		{"an issue", health + `{"service":"EC2","eventTypeCategory":"issue"}}`, OtherHealth},
		{"the other region's", health + `{"service":"EC2","eventTypeCategory":"scheduledChange","backupEvent":"True",` +
			`"affectedEntities":[{"entityValue":"i-0123"}]}}`, BackupCopy},
		{"the other region's, as a boolean", health + `{"service":"EC2","eventTypeCategory":"scheduledChange","backupEvent":true}}`, BackupCopy},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Parse(tt.body)
			var why *Unusable
			assert.Truef(t, errors.As(err, &why) && why.Reason == tt.want, "got %+v, error %v; want reason %q", got, err, tt.want)
			if err != nil && len(err.Error()) > 2*maxText {
				t.Errorf("an error of %d characters", len(err.Error()))
			}
		})
	}
}

// padded is a warning of length bytes.
func padded(length int) string {
	body := `{"detail-type":"EC2 Spot Instance Interruption Warning","source":"aws.ec2","detail":{"instance-id":"i-0123","pad":""}}`
	return strings.Replace(body, `"pad":"`, `"pad":"`+strings.Repeat("x", length-len(body)), 1)
}

// EventBridge and SQS carry 1 MB since 2026-01 (AWS Compute Blog, "More room to build").
func TestParseReadsTheLongestBody(t *testing.T) {
	got, err := Parse(padded(1 << 20))
	assert.Truef(t, err == nil && len(got.Instances) == 1, "got %+v, error %v", got, err)
}

func TestEndingStates(t *testing.T) {
	for state, want := range map[string]bool{"pending": false, "running": false, "stopping": true, "stopped": true, "shutting-down": true,
		"terminated": true, "": false} {
		assert.Equalf(t, want, (Event{Kind: StateChange, State: state}).Ending(), "state %q: ending", state)
	}
}

func TestResolvedEntitiesOfScheduledChangeAreSkipped(t *testing.T) {
	got, err := Parse(`{"detail-type":"AWS Health Event","source":"aws.health","detail":{"service":"EC2","eventTypeCategory":"scheduledChange",` +
		`"statusCode":"upcoming","affectedEntities":[{"entityValue":"i-1","status":"PENDING"},{"entityValue":"i-2","status":"RESOLVED"},{"entityValue":"i-3"}]}}`)
	require.NoError(t, err)
	assert.Empty(t, cmp.Diff([]string{"i-1", "i-3"}, got.Instances))
}

func TestOwnHealthEventsOfChinaAreRead(t *testing.T) {
	got, err := Parse(`{"detail-type":"AWS Health Event","source":"aws.health","detail":{"service":"EC2","backupEvent":"False",` +
		`"eventTypeCategory":"scheduledChange","startTime":"Tue, 7 Mar 2023 06:06:01 GMT","affectedEntities":[{"entityValue":"i-2"},{"entityValue":"vol-1"},` +
		`{"entityValue":"arn:aws-cn:ec2:cn-north-1:123456789012:instance/i-of-1"},{"entityValue":"i-2"}]}}`)
	require.NoError(t, err)
	want := Event{Kind: ScheduledChange, Instances: []string{"i-2", "i-of-1"}, Starts: at("2023-03-07T06:06:01Z")}
	assert.Empty(t, cmp.Diff(want, got))
}

func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) == 0 {
		f.Fatal("no bodies to start from", err)
	}
	for _, file := range files {
		body, err := os.ReadFile(file)
		require.NoError(f, err)
		f.Add(string(body))
		f.Add(string(body[:len(body)/2]))
	}
	for _, body := range []string{
		strings.Repeat("[", 60_000),
		`{"detail-type":"AWS Health Event","source":"aws.health","detail":{"service":"EC2","eventTypeCategory":"scheduledChange","affectedEntities":[` +
			strings.Repeat("{},", 20_000) + `{}]}}`,
		`{"Message":"` + strings.Repeat(`\\u0022`, 10_000) + `"}`,
		"{" + strings.Repeat(`"Detail":{},`, 5_000) + `"a":1}`,
	} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		var e Event
		var err error
		costlimit.Check(t, func() { e, err = Parse(body) })
		if err != nil {
			var why *Unusable
			require.Truef(t, errors.As(err, &why) && why.Reason != "", "%T: %v", err, err)
			return
		}
		for _, id := range e.Instances {
			assert.Truef(t, validInstance.MatchString(id), "instance %q", id)
		}
		acts := e.Kind != LaunchSuccessful && e.Kind != LaunchUnsuccessful && e.Kind != TerminateSuccessful && e.Kind != TerminateFailed
		assert.Truef(t, e.Kind != "" && (!acts || len(e.Instances) != 0 && len(e.Instances) <= maxInstances), "%+v", e)
		for _, text := range []string{e.ID, e.Group, e.Hook, e.Token, e.State, e.Code} {
			assert.Truef(t, len(text) <= maxText, "a text of %d characters is kept", len(text))
		}
	})
}

package lookup

import (
	"context"
	"encoding/base64"
	"regexp"
	"slices"
	"strings"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient/awsmessage"
)

const (
	startsPerCall  = 100              // DescribeInstanceStatus takes no more instances by ID (EC2 API reference)
	startsAge      = 10 * time.Minute // before AWS is asked again
	startsKeep     = time.Hour
	consolesAtOnce = 5 // of one look-up, because one instance of a group is enough
	consoleLines   = 40
	consoleWidth   = 300 // bytes of a line
)

// StartsAPI are the EC2 calls of NewStarts. Each of them may be denied, and then less is known.
type StartsAPI interface {
	ec2.DescribeInstanceStatusAPIClient
	GetConsoleOutput(context.Context, *ec2.GetConsoleOutputInput, ...func(*ec2.Options)) (*ec2.GetConsoleOutputOutput, error)
	InstancesAPI
	ec2.DescribeRouteTablesAPIClient
	ec2.DescribeSubnetsAPIClient
	ec2.DescribeSecurityGroupsAPIClient
}

// Admission answers who may join the cluster.
type Admission struct {
	EKS     eks.ListAccessEntriesAPIClient
	Cluster func() string                           // "" while the name is not known
	AWSAuth func(context.Context) ([]string, error) // ARNs of the roles in the ConfigMap aws-auth
}

// Start is what AWS knows of an instance that does not become a node. Empty fields are not known.
type Start struct {
	State            string   // in EC2's words, such as "running"
	Check            string   // the status check that fails: "system" or "instance"
	Roles            []string // ARNs that the cluster lets in
	AWSAuth, Entries bool     // the ConfigMap and EKS's access entries could be read for them
	Console          []string // the end of its console output, without secrets
	Network
}

// NewStarts makes a Cache that finds out why instances do not become nodes: six calls for 100 of them, and one for the console of a few.
func NewStarts(api StartsAPI, admission Admission, c clock.Clock) *Cache[Start] {
	s := &starts{api: api, admission: admission}
	s.cache = New(c, api != nil, Question[Start]{AtOnce: startsPerCall, Age: startsAge, Keep: startsKeep, Ask: s.ask,
		Failure: "Could not see why instances do not become nodes", Remedy: "see the error"})
	return s.cache
}

type starts struct {
	api       StartsAPI
	admission Admission
	cache     *Cache[Start]
}

func (s *starts) ask(ctx context.Context, ids []string) (map[string]Start, error) {
	found := make(map[string]Start, len(ids))
	if err := s.check(ctx, ids, found); err != nil && !awsclient.IsDenied(err) {
		return nil, err
	}
	roles, noAuth := s.admission.AWSAuth(ctx)
	entries, _ := s.entries(ctx) // EKS may not know the cluster
	known, networks, consoles := s.cache.Known(), s.networks(ctx, ids), 0
	for _, id := range ids {
		start := found[id]
		start.Roles, start.AWSAuth, start.Entries, start.Network = slices.Concat(roles, entries), noAuth == nil, entries != nil, networks[id]
		if before, _ := known.Of(id); len(before.Console) > 0 {
			start.Console = before.Console
		} else if consoles++; consoles <= consolesAtOnce {
			start.Console, _ = s.console(ctx, id)
		}
		found[id] = start
	}
	return found, nil
}

// check enters the states and the status checks that fail. The host's comes first, because the instance's fails with it.
func (s *starts) check(ctx context.Context, ids []string, found map[string]Start) error {
	in := &ec2.DescribeInstanceStatusInput{InstanceIds: ids, IncludeAllInstances: awssdk.Bool(true)}
	for pages := ec2.NewDescribeInstanceStatusPaginator(s.api, in); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if awsclient.IsNotFound(err) { // one of them has gone, so AWS answers for none
			return nil
		}
		if err != nil {
			return err
		}
		for _, status := range page.InstanceStatuses {
			var start Start
			if status.InstanceState != nil {
				start.State = string(status.InstanceState.Name)
			}
			for name, summary := range map[string]*ec2types.InstanceStatusSummary{"system": status.SystemStatus, "instance": status.InstanceStatus} {
				if summary != nil && summary.Status == ec2types.SummaryStatusImpaired && start.Check != "system" {
					start.Check = name
				}
			}
			found[awssdk.ToString(status.InstanceId)] = start
		}
	}
	return nil
}

// entries returns the roles with an access entry of EKS, nil while the name of the cluster is not known.
func (s *starts) entries(ctx context.Context) ([]string, error) {
	if s.admission.EKS == nil || s.admission.Cluster() == "" {
		return nil, nil
	}
	entries := []string{}
	pages := eks.NewListAccessEntriesPaginator(s.admission.EKS, &eks.ListAccessEntriesInput{ClusterName: awssdk.String(s.admission.Cluster())})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		entries = append(entries, page.AccessEntries...)
	}
	return entries, nil
}

func (s *starts) console(ctx context.Context, id string) ([]string, error) {
	out, err := s.api.GetConsoleOutput(ctx, &ec2.GetConsoleOutputInput{InstanceId: awssdk.String(id), Latest: awssdk.Bool(true)})
	if err != nil && !awsclient.IsDenied(err) { // an instance without Nitro has the output of its start alone
		out, err = s.api.GetConsoleOutput(ctx, &ec2.GetConsoleOutputInput{InstanceId: awssdk.String(id)})
	}
	if err != nil {
		return nil, err
	}
	text, err := base64.StdEncoding.DecodeString(awssdk.ToString(out.Output))
	return consoleEnd(string(text)), err
}

const (
	telling = `pass(?:w|phrase)|secret|token|credential|(?:api|access|auth|license|encryption|signing)[_-]?key|authorization|bearer`
	// alike are names that other lines have, too. A value follows only behind = or a colon.
	alike = `pass(?:_|\b)|pwd\b|(?:^|[^a-z-])auth\b|private[_-]?key|(?:\b|_)pat\b`
)

var (
	// secret matches a value behind a telling name, the user that curl is given, a user of a URL, an access key, tokens by their beginning, a
	// token in JSON, and long text in base64. Quotes around a whole value stay, because a parser may need them.
	secret = regexp.MustCompile(`(?im)((?:(?:` + telling + `)[\w-]*\\*["']?\s*[:=： ]\s*|(?:` + alike + `)[\w-]*\\*["']?\s*[:=：][ \t]*))` +
		`(?:bearer\s+|basic\s+)?(?:(")(?:\\.|[^"\\\n])*"[^\s,}\]]*|(')[^'\n]*'[^\s,}\]]*|\S+)` +
		`|(\s-u[ \t=]*|\s--user(?:[ \t]+|=))(?:"[^"\n]*:[^"\n]*"|'[^'\n]*:[^'\n]*'|\S+:\S+)|://[^\s/@]*@` +
		`|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|\bgh[pousr]_\w{20,}|\bgithub_pat_\w+|\bxox[a-z]-\S+|\bhooks\.slack\.com/\S+|\beyJ[\w-]+\.[\w.-]+|[A-Za-z0-9+/=]{40,}`)
	pem    = regexp.MustCompile(`(?s)-----BEGIN .*?(?:-----END [^\n]*\n?|$)`)
	block  = regexp.MustCompile(`(?i)^([\s-]*)[\w."'-]*(?:` + telling + `|pass|pwd|private[_-]?key|auth\b|pat\b)[\w."'-]*\s*:\s*[|>]\S*\s*$`)
	unseen = regexp.MustCompile(`\x1b\[[0-9;?]*[A-Za-z]|[^\PC\t\n]`)
)

// Masked returns the text with *** in the place of secrets. A key in PEM goes as a whole, and so do the lines of a block in YAML.
func Masked(text string) string {
	var kept strings.Builder
	within := -1 // the indentation of the block's name
	for line := range strings.Lines(pem.ReplaceAllString(text, "")) {
		if within >= 0 && (len(line)-len(strings.TrimLeft(line, " \t")) > within || strings.TrimSpace(line) == "") {
			continue
		}
		within = -1
		if name := block.FindStringSubmatch(line); name != nil {
			within = len(name[1])
		}
		kept.WriteString(line)
	}
	return secret.ReplaceAllString(kept.String(), "$1$4$2$3***$2$3")
}

// consoleEnd returns the last lines without secrets and codes of a terminal.
func consoleEnd(text string) (lines []string) {
	for line := range strings.Lines(Masked(unseen.ReplaceAllString(strings.ReplaceAll(text, "\r", "\n"), ""))) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, awsmessage.Bounded(line, consoleWidth))
		}
	}
	return lines[max(0, len(lines)-consoleLines):]
}

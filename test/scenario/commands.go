package scenario

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/asg-autoscaler/asg-autoscaler/manifests"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// Commands returns a script's commands beside testscript's own, for testscript.Params.Cmds. They work on the Env that Setup put
// into the script's values.
//
//	aws FILE                                 serve the account described in FILE, see fakeaws.Config, under the shipped IAM policies
//	policy without ACTION...                 take these actions out of the policies, so that AWS denies them
//	autoscaler start MANIFEST [FLAG...]      run the autoscaler as deploy/MANIFEST.yaml does, with FLAGs more
//	autoscaler kill | stop | restart         kill -9 | SIGTERM, clean within 5 s | start again as before
//	shadow                                   an autoscaler that starts from now on has the permissions of a shadow. Start stock before
//	plugin MANIFEST [FLAG...]                run the autoscaler as a plugin. From now on "stock" is an unmodified core that asks the plugin
//	network slow DURATION | hold | clear     the plugin's answers reach stock late | nothing passes between the two | all is well again
//	kubectl ARG...                           the cluster's kubectl, as its admin, whose output can be compared
//	fault KEY=VALUE...                       spoil AWS calls, see fakeaws.Fault, whose params are params.KEY=VALUE. "fault clear" ends all of them
//	shortage KEY=VALUE...                    take capacity away, see fakeaws.Shortage. "shortage clear" brings it back
//	interrupt SELECTOR [KEY=VALUE...]        EC2 warns of these nodes, or count=N, and takes them notice=2m later, see fakeaws.Deed
//	send QUEUE FILE [TIMES]                  put the text of FILE into a queue, as anybody with a right to send
//	edit GROUP FILE                          change the group as FILE says, see fakeaws.GroupEdit
//	deed GROUP KIND [KEY=VALUE...]           somebody else acts on the group, see fakeaws.Deed, such as instance-refresh
//	nodegroup GROUP STATUS [ISSUE]           EKS gives the managed node group of GROUP the status, and finds something wrong with it
//	suspend | resume GROUP PROCESS...        stop processes of the group, or let them go on, as a person would
//	delete group | template NAME             delete it from the account, as a person would
//	bootstrap GROUP FILE                     nodes that register from now on are as FILE says, see fakeaws.NodeConfig
//	publish SELECTOR RESOURCE=QUANTITY...    these nodes show the resources, as a device plugin has them do
//	age SELECTOR DURATION                    these nodes have been Ready for so long. The core trusts none younger than 1m
//	apply SELECTOR FILE [FLAG...]            kubectl apply FILE for each of these nodes, for $NODE its name, for $UID its UID
//	stock COMMAND ARG...                     do a command of this list on the stock autoscaler, which has the same cluster, account, ServiceAccount and lease
//	other aws CLUSTER                        start a second cluster, which shares the account and has the nodes of the groups that name it
//	other COMMAND ARG...                     do a command of this list, but for repeat, on the second cluster
//	repeat COUNT FILE                        do the lines of FILE, which are commands of this list without quotes
//	expect WITHIN WHAT...                    wait until it is so, for WITHIN at most, and print how long it took
//	never WHAT...                            it has not been so at any time
//	logged COUNT REGEXP                      exactly so many lines of the autoscaler's logs match. For 0, a message of the program
//	                                         must hold the pattern's words
//	allow undrained | exit | forbidden       take back one of the rules for every script, see below
//	metrics                                  print names, types and labels of the autoscaler's metrics
//
// A script's file "kubernetes-version", with a line such as 1.32, has its cluster emulate that release.
//
// Expectations:
//
//	desired GROUP N                          the group's desired capacity is N
//	instances GROUP[/ZONE] N                 the group lists N instances (in the zone), whatever their state
//	running SELECTOR N                       N pods with these labels are Running, in all namespaces
//	nodes SELECTOR N                         N nodes with these labels are Ready
//	tainted KEY N                            N nodes have a taint with this key
//	status REGEXP                            the status config map has the core's form, and a line about a group or about all matches
//	calls ACTION N                           N calls of this action were made to AWS
//	queue NAME N                             N messages are left in the queue, received ones that are not deleted included
//	launched GROUP[/ZONE] N                  N instances of the group were launched (there) since the scenario began
//	event REASON REGEXP                      an event with the reason and a matching message exists
//	events REASON N                          N events with the reason were sent, repetitions counted
//	ready | unready                          the autoscaler says so at /readyz
//	ended                                    the autoscaler's process has ended, by itself or not
//	report REGEXP                            a line about the report at /status.json matches: see decisionLines
//	shadow GROUP=PRICE...                    the shadow's days have each raise and removal of the leader that AWS saw, and all nodes at these prices
//	log REGEXP                               a line of the autoscaler's logs matches
//	metric NAME{LABELS} OP N                 the sum of the samples with these labels. OP is ==, >= or <=
//
// Prohibitions, since the scenario began:
//
//	desired GROUP above N                    the group's desired capacity raised over N
//	calls ACTION above N                     more than N calls of this action to AWS
//	launched GROUP[/ZONE] above N            more than N instances of the group launched (in the zone)
//	launched GROUP twice within DURATION     two instances of the group launched closer together than that
//	wrote                                    the shadow wrote anything but its lease, in the cluster or in AWS, or tried to
//	undrained                                an instance terminated before its node was marked and empty
//	raced                                    our own code at fault in the eyes of the race detector, where the test runs with it
//
// Every script that started an autoscaler also fails at its end where
//
//   - the autoscaler does not end with exit code 0 within 5 s of SIGTERM, or a process of it ended that the script neither
//     stopped nor killed ("allow exit" takes this back)
//   - the lease has a holder after that, unless stock has run, which does not release it
//   - a log shows a panic, an error of Go's runtime or a klog fatal, the last not with "allow exit"
//   - the shipped policies denied an action that the script had not taken out of them, and that the account's launchNeeds lacks
//   - an instance was terminated undrained, unless "allow undrained" says that this is meant
//   - the API server refused a request of the ServiceAccount, unless "allow forbidden" says that this is meant
//   - the race detector found our own code at fault
func Commands() map[string]func(*testscript.TestScript, bool, []string) {
	commands := simpleCommands()
	commands["repeat"] = command{usage: "COUNT FILE", run: (*script).repeat}
	commands["other"] = command{usage: "aws|COMMAND ARG...", run: (*script).otherCluster}
	commands["stock"] = command{usage: "COMMAND [ARG...]", run: (*script).stockAutoscaler}
	adapted := map[string]func(*testscript.TestScript, bool, []string){}
	for name, c := range commands {
		adapted[name] = func(ts *testscript.TestScript, negated bool, args []string) {
			s := ts.Value(scriptKey{}).(*script).on(ts)
			err := c.on(s, name, args)
			switch {
			case negated && err == nil:
				ts.Fatalf("%s succeeded against expectation", name)
			case negated && name == "expect" && !errors.Is(err, errWaited):
				ts.Fatalf("! expect: %v", err)
			case !negated && err != nil:
				ts.Fatalf("%v", err)
			}
		}
	}
	return adapted
}

// A command has arguments as its usage says: those in brackets may be missing, and three dots stand for any number.
type command struct {
	usage string
	aws   bool // it needs the account
	run   func(*script, []string) error
}

// on runs the command if it has all that it needs.
func (c command) on(s *script, name string, args []string) error {
	words := strings.Fields(c.usage)
	if len(args) < len(words)-strings.Count(c.usage, "[") || len(args) > len(words) && !strings.Contains(c.usage, "...") {
		return fmt.Errorf("usage: %s %s", name, c.usage)
	}
	if c.aws && s.AWS == nil {
		return fmt.Errorf("%s: no AWS account yet", name)
	}
	return c.run(s, args)
}

// simpleCommand is a command that runs no others.
func simpleCommand(name string) (command, error) {
	c, known := simpleCommands()[name]
	if !known {
		return c, fmt.Errorf("no command is called %q", name)
	}
	return c, nil
}

// simpleCommands are the commands that run no others.
func simpleCommands() map[string]command {
	return map[string]command{
		"age":        {"SELECTOR DURATION", false, (*script).age},
		"allow":      {"undrained|exit|forbidden", false, (*script).allow},
		"apply":      {"SELECTOR FILE [FLAG...]", false, (*script).apply},
		"autoscaler": {"start|kill|stop|restart [MANIFEST] [FLAG...]", false, (*script).autoscaler},
		"aws":        {"FILE", false, (*script).aws},
		"bootstrap":  {"GROUP FILE", true, (*script).bootstrap},
		"delete":     {"group|template NAME", true, (*script).delete},
		"deed":       {"GROUP KIND [KEY=VALUE...]", true, (*script).deed},
		"edit":       {"GROUP FILE", true, (*script).edit},
		"expect":     {"WITHIN WHAT...", false, (*script).expect},
		"fault":      {"[KEY=VALUE...]", true, (*script).fault},
		"interrupt":  {"SELECTOR [KEY=VALUE...]", true, (*script).interrupt},
		"kubectl":    {"[ARG...]", false, (*script).kubectl},
		"logged":     {"COUNT REGEXP", false, (*script).logged},
		"metrics":    {"", false, (*script).metrics},
		"network":    {"slow|hold|clear [DURATION]", false, (*script).network},
		"never":      {"WHAT...", false, (*script).never},
		"nodegroup":  {"GROUP STATUS [ISSUE]", true, (*script).nodegroup},
		"plugin":     {"MANIFEST [FLAG...]", false, (*script).runPlugin},
		"policy":     {"without ACTION...", true, (*script).policy},
		"publish":    {"SELECTOR RESOURCE=QUANTITY...", true, (*script).publish},
		"resume":     {"GROUP PROCESS...", true, (*script).resume},
		"send":       {"QUEUE FILE [TIMES]", true, (*script).send},
		"shadow":     {"", false, (*script).shadow},
		"shortage":   {"[KEY=VALUE...]", true, (*script).shortage},
		"suspend":    {"GROUP PROCESS...", true, (*script).suspend},
	}
}

type script struct {
	*Env
	ctx    context.Context
	stdout io.Writer
	path   func(string) string // makes a script's file name absolute

	allowed map[string]bool // the liberties it takes at its end
}

type scriptKey struct{}

func copyFiles(dir string) error {
	systems, err := fs.Sub(Systems, "systems")
	if err != nil {
		return err
	}
	return errors.Join(os.CopyFS(dir, systems), os.CopyFS(filepath.Join(dir, "manifests"), manifests.FS))
}

// on returns the script with the files and output of its testscript.
func (s *script) on(ts *testscript.TestScript) *script {
	now := *s
	now.stdout, now.path = ts.Stdout(), ts.MkAbs
	return &now
}

func (s *script) aws(args []string) error {
	config, err := fakeaws.LoadConfig(s.path(args[0]))
	if err != nil {
		return err
	}
	if s.policies, err = shippedPolicies(config); err != nil {
		return err
	}
	config.Policies = s.policies
	for _, action := range config.LaunchNeeds { // on purpose
		s.allowed[action] = true
	}
	return s.StartAWS(s.ctx, config)
}

func (s *script) autoscaler(args []string) error {
	switch action := args[0]; {
	case action == "start" && len(args) > 1:
		return s.StartAutoscaler(s.ctx, args[1], args[2:]...)
	case s.Autoscaler() == nil:
		return errors.New("start the autoscaler first: autoscaler start MANIFEST [FLAG...]")
	case action == "kill":
		s.Autoscaler().Kill()
		return nil
	case action == "stop":
		return s.Autoscaler().Stop()
	case action == "restart":
		return s.RestartAutoscaler(s.ctx)
	default:
		return fmt.Errorf("autoscaler cannot %q", action)
	}
}

func (s *script) kubectl(args []string) error {
	for i, arg := range args {
		if i > 0 && args[i-1] == "-f" && arg != "-" {
			args[i] = s.path(arg)
		}
	}
	out, err := s.Cluster.RunKubectl(s.ctx, "", args...)
	fmt.Fprint(s.stdout, out)
	return err
}

func (s *script) fault(args []string) error {
	if len(args) == 1 && args[0] == "clear" {
		s.AWS.ClearFaults()
		return nil
	}
	var fault fakeaws.Fault
	if err := fromPairs(args, &fault); err != nil {
		return err
	}
	if fault.Action != "" {
		if err := knownAction(fault.Action); err != nil {
			return err
		}
	}
	s.AWS.Inject(fault)
	return nil
}

func (s *script) shortage(args []string) error {
	if len(args) == 1 && args[0] == "clear" {
		s.AWS.ClearShortages()
		return nil
	}
	var shortage fakeaws.Shortage
	if err := fromPairs(args, &shortage); err != nil {
		return err
	}
	s.AWS.AddShortage(shortage)
	return nil
}

// fromPairs fills a struct from key=value words by its JSON names. Words that look like numbers become numbers, all
// others strings. A key of params is written params.KEY=VALUE.
func fromPairs(words []string, into any) error {
	fields, params := map[string]any{}, map[string]string{}
	for _, word := range words {
		key, value, ok := strings.Cut(word, "=")
		if !ok {
			return fmt.Errorf("%q: write it as key=value", word)
		}
		if param, nested := strings.CutPrefix(key, "params."); nested {
			params[param] = value
			continue
		}
		fields[key] = value
		if number, err := strconv.Atoi(value); err == nil {
			fields[key] = number
		}
	}
	if len(params) > 0 {
		fields["params"] = params
	}
	raw, err := json.Marshal(fields)
	if err != nil {
		return err
	}
	decoder := json.NewDecoder(strings.NewReader(string(raw)))
	decoder.DisallowUnknownFields()
	return decoder.Decode(into)
}

func (s *script) delete(args []string) error {
	switch args[0] {
	case "group":
		return s.AWS.DeleteGroup(args[1])
	case "template":
		return s.AWS.DeleteLaunchTemplate(args[1])
	default:
		return fmt.Errorf("cannot delete a %q", args[0])
	}
}

func (s *script) expect(args []string) error {
	within, err := time.ParseDuration(args[0])
	if err != nil {
		return fmt.Errorf("expect: %w", err)
	}
	holds, err := s.expectation(args[1], args[2:])
	if err != nil {
		return err
	}
	what, began := strings.Join(args[1:], " "), time.Now()
	if err := eventually(s.ctx, within, what, holds); err != nil {
		return err
	}
	fmt.Fprintf(s.stdout, "%s after %.2f s\n", what, time.Since(began).Seconds())
	return nil
}

func (s *script) logged(args []string) error {
	want, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	pattern, err := regexp.Compile(args[1])
	if err != nil {
		return err
	}
	if want == 0 {
		if err := s.knownPattern(args[1]); err != nil {
			return err
		}
	}
	lines, err := s.logLines(pattern)
	if err == nil && len(lines) != want {
		err = fmt.Errorf("%d lines of the log match, want %d:\n%s", len(lines), want, strings.Join(lines, "\n"))
	}
	return err
}

func (s *script) metrics(args []string) error {
	families, err := s.Autoscaler().Metrics(s.ctx)
	if err != nil {
		return err
	}
	fmt.Fprint(s.stdout, metricNames(families))
	return nil
}

package docblocks

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
)

// awsCalls are the calls of README.md, as `aws SERVICE COMMAND` spells them: the action of the query protocol, and its parameters by flag.
var awsCalls = map[string]struct {
	action, version string
	parameters      map[string]string
}{
	"sts get-caller-identity":             {"GetCallerIdentity", "2011-06-15", nil},
	"iam create-open-id-connect-provider": {"CreateOpenIDConnectProvider", "2010-05-08", map[string]string{"--url": "Url", "--client-id-list": "ClientIDList.member.1"}},
	"iam create-role":                     {"CreateRole", "2010-05-08", map[string]string{"--role-name": "RoleName", "--assume-role-policy-document": "AssumeRolePolicyDocument"}},
	"iam put-role-policy": {"PutRolePolicy", "2010-05-08", map[string]string{"--role-name": "RoleName", "--policy-name": "PolicyName",
		"--policy-document": "PolicyDocument"}},
	"eks describe-cluster": {},
}

// awsCLI stands in for the AWS CLI. It makes the call that the arguments spell, and prints the last name of --query as text.
func awsCLI() {
	if err := callAWS(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(254)
	}
}

func callAWS(args []string) error {
	if len(args) < 2 || len(args)%2 != 0 {
		return fmt.Errorf("aws %q: every flag needs a value", args)
	}
	name := args[0] + " " + args[1]
	call, known := awsCalls[name]
	if !known {
		return fmt.Errorf("aws %s is not emulated: mark the block with %q", name, account)
	}
	sent, query, path := url.Values{"Action": {call.action}, "Version": {call.version}}, "", "/"
	for pair := range slices.Chunk(args[2:], 2) {
		flag, value := pair[0], pair[1]
		if file, ok := strings.CutPrefix(value, "file://"); ok {
			raw, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			value = string(raw)
		}
		switch parameter := call.parameters[flag]; {
		case parameter != "":
			sent.Set(parameter, value)
		case flag == "--query":
			query = value
		case flag == "--output" && value == "text":
		case flag == "--name" && name == "eks describe-cluster":
			path += "clusters/" + value
		default:
			return fmt.Errorf("aws %s: the flag %s is not emulated", name, flag)
		}
	}
	ask := func() (*http.Response, error) { return http.PostForm(os.Getenv("AWS_ENDPOINT_URL")+path, sent) }
	if path != "/" {
		ask = func() (*http.Response, error) { return http.Get(os.Getenv("AWS_ENDPOINT_URL") + path) }
	}
	answer, err := ask()
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("aws %s: %s", name, body)
	}
	if query != "" {
		value, err := valueOf(body, query[strings.LastIndex(query, ".")+1:])
		fmt.Println(value)
		return err
	}
	return nil
}

// valueOf returns the text of the first element or member of the name.
func valueOf(answer []byte, name string) (string, error) {
	tokens := func() (string, error) {
		decoder := json.NewDecoder(strings.NewReader(string(answer)))
		for {
			token, err := decoder.Token()
			if err != nil {
				return "", err
			}
			if token == name {
				value, err := decoder.Token()
				return fmt.Sprint(value), err
			}
		}
	}
	if strings.HasPrefix(string(answer), "{") {
		return tokens()
	}
	decoder := xml.NewDecoder(strings.NewReader(string(answer)))
	for {
		token, err := decoder.Token()
		if err != nil {
			return "", fmt.Errorf("no %s in %s", name, answer)
		}
		if start, ok := token.(xml.StartElement); ok && strings.EqualFold(start.Name.Local, name) {
			var value string
			err := decoder.DecodeElement(&value, &start)
			return value, err
		}
	}
}

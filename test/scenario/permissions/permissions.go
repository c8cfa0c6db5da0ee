package permissions

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/asg-autoscaler/asg-autoscaler/manifests"
)

// Place is where an autoscaler runs.
type Place struct{ Region, Account, Cluster string }

// Shipped returns the policy of the Region's partition, filled in, and with queue also the policy of the interruption queue.
func Shipped(at Place, queue bool) ([]string, error) {
	partition := "aws"
	if strings.HasPrefix(at.Region, "cn-") {
		partition = "aws-cn"
	}
	kinds := []string{"policy"}
	if queue {
		kinds = append(kinds, "interruption")
	}
	var documents []string
	for _, kind := range kinds {
		raw, err := manifests.FS.ReadFile("iam/" + kind + "-" + partition + ".json")
		if err != nil {
			return nil, err
		}
		documents = append(documents, strings.NewReplacer("CLUSTER_NAME", at.Cluster, "REGION", at.Region, "ACCOUNT_ID", at.Account).Replace(string(raw)))
	}
	return documents, nil
}

// document is a policy of the manifests, as far as Without changes it.
type document struct {
	Version   string
	Statement []map[string]any
}

// Without takes actions out of the documents, and statements that are empty then. The error names an action that no document allows.
func Without(documents []string, actions ...string) ([]string, error) {
	var left []string
	taken := map[string]bool{}
	for _, text := range documents {
		var d document
		if err := json.Unmarshal([]byte(text), &d); err != nil {
			return nil, err
		}
		d.Statement = slices.DeleteFunc(d.Statement, func(s map[string]any) bool {
			allowed := slices.DeleteFunc(s["Action"].([]any), func(action any) bool {
				gone := slices.Contains(actions, action.(string))
				taken[action.(string)] = taken[action.(string)] || gone
				return gone
			})
			s["Action"] = allowed
			return len(allowed) == 0
		})
		raw, err := json.Marshal(d)
		if err != nil {
			return nil, err
		}
		if len(d.Statement) > 0 {
			left = append(left, string(raw))
		}
	}
	for _, action := range actions {
		if !taken[action] {
			return nil, fmt.Errorf("no policy allows %q", action)
		}
	}
	return left, nil
}

// Actions returns all actions of the documents, in their order.
func Actions(documents []string) ([]string, error) {
	var actions []string
	for _, text := range documents {
		var d struct{ Statement []struct{ Action []string } }
		if err := json.Unmarshal([]byte(text), &d); err != nil {
			return nil, err
		}
		for _, s := range d.Statement {
			actions = append(actions, s.Action...)
		}
	}
	return actions, nil
}

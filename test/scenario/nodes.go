package scenario

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

func (s *script) bootstrap(args []string) error {
	raw, err := os.ReadFile(s.path(args[1]))
	if err != nil {
		return err
	}
	var config fakeaws.NodeConfig
	if err := yaml.UnmarshalStrict(raw, &config); err != nil {
		return fmt.Errorf("bootstrap %q: %w", args[1], err)
	}
	return s.AWS.SetNodeConfig(args[0], config)
}

func (s *script) publish(args []string) error {
	resources := map[string]string{}
	for _, word := range args[1:] {
		name, quantity, ok := strings.Cut(word, "=")
		if !ok {
			return fmt.Errorf("%q: write it as resource=quantity", word)
		}
		resources[name] = quantity
	}
	return s.eachNode(args[0], func(node corev1.Node) error { return s.AWS.SetNodeResources(s.ctx, node.Name, resources) })
}

func (s *script) apply(args []string) error {
	raw, err := os.ReadFile(s.path(args[1]))
	if err != nil {
		return err
	}
	return s.eachNode(args[0], func(node corev1.Node) error {
		manifest := strings.NewReplacer("$NODE", node.Name, "$UID", string(node.UID)).Replace(string(raw))
		_, err := s.Cluster.RunKubectl(s.ctx, manifest, append([]string{"apply", "-f", "-"}, args[2:]...)...)
		return err
	})
}

func (s *script) age(args []string) error {
	age, err := time.ParseDuration(args[1])
	if err != nil {
		return err
	}
	since := time.Now().Add(-age)
	return s.eachNode(args[0], func(node corev1.Node) error { return s.readySince(s.ctx, node.Name, since) })
}

// settlesWithin is the time in which a late write of KWOK comes. KWOK makes a node Ready once more, as of now, when it comes late to an event
// from before the node was Ready (playStage in its node_controller.go, v0.8.0).
const settlesWithin = 2 * time.Second

// readySince moves the time at which a node became Ready, until nobody moves it back. The core takes the youngest of several conditions for
// it, so all are moved.
func (s *script) readySince(ctx context.Context, name string, since time.Time) error {
	for settled := time.Now().Add(settlesWithin); time.Now().Before(settled); time.Sleep(pollInterval) {
		node, err := s.client.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if !nodemeta.Ready(node) {
			return fmt.Errorf("age: node %q is not Ready", name)
		}
		conditions, moved := node.Status.Conditions, false
		for i := range conditions {
			if conditions[i].LastTransitionTime.After(since) {
				conditions[i].LastTransitionTime, moved = metav1.NewTime(since), true
			}
		}
		if !moved {
			continue
		}
		settled = time.Now().Add(settlesWithin)
		patch, err := json.Marshal(map[string]any{"status": map[string]any{"conditions": conditions}})
		if err != nil {
			return err
		}
		if _, err = s.client.CoreV1().Nodes().Patch(ctx, name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status"); err != nil {
			return err
		}
	}
	return nil
}

// eachNode calls do with every node that has the labels. It is an error if there is none.
func (s *script) eachNode(selector string, do func(corev1.Node) error) error {
	nodes, err := s.Cluster.Client().CoreV1().Nodes().List(s.ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return err
	}
	if len(nodes.Items) == 0 {
		return fmt.Errorf("no node has the labels %q", selector)
	}
	for _, node := range nodes.Items {
		if err := do(node); err != nil {
			return err
		}
	}
	return nil
}

func (s *script) repeat(args []string) error {
	count, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	raw, err := os.ReadFile(s.path(args[1]))
	if err != nil {
		return err
	}
	for round := range count {
		if err := s.lines(string(raw)); err != nil {
			return fmt.Errorf("round %d of %d of %s: %w", round+1, count, args[1], err)
		}
	}
	return nil
}

// lines runs each line of the text as a command, except empty lines and comments.
func (s *script) lines(text string) error {
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		c, err := simpleCommand(words[0])
		if err == nil {
			err = c.on(s, words[0], words[1:])
		}
		if err != nil {
			return fmt.Errorf("%s: %w", strings.TrimSpace(line), err)
		}
	}
	return nil
}

package fakeaws

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Rebooted is the event of an instance that RebootInstances reboots.
const Rebooted EventKind = "Rebooted"

type ec2Reboot struct {
	ec2Header
	Return bool `xml:"return"`
}

// rebootInstances reboots instances that run. As in EC2 they stay running meanwhile, and instances that have ended are ignored. One that does not run
// yet is refused, which EC2 does not document. The node of an instance is not Ready until KWOK, or a test, makes it Ready once the node has come
// back with another boot ID, Delays.Register later.
func (a *account) rebootInstances(r *request) (any, error) {
	ids := r.form.list("InstanceId")
	if len(ids) == 0 {
		return nil, &apiError{Code: "MissingParameter", Message: "The request must contain the parameter InstanceId"}
	}
	found, err := a.instancesNamed(ids)
	if err != nil {
		return nil, err
	}
	for _, i := range found {
		if i.ec2State().Name == "pending" {
			return nil, &apiError{Code: "IncorrectState", Message: "The instance '" + i.id + "' is not in a state from which it can be rebooted."}
		}
	}
	for _, i := range found {
		if i.ec2State().Name != "running" {
			continue
		}
		i.boots++
		e := i.event(Rebooted)
		e.By = r.by()
		a.events.add(e)
		if nodes := a.nodes[i.group.Cluster]; nodes != nil && i.nodeDue {
			nodes.reboot(i.nodeName, bootID(i), time.Duration(a.delays.Register))
		}
	}
	return &ec2Reboot{Return: true}, nil
}

func bootID(i *instance) string { return uuidOf(fmt.Sprint("boot", i.boots), i.id) }

func (p *publisher) reboot(name, boot string, delay time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := p.nodes[name]; n != nil {
		n.boot, n.down = boot, true
		p.queue.Add(name)
		p.after(delay, n, &n.up)
	}
}

// goDown has the node say nothing, and comeBack has it boot.
func (p *publisher) goDown(ctx context.Context, n *publishedNode) error {
	err := p.patch(ctx, n, fmt.Sprintf(`{"metadata":{"annotations":{%q:"true"}}}`, keptNotReady))
	if err == nil {
		now := metav1.Now().UTC().Format(time.RFC3339)
		err = p.patch(ctx, n, fmt.Sprintf(`{"status":{"conditions":[{"type":"Ready","status":"Unknown","reason":"NodeStatusUnknown","lastTransitionTime":%q}]}}`, now), "status")
	}
	if err == nil {
		p.mu.Lock()
		n.down = false
		p.mu.Unlock()
	}
	return err
}

func (p *publisher) comeBack(ctx context.Context, n *publishedNode, boot string) error {
	err := p.patch(ctx, n, fmt.Sprintf(`{"status":{"nodeInfo":{"bootID":%q}}}`, boot), "status")
	if err == nil {
		err = p.patch(ctx, n, fmt.Sprintf(`{"metadata":{"annotations":{%q:null}}}`, keptNotReady))
	}
	if err == nil {
		p.mu.Lock()
		n.up = false
		p.mu.Unlock()
	}
	return err
}

func (p *publisher) patch(ctx context.Context, n *publishedNode, patch string, of ...string) error {
	_, err := p.client.CoreV1().Nodes().Patch(ctx, n.node.Name, types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{}, of...)
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// Package show has the form of what asgctl prints: groups, templates, prices, pods and nodes, each
// as a table for people, or as JSON or YAML for programs.
//
// It makes no call and owns no fact. Words about a cause are the report's own, so that every view of a decision has the same. Names,
// keys and values come from outside and are quoted for whatever they are written into. It must not import the core, because the CLI
// shows the autoscaler's knowledge of AWS and needs no simulated cluster.
package show

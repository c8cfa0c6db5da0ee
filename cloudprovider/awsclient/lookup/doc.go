// Package lookup asks AWS for facts that the readings of the groups lack.
//
// It knows instance types that the catalogue lacks, identifiers of zones, zones in which instance types are offered, images of instances, whether
// instances were terminated, and why others do not become nodes. Other packages bring a Question of their own. Each has a Cache, whose Run asks in the
// background and blocks until its context ends. Requests wake it, answers stay in memory, and no caller ever waits for AWS. It logs once why a look-up
// fails, and leaves AWS alone for a while.
//
// It must import neither the core, cloudprovider/processors nor Kubernetes API types, because it asks AWS for facts in AWS's words and
// adapters stand on it. Nor may it import cloudprovider/asg, for asgctl asks without groups of its own.
package lookup

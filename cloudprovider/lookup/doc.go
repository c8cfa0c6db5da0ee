// Package lookup asks EC2 in the background for facts that the readings of the groups lack.
//
// It knows instance types that the catalogue lacks, identifiers of zones, zones in which instance types are offered, and
// instances that left their groups. Each kind of look-up has a Run, which blocks until its context ends. Requests wake it, answers
// stay in memory, and no caller ever waits for EC2. It logs once why a look-up fails, and leaves EC2 alone for a while.
//
// It must not import the core or cloudprovider/processors, because it asks EC2 for facts in EC2's words and adapters stand
// on it. It imports no Kubernetes API type.
package lookup

package controlplane

import (
	"os"
	"path/filepath"
)

// Binaries are the absolute paths of the programs of one control plane.
type Binaries struct {
	Etcd, APIServer, Scheduler, ControllerManager, KWOK string
	Kubectl                                             string
}

// Paths returns the paths of all programs, in a fixed order.
func (b Binaries) Paths() []string {
	var paths []string
	for _, p := range programs {
		paths = append(paths, *p.path(&b))
	}
	return paths
}

type program struct {
	importPath string // of the main package, as the tool directives of binaries/go.mod name it
	name       string // name in the cache
	module     string // module whose version is the program's
	path       func(*Binaries) *string
}

// programs lists the programs that Build compiles, in the order that Versions reports them.
var programs = []program{
	{
		importPath: "go.etcd.io/etcd/server/v3", name: "etcd", module: "go.etcd.io/etcd/server/v3",
		path: func(b *Binaries) *string { return &b.Etcd },
	},
	{
		importPath: "k8s.io/kubernetes/cmd/kube-apiserver", name: "kube-apiserver", module: kubernetesModule,
		path: func(b *Binaries) *string { return &b.APIServer },
	},
	{
		importPath: "k8s.io/kubernetes/cmd/kube-scheduler", name: "kube-scheduler", module: kubernetesModule,
		path: func(b *Binaries) *string { return &b.Scheduler },
	},
	{
		importPath: "k8s.io/kubernetes/cmd/kube-controller-manager", name: "kube-controller-manager",
		module: kubernetesModule,
		path:   func(b *Binaries) *string { return &b.ControllerManager },
	},
	{
		importPath: thisPackage + "/binaries/kwok", name: "kwok", module: kwokModule,
		path: func(b *Binaries) *string { return &b.KWOK },
	},
	{
		importPath: "k8s.io/kubernetes/cmd/kubectl", name: "kubectl", module: kubernetesModule,
		path: func(b *Binaries) *string { return &b.Kubectl },
	},
}

// Modules that the programs come from.
const (
	kubernetesModule = "k8s.io/kubernetes"
	kwokModule       = "sigs.k8s.io/kwok"
)

// binariesIn returns the programs kept in dir, and whether every one of them is there.
func binariesIn(dir string) (Binaries, bool) {
	var found Binaries
	for _, p := range programs {
		path := filepath.Join(dir, p.name)
		if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
			return Binaries{}, false
		}
		*p.path(&found) = path
	}
	return found, true
}

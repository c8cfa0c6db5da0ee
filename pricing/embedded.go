package pricing

import (
	_ "embed"
	"fmt"
	"strings"
	"sync"
)

var (
	//go:embed data/cn-north-1.csv
	cnNorth1 string
	//go:embed data/us-east-1.csv
	usEast1 string
	//go:embed data/us-gov-east-1.csv
	usGovEast1 string
	//go:embed data/us-gov-west-1.csv
	usGovWest1 string
)

// embedded are the lists that ship with this binary, by region.
var embedded = map[string]func() *List{
	"cn-north-1":    lazily(cnNorth1),
	"us-east-1":     lazily(usEast1),
	"us-gov-east-1": lazily(usGovEast1),
	"us-gov-west-1": lazily(usGovWest1),
}

func lazily(table string) func() *List {
	return sync.OnceValue(func() *List {
		l, err := Parse(table)
		if err != nil {
			panic(fmt.Sprintf("pricing: embedded list: %v", err)) // the build is broken, and its tests with it
		}
		return l
	})
}

// Embedded returns the list for a region that ships with this binary, parsed at its first use. A region without one gets the
// nearest list of its partition, which says by its origin whose prices it has. A region of a partition without lists gets an
// empty one. It never returns nil.
func Embedded(region string) *List {
	for _, of := range []string{region, nearest(region)} {
		if list, ok := embedded[of]; ok {
			return list()
		}
	}
	return &List{}
}

// nearest returns the region whose embedded list has the currency of a region and first stands in for its own, or "". In the
// public partition it is the region where most types are sold, in China the only known one, in GovCloud the one with more types.
// The isolated and sovereign partitions publish no prices. Their names have one part more than a public region's.
func nearest(region string) string {
	switch {
	case strings.HasPrefix(region, "cn-"):
		return "cn-north-1"
	case strings.HasPrefix(region, "us-gov-"):
		return "us-gov-west-1"
	case strings.Count(region, "-") == 2:
		return worldwide
	}
	return ""
}

package footprint

import (
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestOnlyUnchangedRegionsAreUnmapped(t *testing.T) {
	const smaps = `00400000-03ecf000 r-xp 00000000 fe:00 10010956                           /cluster-autoscaler
Rss:               35000 kB
Anonymous:             0 kB
VmFlags: rd ex mr mw me sd
03ecf000-07625000 r--p 03acf000 fe:00 10010956                           /cluster-autoscaler
Rss:               37592 kB
Anonymous:             0 kB
VmFlags: rd mr mw me sd
07625000-07626000 r--p 07225000 fe:00 10010956                           /cluster-autoscaler
Rss:                   4 kB
Anonymous:             4 kB
VmFlags: rd mr mw me ac sd
07626000-07794000 rw-p 07225000 fe:00 10010956                           /cluster-autoscaler
Rss:                1020 kB
Anonymous:             0 kB
VmFlags: rd wr mr mw me ac sd
07794000-097ee000 rw-p 00000000 00:00 0 
Rss:                 192 kB
Anonymous:           192 kB
7f0000000000-7f0000021000 r-xp 00000000 fe:00 20021                      /lib/libc.so.6
Rss:                  84 kB
Anonymous:             0 kB
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
Rss:                   0 kB
Anonymous:             0 kB
`
	got, err := unchanged(strings.NewReader(smaps), "/cluster-autoscaler")
	if err != nil {
		t.Fatal(err)
	}
	if want := []region{{0x400000, 0x3ecf000}, {0x3ecf000, 0x7625000}}; !slices.Equal(got, want) {
		t.Errorf("unmaps %x, want %x", got, want)
	}
}

func TestProgramShrinksAndGoesOn(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("there is no /proc")
	}
	before := mapped(t)
	if err := Shrink(); err != nil {
		t.Fatal(err)
	}
	if after := mapped(t); after >= before {
		t.Errorf("%d KiB of the program are resident, and %d before", after, before)
	}
}

// mapped returns how many KiB of the program's file are resident.
func mapped(t *testing.T) (kib int) {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if name, value, _ := strings.Cut(line, ":"); name == "RssFile" {
			kib, err = strconv.Atoi(strings.Fields(value)[0])
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	return kib
}

package footprint

import (
	"bufio"
	"io"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
)

// Shrink frees the heap that is no longer in use, and unmaps the pages of the program's file. A page that is needed again is
// mapped from the page cache, which takes microseconds. Where /proc cannot be read, Shrink frees the heap alone.
func Shrink() error {
	debug.FreeOSMemory()
	program, err := os.Executable()
	if err != nil {
		return err
	}
	smaps, err := os.Open("/proc/self/smaps")
	if err != nil {
		return err
	}
	defer func() { _ = smaps.Close() }()
	regions, err := unchanged(smaps, program)
	if err != nil {
		return err
	}
	for _, r := range regions {
		if _, _, errno := syscall.Syscall(syscall.SYS_MADVISE, r.start, r.end-r.start, syscall.MADV_DONTNEED); errno != 0 {
			return os.NewSyscallError("madvise", errno)
		}
	}
	return nil
}

// A region is a range of addresses.
type region struct{ start, end uintptr }

// unchanged returns the regions of the program that the process cannot write and has not written before. Their content can be read from
// the file again. The dynamic linker of a program that is not static writes into regions and then makes them read-only.
func unchanged(smaps io.Reader, program string) ([]region, error) {
	var regions []region
	ours := false
	lines := bufio.NewScanner(smaps)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		switch {
		case len(fields) >= 5 && !strings.HasSuffix(fields[0], ":"): // 00400000-03ecf000 r-xp 00000000 fe:00 10010956 /cluster-autoscaler
			r, err := parseRegion(fields[0])
			if err != nil {
				return nil, err
			}
			if ours = len(fields) > 5 && fields[5] == program && !strings.Contains(fields[1], "w"); ours {
				regions = append(regions, r)
			}
		case ours && len(fields) == 3 && fields[0] == "Anonymous:" && fields[1] != "0":
			regions, ours = regions[:len(regions)-1], false
		}
	}
	return regions, lines.Err()
}

func parseRegion(text string) (region, error) {
	from, to, _ := strings.Cut(text, "-")
	start, err := strconv.ParseUint(from, 16, 64)
	if err != nil {
		return region{}, err
	}
	end, err := strconv.ParseUint(to, 16, 64)
	return region{uintptr(start), uintptr(end)}, err
}

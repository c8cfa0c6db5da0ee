#!/usr/bin/env bash
# seconds.sh FILE COMMAND...: runs a go test, ends with its exit code, and leaves in FILE the seconds of the slowest packages that passed.
# A cached package took none.
set -euo pipefail
log=$(mktemp)
trap 'rm -f "$log"' EXIT
"${@:2}" | tee "$log"
awk -F '\t' -v "wall=$SECONDS" '
	!/^ok  / { next }
	{ sub("^github.com/[^/]*/[^/]*/", "", $2) }
	$3 ~ /cached/ { cached++; print "  cached  " $2 | sorted; next }
	{ ran++; sum += $3; printf "%8.1f  %s\n", $3, $2 | sorted }
	BEGIN { sorted = "sort -k1,1nr -k2 | head -n 15"; print " seconds  package" }
	END { close(sorted); printf "%8.1f  in all %d packages that ran, %d more are cached. Several run at once: it took %d s\n", sum, ran, cached, wall }
' "$log" >"$1"

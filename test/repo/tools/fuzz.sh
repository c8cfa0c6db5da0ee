#!/usr/bin/env bash
# fuzz.sh TIME: runs every fuzz target of the module for TIME (10s, 10m, 1h), as many at once as there are processors. It finds the targets
# itself, so a new one needs no entry anywhere.
#
# It fails if a target fails, after all others have run. The go command then prints the input and keeps it below testdata/fuzz of the
# target's package, where it is a case of every later test.
#
# fuzz.sh TIME PACKAGE TARGET runs one of them. One that needs its time for the inputs known before gets more.
#
# With FUZZBUILD, flags of `go test` such as -race, it makes inputs by chance alone, without the fuzzer's counters. It then shares what was
# compiled with these flags. To compile the core with counters takes minutes, which a short run is not worth.
set -euo pipefail
[[ ${1:-} =~ ^[1-9][0-9]*[smh]$ ]] || { echo "fuzz.sh: the time is a number with s, m or h behind it, such as 10m" >&2; exit 2; }
if (($# == 1)); then
	files='{{range .TestGoFiles}}{{$.ImportPath}} {{$.Dir}}/{{.}}
{{end}}{{range .XTestGoFiles}}{{$.ImportPath}} {{$.Dir}}/{{.}}
{{end}}'
	targets=$(go list -f "$files" ./... | while read -r package file; do
		[ -z "$file" ] || sed -n "s|^func \(Fuzz[A-Za-z0-9_]*\)(.*|$package \1|p" "$file"
	done)
	[ "$targets" ] || { echo "fuzz.sh: there is no fuzz target in $PWD" >&2; exit 1; }
	xargs -L 1 -P "$(getconf _NPROCESSORS_ONLN)" "$0" "$1" <<<"$targets" |
		awk -v "all=$(grep -c . <<<"$targets")" '{ print; fflush() } /^ok / { ok++ } END { print (all - ok) " of " all " targets failed" }'
	exit
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
log=$work/log
# One worker. Without its limit the go command may spend a minute on making one new input smaller, and tries no other meanwhile.
fuzz() {
	if [ -z "${FUZZBUILD:-}" ]; then
		go test -vet=off -run '^$' -fuzz "^$3\$" -fuzztime "$1" -fuzzminimizetime 1s -parallel 1 "$2"
		return
	fi
	# shellcheck disable=SC2086 # several flags
	go test -vet=off $FUZZBUILD -c -o "$work/run" "$2" && cd "$(go list -f '{{.Dir}}' "$2")" &&
		"$work/run" -test.run '^$' -test.fuzz "^$3\$" -test.fuzztime "$1" -test.fuzzminimizetime 1s -test.parallel 1 -test.fuzzcachedir "$work"
}
run() {
	fuzz "$@" 2>&1 | tee "$log" | awk -v "target=$3" '{ print target ": " $0; fflush() }'
}
# The go command may report the end of the time as a failure of the target, without a failing input (go.dev/issue/75804). This is no failure.
ended() { grep -q '^    context deadline exceeded$' "$log" && ! grep -Eq 'Failing input written to |failure while testing seed corpus entry' "$log"; }

result='the time ended before a new input was tried' # a busy machine takes seconds for the inputs known before
for more in 1 2 4 8 16; do
	run $((${1%?} * more))"${1: -1}" "$2" "$3" || ended || { result=failed && break; }
	! grep -q ', now fuzzing with ' "$log" || { result=ok && break; }
done
echo "$result $2.$3 ${SECONDS}s"
[ "$result" = ok ]

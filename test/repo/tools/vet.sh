#!/bin/sh
# The vet tool for our own packages: `go vet -vettool=test/repo/tools/vet.sh ./...`.
#
# go vet also analyses every package of every dependency, minutes of work in an empty cache, for facts such as "this function is a
# wrapper of Printf". Those of the standard library are kept. The others are left out, so calls of Printf-like functions
# of a dependency (klog.Warningf) are not checked. With LINT it runs that tool in place of vet.
set -eu
tool=${LINT:-$(go env GOTOOLDIR)/vet}
for last; do :; done
case $last in
*.cfg)
	if grep -q '"VetxOnly": true' "$last" && grep -q '"ImportPath": "[^"/]*\.' "$last"; then
		facts=$(sed -n 's/^.*"VetxOutput": "\(.*\)".*$/\1/p' "$last")
		: >"$facts"
		exit
	fi
	;;
-V=full)
	[ -z "${LINT:-}" ] || exec "$tool" -V=full
	echo "$("$tool" -V=full) of our own packages" # the go command keeps results by this name
	exit
	;;
esac
exec "$tool" "$@"

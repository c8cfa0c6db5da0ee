#!/usr/bin/env bash
# Installs what the tests need beside Go, git and make, or says how: a C compiler for the race detector, a browser for the status page, and
# Prometheus with promtool for test/scenario/monitoring. `make test` runs it first. It asks for no password.
set -euo pipefail

need() { # adds what is missing to packages
	packages=()
	echo '#include <stdlib.h>' | "${CC:-gcc}" -E - >/dev/null 2>&1 || packages+=(gcc libc6-dev)
	command -v chromium >/dev/null || packages+=(chromium)
	{ command -v prometheus && command -v promtool; } >/dev/null || packages+=(prometheus)
}

need
((${#packages[@]})) || exit 0
if ! command -v apt-get >/dev/null; then
	echo "make test needs what Debian has in these packages, so install them by their names here: ${packages[*]}" >&2
	exit 1
fi
# Ubuntu has the browser under this name, as a snap.
if [ -e /etc/os-release ] && grep -q '^ID=ubuntu$' /etc/os-release; then packages=("${packages[@]/%chromium/chromium-browser}"); fi
# A mirror that does not answer is asked twice for each file, and another process may hold apt's lock for a while.
limits=(-o Acquire::Retries=1 -o Acquire::http::Timeout=10 -o Acquire::https::Timeout=10 -o DPkg::Lock::Timeout=120)
as_root=()
((EUID == 0)) || as_root=(sudo)
if ((EUID != 0)) && ! sudo -n true 2>/dev/null; then
	echo "make test needs these packages: sudo sh -c 'apt-get update; apt-get install --yes --no-install-recommends ${packages[*]}'" >&2
	exit 1
fi
echo "make test installs: ${packages[*]}"
# Where one of several mirrors fails, the lists of the others may be enough.
"${as_root[@]}" timeout 5m apt-get "${limits[@]}" update </dev/null || echo "apt-get update failed: going on with the lists that are here" >&2
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get "${limits[@]}" install --yes --no-install-recommends "${packages[@]}" </dev/null
need
if ((${#packages[@]})); then
	echo "installed, and still not found in the PATH: ${packages[*]}" >&2
	exit 1
fi

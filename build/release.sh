#!/usr/bin/env bash
# One step of a release. The Makefile calls it, and RELEASE.md explains the steps.
set -euo pipefail
cd "$(dirname "$0")/.."

version=${VERSION#v}
registry=${REGISTRY,,} # a registry knows lower case alone, and an owner's name may have upper case
files=$RELEASE/files   # what the release's page offers for download

fail() {
  echo "release: $*" >&2
  exit 1
}

[[ $VERSION =~ ^v[0-9]+\.[0-9]+\.[0-9]+(-rc\.[0-9]+)?$ ]] || fail "VERSION is \"$VERSION\", want one such as v0.2.0 or v0.2.0-rc.1"

# helm and crane are the tests' helm and the crane of README.md, compiled once.
helm() {
  GOFLAGS="-mod=readonly -buildvcs=false -gcflags=all=-dwarf=false" CGO_ENABLED=0 "$GO" -C "$PWD/test/repo/chart/helm" tool helm.sh/helm/v3/cmd/helm "$@"
}
crane() { GOFLAGS= CGO_ENABLED=0 "$GO" -C "$PWD/build/image" tool crane "$@"; }

# packed writes a directory's files as tar.gz, with the same bytes for the same files and commit.
packed() {
  tar --directory "$1" --sort=name --owner=0 --group=0 --numeric-owner --mode=u+rw,go+r-w --mtime="@$SOURCE_DATE_EPOCH" --create $(ls "$1") |
    gzip --no-name --best >"$2"
}

# digest prints the digest of the image of all architectures in a folder that make image has written.
digest() { grep --only-matching 'sha256:[0-9a-f]*' "$1/image/index.json"; }

image_into() { # directory of the sources, directory to write to
  make --no-print-directory -C "$1" image BIN="$2" ARCHS="$ARCHS" PROGRAM="$PROGRAM" VERSION="$VERSION" REVISION="$REVISION" \
    SOURCE_DATE_EPOCH="$SOURCE_DATE_EPOCH"
}

build_image() {
  image_into . "$RELEASE"
  # the second build is of a copy of the sources, in another directory and without the git repository
  mkdir -p "$work/sources"
  git ls-files -z --cached --others --exclude-standard | tar --null --files-from=- --ignore-failed-read --create | tar --extract --directory "$work/sources"
  image_into "$work/sources" "$work/again"
  local built
  for built in "$RELEASE"/asg-autoscaler*; do
    cmp "$built" "$work/again/${built##*/}" || fail "two builds of the image differ in ${built##*/}"
  done
  mkdir -p "$files"
  mv "$RELEASE"/asg-autoscaler* "$files"
}

build_asgctl() {
  local platform os arch
  for platform in $PLATFORMS; do
    os=${platform%/*} arch=${platform#*/}
    mkdir -p "$work/asgctl"
    if [[ -e $RELEASE/linux_$arch/cluster-autoscaler && $os = linux ]]; then
      cp "$RELEASE/linux_$arch/cluster-autoscaler" "$work/asgctl/asgctl" # the same program, as in the image
    else
      make --no-print-directory asgctl PLATFORM="$platform" BIN="$work/asgctl" ASGCTL="$ASGCTL" VERSION="$VERSION"
    fi
    cp LICENSE docs/licences.md "$work/asgctl"
    packed "$work/asgctl" "$files/asgctl_${VERSION}_${os}_$arch.tar.gz"
    rm -r "$work/asgctl"
  done
}

# package packs a chart with the release's version.
package() { # directory, name of the chart
  helm package "$1" --version "$version" --app-version "$version" --destination "$work" >/dev/null
  mkdir -p "$work/unpacked/$2"
  tar --extract --warning=no-timestamp --file "$work/$2-$version.tgz" --directory "$work/unpacked/$2"
  packed "$work/unpacked/$2" "$files/$2-$version.tgz"
}

# build_chart packs the charts. The values of the program's chart name the release's image. The digest is a part of the tag, so that a tag of the
# user's own replaces it.
build_chart() {
  cp -r manifests/chart "$work/chart"
  sed -i "/^image:/,/^[a-z]*:/ {
    s|^  repository: \"\"|  repository: $registry/asg-autoscaler|
    s|^  tag: \"\"|  tag: $VERSION@$(digest "$RELEASE")|
  }" "$work/chart/values.yaml"
  package "$work/chart" asg-autoscaler
  package "$PWD/manifests/crds" asg-autoscaler-crds
  helm template asg "$files/asg-autoscaler-$version.tgz" --kube-version 1.35.0 --set autoDiscovery.clusterName=c --set awsRegion=us-east-1 |
    grep --quiet "image: .*$registry/asg-autoscaler:$VERSION@$(digest "$RELEASE")" || fail "the packed chart does not name the image"
}

# write_krew fills the manifest of the kubectl plugin in.
write_krew() {
  local platform name sum program="s|VERSION|$VERSION|g"
  for platform in $PLATFORMS; do
    name=${platform/\//_}
    sum=$(sha256sum <"$files/asgctl_${VERSION}_$name.tar.gz")
    program+="; s|SHA256_$name|${sum%% *}|"
  done
  sed "1d; $program" manifests/krew/asg.yaml >"$files/asg.yaml"
  if grep --quiet SHA256_ "$files/asg.yaml"; then
    echo "release: no manifest for krew, which needs all four platforms" >&2
    rm "$files/asg.yaml"
  fi
}

build() {
  rm -rf "$RELEASE"
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  build_image
  build_asgctl
  build_chart
  write_krew
  cp docs/openvex.json "$files/asg-autoscaler.openvex.json"
  (cd "$files" && sha256sum -- * >"$work/sums" && mv "$work/sums" SHA256SUMS)
  echo "$registry/asg-autoscaler@$(digest "$RELEASE")"
}

# top prints a part of the newest section of CHANGELOG.md: its version, its day or its text.
changelog_top() {
  awk -v part="$1" '/^## \[/ { if (++sections > 1) exit; split($2, v, /[][]/); if (part == "version") print v[2]; if (part == "day") print $4; next }
    sections && part == "text"' CHANGELOG.md
}

check() {
  [[ -z $(git status --porcelain) ]] || fail "there are uncommitted changes"
  local released=${version%-rc.*}
  [[ $(changelog_top version) = "$released" ]] || fail "CHANGELOG.md begins with $(changelog_top version), want $released"
  [[ $VERSION = *-rc.* || $(changelog_top day) =~ ^[0-9]{4}-[0-9]{2}-[0-9]{2}$ ]] || fail "CHANGELOG.md has no day for $released"
  local chart
  for chart in manifests/chart manifests/crds; do
    grep --quiet "^version: $released\$" "$chart/Chart.yaml" || fail "the version in $chart/Chart.yaml is not $released"
  done
  echo "$VERSION may be released"
}

# helm and cosign read what crane writes, Docker's configuration.
login() { printf %s "$GITHUB_TOKEN" | crane auth login "${registry%%/*}" --username "$GITHUB_ACTOR" --password-stdin; }

publish() {
  [[ -e $files/asg-autoscaler-$version.tgz ]] || fail "$RELEASE has no release $VERSION: make release VERSION=$VERSION REGISTRY=$REGISTRY"
  tar --extract --to-stdout --file "$files/asg-autoscaler-$version.tgz" asg-autoscaler/values.yaml |
    grep --fixed-strings --line-regexp "  repository: $registry/asg-autoscaler" >/dev/null ||
    fail "the chart in $files names an image of another registry: make release VERSION=$VERSION REGISTRY=$REGISTRY"
  crane push "$RELEASE/image" "$registry/asg-autoscaler:$VERSION"
  local chart
  for chart in asg-autoscaler asg-autoscaler-crds; do
    helm push "$files/$chart-$version.tgz" "oci://$registry/charts" ${HELM_PUSH_FLAGS:-}
  done
  [[ $(crane digest "$registry/asg-autoscaler:$VERSION") = "$(digest "$RELEASE")" ]] || fail "the registry has another image under $VERSION"
  if [[ -n ${GITHUB_OUTPUT:-} ]]; then # the step of the workflow that attests the provenance reads them
    printf 'name=%s\ndigest=%s\n' "$registry/asg-autoscaler" "$(digest "$RELEASE")" >>"$GITHUB_OUTPUT"
  fi
}

sign() {
  local image=$registry/asg-autoscaler chart arch
  cosign sign --yes --recursive "$image@$(digest "$RELEASE")"
  for chart in "$registry/charts/asg-autoscaler" "$registry/charts/asg-autoscaler-crds"; do
    cosign sign --yes "$chart@$(crane digest "$chart:$version")"
  done
  for arch in $ARCHS; do
    cosign attest --yes --type spdxjson --predicate "$files/asg-autoscaler-$arch.spdx.json" "$image@$(crane digest --platform "linux/$arch" "$image:$VERSION")"
  done
}

page() {
  local kind=()
  [[ $VERSION != *-rc.* ]] || kind=(--prerelease)
  changelog_top text | gh release create "$VERSION" --verify-tag --title "$VERSION" --notes-file - "${kind[@]}" "$files"/*
}

case $1 in
build | check | login | publish | sign | page) "$1" ;;
*) fail "no step is called \"$1\"" ;;
esac

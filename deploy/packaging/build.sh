#!/bin/bash
# deploy/packaging/build.sh [DIR [ARCH...]]: builds a release of the commit that is checked
# out into DIR (default dist): for each ARCH (default amd64 and arm64) an archive, a
# .deb, an .rpm and a bill of materials (CycloneDX), and the SHA256SUMS of them all.
# Needs Go, git and tar.
#
# The version is what Go records in the binary: of a tag, or of the commit. The
# same commit gives the same bytes, whenever and wherever it is built by the same
# version of Go.
set -euo pipefail
cd "$(dirname "$0")/../.."

nfpm=github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.48.0
cyclonedx=github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0

out=$(realpath -m "${1:-dist}")
arches=("${@:2}")
[ ${#arches[@]} -gt 0 ] || arches=(amd64 arm64)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# What is committed, and nothing else; and a work tree of git worktree has no
# version for Go.
git clone -q . "$work/source"
cd "$work/source"
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH LC_ALL=C TZ=UTC CGO_ENABLED=0 GOFLAGS=-buildvcs=true GOAMD64=v1 GOARM64=v8.0 GOEXPERIMENT=
umask 022
rm -rf "$out"
mkdir -p "$out"

# put MODE FILE... DIR copies files, made if need be, with exactly that mode.
put() { install -D -m "$1" -t "${*: -1}" "${@:2:$#-2}"; }

# What is the same for every kind of machine.
stage=$work/common
go build -trimpath -o "$work/wsfront" ./cmd/wsfront
mkdir -p "$stage/man" "$stage/completions" "$stage/deb"
"$work/wsfront" man "$stage/man"
gzip -9n "$stage"/man/*
for shell in bash zsh fish; do
  "$work/wsfront" completion "$shell" >"$stage/completions/wsfront.$shell"
done
put 644 deploy/packaging/wsfront.{yaml,logrotate,sysusers} LICENSE "$stage"
put 644 deploy/packaging/wsfront.{service,socket} "$stage/systemd"
put 644 deploy/packaging/welcome/* "$stage/welcome"
put 644 deploy/wsfront.schema.json "$stage/share"
put 644 README.md deploy/CHANGELOG.md deploy/docs/*.md "$stage/doc"
cp deploy/behind-apache/README.md "$stage/doc/behind-apache.md"
chmod 644 "$stage/doc/behind-apache.md"
put 644 testdata/config/good/full.yaml "$stage/examples"
put 644 deploy/monitoring/{prometheus.yml,wsfront.rules.yml,dashboard.json} "$stage/monitoring"
put 644 deploy/packaging/{copyright,lintian-overrides} "$stage/deb"

for arch in "${arches[@]}"; do
  dir=$work/$arch
  cp -a "$stage" "$dir"
  # Without symbols: stack traces have names and lines all the same.
  GOOS=linux GOARCH=$arch go build -trimpath -ldflags='-s -w' -o "$dir/wsfront" ./cmd/wsfront
  chmod 755 "$dir/wsfront"
  version=$(go version -m "$dir/wsfront" | awk '$1 == "mod" { print substr($3, 2) }')
  if ! [[ $version =~ ^[0-9] ]]; then
    echo "build.sh: the binary has no version; build in a checkout of git, with its history" >&2
    exit 1
  fi
  gzip -9n >"$dir/deb/changelog.gz" <<END
wsfront (${version/-/\~}-1) unstable; urgency=medium

  * What is new is in /usr/share/doc/wsfront/CHANGELOG.md.

 -- wsfront maintainers <maintainers@wsfront.invalid>  $(date -R -d "@$SOURCE_DATE_EPOCH")
END
  find "$dir" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +

  for kind in deb rpm; do
    ARCH=$arch VERSION=$version STAGE=$dir go run "$nfpm" package --config deploy/packaging/nfpm.yaml --packager "$kind" --target "$out/" >/dev/null
  done
  go run "$cyclonedx" bin -json -noserial -notimestamp -std -output "$out/wsfront-$version-linux-$arch.cdx.json" "$dir/wsfront" 2>/dev/null
  tar --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --exclude=./deb \
    --transform "s,^\.,wsfront-$version," -C "$dir" -c . | gzip -9n >"$out/wsfront-$version-linux-$arch.tar.gz"
done
(cd "$out" && sha256sum -- * >SHA256SUMS)
cat "$out/SHA256SUMS"

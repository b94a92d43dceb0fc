#!/bin/bash
# deploy/container/test.sh: builds the image by the Containerfile, as root on
# Debian 12, and sees that what is in it serves. It installs buildah. In place of
# the Go image of a registry stands one made of this machine's Go, so that nothing
# is fetched but Go modules; in place of the container's own network, this machine's.
set -euo pipefail
cd "$(dirname "$0")/../.."

if [ "$(id -u)" != 0 ]; then
  echo "deploy/container/test.sh: needs root to install buildah and to change to the image's user; run it by sudo" >&2
  exit 1
fi
for package in buildah busybox-static ca-certificates curl; do
  dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
done
if [ -n "${missing+x}" ]; then
  export DEBIAN_FRONTEND=noninteractive
  apt-get -q update
  apt-get -q install -y --no-install-recommends "${missing[@]}"
fi

work=$(mktemp -d)
# below lists the wsfront that runs below a process: that in the container.
below() {
  local child
  for child in $(pgrep -P "$1"); do
    below "$child"
    if [ "$(cat "/proc/$child/comm" 2>/dev/null)" = wsfront ]; then echo "$child"; fi
  done
}
cleanup() {
  below $$ | xargs -r kill -KILL
  buildah "${storage[@]}" rm --all >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap cleanup EXIT
storage=(--root "$work/storage" --runroot "$work/runroot" --storage-driver vfs)
export BUILDAH_ISOLATION=chroot

# What the Containerfile uses of the Go image.
base=$(buildah "${storage[@]}" from scratch)
buildah "${storage[@]}" copy -q "$base" /bin/busybox /bin/busybox >/dev/null
buildah "${storage[@]}" copy -q "$base" /bin/busybox /bin/sh >/dev/null
buildah "${storage[@]}" copy -q "$base" /bin/busybox /bin/mkdir >/dev/null
mkdir -m 1777 "$work/tmp"
buildah "${storage[@]}" copy -q "$base" "$work/tmp" /tmp >/dev/null
buildah "${storage[@]}" copy -q "$base" /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt >/dev/null
buildah "${storage[@]}" config --env PATH=/usr/local/go/bin:/bin --env GOTOOLCHAIN=local --env GOFLAGS="$(go env GOFLAGS)" --env GOPROXY=off \
  --env GOMODCACHE=/cache/mod --env GOCACHE=/cache/build "$base"
buildah "${storage[@]}" commit -q "$base" docker.io/library/golang:1.26-bookworm >/dev/null
buildah "${storage[@]}" rm "$base" >/dev/null

go mod download
mkdir -p "$(go env GOCACHE)"
buildah "${storage[@]}" build --pull-never -q --format docker -v "$(go env GOROOT):/usr/local/go:ro" -v "$(go env GOMODCACHE):/cache/mod" -v "$(go env GOCACHE):/cache/build" \
  -f deploy/container/Containerfile -t wsfront . >"$work/build.log" 2>&1 || { cat "$work/build.log"; exit 1; }

inspect() { buildah "${storage[@]}" inspect --type image --format "$1" wsfront; }
expect() { # NAME GOT WANTED
  if [ "$2" != "$3" ]; then
    echo "deploy/container/test.sh: $1 is $2 instead of $3" >&2
    exit 1
  fi
}
expect user "$(inspect '{{.OCIv1.Config.User}}')" 65532:65532
expect entrypoint "$(inspect '{{.OCIv1.Config.Entrypoint}}')" '[/usr/bin/wsfront]'
expect "health check" "$(inspect '{{.Docker.Config.Healthcheck.Test}}')" '[CMD /usr/bin/wsfront health]'

# A container of it, with a site of the internal CA.
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
mkdir -m 0755 "$work/etc" "$work/www"
chmod 0711 "$work"
echo "it serves" >"$work/www/index.html"
cat >"$work/etc/wsfront.yaml" <<YAML
listen: 127.0.0.1:$port
http_listen: off
sites:
  - hosts: [app.test]
    tls: internal
    routes:
      - {path: /, files: /srv/www}
YAML
container=$(buildah "${storage[@]}" from --pull-never wsfront)
run() { buildah "${storage[@]}" run -v "$work/etc:/etc/wsfront:ro" -v "$work/www:/srv/www:ro" "$container" -- "$@"; }
run /usr/bin/wsfront check --config /etc/wsfront/wsfront.yaml
if run /usr/bin/wsfront health 2>"$work/health"; then
  echo "deploy/container/test.sh: healthy before it was started" >&2
  exit 1
fi
grep -q "no wsfront runs" "$work/health"
run /usr/bin/wsfront run >"$work/log" 2>&1 &
served=$!
for ((tries = 0; ; tries++)); do
  run /usr/bin/wsfront health >/dev/null 2>&1 && break
  if [ $tries = 100 ] || ! kill -0 $served; then
    cat "$work/log"
    exit 1
  fi
  sleep 0.1
done
expect page "$(curl -sk --resolve "app.test:$port:127.0.0.1" "https://app.test:$port/")" "it serves"
owner=$(stat -c %u:%g:%a "$(buildah "${storage[@]}" mount "$container")/var/lib/wsfront")
expect "owner of the state folder" "$owner" 65532:65532:700
pid=$(below "$served")
expect "user of the process" "$(stat -c %u:%g "/proc/$pid")" 65532:65532
kill -TERM "$pid"
wait $served && status=0 || status=$?
expect "exit status after SIGTERM" "$status" 0
echo "the image serves, as user 65532, and is $(du -h "$(buildah "${storage[@]}" mount "$container")/usr/bin/wsfront" | cut -f1) large"

#!/bin/bash
# testdata/e2e.sh [go test flags]: installs what the end-to-end tests need, of
# Debian 12 and by npm what the script client's tests have, and runs them: the TLS
# record layer against openssl, the lines that doctor prints and the reading of
# Apache's configuration against the servers, then all else against a freshly built
# wsfront, to which alone the flags go. Needs root: Apache drops to www-data, and
# some tests drop to other users and mount a small disk.
# One test alone: testdata/e2e.sh -run 'TestE2E/gunicorn/board'. With GOFLAGS=-race
# in the environment wsfront is built with the race detector.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ "$(id -u)" != 0 ]; then
  echo "testdata/e2e.sh: needs root to install packages and to start Apache as Debian does; run it by sudo" >&2
  exit 1
fi

# libjs-jquery is only recommended by python3-django, whose admin links to it.
packages=(apache2 libapache2-mod-wsgi-py3 python3-django libjs-jquery gunicorn nginx haproxy caddy python3-websockets chromium libnss3-tools curl openssl rsyslog bsdutils testssl.sh)
missing=()
# Another Node than Debian's will do, and its npm would not go with Debian's.
command -v npm >/dev/null || packages+=(nodejs npm)
for package in "${packages[@]}"; do
  status=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$status" = installed ] || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
  echo "installing ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  apt-get -q update
  apt-get -q install -y --no-install-recommends "${missing[@]}"
fi

npm ci --silent --prefix testdata/push-client

[ $# -gt 0 ] || go test -tags e2e -count=1 -v -run '^TestE2E_' ./proxy/record ./proxy/diagnosis ./cmd/internal/apacheconf
exec go test -tags e2e -count=1 -timeout 20m -parallel 8 -v -run '^TestE2E$' ./cmd/wsfront "$@"

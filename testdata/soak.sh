#!/bin/bash
# testdata/soak.sh: builds wsfront and keeps it under mixed load for DURATION
# (default 20m): pages by HTTP/1.1 and HTTP/2, uploads, files, TUNNELS tunnels
# (5000), PUSH push clients that come and go (2000), a reload each 5 s, a backend
# that dies each 10 s. At the end it prints goroutines, descriptors and heap at
# the start, at the peak and after settling, and what clients lost. Its status is
# not 0 unless all is back and nothing was lost. About 30 minutes, 2 GiB and two
# processors. RACE=1 builds wsfront with the race detector.
set -euo pipefail
cd "$(dirname "$0")/.."
need=$(( 2 * ${TUNNELS:-5000} + ${PUSH:-2000} + 1000 )) # of each of the two processes
ulimit -n "$(ulimit -Hn)"
if [ "$(ulimit -n)" != unlimited ] && [ "$(ulimit -n)" -lt "$need" ]; then
  echo "testdata/soak.sh: needs $need open files, and may have $(ulimit -n); raise the hard limit, or ask for less by TUNNELS= and PUSH=" >&2
  exit 1
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
go build ${RACE:+-race} -o "$folder/wsfront" ./cmd/wsfront
go build -o "$folder/soak" ./testdata/soak
"$folder/soak" -wsfront "${WSFRONT:-$folder/wsfront}" -duration "${DURATION:-20m}" -tunnels "${TUNNELS:-5000}" -push "${PUSH:-2000}" \
  -log "${LOG:-/tmp/wsfront-soak.log}" "$@"

#!/bin/sh
# wsfront with its tunnel in mode message, for benchproxies -add: that fills the
# environment in.
set -eu
cat > "$BENCH_DIR/wsfront.yaml" <<EOF
listen: 127.0.0.1:$BENCH_PORT
http_listen: off
access_log: off
state: $BENCH_DIR/state
sites:
  - hosts: ["*"]
    tls: {cert: $BENCH_CERT, key: $BENCH_KEY}
    routes:
      - {path: /, app: "http://$BENCH_ORIGIN"}
      - {path: /websocket, tunnel: {backend: "ws://$BENCH_WEBSOCKET", mode: message}}
EOF
exec /usr/local/bin/wsfront run --config "$BENCH_DIR/wsfront.yaml"

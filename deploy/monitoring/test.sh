#!/bin/bash
# deploy/monitoring/test.sh: sees that promtool finds nothing wrong with what is here,
# and that a real Prometheus, by the example, scrapes a real wsfront with a token, and
# has an answer to every query of the rules and of the dashboard. As root on Debian 12,
# where prometheus is installed if it is missing.
set -euo pipefail
cd "$(dirname "$0")"

packages=(prometheus python3)
for package in "${packages[@]}"; do
  dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
done
if [ -n "${missing+x}" ]; then
  export DEBIAN_FRONTEND=noninteractive
  apt-get -q update
  apt-get -q install -y --no-install-recommends "${missing[@]}"
fi

work=$(mktemp -d)
started=()
cleanup() {
  for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done
  wait
  rm -rf "$work"
}
trap cleanup EXIT
fail() {
  echo "test.sh: $1" >&2
  tail -n 20 "$work"/*.log >&2 || true
  exit 1
}

promtool check config prometheus.yml
sed '/^        annotations:$/,/^          runbook: /d' wsfront.rules.yml >"$work/wsfront.rules.bare.yml"
cp wsfront.rules.test.yml "$work"
promtool test rules "$work/wsfront.rules.test.yml"

# A wsfront with some traffic.
(cd ../.. && go build -o "$work/wsfront" ./cmd/wsfront)
free() { python3 -c 'import socket; s = [socket.socket() for _ in range(5)]; [x.bind(("127.0.0.1", 0)) for x in s]; print(*[x.getsockname()[1] for x in s])'; }
read -r http admin app prometheus publish < <(free)
install -m 600 /dev/null "$work/token"
echo "a-token-for-this-test-alone" >"$work/token"
cat >"$work/wsfront.yaml" <<END
listen: off
http_listen: 127.0.0.1:$http
state: $work/state
access_log: off
admin: {listen: 127.0.0.1:$admin, token_file: $work/token}
sites:
  - hosts: [app.test]
    tls: off
    routes:
      - {path: /push, push: {channel: board}}
      - {path: /ws, tunnel: "ws://127.0.0.1:$app"}
      - {path: /, app: "http://127.0.0.1:$app"}
push: {publish: {listen: "127.0.0.1:$publish"}}
END
python3 -m http.server --bind 127.0.0.1 --directory "$work/state" "$app" >"$work/app.log" 2>&1 &
started+=($!)
"$work/wsfront" check --config "$work/wsfront.yaml"
"$work/wsfront" run --config "$work/wsfront.yaml" >"$work/wsfront.log" 2>&1 &
started+=($!)
ask() { curl -fs --retry 50 --retry-connrefused --retry-delay 1 --max-time 60 "$@"; }
ask -o /dev/null -H 'Host: app.test' "http://127.0.0.1:$http/" || fail "wsfront does not serve"
curl -sS -o /dev/null -H 'Host: app.test' -H 'Connection: Upgrade' -H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13' \
  -H 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==' "http://127.0.0.1:$http/ws" # which becomes no tunnel
ask -H "Authorization: Bearer $(cat "$work/token")" "http://127.0.0.1:$admin/metrics" >"$work/metrics"
promtool check metrics <"$work/metrics" || fail "promtool objects to the metrics"

# A Prometheus by the example, but for the address, the pace and the token.
python3 - "$admin" "$work" <<'END'
import sys
admin, work = sys.argv[1:]
text = open("prometheus.yml").read()
for old, new in (("127.0.0.1:7071]", f"127.0.0.1:{admin}]\n    authorization: {{credentials_file: {work}/token}}"), ("_interval: 15s", "_interval: 1s")):
    if old not in text:
        sys.exit(f"prometheus.yml has no {old}")
    text = text.replace(old, new, 2)
open(f"{work}/prometheus.yml", "w").write(text)
END
cp wsfront.rules.yml "$work"
prometheus --config.file="$work/prometheus.yml" --storage.tsdb.path="$work/data" --web.listen-address="127.0.0.1:$prometheus" >"$work/prometheus.log" 2>&1 &
started+=($!)
ask -o /dev/null "http://127.0.0.1:$prometheus/-/ready" || fail "Prometheus does not start"
python3 - "http://127.0.0.1:$prometheus" <<'END' || fail "a query has no answer"
import json, sys, time, urllib.parse, urllib.request

def api(path, **query):
    url = f"{sys.argv[1]}/api/v1/{path}?{urllib.parse.urlencode(query)}"
    try:
        return json.load(urllib.request.urlopen(url, timeout=10))["data"]
    except urllib.error.HTTPError as e:
        sys.exit(f"{query}: {e.read().decode()}")

def until(what, is_so):
    late = time.monotonic() + 60
    while not is_so():
        if time.monotonic() > late:
            sys.exit(f"not so after a minute: {what}")
        time.sleep(0.2)

until("wsfront is scraped", lambda: [r["value"][1] for r in api("query", query='up{job="wsfront"}')["result"]] == ["1"])
rules = lambda: [r for g in api("rules")["groups"] for r in g["rules"]]
until("all rules are evaluated", lambda: len(rules()) > 20 and all(r["health"] == "ok" for r in rules()))
until("requests are summed up", lambda: api("query", query="instance:wsfront_http_requests:rate5m")["result"])

instance = api("query", query="wsfront_build_info")["result"][0]["metric"]["instance"]
asked = empty = 0
for panel in json.load(open("dashboard.json"))["panels"]:
    for target in panel.get("targets", []):
        query = target["expr"]
        for name, value in (("$job", "wsfront"), ("$instance", instance), ("$site", ".*"), ("$__rate_interval", "1m"), ("$__range", "1m")):
            query = query.replace(name, value)
        asked += 1
        if not api("query", query=query)["result"]:
            empty += 1
            print("no series:", panel["title"], "-", query)
print(asked, "queries of the dashboard,", empty, "of them without a series")
if asked < 60 or empty > 20:
    sys.exit(1)
END

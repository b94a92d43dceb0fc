#!/bin/bash
# deploy/packaging/test.sh: builds the packages, and installs, runs, upgrades and
# removes them on a machine whose first process is systemd: a copy of this one in
# namespaces of its own, of which nothing is left. Needs root, on Debian 12 with Go.
set -euo pipefail
cd "$(dirname "$0")"

if [ "$(id -u)" != 0 ]; then
  echo "deploy/packaging/test.sh: needs root for a machine of its own; run it by sudo" >&2
  exit 1
fi
missing=()
for package in ansible-core systemd dbus lintian logrotate rpm python3 curl iproute2 procps man-db; do
  status=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$status" = installed ] || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
  echo "installing ${missing[*]}"
  apt-get -q update
  DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends "${missing[@]}"
fi

work=$(mktemp -d)
group=$(findmnt -n -t cgroup2 -o TARGET | head -1)/wsfront-test-$$
manager=
cleanup() {
  if [ -n "$manager" ]; then
    kill -KILL "$manager" 2>/dev/null || true # and with it all that it started
    wait || true
  fi
  [ ! -d "$group" ] || find "$group" -depth -type d -exec rmdir {} \;
  rm -rf "$work"
}
trap cleanup EXIT

say() { echo "== $*"; }
fail() {
  echo "deploy/packaging/test.sh: $*" >&2
  cat "$work/boot.log" >&2 2>/dev/null || true
  [ -z "$manager" ] || inside journalctl --no-pager -n 60 -u wsfront.service -u wsfront.socket >&2 || true
  exit 1
}
# inside COMMAND... runs it on the machine.
inside() { nsenter -t "$manager" -a -- "$@"; }
# eventually COMMAND... waits until it succeeds.
eventually() {
  for _ in $(seq 300); do
    "$@" && return
    sleep 0.1 # between two looks
  done
  fail "not seen within 30 s: $*"
}

say "two builds of one commit have the same bytes"
git clone -q "$(git rev-parse --show-toplevel)" "$work/elsewhere"
./build.sh "$work/first" >/dev/null
"$work/elsewhere/deploy/packaging/build.sh" "$work/again" amd64 >/dev/null
(cd "$work/again" && sha256sum --quiet -c SHA256SUMS && cd "$work/first" && sha256sum --quiet -c "$work/again/SHA256SUMS") ||
  fail "another build gave other bytes"
ls -s --block-size=1K "$work/first"

say "a later version"
git -C "$work/elsewhere" -c user.name=test -c user.email=test@localhost commit -q --allow-empty -m "later"
"$work/elsewhere/deploy/packaging/build.sh" "$work/later" amd64 >/dev/null
mkdir "$work/packages"
for kind in deb rpm; do
  cp "$work"/first/*[_.]"$([ $kind = deb ] && echo amd64 || echo x86_64).$kind" "$work/packages/first.$kind"
  cp "$work"/later/*."$kind" "$work/packages/later.$kind"
done
cp "$work"/first/wsfront-*-linux-amd64.tar.gz "$work/packages"
# A version from before there were upgrades in place: it does not know the order.
sed -i 's,"POST /upgrade","POST /none",' "$work/elsewhere/cmd/internal/admin/endpoints.go"
(cd "$work/elsewhere" && CGO_ENABLED=0 go build -trimpath -o "$work/packages/earlier" ./cmd/wsfront)
cp -r testdata/client.py testdata/role.yml ../ansible/roles "$work/packages"

say "what Debian's lintian says"
lintian --fail-on error "$work/packages/first.deb"

say "a machine with systemd"
mkdir "$work/machine" "$group"
(
  echo "$BASHPID" >"$group/cgroup.procs"
  exec unshare --mount --pid --net --ipc --uts --cgroup --fork testdata/boot.sh "$work/machine" "$work/packages"
) >"$work/boot.log" 2>&1 &
booting=$!
booted() {
  manager=$(pgrep -P "$booting") || return
  local state
  state=$(inside systemctl is-system-running --wait 2>/dev/null || true)
  [ "$state" = running ] || [ "$state" = degraded ] # by a service of somebody else's
}
eventually booted

# served and unserved tell whether the page is there.
served() { inside curl -sf --cacert /var/lib/wsfront/internal-ca/root.crt -m 10 https://localhost/ | grep -q "wsfront serves this page"; }
unserved() { ! inside curl -skf -m 2 -o /dev/null https://localhost/; }
gone() { ! inside pgrep -x wsfront >/dev/null && unserved; }
pid() { inside systemctl show -P MainPID wsfront.service; }
alone() { [ "$(inside pgrep -xc wsfront)" = 1 ]; }
# fed tells whether the watchdog was told since the last time.
fed() {
  local now
  now=$(inside systemctl show -P WatchdogTimestampMonotonic wsfront.service)
  [ "$now" != "${told:-}" ] && told=$now
}

install_deb() { inside env DEBIAN_FRONTEND=noninteractive apt-get -q -o Dpkg::Use-Pty=0 install -y --no-install-recommends "${@:2}" "$1" >"$work/apt" 2>&1 || fail "apt: $(cat "$work/apt")"; }
install_rpm() { inside rpm -U --force-debian --nodeps --dbpath /run/rpmdb "$1"; }

# add_websocket gives the site a WebSocket of the push service, and a tunnel.
add_websocket() { inside sed -i 's,^    routes:$,&\n      - {path: /websocket\, push: {channel: board}}\n      - {path: /tunnel\, tunnel: "ws://127.0.0.1:9999"},' /etc/wsfront/wsfront.yaml; }
# upgrade TUNNEL INSTALL FILE [OPTION...] upgrades under load: no page is lost, a
# push client gets its goodbye, and a tunnel is then TUNNEL: open or cut.
upgrade() {
  local tunnel=$1 restarts
  shift
  say "upgrade by $2 under load"
  restarts=$(inside systemctl show -P NRestarts wsfront.service)
  coproc CLIENT { inside python3 /run/packages/client.py /var/lib/wsfront/internal-ca/root.crt; }
  local from=${CLIENT[0]} to=${CLIENT[1]} client=$CLIENT_PID line before
  read -r -t 60 line <&"$from"
  [ "$line" = begun ] || fail "the client: $line"
  before=$(pid)
  "$@"
  served || fail "not served after the upgrade"
  [ "$(pid)" != "$before" ] || fail "the old version runs on"
  inside systemctl is-active -q wsfront || fail "systemd lost it"
  [ "$(inside systemctl show -P NRestarts wsfront.service)" = "$restarts" ] || fail "systemd started it again"
  inside systemctl status --no-pager wsfront >"$work/status" || fail "its status: $(cat "$work/status")"
  grep -q "Main PID: $(pid) (wsfront)" "$work/status" || fail "its status: $(cat "$work/status")"
  inside systemctl show -P StatusText wsfront.service | grep -q '^serving https at' || fail "the new process does not tell how it is"
  if [ "$tunnel" = open ]; then
    inside journalctl -u wsfront --no-pager | grep "msg=upgrade.done pid=$(pid)" >/dev/null || fail "it was restarted, not upgraded"
    [ "$(inside pgrep -xc wsfront)" = 2 ] || fail "the old process does not stay for its tunnel"
  fi
  inside grep -q /websocket /etc/wsfront/wsfront.yaml || fail "the configuration is another one"
  echo >&"$to"
  cat <&"$from" >"$work/client"
  wait "$client"
  cat "$work/client"
  grep -q " 0 failures, closed by \[1012\], the tunnel is $tunnel" "$work/client" || fail "the upgrade was not without loss"
  eventually alone
}

say "the .deb: installed, not started"
install_deb /run/packages/first.deb
gone || fail "it runs before anybody wanted it"
say "started, and served by https"
inside systemctl enable -q --now wsfront
served || fail "the page is not served"
inside curl -s -o /dev/null -w '%{http_code} %{redirect_url}\n' http://localhost/ | grep -qx '301 https://localhost/' || fail "http does not lead to https"
status=$(inside systemctl show -P StatusText wsfront.service)
[ "$status" = "serving https at [::]:443, http at [::]:80" ] || fail "its status is: $status"
[ "$(inside stat -c '%U %a' /var/lib/wsfront /var/log/wsfront | xargs)" = "wsfront 700 wsfront 750" ] || fail "the folders are not private"
inside systemctl show -P NRestarts wsfront.service | grep -qx 0 || fail "it did not start at once"
inside systemd-analyze verify wsfront.service wsfront.socket || fail "systemd finds mistakes in the units"
inside systemd-analyze security --no-pager --threshold=20 wsfront.service | tail -1
inside man -w wsfront >/dev/null || fail "no manual page"

say "a reload that is refused"
inside cp /etc/wsfront/wsfront.yaml /tmp/good.yaml
inside sh -c 'echo "nonsense: true" >>/etc/wsfront/wsfront.yaml'
inside systemctl reload wsfront 2>/dev/null && fail "a reload with mistakes succeeded"
# Not grep -q, which ends before a long journal does, and so fails the pipe.
inside journalctl -u wsfront --no-pager | grep "nonsense" >/dev/null || fail "the journal does not say why"
inside cp /tmp/good.yaml /etc/wsfront/wsfront.yaml
served || fail "not served after a reload that was refused"

say "a durable history, a publish by root, and a log that is rotated"
inside sh -c 'printf "%s\n" "push: {history: durable}" "access_log: {file: /var/log/wsfront/access.log}" >>/etc/wsfront/wsfront.yaml'
add_websocket
inside systemctl reload wsfront 2>"$work/refused" && fail "a reload that needs a restart succeeded"
inside systemctl restart wsfront
inside wsfront publish board hello >/dev/null || fail "root cannot publish"
inside test -d /var/lib/wsfront/push || fail "there is no history"
served || fail "the page is not served"
inside logrotate -f /etc/logrotate.d/wsfront || fail "logrotate fails"
inside grep -q "GET / " /var/log/wsfront/access.log.1 || fail "the log was not rotated"
logged() { served && inside grep -q "GET / " /var/log/wsfront/access.log; }
eventually logged
[ "$(inside stat -c '%U %a' /var/log/wsfront/access.log)" = "wsfront 640" ] || fail "the log is not private"

say "a process that hangs is replaced by the watchdog, while clients wait"
inside mkdir -p /run/systemd/system/wsfront.service.d
inside sh -c 'printf "[Service]\nWatchdogSec=4s\nRestartSec=100ms\n" >/run/systemd/system/wsfront.service.d/test.conf'
inside systemctl daemon-reload
inside systemctl restart wsfront
hung=$(pid)
inside kill -STOP "$hung"
served || fail "the client was refused"
[ "$(pid)" != "$hung" ] || fail "the process hangs on"
inside systemctl restart wsfront

upgrade open install_deb /run/packages/later.deb
say "after an upgrade: the watchdog, reload, restart, stop, and a connection that starts it"
told=
for _ in 1 2 3; do
  eventually fed
done
hung=$(pid)
inside kill -STOP "$hung"
served || fail "the client was refused"
[ "$(pid)" != "$hung" ] || fail "the process hangs on"
inside rm -r /run/systemd/system/wsfront.service.d
inside systemctl daemon-reload
inside systemctl restart wsfront
inside wsfront upgrade >/dev/null || fail "no upgrade by hand"
before=$(pid)
inside systemctl reload wsfront || fail "no reload after an upgrade"
[ "$(pid)" = "$before" ] || fail "a reload started another process"
inside systemctl restart wsfront || fail "no restart after an upgrade"
[ "$(pid)" != "$before" ] || fail "it was not restarted"
served || fail "not served after a restart"
inside wsfront upgrade >/dev/null || fail "no upgrade by hand"
eventually alone
inside systemctl stop wsfront
[ "$(inside systemctl show -P Result wsfront.service)" = success ] || fail "it did not end well"
inside pgrep -x wsfront && fail "something is left running"
served || fail "a connection does not start it"

say "an upgrade that fails: the package is installed, and the old process goes on"
before=$(pid)
inside cp /etc/wsfront/wsfront.yaml /tmp/good.yaml
inside sh -c 'echo "listen: [\":443\", \"192.0.2.7:8443\"]" >>/etc/wsfront/wsfront.yaml' # not an address of this machine
install_deb /run/packages/later.deb --reinstall
grep -q "does not serve" "$work/apt" || fail "apt does not tell: $(cat "$work/apt")"
[ "$(inside dpkg-query -W -f='${db:Status-Status}' wsfront)" = installed ] || fail "the package is half installed"
inside journalctl -u wsfront --no-pager | grep "msg=upgrade.failed .*192.0.2.7" >/dev/null || fail "the journal does not say why"
[ "$(pid)" = "$before" ] && alone && served || fail "the old process does not go on"
inside cp /tmp/good.yaml /etc/wsfront/wsfront.yaml

say "an earlier version, which does not know of upgrades"
inside install /run/packages/earlier /usr/bin/wsfront
inside systemctl restart wsfront
upgrade cut install_deb /run/packages/later.deb --reinstall
say "removed: no process, and what it kept is there"
inside apt-get -q remove -y wsfront >/dev/null 2>&1
gone || fail "something is left running"
inside test -e /var/lib/wsfront/internal-ca/root.crt || fail "the state is gone"
say "purged: nothing is left"
inside apt-get -q purge -y wsfront >/dev/null 2>&1
for path in /etc/wsfront /var/lib/wsfront /var/log/wsfront /usr/share/wsfront /etc/systemd/system/sockets.target.wants/wsfront.socket; do
  inside test ! -e "$path" || fail "$path is left"
done

say "the role of Ansible: installed, unchanged, a file with mistakes, a restart"
# play WANTED [NAME=VALUE...] applies it, and expects a part of what it says.
play() {
  inside env HOME=/root LC_ALL=C.UTF-8 ANSIBLE_NOCOLOR=1 ansible-playbook /run/packages/role.yml "${@:2}" >"$work/play" 2>&1 || true
  grep -qE "$1" "$work/play" || fail "the role says not \"$1\": $(cat "$work/play")"
}
of_role() { inside curl -sD - -o /dev/null --cacert /var/lib/wsfront/internal-ca/root.crt -m 10 https://localhost/ | grep -qi '^x-by: role'; }
play 'changed=[1-9].*failed=0'
of_role || fail "the role's site is not served"
before=$(pid)
play 'changed=0 .*failed=0'
play 'is no time; write a number' -e drain=soon
inside grep -q 'drain_timeout: 5s' /etc/wsfront/wsfront.yaml || fail "a file with mistakes was written"
play 'changed=[1-9].*failed=0' -e drain=7s
[ "$(pid)" = "$before" ] || fail "a change that a reload takes was made by a restart"
play 'http_listen.*restart' -e drain=7s -e http=:8080
of_role || fail "not served after a change that needs a restart"
play 'changed=[1-9].*failed=0' -e drain=7s -e http=:8080 -e restart=true
[ "$(pid)" != "$before" ] || fail "the change that needs a restart was not made"
inside curl -s -o /dev/null -w '%{http_code}' http://localhost:8080/ | grep -qx 301 || fail "it does not listen where the role says"
inside apt-get -q purge -y wsfront >/dev/null 2>&1

say "the .rpm: installed, started, upgraded and removed"
install_rpm /run/packages/first.rpm
gone || fail "it runs before anybody wanted it"
inside systemctl enable -q --now wsfront
served || fail "the page is not served"
add_websocket
inside systemctl reload wsfront
upgrade open install_rpm /run/packages/later.rpm
inside rpm -e --force-debian --dbpath /run/rpmdb wsfront
gone || fail "something is left running"
inside test -e /etc/wsfront/wsfront.yaml.rpmsave || fail "the configuration is gone"
say "without a package: the commands of install.md"
awk '/^## / { on = /^## Without a package/ } on && /^    / { print substr($0, 5) }' ../docs/install.md >"$work/packages/by-hand.sh"
grep -q '^tar xf' "$work/packages/by-hand.sh" || fail "install.md has no commands"
inside sh -c "cd /tmp && cp /run/packages/wsfront-*.tar.gz . && sh -ex /run/packages/by-hand.sh" 2>"$work/by-hand" || fail "by hand: $(cat "$work/by-hand")"
served || fail "the page is not served"
say "all is well"

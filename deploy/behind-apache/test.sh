#!/bin/bash
# deploy/behind-apache/test.sh: does what README.md says, command by command, and
# goes back, as root on Debian 12 with apache2, mod_wsgi and Django installed. The
# machine's own Apache is not touched: all happens in namespaces of its own, with
# ports 80 and 443, /etc, /run and /var of their own. There is no systemd in them: a
# systemctl of ours does what the commands ask of it.
set -euo pipefail
self=$(realpath "$0")
cd "$(dirname "$self")/../.."

if [ -z "${BEHIND_APACHE_WORK:-}" ]; then
  if [ "$(id -u)" != 0 ]; then
    echo "deploy/behind-apache/test.sh: needs root for namespaces; run it by sudo" >&2
    exit 1
  fi
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  chmod 755 "$work"
  mkdir "$work/bin"
  go build -o "$work/bin/wsfront" ./cmd/wsfront
  BEHIND_APACHE_WORK=$work unshare --net --mount --pid --fork --mount-proc --kill-child "$self" # ends all that is in them
  exit
fi

work=$BEHIND_APACHE_WORK
fail() {
  echo "deploy/behind-apache/test.sh: $*" >&2
  tail -n 20 "$work/wsfront.log" /var/log/apache2/error.log >&2 || true
  exit 1
}

ip link set lo up
mkdir "$work/etc" "$work/etc.work"
mount -t overlay overlay -o "lowerdir=/etc,upperdir=$work/etc,workdir=$work/etc.work" /etc
for folder in /run /var/lib /var/log; do mount -t tmpfs tmpfs $folder; done
mkdir -p /run/apache2 /run/lock /var/log/apache2 /var/lib/apache2 /etc/wsfront

# The founding app in Apache, with a certificate of its own CA.
cp -r testdata/legacy-app "$work/app"
mkdir "$work/data"
(
  cd "$work/app"
  export LEGACY_VAR=$work/data
  /usr/bin/python3 manage.py migrate -v0
  /usr/bin/python3 manage.py collectstatic --noinput -v0
)
chown -R www-data "$work/data"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj "/CN=test CA" -keyout "$work/ca.key" -out "$work/ca.pem" 2>/dev/null
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=app.test" -keyout "$work/app.key" -out "$work/app.csr" 2>/dev/null
openssl x509 -req -in "$work/app.csr" -CA "$work/ca.pem" -CAkey "$work/ca.key" -CAcreateserial -days 20 -out "$work/app.pem" \
  -extfile <(printf 'subjectAltName=DNS:app.test\nbasicConstraints=CA:FALSE') 2>/dev/null
export SSL_CERT_FILE=$work/ca.pem
echo "127.0.0.1 app.test" >>/etc/hosts
printf 'export APP=%s\nexport VAR=%s\nexport LEGACY_VAR=%s\nexport CERT=%s\nexport KEY=%s\n' \
  "$work/app" "$work/data" "$work/data" "$work/app.pem" "$work/app.key" >>/etc/apache2/envvars
{
  printf '<VirtualHost *:80>\n  ServerName app.test\n  Redirect permanent / https://app.test/\n</VirtualHost>\n'
  cat testdata/legacy-app/deploy/apache-tls-vhost.conf
} >/etc/apache2/sites-available/app.conf
echo "ServerName app.test" >/etc/apache2/conf-enabled/name.conf
a2enmod -q ssl wsgi >/dev/null
a2dissite -q '*' >/dev/null
a2ensite -q app >/dev/null

cat >"$work/bin/systemctl" <<'SCRIPT'
#!/bin/bash
# What README.md asks of systemctl.
set -e
start() { setsid "$BEHIND_APACHE_WORK/bin/wsfront" run --config /etc/wsfront/wsfront.yaml >"$BEHIND_APACHE_WORK/wsfront.log" 2>&1 & }
gone() { for ((i = 0; i < 300; i++)); do pgrep -x "$1" >/dev/null || return 0; sleep 0.1; done; return 1; }
case "$*" in
"restart apache2") apache2ctl stop >/dev/null 2>&1 || true; gone apache2; apache2ctl start ;;
"enable --now wsfront")
  start
  for ((i = 0; i < 300; i++)); do wsfront health >/dev/null 2>&1 && exit 0; sleep 0.1; done
  exit 1 ;;
"disable --now wsfront wsfront.socket") pkill -x -TERM wsfront; gone wsfront ;;
*) echo "systemctl $*: not known here" >&2; exit 1 ;;
esac
SCRIPT
chmod 755 "$work/bin/systemctl"
export PATH=$work/bin:$PATH

# commands FROM TO: the lines of the sh blocks between two headings.
commands() { awk -v from="$1" -v to="$2" 'index($0, from) == 1 { on = 1 } index($0, to) == 1 { on = 0 } on && /^```$/ { block = 0 } on && block { print } on && /^```sh$/ { block = 1 }' deploy/behind-apache/README.md; }
follow() {
  local lines=0 line status
  while read -r line; do
    line=${line//app.example.com/app.test}
    lines=$((lines + 1))
    status=0
    bash -c "$line" >"$work/out" 2>&1 </dev/null || status=$?
    # The import has one gap, as the report says: the app is in Apache.
    [[ $line == "wsfront import"* ]] && [ $status = 1 ] && grep -q '1 thing needs you' "$work/out" && status=0
    [ $status = 0 ] || { cat "$work/out" >&2; fail "\"$line\" ended with status $status"; }
  done
  [ $lines -ge "$1" ] || fail "found only $lines commands in README.md"
}
ask() { curl -s --max-time 20 --cacert "$work/ca.pem" "$@"; }

apache2ctl start
ask --retry 20 --retry-connrefused https://app.test/whoami >"$work/before" || fail "the app does not answer before the move"
status=0
wsfront doctor --json wss://app.test/websocket >"$work/doctor" || status=$?
[ $status = 4 ] || { cat "$work/doctor"; fail "the doctor says $status of an Apache without a push service"; }

follow 13 < <(commands "Until step" "## Back")
ask https://app.test/whoami >"$work/behind" || fail "the app does not answer behind wsfront"
for said in '"is_secure": true' '"host": "app.test"'; do
  grep -qF "$said" "$work/behind" || { cat "$work/before" "$work/behind"; fail "the app behind wsfront does not say $said"; }
done
[ "$(ask -o /dev/null -w '%{http_code} %{redirect_url}' http://app.test/wstest)" = "301 https://app.test/wstest" ] || fail "no redirect to https"
[ "$(ask -o /dev/null -w '%{http_code}' https://app.test/static/js/jquery.min.js)" = 200 ] || fail "no static files"
wsfront publish board hello >"$work/out" 2>&1 || fail "nothing can be published"
ss -ltnH | awk '{ print $4 }' | grep -qx '127.0.0.1:8080' || fail "Apache does not listen on loopback"

follow 4 < <(commands "## Back" "## What to know")
ask -D - -o "$work/after" https://app.test/whoami | grep -qi '^server: apache' || fail "Apache is not back"
cmp -s "$work/before" "$work/after" || fail "the app does not answer as before"
if pgrep -x wsfront >/dev/null; then fail "wsfront runs on"; fi
echo "there and back: the README's commands put wsfront in front of Apache, and take it away again"

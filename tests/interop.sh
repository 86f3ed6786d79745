#!/usr/bin/env bash
# The tests against independent peers: private instances, stopped and removed at the end.
#
#   tests/interop.sh          runs every suite
#   tests/interop.sh --list   names them
#
# The peers come with `deploy/deps.sh interop`. Root and any other user may run it; root needs the
# user postgres, which the Debian package makes, because PostgreSQL refuses to run as root.
set -euo pipefail
cd "$(dirname "$0")/.."
CARGO=${CARGO:-cargo}
# The whole workspace, as in `make test`: with other packages, other features of the dependencies
# would be chosen and all of them built again.
TEST="$CARGO test --workspace --locked --features interop"

suites() {
    suite "PostgreSQL, store: the store's tests on a private server" --lib on_postgres
    suite "PostgreSQL, daemon: both journeys, kill -9, two gateways on one database" \
        --test interop_postgres
    # What the scripted far end answers and what reports say of it is the same on every database.
    suite "PostgreSQL, scenarios: the promises that the database keeps, both journeys, two tenants" \
        --test scenarios -- --skip promise_2:: --skip promise_3_evidence::
    suite "sipp: trunks that are busy, silent, ring for ever or refuse T.38; what they do to a call; registrations" \
        --test interop_sipp
    suite "OpenSSL: SIP over TLS, both ways" --test interop_tls
    suite "LibreOffice, Ghostscript: documents of every kind, hostile ones, one faxed" --test interop_office
    suite "tesseract: received pages are read, turned and searched" --test interop_ocr
    suite "swaks, gsasl, HAProxy: mail with a password by STARTTLS, under TLS and by LMTP, SCRAM, a proxy" \
        --test interop_swaks
    suite "Postfix: before the gateway, by LMTP and by SMTP, with opendkim and opendmarc, and behind it" \
        --test interop_postfix -- --test-threads=1
    suite "Dovecot: mailboxes under TLS and STARTTLS, by IDLE and by the clock, without MOVE, made anew, killed, with tokens" \
        --test interop_dovecot -- --test-threads=2
    suite "HylaFAX: faxes out and in by its modems over G.711 and through a T.38 gateway, a busy number, a call cut off" \
        --test interop_hylafax -- --test-threads=1
    suite "efax: three pages each way over G.711 and through a T.38 gateway, and a late flush" --test efax -- --test-threads=8
    suite "efax and the daemon: a fax to efax over SIP and G.711" --test interop_efax -- --test-threads=1
    suite "page-validation: PDF/A-2b" --test archive
    suite "Noto: sixteen scripts with the system's fonts" --test interop_fonts
    suite "tshark: the T.38 dissector over a captured call" --test tshark
}

if [ "${1:-}" = --list ]; then
    suite() { echo "  $1"; }
    suites
    exit 0
fi

say() { printf '\n== %s\n' "$*"; }
fail() {
    echo "interop: $*" >&2
    exit 1
}

# A user's PATH may lack HylaFAX's folder.
for peer in bwrap /usr/sbin/dovecot efax /usr/sbin/faxgetty gs gsasl /usr/sbin/haproxy /usr/sbin/opendkim /usr/sbin/opendmarc /usr/sbin/postfix \
    python3 sipp soffice tesseract tshark swaks; do
    command -v "$peer" >/dev/null 2>&1 ||
        fail "$peer is missing: deploy/deps.sh interop installs it"
done
# Debian keeps the server's programs out of the PATH, one folder a version.
postgres_bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)
[ -n "$postgres_bin" ] || postgres_bin=$(dirname "$(command -v initdb || echo /none/initdb)")
[ -x "$postgres_bin/initdb" ] && [ -x "$postgres_bin/pg_ctl" ] ||
    fail "the PostgreSQL server is missing: deploy/deps.sh interop installs it"

as_owner=""
if [ "$(id -u)" -eq 0 ]; then
    id postgres >/dev/null 2>&1 ||
        fail "PostgreSQL refuses to run as root and there is no user postgres: run this as another user"
    as_owner="runuser -u postgres --"
fi

# A short path: a socket's name may have 107 characters.
place=$(mktemp -d /tmp/faxpost-pg.XXXXXX)
cluster_runs=""
clean() {
    if [ -n "$cluster_runs" ]; then
        $as_owner "$postgres_bin/pg_ctl" -D "$place/data" -m immediate -w stop >/dev/null 2>&1 ||
            echo "interop: the private PostgreSQL server in $place can't be stopped" >&2
    fi
    rm -rf "$place"
}
trap clean EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

[ -z "$as_owner" ] || chown postgres "$place"
(
    cd "$place" # which its owner may read
    $as_owner "$postgres_bin/initdb" -D data -U faxpost -A trust -E UTF8 --locale=C >initdb.log 2>&1
) || { cat "$place/initdb.log" >&2; fail "initdb failed"; }
# No TCP; the folder of the socket is the owner's alone. fsync stays on: what we test is durable.
cat >>"$place/data/postgresql.conf" <<CONF
listen_addresses = ''
unix_socket_directories = '$place'
max_connections = 400
fsync = on
CONF
(
    cd "$place"
    $as_owner "$postgres_bin/pg_ctl" -D data -l server.log -w start >/dev/null 2>&1
) || { cat "$place/server.log" >&2; fail "the private PostgreSQL server does not start"; }
cluster_runs=yes
$as_owner "$postgres_bin/createdb" -h "$place" -U faxpost faxpost
export FAXPOST_TEST_POSTGRES="postgres://faxpost@localhost/faxpost?host=$place"
say "$("$postgres_bin/postgres" --version) runs in $place"

results=()
failed=0
suite() {
    local name=$1 began=$SECONDS
    shift
    say "$name"
    case "$1 $2" in
    "--test interop_dovecot" | "--test interop_hylafax" | "--test interop_postfix")
        if [ "$(id -u)" -ne 0 ]; then
            results+=("skipped $name: its servers want root")
            return
        fi
        ;;
    esac
    if $TEST "$@"; then
        results+=("passed  $name ($((SECONDS - began)) s)")
    else
        results+=("FAILED  $name ($((SECONDS - began)) s)")
        failed=$((failed + 1))
    fi
}

# A judge of PDF/A that passes veraPDF's corpus; it is in no Debian package.
python3 -m venv "$place/judge"
"$place/judge/bin/pip" install --quiet --disable-pip-version-check page-validation==0.11.0
export FAXPOST_PDFA_PYTHON="$place/judge/bin/python"

# A modem for HylaFAX, and every test. What compilers leave to be written would make the commits of the first
# tests wait for seconds, which no line allows.
$CARGO build --workspace --locked --example softmodem
$TEST --no-run
sync

suites

say "Interop"
printf '  %s\n' "${results[@]}"
if [ "$failed" -gt 0 ]; then
    fail "$failed of ${#results[@]} suites failed"
fi
echo "All ${#results[@]} suites passed."

#!/usr/bin/env bash
# Accepting mail, beside Debian's Postfix in the same minutes on the same disk.
#
#   make bench-smtp                               all of it, about ten minutes after the release build
#   BENCH_ROUNDS=1 BENCH_MAILS=500 make bench-smtp      a quick look
#   BENCH_FAXPOST=path/to/faxpost                 another build than target/release
#
# Both servers take mails of 49 KB (a PDF of 36 KB in it) over loopback and keep it flushed
# before they answer: faxpost parses each, authorises the sender, seals it and commits a job (`serve
# --hold`: nothing is rendered or dialled meanwhile); Postfix queues it and hands it to its discard
# transport. The rate is up to the last answer, so deliveries that Postfix still owes then are not in
# it, but they are in its CPU time. Postfix's own smtp-source is the load for the rates, taken in
# turns; times of single mails are benches/smtp/load.rs's.
#
# Both instances are private, in a temporary folder, and are stopped at the end.
set -euo pipefail
cd "$(dirname "$0")/../.."

rounds=${BENCH_ROUNDS:-3}
mails=${BENCH_MAILS:-2000}
sessions=20
from=alice@example.localhost
to=+33123456789@fax.localhost
to_numbered=30123456@fax.localhost

fail() {
    echo "bench-smtp: $1" >&2
    exit 1
}
[ "$(id -u)" -eq 0 ] || fail "Postfix starts as root only: run this as root"
for tool in postfix smtp-source cc rustc awk python3; do
    command -v "$tool" >/dev/null || fail "$tool is missing: run deploy/deps.sh interop"
done

if [ -n "${BENCH_FAXPOST:-}" ]; then
    faxpost=$BENCH_FAXPOST
else
    ${CARGO:-cargo} build --release --locked --bin faxpost
    faxpost=${CARGO_TARGET_DIR:-target}/release/faxpost
fi
faxpost=$(realpath "$faxpost")

# /var/tmp rather than /tmp: that may be memory, where a flush costs nothing.
work=$(mktemp -d "${BENCH_DIR:-/var/tmp}/faxpost-bench.XXXXXX")
chmod 755 "$work"
case $(stat -f -c %T "$work") in
tmpfs | ramfs) fail "$work is in memory, where flushes cost nothing: set BENCH_DIR to a folder on a disk" ;;
esac
gateway=""

stop_gateway() {
    [ -n "$gateway" ] || return 0
    kill -"${1:-TERM}" "$gateway" 2>/dev/null || true
    wait "$gateway" 2>/dev/null || true
    gateway=""
}

master() {
    cat "$work/spool/pid/master.pid" 2>/dev/null | tr -d ' ' || true
}

stop_postfix() {
    [ -e "$work/spool/pid/master.pid" ] || return 0
    # `postfix stop` waits up to five seconds, then kills.
    postfix -c "$work/postfix" stop >>"$work/postfix.out" 2>&1 || true
}

finish() {
    status=$?
    trap - EXIT INT TERM
    stop_gateway
    stop_postfix
    case $status in
    0 | 130 | 143) rm -rf "$work" ;;
    *)
        rm -rf "$work/spool" "$work/gateway"
        echo "bench-smtp: broken off; logs are in $work" >&2
        ;;
    esac
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Tools ------------------------------------------------------------------

rustc --edition 2024 -O -o "$work/load" benches/smtp/load.rs
cc -shared -fPIC -O2 -o "$work/slowflush.so" benches/smtp/slowflush.c -ldl
"$work/load" mail 0 >"$work/mail.eml"
smtp_port=$("$work/load" port)
web_port=$("$work/load" port)
sip_port=$("$work/load" port)
postfix_port=$("$work/load" port)

now() { date +%s.%N; }

calc() { awk "BEGIN { printf \"$1\", ($2) }"; }

# The middle of the numbers given.
median() {
    printf '%s\n' "$@" | sort -g | awk '{ n[NR] = $1 } END { print n[int((NR + 1) / 2)] }'
}

# Clock ticks that a process took, with those of its children that have ended if $2 says so.
ticks() {
    sed 's/^.*) //' "/proc/$1/stat" 2>/dev/null |
        awk -v children="${2:-}" '{ t = $12 + $13; if (children) t += $14 + $15; print t }'
}

# Milliseconds of CPU time so far.
cpu_ms() {
    local all=0 pid
    if [ "$1" = faxpost ]; then
        all=$(ticks "$gateway")
    else
        all=$(ticks "$(master)" children)
        for pid in $(cat "/proc/$(master)/task/$(master)/children"); do
            # The log's writer is left out: syslogd is in nobody's bill.
            [ "$(cat "/proc/$pid/comm" 2>/dev/null)" != postlogd ] || continue
            all=$((all + $(ticks "$pid" || echo 0)))
        done
    fi
    echo $((all * 1000 / $(getconf CLK_TCK)))
}

# Waits until a command succeeds, half a minute at most.
wait_until() {
    local what=$1 tries=600
    shift
    until "$@"; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || fail "$what within 30 s; see $work"
        sleep 0.05
    done
}

answers() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# The gateway ------------------------------------------------------------

mkdir "$work/gateway" "$work/policies"
# smtp-source writes a number before each recipient, so that the gateway, which faxes a mail once, sees no
# mail again: its recipients are bare numbers of a country whose numbers may be of any length.
sed 's/^bare_numbers = .*/bare_numbers = "national"/; s/^# country_code = .*/country_code = "49"/; /^\[\[refused\]\]/,$d' policies/dial.toml \
    >"$work/policies/dial.toml"
# Every limit is kept to and counted, but none is reached.
sed -E 's/^([a-z_]+ = )[0-9]+$/\11000000000/' policies/limits.toml >"$work/policies/limits.toml"
cat >"$work/faxpost.toml" <<END
data_dir = "$work/gateway"
policies_dir = "$work/policies"
[smtp]
listen = ["127.0.0.1:$smtp_port"]
max_sessions = 12000
max_sessions_per_address = 1000
[sip]
listen = "127.0.0.1:$sip_port"
[web]
listen = "127.0.0.1:$web_port"
END
"$faxpost" --config "$work/faxpost.toml" init --operator "$from" --domain fax.localhost >"$work/init.out"

# start_gateway [library to preload]
start_gateway() {
    LD_PRELOAD=${1:-} NO_COLOR=1 "$faxpost" --config "$work/faxpost.toml" serve --hold \
        >>"$work/gateway.log" 2>&1 &
    gateway=$!
    wait_until "the gateway didn't answer" answers "$smtp_port"
}

# Jobs in the database, as the status page counts them.
jobs_there() {
    "$faxpost" --config "$work/faxpost.toml" status |
        awk '/^  state [a-z]*, jobs / { jobs += $4 } END { print jobs + 0 }'
}

# Postfix ----------------------------------------------------------------

mkdir "$work/postfix" "$work/spool" "$work/postfix-data"
chown postfix: "$work/postfix-data"
cat >"$work/postfix/main.cf" <<END
compatibility_level = 3.6
queue_directory = $work/spool
data_directory = $work/postfix-data
command_directory = $(postconf -dh command_directory)
daemon_directory = $(postconf -dh daemon_directory)
meta_directory = /etc/postfix
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
mydestination =
alias_maps =
alias_database =
default_transport = discard:
maillog_file = $work/postfix.log
maillog_file_prefixes = $work
import_environment = MAIL_CONFIG MAIL_LOGTAG POSTLOG_SERVICE POSTLOG_HOSTNAME TZ LANG=C LD_PRELOAD
END
# Debian's services without their chroots, which would want copies of /etc; nothing else differs.
{
    echo "127.0.0.1:$postfix_port inet n - n - - smtpd"
    awk '!/^#/ && !/^[ \t]/ && NF >= 8 && $2 != "inet" && $8 != "pipe" { $5 = "n"; print }' /etc/postfix/master.cf
} >"$work/postfix/master.cf"

start_postfix() {
    LD_PRELOAD=${1:-} postfix -c "$work/postfix" start >>"$work/postfix.out" 2>&1 ||
        fail "Postfix doesn't start: $(tail -n 3 "$work/postfix.out" "$work/postfix.log" 2>/dev/null)"
    wait_until "Postfix didn't answer" answers "$postfix_port"
}

postfix_is_idle() {
    [ -z "$(find "$work"/spool/{maildrop,incoming,active} -type f -print -quit)" ]
}

# Runs -------------------------------------------------------------------

port_of() { if [ "$1" = faxpost ]; then echo "$smtp_port"; else echo "$postfix_port"; fi; }

# Mails that the gateway answered with 250.
accepted=0
run=0
row='%-8s %-34s %8s %6s %9s %12s %8s %8s\n'

# rate SERVER KIND TITLE: smtp-source, `keep` or a connection a mail. Sets `rate` and `cpu` (ms a mail).
rate() {
    local server=$1 keep="" before begin end
    [ "$2" != keep ] || keep=-d
    run=$((run + 1))
    "$work/load" mail "$run" >"$work/run.eml"
    before=$(cpu_ms "$server")
    begin=$(now)
    smtp-source $keep -N -s "$sessions" -m "$mails" -F "$work/run.eml" -f "$from" -t "$to_numbered" \
        "inet:127.0.0.1:$(port_of "$server")" >"$work/source.out" 2>&1 ||
        fail "$server refused a mail: $(tail -n 1 "$work/source.out")"
    end=$(now)
    [ "$server" = postfix ] && wait_until "Postfix didn't empty its queue" postfix_is_idle
    [ "$server" = faxpost ] && accepted=$((accepted + mails))
    rate=$(calc %.0f "$mails / ($end - $begin)")
    cpu=$(calc %.3f "($(cpu_ms "$server") - $before) / $mails")
    printf "$row" "$server" "$3" "$sessions" "$mails" "$rate" "$cpu" "" ""
}

# single SERVER SESSIONS MAILS-A-SESSION TITLE: our own client. Sets `least` and `p99` (ms).
single() {
    local server=$1 said before words
    before=$(cpu_ms "$server")
    said=$("$work/load" send "127.0.0.1:$(port_of "$server")" "$2" "$3" "$work/mail.eml" "$from" "$to") ||
        fail "$server: $said"
    read -ra words <<<"$said"
    [ "$server" = postfix ] && wait_until "Postfix didn't empty its queue" postfix_is_idle
    [ "$server" = faxpost ] && accepted=$((accepted + words[1]))
    least=${words[5]}
    p99=${words[9]}
    printf "$row" "$server" "$4" "$2" "${words[1]}" "$(calc %.0f "${words[1]} / ${words[3]}")" \
        "$(calc %.3f "($(cpu_ms "$server") - $before) / ${words[1]}")" "${words[7]}" "$p99"
}

echo "$(nproc) processors, $(uname -sr), $(stat -f -c %T "$work") at ${work%/*}; Postfix $(postconf -dh mail_version); $("$faxpost" --version)"
echo "load average before: $(cut -d' ' -f1-3 /proc/loadavg); times are from MAIL to the 250 after the dot"
if [ "$(cut -d. -f1 /proc/loadavg)" -ge "$(nproc)" ]; then
    echo "NOTE: this machine is busy with other things. Postfix is many processes and faxpost is one, so the"
    echo "scheduler gives Postfix the larger part of what is left: compare the CPU times rather than the rates."
fi
printf "$row" server run sessions mails mails/s "CPU ms/mail" "p50 ms" "p99 ms"

start_gateway
start_postfix
# Once without counting: processes are started, statements prepared, the day's key made.
for server in postfix faxpost; do
    single "$server" "$sessions" 10 "warm-up" >/dev/null
done
declare -A rates cpus
for _ in $(seq "$rounds"); do
    for kind in new keep; do
        title="a connection a mail"
        [ "$kind" = new ] || title="connections kept"
        for server in postfix faxpost; do
            rate "$server" "$kind" "$title"
            rates[$server-$kind]+=" $rate"
            cpus[$server]+=" $cpu"
        done
    done
done
for server in postfix faxpost; do
    single "$server" "$sessions" $((mails / sessions)) "single mails"
done

stop_gateway
stop_postfix
start_gateway "$work/slowflush.so"
start_postfix "$work/slowflush.so"
declare -A slow
for server in postfix faxpost; do
    single "$server" "$sessions" 10 "warm-up" >/dev/null
done
for server in postfix faxpost; do
    single "$server" "$sessions" $((mails / sessions)) "single mails, flush 5 ms later"
    slow[$server]=$p99
    [ "$(calc %d "$least >= 5")" -eq 1 ] || fail "$server answered in $least ms: the slow flush isn't in effect"
done
for server in postfix faxpost; do
    rate "$server" keep "connections kept, flush 5 ms later"
done
stop_gateway
stop_postfix

start_gateway
single faxpost 256 20 "256 sessions at once"
peak=$(awk '/^VmHWM:/ { printf "%.1f", $2 / 1024 }' "/proc/$gateway/status")

# Large ones: 256 at once in the middle of a message of 20 MB each, 5 GB on the disk.
stop_gateway
start_gateway
"$work/load" large 0 >"$work/large.eml"
mv "$work/mail.eml" "$work/small.eml"
mv "$work/large.eml" "$work/mail.eml"
single faxpost "${BENCH_LARGE:-256}" 1 "mails of 20 MB, all at once"
mv "$work/small.eml" "$work/mail.eml"
peak_large=$(awk '/^VmHWM:/ { printf "%.1f", $2 / 1024 }' "/proc/$gateway/status")

# Others' times beside 10,000 connections that bring nothing, and beside those that bring an octet a second.
stop_gateway
start_gateway
crowd_pid=""
crowd() {
    mkfifo "$work/crowd.in"
    python3 benches/smtp/crowd.py "$1" 127.0.0.1 "$smtp_port" "${BENCH_CROWD:-10000}" "$from" "$to" \
        <"$work/crowd.in" >"$work/crowd.out" 2>"$work/crowd.err" &
    crowd_pid=$!
    exec 7>"$work/crowd.in"
    wait_until "the crowd didn't come: $(tail -n 1 "$work/crowd.err")" grep -q there "$work/crowd.out"
}
disperse() {
    exec 7>&-
    wait "$crowd_pid" || true
    rm -f "$work/crowd.in" "$work/crowd.out"
}
declare -A beside
single faxpost "$sessions" 10 "warm-up" >/dev/null
for _ in $(seq "$rounds"); do
    for kind in alone idle drip; do
        [ "$kind" = alone ] || crowd "$kind"
        single faxpost "$sessions" $((mails / sessions)) "beside ${BENCH_CROWD:-10000}: $kind"
        beside[$kind]+=" $p99"
        [ "$kind" = alone ] || disperse
    done
done

# Nothing that was answered 250 may be missing, also after the process was killed.
stop_gateway KILL
start_gateway
there=$(jobs_there)
stop_gateway
echo
echo "mails answered with 250: $accepted; jobs in the database after kill -9 and a restart: $there"
[ "$there" -eq "$accepted" ] || fail "mails are missing or there twice: these figures are void"

echo "medians of $rounds rounds, mails a second:"
declare -A ratio
for kind in new keep; do
    ours=$(median ${rates[faxpost-$kind]})
    theirs=$(median ${rates[postfix-$kind]})
    ratio[$kind]=$(calc %.2f "$ours / $theirs")
    echo "  $kind: faxpost $ours, Postfix $theirs: ${ratio[$kind]} x"
done
echo "CPU ms a mail: faxpost $(median ${cpus[faxpost]}), Postfix $(median ${cpus[postfix]})"
echo "p99 with a flush that takes 5 ms longer: faxpost ${slow[faxpost]} ms, Postfix ${slow[postfix]} ms"
echo
# The smaller of both ratios: neither kind of client may be worse off.
echo "FIGURE smtp_rate_vs_postfix $(printf '%s\n' "${ratio[@]}" | sort -g | head -n 1) x"
echo "FIGURE smtp_cpu_ms_per_mail $(median ${cpus[faxpost]}) ms"
echo "FIGURE smtp_peak_mb_256 $peak MB"
echo "FIGURE smtp_peak_mb_256_large $peak_large MB"
echo "FIGURE smtp_p99_ms_flush5 ${slow[faxpost]} ms"
# The worse of both crowds.
alone=$(median ${beside[alone]})
for kind in idle drip; do
    ratio[$kind]=$(calc %.2f "$(median ${beside[$kind]}) / $alone")
done
echo "beside 10,000 idle connections p99 is ${ratio[idle]} of $alone ms, beside dripping ones ${ratio[drip]}"
echo "FIGURE idle10k_latency_ratio $(printf '%s\n' "${ratio[idle]}" "${ratio[drip]}" | sort -g | tail -n 1) x"

#!/usr/bin/env bash
# Fax pages beside Ghostscript's and libtiff's: see run.py.
#
#   make bench-paper [DOCS=FOLDER]
#   BENCH_ROUNDS=1 BENCH_EVERY=5 make bench-paper     a quick look
set -euo pipefail
docs=${1:+$(realpath "$1")}
cd "$(dirname "$0")/../.."
base=$(realpath -m "${CARGO_TARGET_DIR:-target}/paper")
benches/paper/corpus.sh "$base"
# With this package alone: the binary is small, as the process start counts.
ours=$(${CARGO:-cargo} bench --locked -p faxpost-paper --bench paper --no-run --message-format json |
    sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' | tail -n 1)
[ -x "$ours" ] || { echo "bench-paper: the bench was not built" >&2; exit 1; }
exec "$base/venv/bin/python" benches/paper/run.py "$ours" "$base" ${docs:+"$docs"}

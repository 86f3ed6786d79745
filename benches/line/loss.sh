#!/usr/bin/env bash
# Calls of three pages in lock-step over lines that lose 2 % and 10 % of all datagrams in bursts:
# FAXPOST_LOSS_CALLS of each (500 unless told), FAXPOST_SEED for others than the first.
set -euo pipefail
cd "$(dirname "$0")/../.."
export FAXPOST_LOSS_CALLS="${FAXPOST_LOSS_CALLS:-500}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
cargo test --workspace --locked --test loss -- --nocapture --test-threads 1 | tee "$log"
echo
grep -E '^FIGURE loss(2|10)_completed_pct' "$log"
awk '/^FIGURE loss[0-9]+_wrong_results/ { wrong += $3 } END { print "FIGURE wrong_results", wrong + 0, "calls" }' "$log"

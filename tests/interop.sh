#!/usr/bin/env bash
# The tests against independent peers. Private instances, stopped at the end; deploy/deps.sh interop
# has installed them.
#
# suite: PostgreSQL: the store's tests and the submission on a private cluster
# suite: efax: three pages each way through a soft modem, and a late flush
# suite: sipp: a trunk that refuses T.38 with 488, and one that is busy
# suite: tshark: the T.38 dissector over a captured call
set -euo pipefail
cd "$(dirname "$0")/.."
CARGO=${CARGO:-cargo}
$CARGO test --workspace --locked --features interop

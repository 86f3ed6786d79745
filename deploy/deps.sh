#!/bin/sh
# Installs the Debian packages that faxpost is built and tried with, or says which are missing.
#
#   deploy/deps.sh            what building, the demo and the tests need
#   deploy/deps.sh interop    besides, the independent peers of the interop tests
#   deploy/deps.sh paper      besides, what bench-paper compares with and reads pages by
set -eu

build="gcc make pkg-config libtiff-dev libclang1-14 libclang-common-14-dev"
# The fuzzer, which the lints build, is C++.
tests="libtiff-tools poppler-utils qpdf file bubblewrap g++"
# Peers. None of them is left running: the tests start private instances.
# swaks speaks TLS by libnet-ssleay-perl, which it only recommends.
interop="efax hylafax-server sip-tester tshark swaks libnet-ssleay-perl gsasl haproxy postfix dovecot-imapd opendkim opendmarc postgresql fonts-noto-core fonts-noto-cjk"
# Programs that make documents PDFs. The gateway does without them, and says so.
interop="$interop ghostscript libreoffice-writer-nogui libreoffice-calc-nogui libreoffice-impress-nogui"
interop="$interop python3-dkim python3-nacl python3-uno python3-venv tesseract-ocr tesseract-ocr-osd tesseract-ocr-fra"
# What the bench of pages measures against and with.
paper="ghostscript tesseract-ocr python3-venv"

wanted="$build $tests"
case "${1:-}" in
interop) wanted="$wanted $interop" ;;
paper) wanted="$wanted $paper" ;;
esac

missing=""
for package in $wanted; do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$state" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null 2>&1; then
    echo "deps: this is no Debian. Install what these Debian packages hold:$missing" >&2
    exit 1
fi
as_root=""
if [ "$(id -u)" -ne 0 ]; then
    if ! sudo -n true 2>/dev/null; then
        echo "deps: missing packages; install them as root with:" >&2
        echo "  apt-get install --no-install-recommends$missing" >&2
        exit 1
    fi
    as_root="sudo -n"
fi
echo "deps: installing$missing"
# Packages that bring a service must not start it: the policy says no while we install.
policy=/usr/sbin/policy-rc.d
made_policy=""
log=$(mktemp)
clean() {
    [ -z "$made_policy" ] || $as_root rm -f "$policy"
    rm -f "$log"
}
trap clean EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
if [ ! -e "$policy" ]; then
    made_policy=yes
    printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null
    $as_root chmod 755 "$policy"
fi
status=0
{
    $as_root apt-get update -qq &&
        $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing
} >"$log" 2>&1 || status=$?
if [ "$status" -ne 0 ]; then
    cat "$log" >&2
    echo "deps: the packages can't be installed; install by hand:$missing" >&2
fi
exit "$status"

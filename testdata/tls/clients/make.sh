#!/bin/sh
# Makes the files of this folder anew; for tests only, since anybody can read their keys.
set -eu
cd "$(dirname "$0")"
key="-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Tests have a clock of their own, which stands before the day on which these are made.
certificate() { # file, authority, extensions
    : >"$work/index"
    printf '%b\n' "[x]\n$3" >"$work/extensions"
    cat >"$work/config" <<END
[ca]
default_ca = c
[c]
database = $work/index
new_certs_dir = $work
rand_serial = yes
default_md = sha256
policy = p
[p]
commonName = supplied
END
    if [ "$1" = "$2" ]; then
        subject=$1 by="-selfsign -keyfile $1.key"
    else
        subject=scanner.example.com by="-cert $2.pem -keyfile $2.key"
    fi
    openssl req -new $key -subj "/CN=$subject" -keyout "$1.key" -out "$work/request"
    openssl ca -batch -notext -config "$work/config" $by -in "$work/request" -out "$1.pem" -extensions x \
        -extfile "$work/extensions" -startdate 20260101000000Z -enddate 21260101000000Z
}
name="subjectAltName=DNS:scanner.example.com"
certificate ca ca "basicConstraints=critical,CA:TRUE"
certificate other-ca other-ca "basicConstraints=critical,CA:TRUE"
certificate scanner ca "$name"
certificate client ca "$name\nextendedKeyUsage=clientAuth"
certificate server ca "$name\nextendedKeyUsage=serverAuth"
certificate stranger ca "subjectAltName=DNS:stranger.example.com"
certificate nameless ca "basicConstraints=CA:FALSE"
certificate foreign other-ca "$name"
# The authorities are done, and of the others only two talk.
rm ca.key other-ca.key client.key server.key nameless.key stranger.key

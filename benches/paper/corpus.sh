#!/usr/bin/env bash
# Gathers what bench-paper measures on: PDF files that Debian packages and Python packages' tests carry,
# at fixed versions, and documents made here (own.py) whose words and photographs are known.
#
#   benches/paper/corpus.sh FOLDER
#
# FOLDER/docs holds the documents, FOLDER/own those made here, FOLDER/venv the Python they are made with.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1/fetched" "$1/docs" "$1/own"
cd "$1"

fail() {
    echo "bench-paper: $1" >&2
    exit 1
}
for tool in python3 apt-get dpkg-deb; do
    command -v "$tool" >/dev/null || fail "$tool is missing"
done

[ -x venv/bin/python ] || python3 -m venv venv
venv/bin/python -c 'import numpy, PIL, reportlab' 2>/dev/null ||
    venv/bin/pip -q install numpy==1.26.4 pillow==10.4.0 reportlab==4.2.5

if [ ! -e fetched/done ]; then
    (
        cd fetched
        for source in ocrmypdf==15.4.4 pypdf==5.1.0 tabula-py==2.9.0 img2pdf==0.5.1; do
            ../venv/bin/pip -q download --no-deps --no-binary :all: "$source"
        done
        ../venv/bin/pip -q download --no-deps --only-binary :all: --python-version 3.9 \
            --platform manylinux2010_x86_64 scikit-image==0.18.3
        apt-get download -qq zlib1g-dev nettle-dev bzip2-doc libtasn1-doc libfftw3-doc shared-mime-info fontconfig
        for package in *.deb; do dpkg-deb -x "$package" "deb-${package%%_*}"; done
        for source in *.tar.gz; do tar xzf "$source"; done
        python3 -m zipfile -e scikit_image-*.whl scikit-image
    )
    touch fetched/done
fi

# No file twice, none that is not a document by itself, and what needs a password stays away.
find fetched -name '*.pdf.gz' -exec gunzip -kf {} +
find fetched -name '*.pdf' -size -8000k -size +1k | LC_ALL=C sort | while read -r file; do
    sum=$(md5sum <"$file" | cut -c1-8)
    compgen -G "docs/*-$sum.pdf" >/dev/null || cp "$file" "docs/$(basename "$file" .pdf)-$sum.pdf"
done

[ -e own/truth.json ] && [ own/truth.json -nt "$here/own.py" ] ||
    venv/bin/python "$here/own.py" fetched/scikit-image/skimage/data own

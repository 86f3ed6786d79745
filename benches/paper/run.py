#!/usr/bin/env python3
"""Pages: speed, bytes, words and tones, beside Ghostscript as HylaFAX's ps2fax drives it, and libtiff.

  make bench-paper [DOCS=FOLDER]

DOCS: measure speed and bytes on the PDF files in that folder instead of our own collection. Every figure is a
median of interleaved runs in one session; times are processor seconds (user and system) of whole processes.
"""

import json
import os
import re
import statistics
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
# ps2fax's flags, at the resolution of both.
GS = ["gs", "-q", "-dNOPAUSE", "-dBATCH", "-dSAFER=true", "-dFIXEDMEDIA", "-P-", "-dMaxStripSize=0", "-r204x196",
      "-g1728x2292"]
# As the gateway's paper workers are started: large buffers in large pages.
OURS = {**os.environ, "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
LIMIT_S = 90


def fit(doc):
    """What makes pages that are larger than the paper fit it, turned if need be, as ours do; others keep their size."""
    info = subprocess.run(["pdfinfo", "-l", "9999", str(doc)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    sizes = re.findall(rb"size: +([0-9.]+) x ([0-9.]+)", info.stdout)
    large = any(float(width) > 609.5 or float(height) > 842.5 for width, height in sizes)
    return ["-dPDFFitPage"] if large else []


def cpu(command):
    """Runs a command; its processor seconds and output, or None when it fails or takes too long."""
    read, write = os.pipe()
    start = time.monotonic()
    process = subprocess.Popen(command, stdout=write, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
                               env=OURS if command[0] != "gs" else None)
    os.close(write)
    timer = threading.Timer(LIMIT_S, process.kill)
    timer.start()
    with os.fdopen(read) as pipe:
        output = pipe.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = status
    timer.cancel()
    if status != 0:
        return None
    return usage.ru_utime + usage.ru_stime, output, time.monotonic() - start


def tiff_pages(path):
    """The bytes of image data of each page of a TIFF file."""
    data = path.read_bytes()
    order = "<" if data[:2] == b"II" else ">"
    (at,) = struct.unpack_from(order + "I", data, 4)
    pages = []
    while at:
        (count,) = struct.unpack_from(order + "H", data, at)
        for i in range(count):
            tag, kind, number, value = struct.unpack_from(order + "HHII", data, at + 2 + 12 * i)
            if tag == 279:
                size = {3: "H", 4: "I"}[kind]
                if number == 1:
                    where = at + 2 + 12 * i + 8
                else:
                    where = value
                pages.append(sum(struct.unpack_from(f"{order}{number}{size}", data, where)))
        (at,) = struct.unpack_from(order + "I", data, at + 2 + 12 * count)
    return pages


def speed_and_bytes(ours, docs, work):
    rows, known = [], set()
    for doc in docs:
        out = work / "gs.tif"
        gs_times, our_times, gs_bytes, our_bytes = [], [], [], []
        fitting = fit(doc)
        for _ in range(ROUNDS):
            if gs_bytes and tuple(gs_bytes) in known:
                break
            out.unlink(missing_ok=True)
            gs = cpu([*GS, *fitting, "-sDEVICE=tiffg4", f"-sOutputFile={out}", str(doc)])
            mine = cpu([ours, "pages", str(doc)])
            if gs is None or mine is None or not out.exists():
                break
            gs_bytes = tiff_pages(out)
            our_bytes = [int(n) for n in mine[1].split()]
            gs_times.append(gs[0])
            our_times.append(mine[0])
        # Variants of one page (encrypted so and so, say) would count it many times.
        if gs_bytes and tuple(gs_bytes) in known:
            print(f"  the pages of another: {doc.name}")
            continue
        known.add(tuple(gs_bytes))
        if len(our_times) < ROUNDS or len(gs_bytes) != len(our_bytes) or not our_bytes:
            print(f"  left out: {doc.name} (gs {len(gs_bytes)}, ours {len(our_bytes)} pages)")
            continue
        row = (doc.name, len(our_bytes), statistics.median(gs_times), statistics.median(our_times),
               sum(gs_bytes), sum(our_bytes))
        rows.append(row)
        print(f"  {row[0][:44]:44} {row[1]:4} p  gs {row[2]*1000/row[1]:7.1f}  ours {row[3]*1000/row[1]:7.1f} ms/p "
              f"x{row[2]/row[3]:5.2f}   gs {row[4]//row[1]:7}  ours {row[5]//row[1]:7} B/p  {row[5]/row[4]:5.2f}", flush=True)
    return rows


def report_speed(rows):
    pages, gs, mine = (sum(row[i] for row in rows) for i in (1, 2, 3))
    print(f"corpus: {len(rows)} files, {pages} pages; pages/s/core gs {pages/gs:.1f}, ours {pages/mine:.1f}; "
          f"median ratio of a file {statistics.median(r[2]/r[3] for r in rows):.2f}")
    # A long document's pages should not weigh more than others' here: each file counts as its mean page.
    gs_page = sum(row[2] / row[1] for row in rows)
    our_page = sum(row[3] / row[1] for row in rows)
    figure("paper_pages_vs_gs", gs_page / our_page)
    print(f"  weighing every page alike: {gs/mine:.2f}")
    long = [row for row in rows if row[1] >= 10]
    if long:
        figure("paper_pages_vs_gs_long_text", sum(r[2] / r[1] for r in long) / sum(r[3] / r[1] for r in long))
        print("  each: " + ", ".join(f"{r[0][:20]} {r[2]/r[3]:.2f}" for r in long))
    shares = sorted(row[5] / row[4] for row in rows)
    figure("paper_bytes_vs_gs", statistics.median(shares))
    print(f"  quartiles {shares[len(shares)//4]:.3f} {shares[len(shares)*3//4]:.3f}; "
          f"larger than gs: {sum(s > 1 for s in shares)} of {len(shares)}; all bytes {sum(r[5] for r in rows)/sum(r[4] for r in rows):.3f}")


FIGURES = []


def figure(name, value):
    FIGURES.append(f"FIGURE {name} {value:.3f}")
    print(FIGURES[-1], flush=True)


def figures_end():
    print()
    print("\n".join(FIGURES))


def distance(a, b):
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        last, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (x != y))
    return row[-1]


def read_words(image, modes):
    """The lines that tesseract reads, once for each way of looking at the page."""
    environment = {**os.environ, "OMP_THREAD_LIMIT": "1"}
    for mode in modes:
        run = subprocess.run(["tesseract", str(image), "-", "--psm", mode, "--dpi", "204"], env=environment,
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True)
        yield [re.sub(r"\s+", " ", line).strip() for line in run.stdout.splitlines() if line.strip()]


def accuracy(lines, image, modes):
    """The share of characters that arrive, in per cent, by the best of the ways."""
    best = 0.0
    for read in read_words(image, modes):
        wrong = 0
        for line in lines:
            words = set(line.split())
            near = sorted(read, key=lambda other: -len(words & set(other.split())))[:3]
            near += sorted(read, key=lambda other: abs(len(other) - len(line)))[:3]
            wrong += min((distance(line, other) for other in near), default=len(line))
        total = sum(map(len, lines))
        best = max(best, 100.0 * max(0, total - wrong) / total)
    return best


def squared(path, out, height=204 / 196):
    from PIL import Image
    image = Image.open(path).convert("L")
    image.resize((image.width, round(image.height * height)), Image.BILINEAR).save(out)
    return out


def words(ours, own, truth, work, kind, modes, numbers):
    rows = []
    for name in sorted(truth):
        if truth[name]["kind"] != kind or int(re.sub(r"\D", "", name)) not in numbers:
            continue
        subprocess.run([ours, "pages", str(own / name), str(work / "ours")], check=True, stdout=subprocess.DEVNULL)
        subprocess.run([*GS, "-sDEVICE=tiffg4", f"-sOutputFile={work}/gs.tif", str(own / name)], check=True)
        lines = truth[name]["lines"]
        mine = accuracy(lines, squared(work / "ours-1.pbm", work / "ours.png"), modes)
        gs = accuracy(lines, squared(work / "gs.tif", work / "gs.png"), modes)
        rows.append((mine, gs))
        print(f"  {name:16} characters that arrive: gs {gs:6.2f} %, ours {mine:6.2f} %", flush=True)
    return statistics.mean(mine for mine, _ in rows) - statistics.mean(gs for _, gs in rows)


def blur(image, sigma):
    import numpy
    reach = int(sigma * 3 + 0.5)
    kernel = numpy.exp(-numpy.arange(-reach, reach + 1) ** 2 / (2 * sigma * sigma))
    kernel /= kernel.sum()
    for axis in (0, 1):
        padded = numpy.pad(image, [(reach, reach) if a == axis else (0, 0) for a in (0, 1)], mode="edge")
        image = sum(k * numpy.take(padded, range(i, i + image.shape[axis]), axis) for i, k in enumerate(kernel))
    return image


def ssim(a, b):
    window, c1, c2 = 4.0, 6.5025, 58.5225
    mean_a, mean_b = blur(a, window), blur(b, window)
    var_a, var_b = blur(a * a, window) - mean_a**2, blur(b * b, window) - mean_b**2
    both = blur(a * b, window) - mean_a * mean_b
    top = (2 * mean_a * mean_b + c1) * (2 * both + c2)
    return float((top / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))).mean())


def tones(ours, own, truth, work):
    import numpy
    from PIL import Image

    def pixels(path):
        return numpy.asarray(Image.open(path).convert("L"), dtype=float)

    scores = []
    for name in sorted(truth):
        if truth[name]["kind"] != "tone":
            continue
        subprocess.run([ours, "pages", str(own / name), str(work / "ours")], check=True, stdout=subprocess.DEVNULL)
        subprocess.run([ours, "grey", str(own / name), str(work / "ours")], check=True)
        subprocess.run([*GS, "-sDEVICE=tiffg4", f"-sOutputFile={work}/gs.tif", str(own / name)], check=True)
        grey = ["-sDEVICE=pnggray", "-dTextAlphaBits=4", "-dGraphicsAlphaBits=4"]
        subprocess.run([*GS, *grey, f"-sOutputFile={work}/gs-grey.png", str(own / name)], check=True)
        pairs = {"ours": (pixels(work / "ours-1.pbm"), pixels(work / "ours-1.pgm")),
                 "gs": (pixels(work / "gs.tif"), pixels(work / "gs-grey.png"))}
        for left, top, width, height in truth[name]["photos"]:
            score = {}
            for who, (page, grey) in pairs.items():
                # Three millimetres in from the edge: the two put pages at slightly different places.
                x, y = int((left + 5.5) * 204 / 25.4), int((top + 3) * 7.7)
                box = numpy.s_[y:y + int((height - 8) * 7.7), x:x + int((width - 10) * 204 / 25.4)]
                score[who] = [ssim(blur(page[box], s), blur(grey[box], s)) for s in (2.0, 3.0)]
            scores.append((score["ours"], score["gs"]))
            print(f"  {name:16} {width:3} x {height:3} mm   SSIM at blur 2, 3: gs {score['gs'][0]:.3f} {score['gs'][1]:.3f}, "
                  f"ours {score['ours'][0]:.3f} {score['ours'][1]:.3f}", flush=True)
    print(f"  at blur 3: {statistics.mean(o[1] - g[1] for o, g in scores):+.3f}")
    return statistics.mean(ours[0] - gs[0] for ours, gs in scores)


def codings(ours, docs, work):
    driver = work / "libtiff"
    subprocess.run(["cc", "-O2", "-o", str(driver), str(HERE / "libtiff.c"), "-ltiff"], check=True)
    pages = []
    for number, doc in enumerate(docs):
        if subprocess.run([ours, "pages", str(doc), str(work / f"mmr{number}")], stdout=subprocess.DEVNULL).returncode == 0:
            pages += sorted(map(str, work.glob(f"mmr{number}-*.pbm")))[:4]
    ratios = []
    for _ in range(max(ROUNDS, 5)):
        theirs = cpu([str(driver), "1.0", *pages])
        mine = cpu([ours, "mmr", "1.0", *pages])
        a, b = ([float(x) for x in run[1].split()[:2]] for run in (theirs, mine))
        ratios.append((a[0] / b[0], a[1] / b[1]))
    print(f"  {len(pages)} pages; last run, ms for all of them: libtiff {a[0]:.1f} and {a[1]:.1f}, ours {b[0]:.1f} and {b[1]:.1f}")
    figure("mmr_encode_vs_libtiff", statistics.median(r[0] for r in ratios))
    figure("mmr_decode_vs_libtiff", statistics.median(r[1] for r in ratios))


def main():
    ours, base = sys.argv[1], Path(sys.argv[2])
    given = Path(sys.argv[3]) if len(sys.argv) > 3 else None
    work = base / "work"
    work.mkdir(exist_ok=True)
    own, truth = base / "own", json.loads((base / "own" / "truth.json").read_text())
    parts = os.environ.get("BENCH_PARTS", "speed words tones codings times").split()
    folder = given or base / "docs"
    docs = sorted(folder.glob("**/*.pdf"))
    if not given:
        docs += sorted(own.glob("*.pdf"))
    chosen = os.environ.get("BENCH_EVERY")
    docs = docs[:: int(chosen)] if chosen else docs
    if "speed" in parts:
        print(f"speed and bytes: {len(docs)} files from {folder}, {ROUNDS} interleaved runs")
        report_speed(speed_and_bytes(ours, docs, work))
    if "words" in parts:
        print("words: plain text, then coloured and grey-backed text (documents 3 to 8; 1 and 2 were looked at)")
        numbers = [int(n) for n in os.environ.get("BENCH_SEEDS", "3 4 5 6 7 8").split()]
        figure("paper_ocr_minus_gs", words(ours, own, truth, work, "plain", ["6"], numbers))
        print("words: plain text in more fonts and sizes, which nothing was made with")
        figure("paper_ocr_wide_minus_gs", words(ours, own, truth, work, "wide", ["6"], range(1, 37)))
        figure("paper_ocr_hard_minus_gs", words(ours, own, truth, work, "hard", ["4", "6", "11"], numbers))
    if "tones" in parts:
        print("tones: photographs, blurred, beside the same page in grey")
        figure("paper_tone_minus_gs", tones(ours, own, truth, work))
    if "codings" in parts:
        print("MMR beside libtiff, in memory")
        codings(ours, docs[:: max(1, len(docs) // 40)], work)
    if "times" in parts:
        for name in ("mailtext", "cover"):
            figure(f"{name}_ms", statistics.median(float(cpu([ours, name])[1]) for _ in range(ROUNDS)))
    figures_end()


main()

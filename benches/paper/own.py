"""Documents whose words, photographs and shades are known: bench-paper measures how much of them arrives.

own.py PICTURES FOLDER     writes *.pdf and truth.json
"""

import json
import random
import sys
from pathlib import Path

from reportlab.lib.colors import CMYKColor, Color, black, white
from reportlab.lib.pagesizes import A4
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen import canvas

WORDS = """delivery invoice number account contract signature address Thursday payment received regards
please confirm quantity customer reference office telephone meeting certificate insurance enclosed annex
warehouse shipment department monthly balance transfer between laboratory sample result patient medical
appointment prescription hospital referral district council permit property building surface drawing
supplier purchase order price total amount discount customs transport vehicle driver arrival departure
notice agreement article paragraph obligation liability court decision hearing deadline extension""".split()
FONTS = ["Helvetica", "Times-Roman", "Courier", "Helvetica-Bold"]
# For judging: what the threshold was made with is not what it is measured with. The last four are embedded.
MORE_FONTS = ["Helvetica-Oblique", "Helvetica-BoldOblique", "Times-Bold", "Times-Italic", "Times-BoldItalic", "Courier-Bold",
              "Courier-Oblique", "Times-Roman", "Vera", "VeraBd", "VeraIt", "VeraBI"]


def line(rng, length=58):
    words = []
    while len(" ".join(words)) < length:
        word = rng.choice(WORDS)
        if rng.random() < 0.12:
            word = f"{rng.randint(2, 9)}{rng.randint(100, 999)}"
        words.append(word)
    return " ".join(words)[:length].rstrip()


def fitted(sheet, text, font, size, width):
    while sheet.stringWidth(text, font, size) > width:
        text = text.rsplit(" ", 1)[0]
    return text


class Page:
    def __init__(self, path, truth):
        self.sheet = canvas.Canvas(str(path), pagesize=A4, invariant=1)
        self.y = 280.0
        self.lines, self.photos = [], []
        truth[path.name] = self.truth = {"lines": self.lines, "photos": self.photos}

    def text(self, rng, font, size, ink=black, ground=None, screen=None):
        """A line of text, on a panel of its own when there is a ground."""
        height = size * 0.3528 * 1.6
        self.y -= height + (3 if ground else 1.2)
        words = fitted(self.sheet, line(rng), font, size, 165 * mm)
        if ground:
            self.sheet.setFillColor(ground)
            self.sheet.rect(15 * mm, self.y * mm - height * 0.35 * mm, 180 * mm, (height + 1.6) * mm, stroke=0, fill=1)
        self.sheet.setFillColor(ink)
        self.sheet.setFont(font, size)
        self.sheet.drawString(20 * mm, self.y * mm, words)
        self.lines.append(words)

    def photo(self, picture, left, bottom, width, height):
        self.sheet.drawImage(str(picture), left * mm, bottom * mm, width * mm, height * mm, mask=None)
        self.photos.append([left, 297 - bottom - height, width, height])

    def done(self, kind):
        self.truth["kind"] = kind
        self.sheet.showPage()
        self.sheet.save()


def plain(path, truth, seed):
    rng, page = random.Random(seed), Page(path, truth)
    font = FONTS[seed % len(FONTS)]
    for size in [7, 8, 9, 10, 11, 12]:
        for _ in range(5):
            page.text(rng, font, size)
    page.done("plain")


def wide(path, truth, seed):
    """Black text in more fonts and sizes, three pages of each font."""
    rng, page = random.Random(2000 + seed), Page(path, truth)
    font = MORE_FONTS[seed % len(MORE_FONTS)]
    for size in [6, 6.5, 7.5, 8.5, 9.5, 10.5, 12, 14]:
        for _ in range(4):
            page.text(rng, font, size)
    page.done("wide")


def hard(path, truth, seed):
    """Coloured text on white, and any text on grey and coloured panels."""
    rng, page = random.Random(1000 + seed), Page(path, truth)

    def colour(low, high):
        while True:
            r, g, b = (rng.random() for _ in range(3))
            if low <= 0.299 * r + 0.587 * g + 0.114 * b <= high:
                return Color(r, g, b)

    for number in range(24):
        font, size = rng.choice(FONTS), rng.choice([8, 9, 10, 11, 12])
        match number % 6:
            case 0:
                page.text(rng, font, size, colour(0.2, 0.75))
            case 1:
                grey = rng.uniform(0.5, 0.9)
                page.text(rng, font, size, black, Color(grey, grey, grey))
            case 2:
                page.text(rng, font, size, white, colour(0.05, 0.4))
            case 3:
                page.text(rng, font, size, black, colour(0.55, 0.9))
            case 4:
                page.text(rng, font, size, colour(0.1, 0.3), colour(0.65, 0.9))
            case 5:
                grey = rng.uniform(0.35, 0.65)
                page.text(rng, font, size, Color(grey, grey, grey))
    page.done("hard")


def photos(path, truth, pictures, names):
    rng, page = random.Random(path.name), Page(path, truth)
    page.text(rng, "Helvetica", 11)
    page.photo(pictures / names[0], 20, 150, 115, 115)
    page.photo(pictures / names[1], 20, 55, 130, 85)
    page.y = 48
    for _ in range(4):
        page.text(rng, "Times-Roman", 11)
    page.done("tone")


def over_photo(path, truth, picture):
    """Text over a photograph, dark, light and in a box; the photograph turned, and one that is partly covered."""
    rng, page = random.Random(7), Page(path, truth)
    sheet = page.sheet
    page.photo(picture, 15, 165, 180, 120)
    for size, ink in [(14, white), (11, white), (24, white), (14, black), (11, black), (12, Color(0.8, 0.1, 0.1))]:
        page.y -= size * 0.3528 + 6
        words = fitted(sheet, line(rng), "Helvetica-Bold", size, 165 * mm)
        sheet.setFillColor(ink)
        sheet.setFont("Helvetica-Bold", size)
        sheet.drawString(20 * mm, page.y * mm, words)
    sheet.setFillColor(white)
    sheet.rect(120 * mm, 168 * mm, 70 * mm, 20 * mm, stroke=0, fill=1)
    sheet.setFillColor(black)
    sheet.setFont("Helvetica", 10)
    sheet.drawString(124 * mm, 178 * mm, "A caption in a white box, 2026")
    sheet.saveState()
    sheet.translate(60 * mm, 70 * mm)
    sheet.rotate(30)
    sheet.drawImage(str(picture), 0, 0, 80 * mm, 53 * mm)
    sheet.restoreState()
    sheet.setFont("Times-Roman", 10)
    for row in range(14):
        sheet.drawString(20 * mm, (150 - row * 6) * mm, line(rng, 30))
    page.done("look")


def shades(path, truth):
    """Gradients, fills without and with text, a chart."""
    rng, page = random.Random(9), Page(path, truth)
    sheet = page.sheet
    sheet.saveState()
    clip = sheet.beginPath()
    clip.rect(20 * mm, 245 * mm, 170 * mm, 30 * mm)
    sheet.clipPath(clip, stroke=0)
    sheet.linearGradient(20 * mm, 250 * mm, 190 * mm, 250 * mm, (black, white))
    sheet.restoreState()
    sheet.saveState()
    clip = sheet.beginPath()
    clip.circle(50 * mm, 215 * mm, 22 * mm)
    sheet.clipPath(clip, stroke=0)
    sheet.radialGradient(50 * mm, 215 * mm, 22 * mm, (white, Color(0.1, 0.2, 0.5)))
    sheet.restoreState()
    for number, grey in enumerate([0.9, 0.75, 0.6, 0.45, 0.3]):
        sheet.setFillColor(Color(grey, grey, grey))
        sheet.rect((85 + number * 21) * mm, 195 * mm, 19 * mm, 40 * mm, stroke=0, fill=1)
    page.y = 180
    for grey in [0.93, 0.85, 0.7, 0.5]:
        sheet.setFillColor(Color(grey, grey, grey))
        sheet.rect(15 * mm, (page.y - 24) * mm, 180 * mm, 26 * mm, stroke=0, fill=1)
        for _ in range(3):
            page.text(rng, "Helvetica", 11)
        page.y -= 9
    sheet.setFillColor(CMYKColor(0.9, 0.5, 0, 0.2))
    sheet.rect(15 * mm, 20 * mm, 180 * mm, 14 * mm, stroke=0, fill=1)
    page.y = 30
    page.text(rng, "Helvetica-Bold", 13, white)
    page.done("look")


def scan(path, truth, picture):
    page = Page(path, truth)
    page.sheet.drawImage(str(picture), 10 * mm, 150 * mm, 190 * mm, 94 * mm)
    page.done("look")


def main():
    pictures, folder = Path(sys.argv[1]), Path(sys.argv[2])
    truth = {}
    for name in MORE_FONTS:
        if name.startswith("Vera"):
            pdfmetrics.registerFont(TTFont(name, f"{name}.ttf"))
    for seed in range(1, 37):
        wide(folder / f"wide-{seed}.pdf", truth, seed)
    for seed in range(1, 9):
        plain(folder / f"plain-{seed}.pdf", truth, seed)
        hard(folder / f"hard-{seed}.pdf", truth, seed)
    pairs = [("astronaut.png", "coffee.png"), ("chelsea.png", "rocket.jpg"), ("camera.png", "motorcycle_left.png")]
    for number, names in enumerate(pairs, 1):
        photos(folder / f"photos-{number}.pdf", truth, pictures, names)
    over_photo(folder / "over-photo.pdf", truth, pictures / "coffee.png")
    over_photo(folder / "over-night.pdf", truth, pictures / "rocket.jpg")
    shades(folder / "shades.pdf", truth)
    scan(folder / "scan-page.pdf", truth, pictures / "page.png")
    scan(folder / "scan-text.pdf", truth, pictures / "text.png")
    (folder / "truth.json").write_text(json.dumps(truth, indent=1))


main()

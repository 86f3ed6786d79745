# Converts one document to PDF with LibreOffice, within a sandbox that the gateway made. It starts the office,
# says R when that is ready, takes the document from standard input, answers with P and the PDF or with E and
# a word, and ends. Every field is 8 octets of length, high octet first, and as many octets.
import os
import struct
import subprocess
import sys
import time
import zipfile

import uno
from com.sun.star.beans import PropertyValue

PROGRAM = "/usr/lib/libreoffice/program/soffice.bin"
CONNECTION = "pipe,name=faxpost;urp;StarOffice.ComponentContext"
# The office ends so when it has made its profile, and wants to be started again.
RESTART = 81


def say(kind, body=b""):
    out = sys.stdout.buffer
    out.write(kind + struct.pack(">Q", len(body)))
    out.write(body)
    out.flush()


def take():
    head = sys.stdin.buffer.read(8)
    if len(head) < 8:
        # The gateway is gone, or has no document for us.
        os._exit(0)
    return sys.stdin.buffer.read(struct.unpack(">Q", head)[0])


def start():
    return subprocess.Popen(
        [PROGRAM, "--headless", "--invisible", "--norestore", "--nologo", "--nodefault",
         "--nofirststartwizard", "-env:UserInstallation=file:///tmp/profile", "--accept=" + CONNECTION],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def connect():
    local = uno.getComponentContext()
    resolver = local.ServiceManager.createInstanceWithContext("com.sun.star.bridge.UnoUrlResolver", local)
    office = start()
    while True:
        try:
            return resolver.resolve("uno:" + CONNECTION)
        except Exception:
            ended = office.poll()
            if ended == RESTART:
                office = start()
            elif ended is not None:
                sys.exit(1)
            time.sleep(0.02)


def values(**given):
    made = []
    for name, value in given.items():
        one = PropertyValue()
        one.Name, one.Value = name, value
        made.append(one)
    return tuple(made)


def kind(document):
    for service, name in (
        ("com.sun.star.sheet.SpreadsheetDocument", "calc"),
        ("com.sun.star.presentation.PresentationDocument", "impress"),
        ("com.sun.star.drawing.DrawingDocument", "draw"),
    ):
        if document.supportsService(service):
            return name
    return "writer"


# Whether it opens with a password only: the office does not say why it opens nothing.
def is_protected(path):
    with open(path, "rb") as file:
        data = file.read()
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as package:
            # ODF 1.2 part 3, section 4.8.
            manifest = "META-INF/manifest.xml"
            return manifest in package.namelist() and b"encryption-data" in package.open(manifest).read(1 << 20)
    # MS-OFFCRYPTO 2.3: a compound file that holds the package.
    if "EncryptedPackage".encode("utf-16-le") in data:
        return True
    # MS-DOC 2.5.1: fEncrypted of the FIB, which begins its stream.
    at = data.find(b"\xEC\xA5", 512)
    if at >= 0 and data[at + 11:at + 12] and data[at + 11] & 1:
        return True
    # MS-XLS 2.4.117: FilePass follows the first BOF.
    bof = data.find(b"\x09\x08\x10\x00")
    return bof >= 0 and data[bof + 20:bof + 22] == b"\x2F\x00"


# A table whose author said nothing of printing is as wide as the page: columns that go over to other pages
# can't be read as a fax.
def fit(document, plain):
    styles = document.StyleFamilies.getByName("PageStyles")
    for index in range(styles.Count):
        style = styles.getByIndex(index)
        if plain:
            style.HeaderIsOn = False
            style.FooterIsOn = False
        if style.PageScale == 100 and style.ScaleToPagesX == 0 and style.ScaleToPages == 0:
            style.ScaleToPagesX = 1
            style.ScaleToPagesY = 0


context = connect()
desktop = context.ServiceManager.createInstanceWithContext("com.sun.star.frame.Desktop", context)
say(b"R")

ending, filter_name, options, password = (take().decode() for _ in range(4))
path = "/tmp/document." + ending
with open(path, "wb") as file:
    file.write(take())
wanted = dict(Hidden=True, ReadOnly=True, FilterName=filter_name, FilterOptions=options,
              MacroExecutionMode=0,  # NEVER_EXECUTE
              UpdateDocMode=0)  # NO_UPDATE: links stay what they are
if password:
    wanted["Password"] = password
try:
    document = desktop.loadComponentFromURL("file://" + path, "_blank", 0, values(**wanted))
except Exception:
    document = None
if document is None:
    say(b"E", b"protected" if is_protected(path) else b"unreadable")
    os._exit(0)
try:
    which = kind(document)
    if which == "calc":
        fit(document, ending == "csv")
    document.storeToURL("file:///tmp/document.pdf", values(FilterName=which + "_pdf_Export"))
    with open("/tmp/document.pdf", "rb") as file:
        say(b"P", file.read())
except Exception:
    say(b"E", b"unreadable")
os._exit(0)

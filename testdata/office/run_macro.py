# Opens a document as a person does who lets its macros run, and prints its text. Arguments: the document and a
# folder for a profile.
import subprocess
import sys
import time

import uno
from com.sun.star.beans import PropertyValue

document, profile = sys.argv[1:]
office = subprocess.Popen(
    ["soffice", "--headless", "--norestore", "-env:UserInstallation=file://" + profile,
     "--accept=pipe,name=run_macro;urp;StarOffice.ComponentContext"],
    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
local = uno.getComponentContext()
resolver = local.ServiceManager.createInstanceWithContext("com.sun.star.bridge.UnoUrlResolver", local)
until = time.monotonic() + 120
while True:
    try:
        context = resolver.resolve("uno:pipe,name=run_macro;urp;StarOffice.ComponentContext")
        break
    except Exception:
        if time.monotonic() > until:
            office.kill()
            raise
        time.sleep(0.1)
desktop = context.ServiceManager.createInstanceWithContext("com.sun.star.frame.Desktop", context)
always = PropertyValue()
always.Name, always.Value = "MacroExecutionMode", 4  # ALWAYS_EXECUTE_NO_WARN
opened = desktop.loadComponentFromURL("file://" + document, "_blank", 0, (always,))
# The macro is called some time after the document is open.
while opened.Text.String != "The macro ran" and time.monotonic() < until:
    time.sleep(0.1)
print(opened.Text.String)
opened.close(True)
desktop.terminate()
office.wait()

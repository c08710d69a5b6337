"""Drives headless Chromium over synthetic report pages: browser_check.py CHROMIUM FOLDER."""

import json
import os
import re
import subprocess
import sys
import tempfile

BROWSER, PAGES = sys.argv[1:3]
FLAGS = ["--headless=new", "--disable-gpu", "--hide-scrollbars", "--no-first-run", "--disable-extensions",
         "--enable-logging=stderr", "--log-level=0"]
if os.geteuid() == 0:
    FLAGS.append("--no-sandbox")  # Chromium refuses to start its sandbox for root
LOAD_LIMIT_MS = 1500 * float(os.environ.get("CRLAB_SLOWDOWN", "1"))
failures = []

# Runs inside a copy of the page, after its own script; tells what it saw through an attribute.
PROBE = """<script>
window.probeErrors = []; addEventListener("error", e => probeErrors.push(String(e.message)));
window.addEventListener("load", () => setTimeout(() => {
  const out = {load: Math.round(performance.now()), errors: probeErrors, alerts: window.alerts || 0};
  const q = s => document.querySelector(s), all = s => Array.from(document.querySelectorAll(s));
  try {
    const cells = all(".map tbody a"), form = q("#filter"), panel = q("#panel");
    out.cells = cells.length;
    const failed = q(".map td.b a") || q(".map td.f a");
    if (failed) {
      failed.click();
      out.opened = !panel.hidden && panel.textContent.includes("Cause") && panel.textContent.includes("Evidence");
      out.address = location.hash.includes("cell=");
      out.focusInPanel = panel.contains(document.activeElement);
      document.dispatchEvent(new KeyboardEvent("keydown", {key: "Escape", bubbles: true}));
      out.closed = panel.hidden && document.activeElement === failed;
      const first = q(".map tbody a");
      first.focus();
      first.dispatchEvent(new KeyboardEvent("keydown", {key: "ArrowRight", bubbles: true}));
      out.arrows = document.activeElement === all(".map tbody a")[1];
      out.tabStops = Array.from(q(".map").querySelectorAll("tbody a")).filter(a => a.tabIndex === 0).length === 1;
      const chip = q(".chip.b:not(:disabled)") || q(".chip.f:not(:disabled)");
      const before = performance.now();
      chip.click();
      out.filterMs = Math.round(performance.now() - before);
      out.filtered = all(".map td:not(.off):not(.n) > a").length < cells.length && location.hash.includes("o=");
      q("#filter button[type=reset]").click();
      out.cleared = all(".map td.off").length === 0;
    }
    out.labels = cells.every(a => a.getAttribute("aria-label"));
    out.headers = all("table.map").every(t => t.querySelector("th[scope=col]") && t.querySelector("th[scope=row]"));
    out.overflow = document.documentElement.scrollWidth - innerWidth;
    out.ids = new Set(all("[id]").map(e => e.id)).size === all("[id]").length;
  } catch (e) { out.errors.push(String(e.stack || e)); }
  document.documentElement.setAttribute("data-probe", JSON.stringify(out));
}, 0));
</script>"""


def chromium(arguments, timeout=120):
    with tempfile.TemporaryDirectory() as profile:
        return subprocess.run([BROWSER, *FLAGS, f"--user-data-dir={profile}", *arguments], capture_output=True,
                              text=True, timeout=timeout, errors="replace")


def complain(page, text):
    failures.append(f"{page}: {text}")
    print("FAILED", failures[-1])


def probe(name, width=1280):
    page = os.path.join(PAGES, f"{name}.report.html")
    with open(page, encoding="utf-8") as file:
        text = file.read()
    copy = os.path.join(PAGES, f"{name}.probe.html")
    with open(copy, "w", encoding="utf-8") as file:
        file.write(text.replace("<head>", "<head><script>window.alert = () => { window.alerts = 1 }</script>", 1)
                   .replace("</body>", PROBE + "</body>", 1))
    answer = chromium([f"--window-size={width},900", "--virtual-time-budget=20000", "--dump-dom", "file://" + copy])
    os.remove(copy)
    for line in answer.stderr.splitlines():
        if ":CONSOLE" in line:
            complain(name, "console: " + line[-300:])
    found = re.search(r'data-probe="([^"]*)"', answer.stdout)
    if not found:
        complain(name, "the probe did not run: " + answer.stderr[-500:])
        return
    out = json.loads(found.group(1).replace("&quot;", '"').replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">"))
    print(name, f"{width} px,", f"{len(text.encode())} bytes,", out)
    for fact, value in out.items():
        if value is False:
            complain(name, f"{fact} does not hold")
    if out["errors"] or out["alerts"]:
        complain(name, f"errors {out['errors']}, alerts {out['alerts']}")
    if out["overflow"] > 0:
        complain(name, f"the page is {out['overflow']} px wider than {width} px")
    if name == "large" and out["load"] > LOAD_LIMIT_MS:
        complain(name, f"loaded in {out['load']} ms; at most {LOAD_LIMIT_MS:.0f} ms")


def screenshot(name, file, width, height, extra=(), address=""):
    chromium([f"--window-size={width},{height}", "--virtual-time-budget=3000", *extra,
              f"--screenshot={os.path.join(PAGES, file)}", f"file://{PAGES}/{name}.report.html{address}"])


for name in ["quickstart", "rich", "hostile", "large"]:
    probe(name)
probe("quickstart", width=500)  # Chromium's smallest window
if os.environ.get("CRLAB_SCREENSHOTS"):
    dark = ["--blink-settings=preferredColorScheme=0"]
    opened = "#cell=native/libc-strings/haswell/nehalem"
    screenshot("quickstart", "light.png", 1280, 2600)
    screenshot("quickstart", "dark.png", 1280, 2600, dark)
    screenshot("quickstart", "phone.png", 500, 2600)
    screenshot("quickstart", "cell.png", 1280, 1300, address=opened)
    screenshot("quickstart", "cell-dark.png", 1280, 1300, dark, opened)
    screenshot("quickstart", "filtered.png", 1280, 1300, address="#w=bash&o=b")
    screenshot("hostile", "hostile.png", 1280, 2000)
    screenshot("large", "large.png", 1280, 2600)
sys.exit(1 if failures else 0)

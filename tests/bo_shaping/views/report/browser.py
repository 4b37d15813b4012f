"""A page in headless Chromium: which of its texts overlap, and which are cut off."""

import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

SECONDS = 60

_CHECK = """
<script>
addEventListener("load", () => {
  const found = {overlapping: [], cut: [], texts: 0, wide: document.documentElement.scrollWidth > innerWidth};
  const boxes = [];
  for (const root of document.querySelectorAll("ROOTS")) {
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const node = walker.currentNode, parent = node.parentElement;
      if (!node.data.trim() || ["STYLE", "SCRIPT"].includes(parent.tagName) || !parent.checkVisibility()) continue;
      const range = document.createRange();
      range.selectNodeContents(node);
      for (const box of range.getClientRects()) {
        if (box.width < 1 || box.height < 1) continue;
        found.texts += 1;
        const text = node.data.trim().slice(0, 40);
        if (box.left < -1 || box.right > innerWidth + 1) found.cut.push(text);
        for (let outer = parent; outer && outer !== document.body; outer = outer.parentElement) {
          const style = getComputedStyle(outer), frame = outer.getBoundingClientRect();
          if (style.overflowX !== "visible" && (box.left < frame.left - 1 || box.right > frame.right + 1)) {
            found.cut.push(text);
            break;
          }
        }
        boxes.push([box, node, text]);
      }
    }
  }
  for (let i = 0; i < boxes.length; i++) {
    for (let j = i + 1; j < boxes.length; j++) {
      const [a, node, one] = boxes[i], [b, other, two] = boxes[j];
      if (node === other) continue;
      const width = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      const height = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      if (width > 1.5 && height > 4) found.overlapping.push(one + " / " + two);
    }
  }
  const answer = document.createElement("pre");
  answer.id = "found";
  answer.textContent = JSON.stringify(found);
  document.body.replaceChildren(answer);
});
</script>
"""


def browser() -> str | None:
    """The program, if there is one."""
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


def look_at_page(html: str, folder: Path, *, width: int, dark: bool, roots: str = "body") -> dict[str, object]:
    """What is wrong with the texts below the elements `roots`: `overlapping` and `cut`; `texts` is how many there are.

    A text that its box could be scrolled to is cut off, too.
    """
    page, profile = folder / "page.html", folder / "profile"
    # The page's own policy forbids scripts, ours among them.
    html = re.sub(r"<meta http-equiv=\"Content-Security-Policy\"[^>]*>", "", html)
    page.write_text(html.replace("</body>", _CHECK.replace("ROOTS", roots) + "</body>"), encoding="utf-8")
    command = [
        browser() or BROWSERS[0],
        *("--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}"),
        f"--window-size={width},2000",
        f"--blink-settings=preferredColorScheme={0 if dark else 1}",
        *("--virtual-time-budget=5000", "--dump-dom", page.as_uri()),
    ]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=True)
    found = re.search(r'<pre id="found">(.*?)</pre>', answer.stdout, re.DOTALL)
    assert found, f"the page did not load: {answer.stderr[-500:]}"
    result: dict[str, object] = json.loads(unescape(found[1]))
    return result

"""What is written on the pages: their fenced blocks, and a copy of the clone to try them in."""

import re
import shutil
import subprocess
from pathlib import Path

from wrapper.dbt_project import PROJECT_DIR

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

PAGES = [PROJECT_DIR / "README.md", *sorted(PROJECT_DIR.glob("docs/*.md"))]
# Not those that tools put into folders of their own.
PAGES += sorted(PROJECT_DIR.glob("[!.]*/README.md"))
PAGES += sorted(PROJECT_DIR.glob("integrations/*/README.md"))
PAGES += [PROJECT_DIR / name for name in ("CONTRIBUTING.md", "DECISIONS.md", "SECURITY.md", "CHANGELOG.md")]


def blocks(page: Path, language: str, heading: str = "") -> list[str]:
    """Return the fenced blocks of a language on a page, or of those only that stand below a heading."""
    text = page.read_text()
    if heading:
        text = re.split(r"^#", text.split(f"# {heading}\n", maxsplit=1)[1], maxsplit=1, flags=re.MULTILINE)[0]
    return [block for written, block in _FENCE.findall(text) if written == language]


def copy_clone(folder: Path) -> None:
    """Copy the clone as it is now, without what git ignores."""
    names = subprocess.check_output(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=PROJECT_DIR, text=True
    )
    for name in names.split("\0"):
        if name and (PROJECT_DIR / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT_DIR / name, folder / name)

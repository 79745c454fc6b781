"""Assemble the pages of the documentation site, for mkdocs.yml: `site.py FOLDER REPORT DBT_DOCS`.

Each page keeps its path, so links between pages stay as they are. A file or folder of the repository that a page links
to becomes a page too, so that no link leaves the site.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parents[1]
IMAGES = {".png", ".svg"}
# What mkdocs.yml names and no page links to.
THEME = ("docs/images/favicon.svg", "docs/site.css")
LANGUAGES = {".csv": "text", ".j2": "jinja", ".py": "python", ".service": "ini", ".timer": "ini", ".yml": "yaml"}
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
# On GitHub the reader's system chooses between a light and a dark picture, here the site's own switch does.
PICTURE = re.compile(r'<picture>\s*<source [^>]*srcset="([^"]+)">\s*<img alt="([^"]+)" src="([^"]+)">\s*</picture>')
BOTH = r"![\2](\3#only-light) ![\2](\1#only-dark)"
LINK = re.compile(r"(\]\()(?!https?:|#|mailto:)([^)#\s]+)((?:#[^)\s]*)?\))")
REFERENCE = """# Models and a sample report

- [Models](dbt/index.html): dbt's documentation of every table, column, test and macro, with the lineage.
- [A sample report](report.html): the page that `wrapper report` writes about the example.
"""


class Site:
    """The folder that mkdocs reads, and what is in the repository."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        listed = subprocess.check_output(["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT)
        self.files = sorted(PurePosixPath(name) for name in listed.decode().splitlines() if (ROOT / name).exists())
        # dbt's own pages are on its site.
        self.pages = [file for file in self.files if file.suffix == ".md" and file.parts[0] not in {"models", "macros"}]

    def write(self, path: PurePosixPath, text: str) -> None:
        """Write a page."""
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / path).write_text(text, encoding="utf-8")

    def copy_file(self, path: PurePosixPath) -> None:
        """Copy a file as it is."""
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, self.folder / path)

    def copy_page(self, page: PurePosixPath) -> None:
        """Copy a page, with links to other files turned into links to the pages made of them."""
        text = PICTURE.sub(BOTH, (ROOT / page).read_text(encoding="utf-8"))
        fences = FENCE.findall(text)
        proses = [LINK.sub(lambda link: self.link(page, link), prose) for prose in FENCE.split(text)]
        parts = [part for pair in zip(proses, [*fences, ""], strict=True) for part in pair]
        self.write(page, "".join(parts))

    def link(self, page: PurePosixPath, link: "re.Match[str]") -> str:
        """Return a link of a page as the site has it, and make the page that it leads to if there is none."""
        target = PurePosixPath(os.path.normpath(page.parent / link[2]))
        if target in self.pages:
            return link[0]
        if target / "README.md" in self.pages:
            target /= "README.md"
        elif target.suffix in IMAGES:
            self.copy_file(target)
            return link[0]
        else:
            target = self.show(target)
        return f"{link[1]}{os.path.relpath(target, page.parent)}{link[3]}"

    def show(self, target: PurePosixPath) -> PurePosixPath:
        """Make a page of a file, or of all files in a folder, and return its path."""
        shown = [file for file in self.files if file == target or target in file.parents]
        if not shown:
            raise SystemExit(f"site: {target} does not exist")
        # mkdocs leaves out what begins with a dot.
        page = PurePosixPath(*(part.removeprefix(".") for part in target.parts[:-1]), f"{target.name.lstrip('.')}.md")
        text = [f"---\ntitle: {target}\nsearch:\n  exclude: true\n---\n\n# `{target}`\n"]
        for file in shown:
            heading = "" if file == target else f"## `{file.relative_to(target)}`\n\n"
            language = LANGUAGES.get(file.suffix, file.suffix.removeprefix("."))
            text.append(f"{heading}~~~~{language}\n{(ROOT / file).read_text(encoding='utf-8').rstrip()}\n~~~~\n")
        self.write(page, "\n".join(text))
        return page


def main(folder: Path, report: Path, dbt_docs: Path) -> None:
    """Write every page, the report and dbt's own site."""
    shutil.rmtree(folder, ignore_errors=True)
    site = Site(folder)
    for page in site.pages:
        site.copy_page(page)
    site.write(PurePosixPath("reference.md"), REFERENCE)
    shutil.copy(report, folder / "report.html")
    (folder / "dbt").mkdir()
    shutil.copy(dbt_docs, folder / "dbt" / "index.html")
    for name in THEME:
        site.copy_file(PurePosixPath(name))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))

"""Sphinx extension: publish executed copies of the clean notebooks, and quote pictures and tables from them.

As Sphinx reads ``notebooks/NN_x.ipynb``, its content is replaced by the copy that ``make book`` has executed
(their folder comes in ``LABKIT_EXECUTED``). A copy that is missing, stale or holds an error is a warning, so
that ``-W`` fails the build. Downloads and the Colab button, which is there once ``_config.yml`` names the
repository, keep serving the clean notebook.

For pages there are four directives::

    {notebook-figure} notebooks/03_domain_shift cell-id     the picture that this cell has drawn
    {notebook-output} notebooks/03_domain_shift cell-id     its table or text
    {modules} labkit.data labkit.labels                     a section for each module, from its docstrings
    {commands} labkit.cli:main                              the help of every command
"""

from __future__ import annotations

import base64
import hashlib
import importlib
import json
import os
import re
from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

logger = logging.getLogger(__name__)

WIDGET_MIME = "application/vnd.jupyter.widget-view+json"
STAMP_MIME = "application/vnd.labkit.stamp+json"
SHOWN_MIMES = ("text/html", "image/svg+xml", "image/png", "image/jpeg", "text/markdown", "text/latex")


def executed_folder(app: Sphinx) -> Path:
    """Where the executed copies lie."""
    folder = os.environ.get("LABKIT_EXECUTED") or Path(app.srcdir) / "build" / "executed" / "mini-minicity"
    return Path(folder)


def warn(message: str, location: str) -> None:
    logger.warning(message, location=location, type="labkit", subtype="notebook")


def text_of(value) -> str:
    return value if isinstance(value, str) else "".join(value)


def load_copy(app: Sphinx, docname: str, location: str) -> dict | None:
    """The executed copy of a notebook page, or None and a warning that says what to do."""
    source = Path(app.srcdir) / f"{docname}.ipynb"
    path = executed_folder(app) / source.name
    app.env.note_dependency(str(source))
    app.env.note_dependency(str(path))
    name = f"{docname}.ipynb"
    if not source.is_file():
        warn(f"{name}: no such notebook", location)
        return None
    if not path.is_file():
        warn(
            f"{name}: not executed: the copy {path.parent.name}/{path.name} is missing; run make book",
            location,
        )
        return None
    try:
        copy = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        warn(f"{name}: its executed copy is damaged ({error}); delete {path} and run make book", location)
        return None
    stamped = copy["metadata"].get("labkit", {}).get("source_sha256")
    if stamped != hashlib.sha256(source.read_bytes()).hexdigest():
        warn(
            f"{name}: its executed copy is stale (the notebook was edited since); run make book",
            location,
        )
    for cell in copy["cells"]:
        for output in cell.get("outputs", []):
            if output["output_type"] == "error":
                warn(
                    f"{name}: its executed copy holds an error in cell {cell.get('id')}: "
                    f"{output['ename']}: {output['evalue']}; mend the cell and run make book",
                    location,
                )
    return copy


def clean_copy(copy: dict, root: str) -> dict:
    """The copy as it is published: no parameters cell of papermill's, no dead widgets, no machine paths."""
    copy["metadata"].pop("papermill", None)
    copy["metadata"].pop("widgets", None)
    for cell in copy["cells"]:
        cell["metadata"].pop("papermill", None)
        tags = cell["metadata"].get("tags", [])
        if "injected-parameters" in tags:
            cell["metadata"]["tags"] = [*tags, "remove-cell"]
        if "outputs" in cell:
            cell["outputs"] = [kept for output in cell["outputs"] if (kept := clean_output(output, root))]
    return copy


def clean_output(output: dict, root: str) -> dict | None:
    """An output without what a static page cannot show; None if nothing is left."""
    if "text" in output:
        return {**output, "text": text_of(output["text"]).replace(root + os.sep, "")}
    data = dict(output.get("data", {}))
    if not data:
        return output
    data.pop(STAMP_MIME, None)
    if data.pop(WIDGET_MIME, None) is not None and not any(mime in data for mime in SHOWN_MIMES):
        return None  # only "interactive(children=…)" would be left
    for mime in ("text/plain", "text/html", "text/markdown"):
        if mime in data:
            data[mime] = text_of(data[mime]).replace(root + os.sep, "")
    return {**output, "data": data} if data else None


def read_source(app: Sphinx, docname: str, source: list[str]) -> None:
    """Replace a notebook by its executed copy; expand ``{modules}`` and ``{commands}`` in a page."""
    path = Path(app.env.doc2path(docname))
    if path.suffix == ".ipynb":
        copy = load_copy(app, docname, docname)
        if copy is not None:
            source[0] = json.dumps(clean_copy(copy, str(Path(app.srcdir).resolve())))
            app.env.temp_data["labkit_stamp"] = copy["metadata"].get("labkit")
    elif path.suffix == ".md":
        for name, expand in (("modules", modules_text), ("commands", commands_text)):
            pattern = re.compile(rf"^```\{{{name}\}} (.+)\n```$", re.MULTILINE)
            source[0] = pattern.sub(lambda match, expand=expand: expand(app, match[1]), source[0])


def add_stamp(app: Sphinx, doctree: nodes.document) -> None:
    """Put under a notebook's title what it was computed with."""
    stamp = app.env.temp_data.get("labkit_stamp")
    section = next(iter(doctree.findall(nodes.section)), None)
    if not stamp or section is None:
        return
    paragraph = nodes.paragraph(classes=["lab-stamp"])
    for label, value in stamp_items(stamp):
        item = nodes.inline(classes=["lab-stamp-item"])
        item += nodes.inline("", f"{label} ", classes=["lab-stamp-label"])
        item += nodes.inline("", value, classes=["lab-stamp-value"])
        paragraph += [item, nodes.Text(" ")]
    section.insert(1, paragraph)


def stamp_items(stamp: dict) -> list[tuple[str, str]]:
    """Label and text of each part of the stamp."""
    seeds = stamp.get("seeds") or []
    items = [
        ("profile", stamp.get("profile")),
        ("data", stamp.get("data") or stamp.get("pair")),
        ("seeds" if len(seeds) > 1 else "seed", ", ".join(map(str, seeds))),
        ("commit", stamp.get("commit")),
        ("executed in", duration_text(stamp.get("duration_s") or 0)),
        ("hardware", stamp.get("hardware")),
        ("date", stamp.get("date")),
    ]
    return [(label, str(value)) for label, value in items if value]


def duration_text(seconds: float) -> str:
    """Seconds as a reader would say them."""
    seconds = max(1, round(seconds))
    if seconds < 60:
        return f"{seconds} s"
    minutes, seconds = divmod(seconds, 60)
    return f"{minutes} min {seconds} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


class NotebookCell(SphinxDirective):
    """Base of the directives that show one cell's output, given the notebook's page and the cell's id."""

    required_arguments = 2
    has_content = True

    def run(self) -> list[nodes.Node]:
        docname, cell_id = self.arguments
        copy = load_copy(self.env.app, docname, self.env.docname)
        if copy is None:
            return []
        copy = clean_copy(copy, str(Path(self.env.srcdir).resolve()))
        cell = next((c for c in copy["cells"] if c.get("id") == cell_id), None)
        if cell is None:
            warn(f"{docname}.ipynb has no cell with the id {cell_id!r}", self.get_location())
            return []
        shown = self.show(docname, cell)
        if not shown:
            warn(f"{docname}.ipynb: cell {cell_id!r} has no output to show here", self.get_location())
        return shown

    def caption(self, docname: str, cell: dict) -> list[nodes.Node]:
        """The directive's content, else the cell's own caption, and a link to where it comes from."""
        text = "\n".join(self.content) or cell["metadata"].get("mystnb", {}).get("figure", {}).get("caption", "")
        children, _ = self.state.inline_text(text, self.lineno)
        link = addnodes.pending_xref(
            "", refdomain="std", reftype="doc", reftarget=f"/{docname}", refexplicit=True, refwarn=True
        )
        link += nodes.inline("", "See the notebook.")
        return [*children, nodes.Text(" "), link]

    def show(self, docname: str, cell: dict) -> list[nodes.Node]:
        raise NotImplementedError


class NotebookFigure(NotebookCell):
    """``{notebook-figure} page cell-id``: the first picture of the cell, with its alt text and caption."""

    suffixes = {"image/png": ".png", "image/jpeg": ".jpg", "image/svg+xml": ".svg"}  # noqa: RUF012

    def show(self, docname: str, cell: dict) -> list[nodes.Node]:
        for output in cell.get("outputs", []):
            for mime, suffix in self.suffixes.items():
                if mime in output.get("data", {}):
                    return self.figure(docname, cell, text_of(output["data"][mime]), suffix)
        return []

    def figure(self, docname: str, cell: dict, data: str, suffix: str) -> list[nodes.Node]:
        alt = cell["metadata"].get("mystnb", {}).get("image", {}).get("alt")
        if not alt:
            warn(
                f"{docname}.ipynb: the picture of cell {cell['id']!r} has no alt text (mystnb.image.alt)",
                docname,
            )
        content = data.encode() if suffix == ".svg" else base64.b64decode(data)
        folder = Path(self.env.srcdir) / "build" / "figures" / executed_folder(self.env.app).name
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"{Path(docname).name}-{cell['id']}{suffix}"
        file.write_bytes(content)
        image = nodes.image(uri=f"/{file.relative_to(self.env.srcdir).as_posix()}", alt=alt or "")
        figure = nodes.figure("", image, nodes.caption("", "", *self.caption(docname, cell)), align="default")
        self.set_source_info(figure)
        return [figure]


class NotebookOutput(NotebookCell):
    """``{notebook-output} page cell-id``: the first table or text of the cell."""

    def show(self, docname: str, cell: dict) -> list[nodes.Node]:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            box = nodes.container(classes=["cell_output", "lab-output"])
            if "text/html" in data:
                box += nodes.raw("", text_of(data["text/html"]), format="html")
            elif "text/markdown" in data:
                self.state.nested_parse(text_of(data["text/markdown"]).splitlines(), self.content_offset, box)
            elif "text/plain" in data or "text" in output:
                text = text_of(data.get("text/plain") or output["text"])
                box += nodes.literal_block(text, text, language="none")
            else:
                continue
            note = nodes.paragraph("", "", *self.caption(docname, cell), classes=["lab-source"])
            return [box, note]
        return []


def modules_text(app: Sphinx, patterns: str) -> str:
    """MyST source with a section for every module of the packages and modules named."""
    root = Path(app.srcdir)
    sections = []
    for name in patterns.split():
        path = root.joinpath(*name.split("."))
        files = sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]
        for file in files:
            if not file.is_file():
                warn(f"the API page names {name}, which does not exist", app.env.docname)
            elif public(file, root):
                app.env.note_dependency(str(file))
                sections.append(module_section(file, root))
    return "\n\n".join(sections) or "This floor is still empty."


def public(file: Path, root: Path) -> bool:
    """Whether a module has a page section: no private name, and something beyond re-exports."""
    names = file.relative_to(root).with_suffix("").parts
    if any(name.startswith("_") and name != "__init__" for name in names):
        return False
    return file.name != "__init__.py" or re.search(r"^(def|class) ", file.read_text(encoding="utf-8"), re.M) is not None


def module_section(file: Path, root: Path) -> str:
    module = ".".join(file.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
    return f"## `{module}`\n\n```{{eval-rst}}\n.. automodule:: {module}\n   :members:\n```"


def commands_text(app: Sphinx, target: str) -> str:
    """MyST source with the help of every command of a click group, given as ``module:group``."""
    import click

    module, name = target.split(":")
    try:
        group = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        warn(f"{target} cannot be imported: {error}", app.env.docname)
        return ""
    sections: list[str] = []

    def describe(command: click.Command, parent: click.Context | None, title: str) -> None:
        context = click.Context(command, info_name=title.split()[-1], parent=parent, terminal_width=76)
        sections.append(f"## `{title}`\n\n```text\n{command.get_help(context)}\n```")
        if isinstance(command, click.Group):
            for child in command.list_commands(context):
                describe(command.get_command(context, child), context, f"{title} {child}")

    describe(group, None, "labkit")
    return "\n\n".join(sections)


def skip_member(app: Sphinx, what: str, name: str, obj, skip: bool, options) -> bool | None:
    """Leave out what a class has from elsewhere: a named tuple's generated fields, methods of libraries."""
    doc = getattr(obj, "__doc__", None) or ""
    module = getattr(obj, "__module__", None) or "labkit"
    foreign = what == "class" and callable(obj) and not module.startswith("labkit")
    return True if foreign or doc.startswith("Alias for field number") else None


def without_address(app: Sphinx, config) -> None:
    """Leave out the buttons that open a notebook elsewhere while ``_config.yml`` names no repository."""
    if not config.html_theme_options.get("repository_url"):
        config.html_theme_options.pop("launch_buttons", None)


def without_thebe(app: Sphinx, pagename: str, templatename: str, context: dict, doctree) -> None:
    """Leave out the scripts for live code, which jupyter-book loads twice and which need a server."""
    for files in ("script_files", "css_files"):
        context[files] = [f for f in context.get(files, []) if "thebe" not in f"{f} {getattr(f, 'attributes', '')}"]


def without_font_preload(app: Sphinx, exception: Exception | None) -> None:
    """Take the theme's font preloads out of the pages: a browser refuses them on a page opened from disk."""
    if exception is None and app.builder.format == "html":
        for page in Path(app.outdir).rglob("*.html"):
            text = page.read_text(encoding="utf-8")
            page.write_text(re.sub(r'<link rel="preload" as="font"[^>]*>\n?', "", text), encoding="utf-8")


def setup(app: Sphinx) -> dict:
    """Called by Sphinx."""
    app.connect("config-inited", without_address)
    app.connect("source-read", read_source, priority=100)
    app.connect("doctree-read", add_stamp)
    app.connect("html-page-context", without_thebe, priority=900)
    app.connect("build-finished", without_font_preload)
    app.add_directive("notebook-figure", NotebookFigure)
    app.add_directive("notebook-output", NotebookOutput)
    if "sphinx.ext.autodoc" in app.extensions:
        app.connect("autodoc-skip-member", skip_member)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

"""Makes the folder of a new plugin from the template, so that copier can update it later.

The template is one that copier reads (``copier.yml``, files that end in ``.jinja``); rendering it needs jinja2 alone.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from jinja2 import Environment, StrictUndefined

from tradecore import __version__
from tradecore.errors import UsageError
from tradecore.hooks.specs import HOOKS
from tradecore.settings.aliases import refusal_of_name
from tradecore.settings.wording import nearest

TEMPLATE: Final = Path(__file__).parent / "template"
ANSWERS_FILE: Final = ".copier-answers.yml"
TAKEN: Final = (
    "AttemptView", "BaseModel", "Book", "Check", "ClassVar", "Counter", "Decimal", "Done", "False", "Field", "Fill",
    "Instrument", "Intent", "Job", "JobAnswer", "Keep", "Mapping", "Market", "MarketFrame", "None", "OrderRequest",
    "Plan", "Portfolio", "Position", "Reason", "Resources", "Sequence", "SettingsError", "Signal", "Size", "SlowCycle",
    "Stamped", "TimeInForce", "True", "Verdict", "Wishes",
)  # fmt: skip
"""What a generated module may import: a class of such a name would hide it."""
_SUFFIX: Final = ".jinja"
_NAME_MAX: Final = 40
_SUMMARY_MAX: Final = 100
_MINOR: Final = ".".join(__version__.split(".")[:2])


class Plugin(NamedTuple):
    """The answers that the template asks for."""

    name: str
    hooks: tuple[str, ...] = ("signal",)
    summary: str = ""
    """One sentence with a full stop; empty names the hooks."""
    core_range: str = f">={_MINOR},<{int(__version__.split('.', maxsplit=1)[0]) + 1}"
    """Versions of the core that it fits."""


class Origin(NamedTuple):
    """Where copier finds the template again."""

    source: str
    """Folder or address of a repository that is the template; git is needed for updates."""
    commit: str
    """Its version; empty where the source is no repository."""


def origin_of(source: str | None) -> Origin:
    """Name the template's source as copier will look for it.

    Args:
        source: Folder or address of tradecore's repository; ``None`` takes the one that this program runs from, or
            the packaged template where there is none.
    """
    if source is None:
        checkout = Path(__file__).resolve().parents[2]
        is_repository = (checkout / ".git").exists() and (checkout / "copier.yml").is_file()
        return origin_of(str(checkout)) if is_repository else Origin(str(TEMPLATE), "")
    described = _described(Path(source)) if Path(source).is_dir() else ""
    return Origin(source, described or f"v{__version__}")


def _described(folder: Path) -> str:
    command = ["git", "-c", "safe.directory=*", "-C", str(folder), "describe", "--tags", "--always"]
    try:
        return subprocess.run(command, capture_output=True, check=True, text=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def make_plugin(plugin: Plugin, folder: Path, origin: Origin) -> tuple[Path, ...]:
    """Write a new plugin.

    Args:
        folder: Its folder; made where it is not there, else it must be empty but for what git and editors keep.
    Returns:
        The files, relative to the folder, in the order of their names.
    Raises:
        UsageError: If the name or a hook cannot be, or the folder holds files or cannot be written.
    """
    plugin = _checked(plugin)
    if folder.exists() and (not folder.is_dir() or any(not path.name.startswith(".") for path in folder.iterdir())):
        raise UsageError(f"{folder}: expected no such folder or an empty one, found files")
    texts = dict(render(plugin, origin))
    try:
        for name, text in texts.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{folder}: expected a folder that can be written, was {type(error).__name__}") from error
    return tuple(sorted(map(Path, texts)))


def render(plugin: Plugin, origin: Origin) -> Iterator[tuple[str, str]]:
    """Render the template: path of each file, relative, and its text, as copier would write them."""
    answers: dict[str, Any] = {
        **({"_commit": origin.commit} if origin.commit else {}),
        "_src_path": origin.source,
        **{key: list(value) if isinstance(value, tuple) else value for key, value in plugin._asdict().items()},
    }
    # the same as _envops of the template
    environment = Environment(
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, undefined=StrictUndefined
    )
    words = {**plugin._asdict(), "_copier_answers": answers, "_copier_conf": {"answers_file": ANSWERS_FILE}}
    project = TEMPLATE / "project"
    for path in sorted(path for path in project.rglob("*") if path.is_file() and "__pycache__" not in path.parts):
        name = environment.from_string(path.relative_to(project).as_posix()).render(words)
        text = path.read_text(encoding="utf-8")
        if name.endswith(_SUFFIX):
            name, text = name.removesuffix(_SUFFIX), environment.from_string(text).render(words)
        yield name, text


def _checked(plugin: Plugin) -> Plugin:
    """Check the answers, put hooks into the order of the specifications, and say what it does where nobody did.

    Raises:
        UsageError: If the name or a hook cannot be.
    """
    if refusal := refusal_of_name(plugin.name):
        raise UsageError(f"NAME: {refusal}")
    if len(plugin.name) > _NAME_MAX:
        raise UsageError(f"NAME: expected at most {_NAME_MAX} letters, was {len(plugin.name)}")
    words = plugin.name.title().replace("_", "")
    if words in TAKEN:
        raise UsageError(f"NAME: expected a name whose class is no word of the hooks, was {plugin.name!r} ({words})")
    for hook in plugin.hooks:
        if hook not in HOOKS:
            raise UsageError(f"--hooks: expected names of hooks, was {hook!r}{nearest(hook, HOOKS)}")
    hooks = tuple(hook for hook in HOOKS if hook in plugin.hooks)
    if not hooks:
        raise UsageError(f"--hooks: expected at least one of {', '.join(HOOKS)}, was none")
    summary = plugin.summary.strip() or _summary(hooks)
    summary += "" if summary.endswith(".") else "."
    if len(summary) > _SUMMARY_MAX or not summary.isprintable() or any(sign in summary for sign in '"\\'):
        raise UsageError(
            f"--summary: expected one sentence of at most {_SUMMARY_MAX} letters without quotes and backslashes, "
            f"was {plugin.summary!r}"
        )
    return plugin._replace(hooks=hooks, summary=summary)


def _summary(hooks: Sequence[str]) -> str:
    return f"A tradecore plugin with {', '.join(hooks) if len(hooks) < 4 else f'{len(hooks)} hooks'}."

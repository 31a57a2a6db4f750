"""Secrecy: what is secret shows nowhere."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Iterator

from pydantic import ValidationError

from tradecore.hooks.guest import Guest
from tradecore.testing.contract.asking import ASKED, Question, ordinary
from tradecore.testing.contract.cards import PASSED, Result, card, failed, skipped
from tradecore.testing.contract.subject import CANARY, Subject

_FAMILY = "Secrecy"
_NONE = "no setting is a secret"


@card(
    "C75",
    "secrets-not-in-repr",
    _FAMILY,
    "No secret in what an instance shows of itself",
    prerequisite="a setting is a secret",
    skipped_when=_NONE,
    action="Write out the instance, its settings and its attributes with `repr` and `str`; misuse a setting.",
    expectation="The secret's value is in none of the texts, nor in the message about the misuse.",
)
def secrets_not_in_repr(subject: Subject) -> Result:
    """Write everything out."""
    secrets = subject.secrets()
    if not secrets:
        return skipped(_NONE)
    plugin = subject.guest().plugin
    shown = {"the instance": repr(plugin) + str(plugin), "its settings": repr(subject.guest().settings)}
    shown |= {f"its attribute {name}": repr(value) for name, value in vars(plugin).items()}
    for what, text in shown.items():
        if CANARY in text:
            return failed(
                f"{what} shows a secret; keep it as SecretStr and call get_secret_value() only where it is used"
            )
    return PASSED


@card(
    "C76",
    "secrets-not-in-answers",
    _FAMILY,
    "No secret in answers, errors and output",
    hooks=ASKED,
    prerequisite="a setting is a secret",
    skipped_when=_NONE,
    action=(
        "Ask ordinary questions, then ask with nonsense (`None` for every argument); read answers, errors, output "
        "and log."
    ),
    expectation="The secret's value is in none of them: they are journalled.",
)
def secrets_not_in_answers(subject: Subject) -> Result:
    """Ask well and badly, and read everything."""
    if not subject.secrets():
        return skipped(_NONE)
    guest = subject.fresh()
    output, log = io.StringIO(), _Listener()
    logging.getLogger().addHandler(log)
    try:
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
            for question in _good_and_bad(guest, subject):
                text, what = _heard(guest, question)
                if CANARY in text:
                    return failed(
                        f"{what} of {question.hook} shows a secret; leave secrets out of inputs, reasons and "
                        "error texts"
                    )
    finally:
        logging.getLogger().removeHandler(log)
    if CANARY in output.getvalue() or CANARY in "".join(log.lines):
        return failed("output or log shows a secret; deciding hooks print and log nothing")
    return PASSED


class _Listener(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__(logging.NOTSET)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the text."""
        self.lines.append(record.getMessage())


def _good_and_bad(guest: Guest, subject: Subject) -> Iterator[Question]:
    for question in ordinary(guest, subject.grid()):
        yield question
        yield question._replace(arguments=(None,) * len(question.arguments))


def _heard(guest: Guest, question: Question) -> tuple[str, str]:
    try:
        return repr(guest.asks[question.hook](*question.arguments)), "the answer"
    except Exception as error:  # noqa: BLE001 - asked with nonsense it may raise what it likes, but tell no secret
        chain = [error, error.__cause__, error.__context__]
        return " ".join(repr(one) for one in chain if one is not None), "an error"


@card(
    "C77",
    "secrets-not-in-refusals",
    _FAMILY,
    "No secret in the message about wrong settings",
    prerequisite="a setting is a secret",
    skipped_when=_NONE,
    after=("C10",),
    action="Validate a section that holds the secret and an unknown key.",
    expectation="The refusal does not show the secret's value.",
)
def secrets_not_in_refusals(subject: Subject) -> Result:
    """Read the refusal."""
    model = subject.settings_class
    if not subject.secrets() or model is None:
        return skipped(_NONE)
    bad = subject.section() | {"no_such_key_anywhere": 1}
    try:
        model.model_validate(bad)
    except ValidationError as error:
        if CANARY in str(error):
            return failed("the refusal of wrong settings shows a secret; set hide_input_in_errors=True in the model")
    return PASSED

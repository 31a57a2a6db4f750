"""Purity: deciding hooks are functions of their arguments, watched and not trusted."""

from __future__ import annotations

from tradecore.hooks.guest import Guest
from tradecore.testing.contract import watchers
from tradecore.testing.contract.asking import ASKED, Question, ask, ask_raw, ordinary
from tradecore.testing.contract.cards import PASSED, Broken, Result, card, failed
from tradecore.testing.contract.fingerprint import difference, fingerprint
from tradecore.testing.contract.subject import Subject
from tradecore.testing.contract.watchers import Touch, Watch

_FAMILY = "Purity and determinism"
_WATCHED = "Watch the constructor and every hook whose answer counts on ordinary questions."


@card(
    "C20",
    "answers-are-accepted",
    _FAMILY,
    "Every answer on an ordinary day passes the core's checks",
    action="Ask each hook whose answer counts about a quiet market and accounts, entries and exits in every condition.",
    expectation=(
        "No hook raises; the core's own checks of type, shape and range take each answer (money is `Decimal`, a wish "
        "has a reason and a unit)."
    ),
    hooks=ASKED,
)
def answers_are_accepted(subject: Subject) -> Result:
    """Ask ordinary questions with each section."""
    for number, (about, guest) in enumerate(subject.guests()):
        for question in ordinary(guest, subject.grid(number)):
            try:
                ask(guest, question)
            except Broken as error:
                return failed(f"{error}{about}")
    return PASSED


@card(
    "C21",
    "same-question-same-answer",
    _FAMILY,
    "The same question gets the same answer",
    action="Ask all ordinary questions, again in reverse order, and again to a new instance.",
    expectation="All three answers to a question agree to the bit.",
    hooks=ASKED,
    after=("C20",),
)
def same_question_same_answer(subject: Subject) -> Result:
    """Ask three times."""
    guest, other = subject.fresh(), subject.fresh()
    questions = list(ordinary(guest, subject.grid()))
    first = [fingerprint(ask(guest, question)) for question in questions]
    again = [fingerprint(ask(guest, question)) for question in reversed(questions)][::-1]
    anew = [fingerprint(ask(other, question)) for question in questions]
    for question, one, two, three in zip(questions, first, again, anew, strict=True):
        if one != two:
            return failed(
                f"{question.hook} on {question.about} answered otherwise when asked again: {difference(one, two)}; "
                "keep nothing between calls, compute the answer from the arguments and the settings alone"
            )
        if one != three:
            return failed(
                f"{question.hook} on {question.about}: a new instance answered otherwise: {difference(one, three)}; "
                "keep nothing between calls, compute the answer from the arguments and the settings alone"
            )
    return PASSED


@card(
    "C22",
    "inputs-are-unchanged",
    _FAMILY,
    "What a hook is handed is the same afterwards",
    action="Ask ordinary questions with arguments that could be written (plain mappings, views of writable arrays).",
    expectation="Every argument is deeply the same after the call, arrays byte by byte.",
    hooks=ASKED,
)
def inputs_are_unchanged(subject: Subject) -> Result:
    """Compare arguments before and after."""
    guest = subject.fresh()
    for question in ordinary(guest, subject.grid()):
        before = fingerprint(question.arguments)
        try:
            ask_raw(guest, question)
        except Exception as error:  # noqa: BLE001 - judged by its text, whatever the class
            # Views refuse to be written, so an attempt shows as a raise; any other raise is what C20 tells of.
            if "read-only" in str(error):
                return failed(
                    f"{question.hook} on {question.about} tried to write an array of the frame ({error}); "
                    "copy it first (np.array) or compute a new one"
                )
        after = fingerprint(question.arguments)
        if before != after:
            return failed(
                f"{question.hook} on {question.about} changed what it was handed: {difference(before, after)}; "
                "make new values (_replace, dict(...), np.array) and leave the arguments alone"
            )
    return PASSED


def _watch(subject: Subject) -> Watch:
    """Make an instance and ask it everything once, watched; what it raises is for other cards."""
    watch = Watch(subject.modules)
    questions = list(ordinary(subject.guest(), subject.grid()))
    model = subject.settings_class
    assert model is not None
    settings = model.model_validate(subject.section())
    with watch.running():
        subject.maker(settings)
    guest = subject.fresh()
    for question in questions:
        with watch.running():
            _asked_once(guest, question)
    return watch


def _asked_once(guest: Guest, question: Question) -> None:
    try:
        ask_raw(guest, question)
    except Exception:  # noqa: BLE001 - what a hook raises is told by the card that asks for accepted answers
        return


def _judged(subject: Subject, kind: str, instead: str) -> Result:
    touches = _watched_touches(subject, kind)
    if not touches:
        return PASSED
    shown = ", ".join(f"{touch.what} at {touch.where}" for touch in touches[:3])
    return failed(f"a deciding hook or the constructor reached for {kind}: {shown}; {instead}")


def _watched_touches(subject: Subject, kind: str) -> list[Touch]:
    """Touches of one kind; the watch runs once for all cards of this family."""
    found = subject.kept.get("watch")
    if not isinstance(found, Watch):
        found = subject.kept["watch"] = _watch(subject)
    return found.of(kind)


@card(
    "C23",
    "no-clock",
    _FAMILY,
    "No clock inside deciding hooks",
    hooks=ASKED,
    action=_WATCHED,
    expectation="Nothing reads or waits for the time of the machine (`time`, `datetime.now`).",
)
def no_clock(subject: Subject) -> Result:
    """Look for reads of the clock."""
    return _judged(
        subject, watchers.CLOCK, "take the moment from frame.timestamps, market.now_ms, portfolio.as_of_ms or now_ms"
    )  # fmt: skip


@card(
    "C24",
    "no-randomness",
    _FAMILY,
    "No randomness inside deciding hooks",
    hooks=ASKED,
    action=_WATCHED + " Look for generators that the plugin keeps.",
    expectation="Nothing draws (`random`, `numpy.random`, `secrets`, `os.urandom`) and no generator is kept.",
)
def no_randomness(subject: Subject) -> Result:
    """Look for draws and for generators."""
    kept = watchers.kept_generators(subject.modules, subject.guest().plugin)
    if kept:
        return failed(f"a random generator is kept in {', '.join(kept)}; decide from the arguments alone")
    return _judged(subject, watchers.CHANCE, "decide from the arguments alone")


@card(
    "C25",
    "no-network",
    _FAMILY,
    "No network inside deciding hooks",
    hooks=ASKED,
    action=_WATCHED,
    expectation="No socket is made and no name is looked up.",
)
def no_network(subject: Subject) -> Result:
    """Look for sockets."""
    return _judged(subject, watchers.NETWORK, "open sockets in on_start and hand results in through a job's answer")


@card(
    "C26",
    "no-files",
    _FAMILY,
    "No files and no output inside deciding hooks",
    hooks=ASKED,
    action=_WATCHED,
    expectation="No file is opened, listed or looked at; nothing is printed or logged.",
)
def no_files(subject: Subject) -> Result:
    """Look for files and output."""
    return _judged(
        subject, watchers.FILES,
        "name files in resources and read them in on_start; say what matters in the answer's inputs, which are "
        "journalled",
    )  # fmt: skip


@card(
    "C27",
    "no-threads",
    _FAMILY,
    "No thread, task or process inside deciding hooks",
    hooks=ASKED,
    action=_WATCHED,
    expectation="No thread, asyncio task, executor or process is started.",
)
def no_threads(subject: Subject) -> Result:
    """Look for threads, tasks and processes."""
    return _judged(subject, watchers.THREADS, "compute in the call itself, or start it in on_start")


@card(
    "C28",
    "no-environment",
    _FAMILY,
    "No environment inside deciding hooks",
    hooks=ASKED,
    action=_WATCHED,
    expectation="No environment variable, process id or working directory is read.",
)
def no_environment(subject: Subject) -> Result:
    """Look for reads of the environment."""
    return _judged(subject, watchers.ENVIRONMENT, "make it a setting of the plugin")

"""The failed session played through the program: with its orders of then, and with those of the default profile."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from click.testing import CliRunner, Result

from tests.failed_session.market import ALLOW, write_market, write_profiles
from tradecore.app.prepare import Options, prepare
from tradecore.cli.main import main
from tradecore.journal.read import decode, read_journal
from tradecore.model.events import Stamped
from tradecore.model.places import JOURNAL_FOLDER, STORE_FILE, TWIN_FILE
from tradecore.testing.invariants import Violation, check_run
from tradecore.testing.records import Records, records_of, truth_of


def call(*arguments: object) -> Result:
    """Call the command line in process."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments], prog_name="tradecore")


def answer(*arguments: object) -> Any:
    """Call the command line, expect exit code 0, and read its JSON."""
    result = call(*arguments, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


class Story(NamedTuple):
    """The market as files, and the profiles."""

    data: Path
    failed: Path
    sound: Path

    def run(self, profile: Path, state: Path, *more: object) -> Result:
        """Run the program over the market."""
        return call(
            "run", "--profile", profile, "--data", self.data, "--timeframe", "1s", "--state", state, "--json", *more
        )

    def plan(self, profile: Path, *more: object) -> Result:
        """Ask what a run would do."""
        return call("plan", "--profile", profile, *(word for one in self.sets for word in ("--set", one)), *more)

    @property
    def sets(self) -> Sequence[str]:
        """What `--data` and `--timeframe` set."""
        return ("market.source=files", f"market.folder={json.dumps(str(self.data))}", "market.timeframe=1s")


class Session(NamedTuple):
    """A session that was kept."""

    story: Story
    profile: Path
    folder: Path
    summary: dict[str, Any]

    @property
    def records(self) -> Records:
        """Everything that the store holds."""
        return records_of(self.folder / STORE_FILE)

    def notes(self, *kinds: type[Any]) -> list[Stamped]:
        """Events of the journal in order; all of them where no kind is named."""
        lines = (decode(line) for line in read_journal(self.folder / JOURNAL_FOLDER))
        return [line for line in lines if not kinds or isinstance(line.event, kinds)]

    def violations(self) -> Sequence[Violation]:
        """What breaks an invariant in what the session left."""
        prepared = prepare(Options(str(self.profile), {}, self.story.sets), allow_impossible=True)
        truth = truth_of(self.folder / TWIN_FILE)
        account = prepared.settings.account.name
        return check_run(self.records, truth, prepared.instruments, account, self.notes())


@pytest.fixture(scope="session")
def story(tmp_path_factory) -> Story:
    folder = tmp_path_factory.mktemp("failed-session")
    return Story(write_market(folder / "data"), *write_profiles(folder / "profiles"))


def played(story: Story, profile: Path, state: Path, *more: object) -> Session:
    """Run to the end of the market."""
    result = story.run(profile, state, *more)
    assert result.exit_code == 0, result.stderr
    return Session(story, profile, state, json.loads(result.stdout))


@pytest.fixture(scope="session")
def failed(story, tmp_path_factory) -> Session:
    """As it was, allowed by the codes of its findings."""
    return played(story, story.failed, tmp_path_factory.mktemp("failed") / "state", "--set", ALLOW)


@pytest.fixture(scope="session")
def sound(story, tmp_path_factory) -> Session:
    """The same market and the same signals, with the orders of the default profile."""
    return played(story, story.sound, tmp_path_factory.mktemp("sound") / "state")

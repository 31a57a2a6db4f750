"""`./go` with a Python and an installer of our own, so that nothing is fetched and every call is seen.

The folder has a space in its name, the home folder and the folder for temporary files are empty and must stay so.
"""

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

# Plays python3.11, the environment's python, uv and tradecore; writes each call to $CALLS.
PLAYER = """#!/bin/sh
case "$*" in
*"sys.exit("*) [ -z "${OLD:-}" ]; exit $? ;;
*"version_info"*) if [ -n "${OLD:-}" ]; then echo 3.9.2; else echo 3.11.9; fi; exit 0 ;;
esac
{ printf '%s' "${0##*/}"; printf '|%s' "$@"; printf '\\n'; } >> "$CALLS"
printf '%s\\n' "pid=$$ cwd=$PWD tmp=${TMPDIR:-} uv=${UV_CACHE_DIR:-} pip=${PIP_CACHE_DIR:-}" >> "$CALLS.around"
[ -z "${TMPDIR:-}" ] || : > "$TMPDIR/left-behind"
case "${0##*/}|$*" in
*"-m venv "*)
    mkdir -p "$3/bin"
    [ -z "${NO_VENV:-}" ] || { cp "$0" "$3/bin/python"; echo "no ensurepip"; exit 1; }
    for name in python tradecore ruff lint-imports; do cp "$0" "$3/bin/$name"; done ;;
*"-m pip install "*" uv")
    [ -z "${NO_UV:-}" ] || exit 1
    cp "$0" "${0%/*}/uv" ;;
*"-m pip install "*) exit "${PIP_RC:-0}" ;;
"uv|"*) exit "${UV_RC:-0}" ;;
*) echo "output of ${0##*/}"; exit "${RC:-0}" ;;
esac
"""


class Machine:
    """A folder with `go`, and around it a home, a temporary folder and a PATH that are ours."""

    def __init__(self, root: Path, tmp: Path) -> None:
        self.folder = tmp / "a folder" / "tradecore"
        self.home, self.tmp, self.bin, self.calls_file = tmp / "home", tmp / "tmp", tmp / "bin", tmp / "calls"
        for folder in (self.folder, self.home, self.tmp, self.bin):
            folder.mkdir(parents=True)
        for name in ("go", "pyproject.toml", "constraints.txt", "tradecore/__init__.py"):
            (self.folder / name).parent.mkdir(exist_ok=True)
            shutil.copy(root / name, self.folder / name)
        self.python("python3.11")

    def python(self, *names: str) -> None:
        for name in names:
            (self.bin / name).write_text(PLAYER)
            (self.bin / name).chmod(0o755)

    def plugin(self, name: str) -> None:
        (self.folder / "plugins" / name).mkdir(parents=True, exist_ok=True)
        (self.folder / "plugins" / name / "pyproject.toml").write_text(f'[project]\nname = "{name}"\n')

    def environment(self, **extra: str) -> dict[str, str]:
        return {
            "PATH": f"{self.bin}:/usr/bin:/bin",
            "HOME": str(self.home),
            "TMPDIR": str(self.tmp),
            "CALLS": str(self.calls_file),
            **extra,
        }

    def go(self, *args: str, cwd: Path | None = None, **extra: str) -> subprocess.CompletedProcess[str]:
        self.calls_file.unlink(missing_ok=True)
        return subprocess.run(
            [str(self.folder / "go"), *args],
            cwd=cwd or self.home,
            env=self.environment(**extra),
            capture_output=True,
            text=True,
            check=False,
            timeout=20,
        )

    @property
    def calls(self) -> list[list[str]]:
        """Programs that ran, each with its arguments."""
        return (
            [line.split("|") for line in self.calls_file.read_text().splitlines()] if self.calls_file.exists() else []
        )

    @property
    def around(self) -> dict[str, str]:
        """What the last program saw around it."""
        last = self.calls_file.with_name("calls.around").read_text().splitlines()[-1]
        keys = ("pid", "cwd", "tmp", "uv", "pip")
        cuts = [last.index(f"{key}=") for key in keys] + [len(last) + 1]
        return {key: last[cuts[i] + len(key) + 1 : cuts[i + 1] - 1] for i, key in enumerate(keys)}

    @property
    def programs(self) -> list[str]:
        return [call[0] if call[1:2] != ["-m"] else f"{call[0]} -m {call[2]}" for call in self.calls]


@pytest.fixture
def machine(root, tmp_path) -> Machine:
    return Machine(root, tmp_path)


FIRST_START = ["python3.11 -m venv", "python -m pip", "uv"]


@pytest.mark.parametrize("args", [(), ("help",), ("--help",), ("-h",)])
def test_help_installs_nothing(machine, args):
    before = sorted(machine.folder.rglob("*"))
    done = machine.go(*args)
    assert done.returncode == 0
    assert "./go demo" in done.stdout
    assert "./go test" in done.stdout
    assert machine.calls == []
    assert sorted(machine.folder.rglob("*")) == before
    assert list(machine.home.iterdir()) == []


def test_help_needs_no_python_at_all(machine):
    (machine.bin / "python3.11").unlink()
    assert machine.go("help").returncode == 0


def test_demo_installs_then_runs_with_the_options_passed_on(machine):
    machine.plugin("alpha")
    done = machine.go("demo", "--seed", "7", "--set", "a.b=c d")
    assert done.returncode == 0
    assert machine.programs == [*FIRST_START, "tradecore"]
    assert machine.calls[-1] == ["tradecore", "run", "--profile", "demo", "--seed", "7", "--set", "a.b=c d"]
    uv = machine.calls[2]
    assert uv[uv.index("--constraint") + 1] == "constraints.txt"
    assert [uv[i + 1] for i, word in enumerate(uv) if word == "--editable"] == [
        ".[testing,postgres]",
        "./plugins/alpha",
    ]


def test_says_each_step_on_stderr_and_leaves_stdout_to_the_program(machine):
    done = machine.go("run", "--json")
    assert done.stdout == "output of tradecore\n"
    assert [word for word in ("environment", "uv", "installing", "starting") if word not in done.stderr] == []
    assert all(line.startswith("go: ") for line in done.stderr.splitlines())


def test_second_start_asks_no_network(machine):
    machine.go("demo")
    machine.go("demo")
    assert machine.programs == ["tradecore"]


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt", "plugins/alpha/pyproject.toml"])
def test_changed_project_installs_again(machine, name):
    machine.plugin("alpha")
    machine.go("demo")
    with (machine.folder / name).open("a") as file:
        file.write("# changed\n")
    machine.go("demo")
    assert machine.programs == ["uv", "tradecore"]


def test_new_plugin_installs_again(machine):
    machine.go("demo")
    machine.plugin("beta")
    machine.go("demo")
    assert "./plugins/beta" in machine.calls[0]


@pytest.mark.parametrize("trouble", [{"NO_UV": "1"}, {"UV_RC": "2"}])
def test_falls_back_to_pip(machine, trouble):
    done = machine.go("demo", **trouble)
    assert done.returncode == 0
    last_install = machine.calls[-2]
    assert last_install[:4] == ["python", "-m", "pip", "install"]
    assert ".[testing,postgres]" in last_install
    assert "constraints.txt" in last_install


def test_failed_install_is_said_and_tried_again(machine):
    done = machine.go("demo", UV_RC="1", PIP_RC="1")
    assert done.returncode == 1
    assert "could not install" in done.stderr
    assert "tradecore" not in machine.programs
    machine.go("demo")
    assert machine.programs == ["uv", "tradecore"]


def test_python_without_venv_is_said_and_leaves_nothing(machine):
    done = machine.go("demo", NO_VENV="1")
    assert done.returncode == 1
    assert "apt-get install python3-venv" in done.stderr
    assert done.stdout == ""
    assert not (machine.folder / ".venv").exists()
    assert machine.go("demo").returncode == 0


@pytest.mark.parametrize(
    ("args", "given"),
    [
        (("run",), ["run"]),
        (("run", "--for", "60s"), ["run", "--for", "60s"]),
        (("run", "plugins", "list"), ["plugins", "list"]),
        (("run", "exit", "BTC/USDT"), ["exit", "BTC/USDT"]),
        (("run", "run", "--seed", "1"), ["run", "--seed", "1"]),
    ],
)
def test_run_passes_on_to_tradecore(machine, args, given):
    machine.go(*args)
    assert machine.calls[-1] == ["tradecore", *given]


@pytest.mark.parametrize(("command", "code"), [("demo", 3), ("run", 75), ("test", 5)])
def test_exit_code_is_the_programs(machine, command, code):
    assert machine.go(command, RC=str(code)).returncode == code


def test_check_fails_where_one_question_fails(machine):
    assert machine.go("check").returncode == 0
    assert machine.programs[3:] == ["ruff", "ruff", "python -m mypy", "lint-imports"]
    assert machine.go("check", RC="1").returncode == 1


def test_test_runs_pytest_in_the_folder_with_the_options_passed_on(machine):
    machine.go("test", "tests/store", "-k", "a or b")
    assert machine.calls[-1][:3] == ["python", "-m", "pytest"]
    assert machine.calls[-1][-3:] == ["tests/store", "-k", "a or b"]
    assert machine.around["cwd"] == str(machine.folder)


def test_program_keeps_the_folder_of_the_caller(machine):
    machine.go("run", "--state", "here", cwd=machine.tmp)
    assert machine.around["cwd"] == str(machine.tmp)


@pytest.mark.parametrize("command", ["demo", "test", "check"])
def test_nothing_is_left_outside_the_folder(machine, command):
    machine.go(command)
    assert list(machine.home.iterdir()) == []
    assert list(machine.tmp.iterdir()) == []
    assert machine.around["uv"].startswith(str(machine.folder / ".venv"))
    assert machine.around["pip"].startswith(str(machine.folder / ".venv"))
    assert sorted(p.name for p in machine.folder.iterdir()) == [
        ".venv",
        "constraints.txt",
        "go",
        "pyproject.toml",
        "tradecore",
    ]


def test_temporary_files_of_a_dead_start_are_swept(machine):
    machine.go("demo")
    old = Path(machine.around["tmp"])
    assert old.is_relative_to(machine.folder / ".venv")
    assert (old / "left-behind").exists()
    machine.go("demo")
    assert not old.exists()


def test_program_takes_the_place_of_the_script(machine):
    machine.go("demo")
    process = subprocess.Popen(
        [str(machine.folder / "go"), "run"],
        env=machine.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    assert process.wait(timeout=20) == 0
    assert machine.around["pid"] == str(process.pid)


def test_signal_reaches_the_program(machine):
    machine.go("demo")
    (machine.folder / ".venv/bin/tradecore").write_text(
        "#!/bin/sh\ntrap 'exit 3' TERM\necho ready\nwhile :; do sleep 0.05; done\n"
    )
    process = subprocess.Popen(
        [str(machine.folder / "go"), "run"],
        env=machine.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=20) == 3
        finally:
            process.kill()


def test_moved_folder_is_made_anew(machine):
    machine.go("demo")
    moved = machine.folder.rename(machine.folder.with_name("moved"))
    machine.folder = moved
    done = machine.go("demo")
    assert "moved or copied" in done.stderr
    assert machine.programs == [*FIRST_START, "tradecore"]


def test_lost_python_is_made_anew(machine):
    machine.go("demo")
    python = machine.folder / ".venv/bin/python"
    python.unlink()
    python.symlink_to("/nowhere/python")
    done = machine.go("demo")
    assert "gone or too old" in done.stderr
    assert machine.programs == [*FIRST_START, "tradecore"]


def test_old_python_is_one_clear_line(machine):
    machine.python("python3.11", "python3.12", "python3.13", "python3.14", "python3", "python")
    done = machine.go("demo", OLD="1")
    assert done.returncode == 1
    assert "expected Python 3.11 or newer on PATH, found" in done.stderr
    assert "3.9.2" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (machine.folder / ".venv").exists()


def test_python_variable_chooses(machine):
    machine.python("mine")
    machine.go("demo", PYTHON=str(machine.bin / "mine"))
    assert machine.programs[0] == "mine -m venv"
    shutil.rmtree(machine.folder / ".venv")
    done = machine.go("demo", PYTHON="/nowhere/python")
    assert done.returncode == 1
    assert "PYTHON=/nowhere/python: expected Python 3.11 or newer, found nothing that runs" in done.stderr


def test_unknown_command_is_refused(machine):
    done = machine.go("dmeo")
    assert done.returncode == 2
    assert "found dmeo" in done.stderr
    assert machine.calls == []


class Build:
    """A clone in which `./go` is ours, and a machine that has what `.ci/run` looks for."""

    def __init__(self, root: Path, tmp: Path) -> None:
        self.folder, self.bin, self.log = tmp / "clone", tmp / "bin", tmp / "log"
        (self.folder / ".ci").mkdir(parents=True)
        self.bin.mkdir()
        shutil.copy(root / ".ci/run", self.folder / ".ci/run")
        self.script(self.folder / "go", f'echo "go $*" >> "{self.log}"; echo "ended $1"; [ "$1" != "${{BREAK:-}}" ]')
        self.script(self.bin / "apt-get", f'echo "apt-get $*" >> "{self.log}"; exit 1')
        for name in ("python3.11", "initdb"):
            self.script(self.bin / name, '[ -z "${OLD:-}" ]')

    def script(self, path: Path, body: str) -> None:
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)

    def run(self, **extra: str) -> tuple[int, list[str], list[str]]:
        environment = {"PATH": f"{self.bin}:/usr/bin:/bin", "PYTHON": str(self.bin / "python3.11"), **extra}
        done = subprocess.run(
            [str(self.folder / ".ci/run")], env=environment, capture_output=True, text=True, check=False, timeout=20
        )
        return done.returncode, done.stdout.splitlines(), self.log.read_text().splitlines() if self.log.exists() else []


@pytest.fixture
def build(root, tmp_path) -> Build:
    return Build(root, tmp_path)


def test_ci_does_what_the_readme_says(build, root):
    code, lines, log = build.run()
    assert code == 0
    assert log == ["go check", "go test"]
    assert lines[-1] == "ended test"
    readme = (root / "README.md").read_text()
    assert all(f"./{call}" in readme for call in log)


@pytest.mark.parametrize(("broken", "ran"), [("check", ["go check"]), ("test", ["go check", "go test"])])
def test_ci_fails_with_what_fails(build, broken, ran):
    code, _, log = build.run(BREAK=broken)
    assert code != 0
    assert log == ran


def test_ci_without_python_says_what_it_cannot_do(build):
    code, lines, log = build.run(OLD="1")
    assert code == 1
    assert lines[-1].startswith("ci: expected Python 3.11 or newer")
    assert not any(call.startswith("go") for call in log)
    if os.getuid() == 0:
        assert log[0].startswith("apt-get")

#!/bin/sh
# tradecore in two commands; `./go help` names them. POSIX sh, needs Python 3.11 or newer and, the first time, a network.
# Everything that it makes stays in .venv beside it: the environment, every cache, and a stamp that says what was installed.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
venv=$here/.venv
cache=$venv/.cache
stamp=$venv/.go-stamp
oldest="3.11"

# Messages go to stderr, so that `./go run ... --json` leaves stdout to the program.
say() { printf 'go: %s\n' "$*" >&2; }
die() {
    say "$*"
    exit 1
}

usage() {
    cat <<'END'
tradecore: a spot-crypto bot that never loses an order, never doubles one, and always says why.

  ./go demo [OPTIONS]   Install, then trade two hours of a lively market on the built-in venue: about a minute,
                        no keys, no network. Ends with a summary and what to type next.
                        The same as `tradecore run --profile demo OPTIONS`.
  ./go test [OPTIONS]   Install, then run every test of the core and of each plugin. OPTIONS go to pytest;
                        paths are relative to this folder.

  ./go run OPTIONS      Install, then `tradecore run OPTIONS`.
  ./go run COMMAND ...  Install, then `tradecore COMMAND ...`, for instance `./go run plugins list`.
  ./go check            Install, then lint, types and import layers: what CI asks before the tests.
  ./go help             Print this. Installs nothing.

Needs Python 3.11 or newer (PYTHON=/path/to/python chooses one) and, the first time only, a network.
Everything it installs and every cache lie in .venv in this folder: delete that, and nothing is left.
END
}

version_of() { "$1" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null; }

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

# Sets `python`, or ends with one clear line.
find_python() {
    if [ -n "${PYTHON:-}" ]; then
        python=$PYTHON
        new_enough "$python" && return
        die "PYTHON=$PYTHON: expected Python $oldest or newer, found $(version_of "$python" || echo 'nothing that runs')"
    fi
    seen=""
    for python in python3.11 python3.12 python3.13 python3.14 python3 python; do
        new_enough "$python" && return
        found=$(version_of "$python") && seen="$seen $python is $found,"
    done
    die "expected Python $oldest or newer on PATH, found${seen:- none}${seen:+ nothing newer}; install it, or set PYTHON=/path/to/python$oldest"
}

# What decides the environment: change one of these and the next start installs again.
wanted() {
    printf '%s\n' "$here"
    {
        cat "$here/pyproject.toml" "$here/constraints.txt"
        sed -n '/^__version__/p' "$here/tradecore/__init__.py"
        for file in "$here"/plugins/*/pyproject.toml; do
            if [ -f "$file" ]; then printf '%s\n' "${file#"$here"}" && cat "$file"; fi
        done
    } | cksum
}

# Caches and temporary files of every tool below .venv; nothing in the home folder.
keep_inside() {
    export PIP_CACHE_DIR="$cache/pip" PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_USER=0
    export UV_CACHE_DIR="$cache/uv" UV_PYTHON_DOWNLOADS=never
    export XDG_CACHE_HOME="$cache/xdg" PYTHONPYCACHEPREFIX="$cache/pycache"
    export MYPY_CACHE_DIR="$cache/mypy" RUFF_CACHE_DIR="$cache/ruff" HYPOTHESIS_STORAGE_DIRECTORY="$cache/hypothesis"
    # A start that was killed could not clean up; its folder is named after its process.
    for old in "$cache"/tmp/*; do
        if [ -d "$old" ] && ! kill -0 "${old##*/}" 2>/dev/null; then rm -rf -- "$old"; fi
    done
}

temporary_inside() {
    export TMPDIR="$cache/tmp/$$"
    mkdir -p "$TMPDIR"
}

# Called in the repository folder with the list of editable installs.
install_with_uv() {
    if [ ! -x "$venv/bin/uv" ]; then
        say "fetching uv, a fast installer, into .venv"
        "$venv/bin/python" -m pip install --quiet --constraint constraints.txt uv || return 1
    fi
    say "installing tradecore, its plugins and the test tools into .venv with uv (10 s to a minute)"
    "$venv/bin/uv" pip install --quiet --python "$venv/bin/python" \
        --constraint constraints.txt --build-constraints constraints.txt --group dev "$@"
}

install_with_pip() {
    say "that did not work; trying with plain pip (one to three minutes)"
    # Dependency groups came with pip 25.1.
    "$venv/bin/python" -m pip install --quiet 'pip>=25.1' &&
        "$venv/bin/python" -m pip install --quiet --constraint constraints.txt --group dev "$@"
}

# An environment does not survive a move of its folder or the loss of the Python it was made with.
drop_broken_venv() {
    if [ -f "$stamp" ] && [ "$(sed -n 1p "$stamp")" != "$here" ]; then
        say "this folder was moved or copied: making .venv anew"
        rm -rf -- "$venv"
    elif [ -e "$venv/bin/python" ] || [ -L "$venv/bin/python" ]; then
        if ! new_enough "$venv/bin/python"; then
            say "the Python of .venv is gone or too old: making .venv anew"
            rm -rf -- "$venv"
        fi
    fi
}

prepare() {
    keep_inside
    now=$(wanted)
    if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$now" ] && [ -x "$venv/bin/python" ] && new_enough "$venv/bin/python"; then
        temporary_inside
        return
    fi
    drop_broken_venv
    if [ ! -x "$venv/bin/python" ]; then
        find_python
        temporary_inside
        say "making an environment in .venv with $python ($(version_of "$python"))"
        if ! "$python" -m venv "$venv" >&2; then
            rm -rf -- "$venv"
            die "$python could not make an environment; on Debian and Ubuntu: apt-get install python3-venv"
        fi
    fi
    rm -f -- "$stamp"
    temporary_inside
    cd -- "$here"
    set -- --editable '.[testing,postgres]'
    for plugin in plugins/*/; do
        if [ -f "$plugin/pyproject.toml" ]; then set -- "$@" --editable "./${plugin%/}"; fi
    done
    install_with_uv "$@" >&2 || install_with_pip "$@" >&2 ||
        die "could not install; the lines above say why (the first start needs a network, later ones do not)"
    printf '%s\n' "$now" >"$stamp"
    cd -- "$from"
}

# The program takes this process's place, so that signals and the exit code are its own.
start() {
    prepare
    say "starting: tradecore $*"
    exec "$venv/bin/tradecore" "$@"
}

run_tests() {
    prepare
    unset TMPDIR
    # A short path that other users may enter: the tests start a PostgreSQL server, which refuses root and long socket paths.
    scratch=$(mktemp -d "${system_tmp:-/tmp}/tradecore-test.XXXXXX")
    trap 'rm -rf -- "$scratch" "$cache/tmp/$$"' EXIT
    # The terminal tells pytest too; wait for its report, then clean up.
    trap ':' INT TERM
    chmod 711 "$scratch"
    say "running every test: tests/ and plugins/*/tests"
    cd -- "$here"
    status=0
    # Many tests wait for a process of their own: one worker more than cores keeps all cores at work.
    export PYTEST_XDIST_AUTO_NUM_WORKERS="${PYTEST_XDIST_AUTO_NUM_WORKERS:-$(($(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1) + 1))}"
    # A test that hangs ends its worker after five minutes and is named with where it stood; the rest goes on.
    TMPDIR=$scratch "$venv/bin/python" -m pytest -n auto --maxprocesses 4 --dist loadfile --timeout 300 --timeout-method thread \
        -o "cache_dir=$cache/pytest" "$@" || status=$?
    exit "$status"
}

run_checks() {
    prepare
    cd -- "$here"
    status=0
    say "lint: ruff check and ruff format --check"
    "$venv/bin/ruff" check . || status=1
    "$venv/bin/ruff" format --check . || status=1
    say "types: mypy --strict"
    "$venv/bin/python" -m mypy || status=1
    say "imports: the layers of the design"
    "$venv/bin/lint-imports" --no-logo --cache-dir "$cache/import-linter" || status=1
    rm -rf -- "$TMPDIR"
    exit "$status"
}

from=$PWD
system_tmp=${TMPDIR:-}
command=${1:-help}
[ $# -eq 0 ] || shift
case $command in
help | -h | --help) usage ;;
demo) start run --profile demo "$@" ;;
test) run_tests "$@" ;;
check) run_checks ;;
run)
    case ${1:-} in
    "" | -*) start run "$@" ;;
    *) start "$@" ;;
    esac
    ;;
*)
    say "unknown command: expected demo, test, run, check or help, found $command"
    exit 2
    ;;
esac

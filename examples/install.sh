# Installs what Factor needs on this machine; sourced by examples/quickstart and tests/run.
#
#   install_factor EXTRAS    makes .venv in the checkout, with Factor (editable), its
#                            requirements and those of the extras, and WSClean;
#                            sets $venv_python. Takes no time when nothing has changed.
#
# Another Python than python3 can be given in the environment variable PYTHON.

checkout="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
venv="$checkout/.venv"
venv_python="$venv/bin/python"

say() { printf '== %s\n' "$*"; }

stop() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 2
}

# Runs a command as root, where that needs no password.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -n "$@"; fi
}

# apt_install WHY PACKAGE...: installs system packages, or says which ones to install.
apt_install() {
    local why="$1"
    shift
    if ! command -v apt-get > /dev/null; then
        stop "$why is missing: install it (on Debian: apt install $*), then run this again"
    fi
    if ! as_root true 2> /dev/null; then
        stop "$why is missing: run 'sudo apt install $*', then run this again"
    fi
    say "installing $* with apt, since $why is missing"
    local log
    log="$(mktemp)"
    if ! { as_root env DEBIAN_FRONTEND=noninteractive apt-get update &&
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"; } \
        > "$log" 2>&1 < /dev/null; then
        tail -n 15 "$log" >&2
        stop "apt could not install $* (all it said: $log)"
    fi
    rm -f "$log"
}

# Runs a command with its output in a log and the seconds counted in a terminal.
with_progress() {
    local log="$1" start=$SECONDS
    shift
    "$@" > "$log" 2>&1 < /dev/null &
    local pid=$!
    while [ -t 1 ] && kill -0 "$pid" 2> /dev/null; do
        printf '\r   %d s' $((SECONDS - start))
        sleep 1
    done
    if [ -t 1 ]; then printf '\r'; fi
    wait "$pid"
}

make_venv() {
    local python="${PYTHON:-python3}"
    command -v "$python" > /dev/null || apt_install "Python" python3 python3-venv
    "$python" -c 'import sys; raise SystemExit(sys.version_info < (3, 11))' ||
        stop "Factor needs Python 3.11 or later; name one in the environment variable PYTHON" \
            "($python is $("$python" -V 2>&1))"
    "$python" -c 'import venv, ensurepip' 2> /dev/null ||
        apt_install "the Python module venv" python3-venv
    say "making the virtual environment $venv"
    "$python" -m venv "$venv" || stop "cannot make the virtual environment $venv"
}

install_factor() {
    local extras="$1" stamp="$venv/factor-installed-$1" wanted log="$venv/pip.log"
    "$venv_python" -m pip --version > /dev/null 2>&1 || make_venv
    wanted="$(cat "$checkout/setup.py" "$checkout/pyproject.toml" "$checkout/factor/__init__.py" |
        sha256sum) $("$venv_python" -V) $checkout"
    if [ "$(cat "$stamp" 2> /dev/null)" != "$wanted" ]; then
        say "installing Factor and what it needs into $venv (a minute or more)"
        if ! with_progress "$log" "$venv_python" -m pip install --disable-pip-version-check \
            --no-input --progress-bar off --editable "$checkout[$extras]"; then
            tail -n 15 "$log" >&2
            stop "pip could not install Factor (all it said: $log)"
        fi
        printf '%s\n' "$wanted" > "$stamp"
    fi
    # The one library that DP3's wheel takes from the system and a bare Debian lacks.
    "$venv_python" -c 'import ctypes; ctypes.CDLL("libglib-2.0.so.0")' 2> /dev/null ||
        apt_install "GLib, which DP3 uses," libglib2.0-0
    if [ -z "${FACTOR_WSCLEAN:-}" ]; then
        command -v wsclean > /dev/null || apt_install "WSClean" wsclean
    fi
}

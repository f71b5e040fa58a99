#!/bin/sh
# Install Tellwire from its source into a folder, without a build tool: deploy/install.sh packages|code FOLDER
#
#   packages   a virtual environment with what requirements.lock pins, each file checked against its hash
#   code       Tellwire and its SDK, and the command FOLDER/bin/tellwire
#
# The Dockerfile runs both, one layer each, so that a change of the code does not install the packages again. Elsewhere:
#   deploy/install.sh packages /opt/tellwire && deploy/install.sh code /opt/tellwire
set -eu
unset CDPATH

die() { printf 'install.sh: %s\n' "$*" >&2; exit 1; }

source=$(cd -- "$(dirname -- "$0")/.." && pwd -P)
[ $# = 2 ] || die 'takes two words: packages or code, and a folder'
folder=$2
python=$folder/bin/python

case $1 in
  packages)
    # uv fills an environment in seconds; pip, which comes with Python, does the same.
    if uv --version >/dev/null 2>&1; then
      python3 -m venv --without-pip "$folder"
      UV_PYTHON_DOWNLOADS=never uv pip install --quiet --python "$python" --require-hashes --no-deps \
        --only-binary :all: -r "$source/requirements.lock"
    else
      python3 -m venv "$folder"
      "$python" -m pip --disable-pip-version-check install --quiet --no-input --no-cache-dir --no-compile \
        --require-hashes --no-deps --only-binary :all: -r "$source/requirements.lock"
      "$python" -m pip --disable-pip-version-check uninstall --quiet --yes pip
    fi
    ;;
  code)
    [ -x "$python" ] || die "there is no environment in $folder: install the packages first"
    site=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    rm -rf "$site/tellwire" "$site/tellwire_sdk"
    cp -R "$source/src/tellwire" "$source/sdk/src/tellwire_sdk" "$site/"
    find "$site/tellwire" "$site/tellwire_sdk" -name __pycache__ -type d -prune -exec rm -rf {} +
    # Compiled once: where nothing can be written, each start would do it again.
    "$python" -m compileall -q -j 0 "$site" || true
    printf '#!%s -P\nimport sys\n\nfrom tellwire.cli import main\n\nsys.exit(main())\n' "$python" >"$folder/bin/tellwire"
    chmod 755 "$folder/bin/tellwire"
    ;;
  *)
    die "takes packages or code, not $1"
    ;;
esac

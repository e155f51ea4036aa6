#!/bin/sh
# The steps of the image's build stage, so that they can be taken without an engine too.
# Usage: build.sh dependencies|service FOLDER   (FOLDER becomes the virtual environment; run it in the project's root)
set -eu
step=$1 folder=$2

case $step in
dependencies)
    uv venv --quiet --no-project --python python3 "$folder"
    uv pip sync --quiet --no-config --require-hashes --python "$folder/bin/python" \
        deploy/docker/service.lock
    ;;
service)
    # Built with what is locked: no isolation, in which pip would fetch a builder of its own choice.
    uv build --quiet --no-config --wheel --no-build-isolation --out-dir dist --python python3 .
    uv pip install --quiet --no-config --no-deps --python "$folder/bin/python" dist/*.whl
    ;;
*)
    echo "unknown step: $step" >&2
    exit 2
    ;;
esac

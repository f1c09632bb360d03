#!/usr/bin/env bash
# A folder with every wheel that nnunet_hetero needs, and a lock file with their SHA-256, for machines without internet.
# Usage: tools/wheelhouse.sh FOLDER [PYTHON]; on the other machine:
#   python -m pip install --no-index --find-links FOLDER --require-hashes -r FOLDER/requirements.lock
set -euo pipefail

folder="${1:?usage: tools/wheelhouse.sh FOLDER [PYTHON]}"
python="${2:-python3}"
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"

mkdir -p "$folder"
"$python" -m pip wheel --quiet --wheel-dir "$folder" "$root"
(
    cd "$folder"
    for wheel in *.whl; do
        name="$(cut -d- -f1 <<<"$wheel" | tr _ -)"
        version="$(cut -d- -f2 <<<"$wheel")"
        echo "$name==$version --hash=sha256:$(sha256sum "$wheel" | cut -d' ' -f1)"
    done
) >"$folder/requirements.lock.part"
mv "$folder/requirements.lock.part" "$folder/requirements.lock"
echo "$(wc -l <"$folder/requirements.lock") wheels in $folder, $(du -sh "$folder" | cut -f1)"

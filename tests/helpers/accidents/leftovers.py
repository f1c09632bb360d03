"""What processes leave behind that were killed while they wrote."""

from __future__ import annotations

from pathlib import Path

from nnunet_hetero.io.drafts import Owner, new_draft


def leave_draft(file: Path, content: bytes | None = b"half") -> Path:
    """The draft of a file that a process left which is gone by now.

    Args:
        file: What it was to become.
        content: None makes it a folder with a file in it.
    """
    own = Owner.this_process()
    # A process of the same number, but an earlier one.
    name = new_draft(file).name.replace(f"-{own.pid}-{own.started}-", f"-{own.pid}-{own.started - 1}-")
    draft = file.with_name(name)
    draft.parent.mkdir(parents=True, exist_ok=True)
    if content is None:
        draft.mkdir()
        (draft / file.name).write_bytes(b"half")
    else:
        draft.write_bytes(content)
    return draft

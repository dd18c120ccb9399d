"""Counting the files that something enters."""

from benchmarks.files_entered import entered
from workspaces_apps._model.validation import is_list
from workspaces_apps._pacing import Pacing


def test_only_what_was_entered_meanwhile_counts() -> None:
    """A file counts once, by its path in the package; nothing of others, and nothing from before or after."""
    Pacing.adaptive()
    with entered() as files:
        assert is_list([])
        assert is_list([])
        assert not []
    Pacing.adaptive()
    assert files == {"_model/validation.py"}

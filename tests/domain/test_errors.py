"""Every error is a sentence, and crosses the wire as its kind and fields."""

from __future__ import annotations

import json

import pytest

from localai.domain import errors, source_errors
from localai.domain.error_fields import error_from_fields
from localai.domain.errors import LocalAIError

OURS = (errors.__name__, source_errors.__name__)

EXAMPLES = [
    errors.InvalidRequest("temperature is 3; it must be between 0 and 2.", param="temperature"),
    errors.ModelNotFound("lama", near=("llama",)),
    errors.ModelDisabled("llama"),
    errors.Unsupported("Sounds are not supported.", feature="audio", param="audio"),
    errors.ContextTooLong(limit=4096, requested=5000),
    errors.JobNotFound("17"),
    errors.BodyTooLarge(limit_bytes=15_000_000),
    errors.FileTooLarge(limit_bytes=512_000_000),
    errors.NotStored("file", "file-1", param="after"),
    errors.DocumentUnreadable("The document 'a.pdf'", "is damaged", param="input[0]"),
    errors.RouteNotFound("GET", "/v1/model", ["/v1/models"]),
    errors.MethodNotAllowed("GET", "/v1/edits", "POST"),
    errors.BodyIncomplete(timeout_s=30),
    errors.CrossSite(),
    errors.FetchFailed("http://a.example/b.png", "is text/html, not image"),
    errors.NotAuthorized(),
    errors.QueueFull("llama", limit=64, retry_after_s=2.5),
    errors.CoolingDown("llama", retry_after_s=10.0, reason="no such file."),
    errors.OutOfMemory("The model does not fit.", needed_bytes=2, free_bytes=1),
    errors.TimedOut("Loading the model", timeout_s=600),
    errors.StorageFull(free_bytes=1_000_000, needed_bytes=2_000_000),
    errors.ShuttingDown(),
    errors.StartFailed("The worker did not start.", log_tail="out of cheese"),
    errors.Crashed("llama", exit_code=-11, log_tail="segmentation fault"),
    errors.EngineFailed("The engine stopped."),
    errors.StreamRuleBroken("The worker sent Delta out of order."),
    errors.SpecInvalid("a.yaml is wrong.", problems=("a.yaml:3: name: is missing",)),
    errors.ModelFileInvalid("a.gguf is damaged.", path="a.gguf"),
    errors.BackendNotInstalled("No backend x.", command="local-ai backends install x"),
    errors.InstallFailed("uv pip failed: no such version.", log_tail="no such version"),
    errors.InstallBusy("whisper"),
    errors.SettingInvalid("--port is abc; it must be a number."),
    errors.ChecksumMismatch("a.gguf differs from what was announced."),
    source_errors.SourceNotFound("The repository a/b", "does not exist", near=("hf://a/c",)),
    source_errors.EntryNotFound("qwen3", near=("qwen3-8b",)),
    source_errors.GalleryFailed("localai", "cannot be reached"),
    source_errors.SourceForbidden("The repository a/b", "is gated", hint="Set HF_TOKEN."),
    source_errors.DownloadFailed("a.gguf", "its server sent nothing for 30 s"),
]


def tree(root: type[LocalAIError]) -> list[type[LocalAIError]]:
    """Every class of this project's errors; tests of other rooms may derive their own."""
    children = [tree(child) for child in root.__subclasses__()]
    return [
        root,
        *(cls for found in children for cls in found if cls.__module__ in OURS),
    ]


def test_every_error_has_an_example_and_a_kind_of_its_own() -> None:
    leaves = {cls for cls in tree(LocalAIError) if not cls.__subclasses__()}
    assert {type(error) for error in EXAMPLES} == leaves
    kinds = [cls.kind for cls in tree(LocalAIError)]
    assert sorted(set(kinds)) == sorted(kinds)


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: error.kind)
def test_an_error_survives_the_wire(error: LocalAIError) -> None:
    fields = json.loads(json.dumps(error.fields))
    again = error_from_fields(error.kind, error.message, error.hint, fields)
    assert type(again) is type(error)
    assert (again.message, again.hint, again.fields) == (error.message, error.hint, error.fields)
    assert (again.sentence, str(again)) == (error.sentence, str(error))
    assert again.retry_after_s == error.retry_after_s


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: error.kind)
def test_an_error_is_sentences(error: LocalAIError) -> None:
    assert error.message[0] == error.message[0].upper() or error.message[0].isalpha()
    assert error.sentence.endswith(".")
    assert "  " not in error.sentence


def test_an_unknown_kind_is_the_engines_fault() -> None:
    error = error_from_fields("of_the_future", "It broke.", "", {"x": 1})
    assert type(error) is errors.EngineFailed
    assert error.sentence == "It broke."


@pytest.mark.parametrize(
    ("exit_code", "how"),
    [(None, "died."), (3, "died (exit code 3)."), (-9, "died (signal 9).")],
)
def test_a_crash_says_how(exit_code: int | None, how: str) -> None:
    assert how in errors.Crashed("m", exit_code=exit_code).message


def test_a_worker_that_the_system_has_killed_hints_at_the_memory() -> None:
    assert "memory runs out" in errors.Crashed("m", exit_code=-9).hint
    assert "memory" not in errors.Crashed("m", exit_code=-11).hint


def test_the_hint_of_a_long_prompt_counts_the_tokens_to_remove() -> None:
    assert "Remove 905 tokens" in errors.ContextTooLong(limit=4096, requested=5000).hint

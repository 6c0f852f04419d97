"""Filling gaps: a request from its model's spec, and a spec from what file and machine allow.

Everything here is a pure function. Order: request over YAML over family over general values.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, Final, TypedDict, Unpack

from localai.catalog.families import family_sampling
from localai.catalog.gguf import GgufFacts
from localai.catalog.prompts import media_of, render_chat, render_completion, render_edit
from localai.catalog.spec import ModelSpec
from localai.domain.errors import ModelFileInvalid, SpecInvalid
from localai.domain.generation import (
    MEDIA_MARKER,
    METADATA_OPTION,
    Chat,
    Completion,
    Edit,
    GenerationRequest,
    Grammar,
    OutputFormat,
    PlainText,
    Prompt,
    Sampling,
)
from localai.domain.parts import Media, Message, Role, Text
from localai.hardware import Hardware
from localai.wire.functions import function_settings, offered_tools

TEMPLATE_VARIABLES: Final = "chat_template_kwargs"  # in settings and in engine_options
THINKING_BUDGET: Final = "thinking_budget_tokens"  # in engine_options
EFFORT_VARIABLES: Final = ("enable_thinking", "reasoning_effort")
NO_EFFORT: Final = "none"
DEFAULT_BACKEND: Final = "llama-cpp"
GENERAL_SAMPLING: Final = Sampling(temperature=0.9, top_p=0.95, top_k=40, min_p=0.0)

CONTEXT_STEPS: Final = (8192, 6144, 4096, 2048)
ASKED_STEP: Final = 1024  # tokens, by which a caller's wish is cut until it fits
CONTEXT_UNKNOWN: Final = 4096  # when neither the file says nor guessing is wanted
HEADROOM: Final = 1.2  # computation buffers and allocator loss, on top of weights and cache
ENTIRE_CONTEXT: Final = -1
SLOT_STEPS: Final = (4, 3, 2, 1)
CACHE_SHARE: Final = 0.1  # of the free memory, for prompts of idle conversations
CACHE_MOST_MIB: Final = 8192  # llama.cpp's own default
LONGEST_COUNT: Final = 6  # digits; more is no number of slots

# Bytes per value of the attention cache, where a spec asks for another type than f16.
CACHE_BYTES: Final[Mapping[str, float]] = {
    "f32": 4.0,
    "f16": 2.0,
    "bf16": 2.0,
    "q8_0": 34 / 32,
    "q5_1": 24 / 32,
    "q5_0": 22 / 32,
    "q4_1": 20 / 32,
    "q4_0": 18 / 32,
    "iq4_nl": 18 / 32,
}


class AppDefaults(TypedDict, total=False):
    """What the operator set for all models; None where nothing was set.

    `asked_context` is what a caller asks for, in tokens: only where nobody has set a size.
    """

    context_size: int | None
    asked_context: int | None
    threads: int | None
    f16: bool | None
    parallel: int | None
    disable_guessing: bool


def with_defaults(request: GenerationRequest, spec: ModelSpec) -> GenerationRequest:
    """Give `request` with what its model's file adds.

    Values of the request win. Stop sequences add up. Where the file has a template the prompt is
    rendered here; else its system prompt goes before a conversation that has none, and an edit
    becomes a conversation of one message. `reasoning.disable` of the file wins over the request.
    Raises SpecInvalid for a template that fails.
    """
    effort = request.reasoning_effort or spec.settings.get("reasoning_effort")
    if spec.settings.get("reasoning_disable"):
        effort = NO_EFFORT
    same = effort == request.reasoning_effort
    with_effort = request if same else replace(request, reasoning_effort=effort)
    output = _output(request, spec)
    return replace(
        request,
        prompt=_prompt(with_effort, spec),
        sampling=_sampling(request, output, spec),
        max_tokens=request.max_tokens if request.max_tokens is not None else spec.max_tokens,
        stop=tuple(dict.fromkeys((*spec.stop, *request.stop))),
        output=output,
        reasoning_effort=effort,
        engine_options=_engine_options(request, spec),
    )


def _sampling(request: GenerationRequest, output: OutputFormat, spec: ModelSpec) -> Sampling:
    """The request's values over the file's; what has a form, or may be a call, ends where it ends.

    Engines fail when a grammar allows nothing but the end, and `ignore_eos` forbids that.
    """
    merged = over(request.sampling, spec.sampling)
    if not merged.ignore_eos or (isinstance(output, PlainText) and not request.tools):
        return merged
    return replace(merged, ignore_eos=None)


def _output(request: GenerationRequest, spec: ModelSpec) -> OutputFormat:
    """Apply the file's grammar where the request neither asks for a format nor offers tools."""
    gbnf = spec.settings.get("grammar")
    if gbnf and isinstance(request.output, PlainText) and not request.tools:
        return Grammar(gbnf=gbnf)
    return request.output


def _engine_options(request: GenerationRequest, spec: ModelSpec) -> Mapping[str, str]:
    """Add the file's template variables, as JSON text; the request's own win."""
    is_disabled = spec.settings.get("reasoning_disable")
    variables = dict(spec.settings.get(TEMPLATE_VARIABLES) or {})
    if not variables and not is_disabled:
        return request.engine_options
    options = dict(request.engine_options)
    if request.reasoning_effort is not None:  # it says the same in another way
        for name in EFFORT_VARIABLES:
            variables.pop(name, None)
    variables |= json.loads(options.get(TEMPLATE_VARIABLES, "{}"))
    if is_disabled:
        options.pop(THINKING_BUDGET, None)
        variables["enable_thinking"] = False
    if variables:
        options[TEMPLATE_VARIABLES] = json.dumps(variables)
    return options


def over(first: Sampling, second: Sampling) -> Sampling:
    """Give `first` with its unset fields taken from `second`."""
    if second is _UNSET:
        return first
    return Sampling(
        **{
            name: value if (value := getattr(first, name)) is not None else getattr(second, name)
            for name in _SAMPLING
        }
    )


_SYSTEM: Final = frozenset({Role.SYSTEM, Role.DEVELOPER})
_UNSET: Final = Sampling()
_SAMPLING: Final = tuple(field.name for field in fields(Sampling))


def _prompt(request: GenerationRequest, spec: ModelSpec) -> Prompt:
    """Render what the model file has templates for; the rest is left to the engine."""
    prompt, templates = _begun(request.prompt, spec), spec.templates
    if isinstance(prompt, Edit):
        if templates is not None and templates.edit is not None:
            return Completion(text=render_edit(request, templates), is_chat=True)
        joined = "\n\n".join(part for part in (prompt.instruction, prompt.text) if part)
        prompt = Chat(messages=(_message(Role.USER, joined),))
    if isinstance(prompt, Completion):
        is_plain = prompt.text is not None and prompt.suffix is None
        if is_plain and templates is not None and templates.completion is not None:
            return Completion(text=render_completion(request, templates))
        return prompt
    if templates is not None and templates.renders_chat:
        media = media_of(prompt)
        told = replace(request, prompt=prompt)
        tools = offered_tools(request, function_settings(spec.settings))
        metadata = json.loads(request.engine_options.get(METADATA_OPTION, "{}"))
        text = render_chat(told, templates, tools=tools, metadata=metadata)
        _check_markers(text, media, spec)
        return Completion(text=text, is_chat=True, media=media)
    return _with_system(prompt, spec.system_prompt)


def _check_markers(text: str, media: tuple[Media, ...], spec: ModelSpec) -> None:
    """Raise SpecInvalid when an image or sound has no place of its own in the prompt."""
    places = text.count(MEDIA_MARKER)
    if media and places != len(media):
        problem = f"its templates make {places} places for {len(media)} images and sounds"
        where = f" ({spec.origin})" if spec.origin else ""
        raise SpecInvalid(
            f"The prompt of the model {spec.name!r}{where} cannot be made: {problem}.",
            problems=(f"{spec.origin}: template: {problem}",),
            hint="`template.chat_message` must print .Content once, and `template.multimodal` "
            f"{MEDIA_MARKER} for each of them.",
        )


def _begun(prompt: Prompt, spec: ModelSpec) -> Prompt:
    """`prompt` with the messages that the model file begins every conversation with."""
    if not (spec.messages and isinstance(prompt, Chat)):
        return prompt
    given = tuple(_message(Role(role), text) for role, text in spec.messages)
    said = prompt.messages
    systems = next((place for place, one in enumerate(said) if one.role not in _SYSTEM), len(said))
    return Chat(messages=(*said[:systems], *given, *said[systems:]))


def _with_system(prompt: Chat, system_prompt: str) -> Chat:
    if not system_prompt:
        return prompt
    if any(message.role in _SYSTEM for message in prompt.messages):
        return prompt
    return Chat(messages=(_message(Role.SYSTEM, system_prompt), *prompt.messages))


def _message(role: Role, text: str) -> Message:
    return Message(role=role, parts=(Text(text=text),))


def complete(
    spec: ModelSpec, facts: GgufFacts, hardware: Hardware, **app: Unpack[AppDefaults]
) -> ModelSpec:
    """Give `spec` without gaps: backend, context size, threads and sampling are set.

    `app` is what the operator set for all models. Raises ModelFileInvalid when the weights are no
    model that generates text.
    """
    _check_is_model(facts)
    settings: dict[str, Any] = dict(spec.settings)
    for key, value in (
        ("threads", app.get("threads") or hardware.cores),
        ("f16", app.get("f16")),
        ("parallel", app.get("parallel")),
    ):
        if value is not None:
            settings.setdefault(key, value)
    if facts.pooling == "rank":
        settings.setdefault("reranking", True)
    elif facts.pooling not in (None, "none"):
        settings.setdefault("embeddings", True)
    partly = replace(spec, settings=settings)
    settings["context_size"] = _context_size(partly, facts, hardware, app)
    settings.setdefault("cache_ram", _prompt_cache_mib(hardware))
    settings.setdefault(
        "parallel", _slots_that_fit(partly, facts, hardware, settings["context_size"])
    )
    stem = spec.model_path.stem if spec.model_path else ""
    family = family_sampling(spec.name, stem, facts.name, facts.architecture) or Sampling()
    return replace(
        spec,
        backend=spec.backend or DEFAULT_BACKEND,
        settings=settings,
        sampling=over(over(spec.sampling, family), GENERAL_SAMPLING),
    )


def complete_without_facts(
    spec: ModelSpec, backend: str, hardware: Hardware, **app: Unpack[AppDefaults]
) -> ModelSpec:
    """Give `spec` for an engine that reads its files itself: only what the machine decides is added."""
    settings: dict[str, Any] = dict(spec.settings)
    settings.setdefault("threads", app.get("threads") or hardware.cores)
    for key in ("context_size", "f16"):
        value = app.get(key)
        if value is not None:
            settings.setdefault(key, value)
    family = family_sampling(spec.name, spec.model_id) or Sampling()
    return replace(spec, backend=backend, settings=settings, sampling=over(spec.sampling, family))


def _check_is_model(facts: GgufFacts) -> None:
    if facts.kind == "model":
        return
    what = {
        "adapter": ("a LoRA adapter", "Name it as `lora_adapter` of a model."),
        "mmproj": ("a vision projector", "Name it as `mmproj` of a model."),
    }
    name, hint = what.get(facts.kind, (f"of the type {facts.kind!r}", "Use a model's own file."))
    raise ModelFileInvalid(
        f"{facts.path.name} is {name}, not a model.", path=str(facts.path), hint=hint
    )


def _context_size(spec: ModelSpec, facts: GgufFacts, hardware: Hardware, app: AppDefaults) -> int:
    """Choose the context size of one conversation, in tokens.

    The YAML's value counts as it is, then the operator's, then the largest step that the model was
    trained for and that fits in free memory; more than that, if a caller asks for it and it fits.
    -1 stands for the trained length.
    """
    trained = facts.context_length or CONTEXT_UNKNOWN
    if asked := spec.settings.get("context_size"):
        return trained if asked == ENTIRE_CONTEXT else int(asked)
    is_stretched = spec.settings.get("rope_scaling", "none") != "none"
    bounded = facts.context_length > 0 and not is_stretched
    if wanted := app.get("context_size"):
        wanted = trained if wanted == ENTIRE_CONTEXT else wanted
        return min(wanted, trained) if bounded else wanted
    asked = app.get("asked_context") or 0
    asked = min(asked, trained) if bounded else asked
    if app.get("disable_guessing"):
        usual = min(CONTEXT_UNKNOWN, trained) if bounded else CONTEXT_UNKNOWN
    else:
        usual = _largest_fitting(spec, facts, hardware)
    slots = _told_slots(spec) or 1
    sizes = range(asked, usual, -ASKED_STEP)
    return next((size for size in sizes if _fits(spec, facts, hardware, size * slots)), usual)


def _largest_fitting(spec: ModelSpec, facts: GgufFacts, hardware: Hardware) -> int:
    """A long context for few conversations is worth more than a short one for many."""
    trained = facts.context_length or CONTEXT_UNKNOWN
    steps = [min(trained, step) for step in CONTEXT_STEPS]
    slots = _told_slots(spec) or 1
    fitting = (size for size in steps if _fits(spec, facts, hardware, size * slots))
    return next(fitting, steps[-1])


def _slots_that_fit(spec: ModelSpec, facts: GgufFacts, hardware: Hardware, size: int) -> int:
    """Choose how many conversations run together; each slot has the full context."""
    fitting = (count for count in SLOT_STEPS if _fits(spec, facts, hardware, size * count))
    return next(fitting, SLOT_STEPS[-1])


def _prompt_cache_mib(hardware: Hardware) -> int:
    """Choose how much memory saved prompts may take: LocalAI sets no limit, and may run out."""
    share = int(hardware.available_bytes * CACHE_SHARE) >> 20
    return min(share, CACHE_MOST_MIB) if hardware.available_bytes else CACHE_MOST_MIB


def _fits(spec: ModelSpec, facts: GgufFacts, hardware: Hardware, tokens: int) -> bool:
    free = hardware.available_bytes
    return not free or memory_bytes(spec, facts, tokens) <= free


def memory_bytes(spec: ModelSpec, facts: GgufFacts, tokens: int) -> int:
    """Estimate the memory of a loaded model with a cache for so many tokens, in bytes."""
    types = [spec.settings.get(key, "f16") for key in ("cache_type_k", "cache_type_v")]
    per_value = sum(CACHE_BYTES.get(name, CACHE_BYTES["f16"]) for name in types) / len(types)
    cache = facts.kv_bytes(tokens, bytes_per_value=per_value)
    return int((facts.size_bytes + cache) * HEADROOM)


def _told_slots(spec: ModelSpec) -> int | None:
    """How many conversations the file or the operator wants side by side; None when not told."""
    slots = str(spec.settings.get("parallel", ""))
    for option in spec.options:
        name, _, value = option.partition(":")
        if name.strip() in {"parallel", "n_parallel"}:
            slots = value.strip()
    return int(slots) if slots.isdecimal() and len(slots) < LONGEST_COUNT else None

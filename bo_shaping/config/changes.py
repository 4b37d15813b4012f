"""What has changed between the configuration a study was launched with and the one it is to go on with."""

from collections.abc import Mapping
from typing import Any

from bo_shaping.config import SearchSpaceConfig, StudyConfig
from bo_shaping.config.weight_bounds import DIGITS
from bo_shaping.errors import StudyChangedError
from inner_loop.io.schema import shown

HARMLESS = ("budget", "executor", "workers", "storage", "threads_per_trial", "tracking")
"""What may change without a word: how much is spent, where trials run, where they are kept and who is told."""

FIXED = ("name", "search_space.components", "search_space.parameters")
"""What makes a trial comparable with the others at all; a change needs a new study."""

_WEIGHTS = ("components", "fixed", "bounds")
"""Settings of the search space that say where the mixing weights may be."""

WHOLE = ("search_space.parameters", "search_space.fixed", "search_space.bounds", "workers.options", "tracking")
"""Mappings whose entries have no defaults: compared as one value, or an entry could not be told from a default."""


def written(config: StudyConfig) -> dict[str, Any]:
    """The configuration as the journal keeps it; the storage, whose URL may carry a password, stays out."""
    return config.model_dump(mode="json", exclude={"storage"})


def changed_fields(before: Mapping[str, Any], config: StudyConfig) -> dict[str, tuple[Any, Any]]:
    """Dotted names of what differs, with old and new value; a setting that was not written down had its default."""
    default = _flat(StudyConfig(name=config.name).model_dump(mode="json"))
    old, new = default | _flat(_as_written_now(before)), _flat(config.model_dump(mode="json", exclude={"storage"}))
    return {
        key: (old.get(key), value)
        for key, value in new.items()
        if old.get(key) != value and key.split(".")[0] not in HARMLESS
    } | {
        # A setting of a section that is gone.
        key: (value, None)
        for key, value in _flat(before).items()
        if key not in new and key not in default and key.split(".")[0] not in HARMLESS
    }


def _as_written_now(before: Mapping[str, Any]) -> Mapping[str, Any]:
    """A configuration of before the policy had a template: for its plain prompts, False was what None is now."""
    task = before.get("task", {})
    if task.get("chat_template") is False and "policy_chat_template" not in task:
        return {**before, "task": {**task, "chat_template": None}}
    return before


def refuse_changes(before: Mapping[str, Any], config: StudyConfig, allow_change: bool) -> bool:
    """Whether the configuration differs in what matters.

    Raises:
        StudyChangedError: If it does and that is not allowed, or cannot be.
    """
    changes = changed_fields(before, config)
    if not changes:
        return False
    text = "; ".join(f"{key} was {_spelt(old)} and is {_spelt(new)}" for key, (old, new) in changes.items())
    if any(key.startswith(FIXED) for key in changes) or _holds_others(before.get("search_space", {}), config):
        raise StudyChangedError(
            f"Study {before.get('name')!r} cannot go on with another search space or name ({text}); put it back, or "
            f"launch a new study with its trials: bo-shaping launch CONFIG.yaml --from {before.get('name')}"
        )
    if not allow_change:
        raise StudyChangedError(
            f"The configuration of study {before.get('name')!r} has changed: {text}. Trials of before and after are no "
            "longer comparable; put it back, or accept that with --allow-change (allow_change=True)."
        )
    return True


def _holds_others(before: Mapping[str, Any], config: StudyConfig) -> bool:
    """Whether other weights are held than before, or at other values, by `fixed` or by `bounds` that leave one value.

    Ax drops the trials that do not have a held weight at its value: the Gaussian process would start with nothing.
    """
    old = SearchSpaceConfig.model_validate({key: before[key] for key in _WEIGHTS if key in before})
    return _held(old) != _held(config.search_space)


def _held(space: SearchSpaceConfig) -> dict[str, float]:
    return {name: round(low, DIGITS) for name, (low, high) in space.weight_bounds.items() if low == high}


def _spelt(value: Any) -> str:
    return shown(value) if value is None or isinstance(value, bool) else repr(value)


def _flat(data: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in data.items():
        if isinstance(value, Mapping) and value and prefix + key not in WHOLE:
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat

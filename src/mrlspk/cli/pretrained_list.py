"""``mrlspk pretrained list``: show the published models and the user's own."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.console import RenderableType

from mrlspk.cli import output
from mrlspk.cli.options import AsJson, CacheDir, Debug, Quiet, cache_folder
from mrlspk.errors import MrlspkError

if TYPE_CHECKING:
    from mrlspk.pretrained.own_models import OwnModel
    from mrlspk.pretrained.registry import PublishedModel
    from mrlspk.workflows.list_pretrained import ListedModel, ListedOwnModel

DESCRIBED = "model", "params", "GMACs", "EER % O/E/H", "licence"
VOX1 = "vox1-o", "vox1-e", "vox1-h"
BRIEFLY = "nc"
NOTES = (
    "",
    "EER on VoxCeleb1-O/E/H as published, not measured here. --json names the source of each.",
    f"{BRIEFLY}: non-commercial; trained on VoxBlink2, which is CC BY-NC-SA.",
)


def list_command(
    *,
    cache_dir: CacheDir = None,
    as_json: AsJson = False,
    quiet: Quiet = False,  # noqa: ARG001 - there is no progress to leave out
    debug: Debug = False,  # noqa: ARG001 - its callback does the work
) -> None:
    """List the published models and your own.

    It shows licence, published EER, and whether the file is in the cache.

    Exits 1 if an entry of your own is damaged, after all others are shown.

    Example:
        mrlspk pretrained list
    """
    from mrlspk.workflows.list_pretrained import list_pretrained

    models = list_pretrained(cache_dir or cache_folder())
    published = [_entry(model.published, sha256=model.sha256, cached=model.cached) for model in models.published]
    payload = {"models": [*published, *(_own_entry(model) for model in models.own)]}
    shown: list[RenderableType] = [*_tables(models.published), *NOTES]
    if models.own:
        own = [(each.model.name, _listed(each.model.dims), _terms(each.model)) for each in models.own]
        shown += ["", output.table("Your own", ("model", "widths", "licence"), own)]
    output.show("pretrained list", payload, shown, as_json=as_json)
    if models.faults:
        raise MrlspkError("\n".join(map(str, models.faults)))


def _tables(models: "Sequence[ListedModel]") -> Iterator[RenderableType]:
    """Yield the models whose size or EER is published, and those of which only the licence is known."""
    measured = [
        (*describe(each.published, terms=BRIEFLY), _cached(each)) for each in models if _is_measured(each.published)
    ]
    yield output.table(None, (*DESCRIBED, "cached"), measured, dispensable=("GMACs",))
    others = [each for each in models if not _is_measured(each.published)]
    rows = [(each.published.name, _licence(each.published, BRIEFLY), _cached(each)) for each in others]
    yield ""
    yield output.table("Without published size and EER:", ("model", "licence", "cached"), rows)


def _is_measured(model: "PublishedModel") -> bool:
    return model.parameters is not None or model.published_eer is not None


def _cached(model: "ListedModel") -> str:
    return "yes" if model.cached else "no"


def _entry(model: "PublishedModel", *, sha256: str | None, cached: bool) -> dict[str, object]:
    """Return the JSON entry of a published model."""
    stated = model.model_dump(exclude={"file", "base_url"})
    return {"name": model.name, "url": model.url, **stated, "sha256": sha256, "cached": cached}


def _own_entry(own: "ListedOwnModel") -> dict[str, object]:
    """Return the JSON entry of a model that the user has added; its URL is that of the file."""
    stated = own.model.model_dump(mode="json", exclude={"card"})
    return stated | {"url": own.path.absolute().as_uri(), "cached": True}


def describe(model: "PublishedModel", *, terms: str = "non-commercial") -> tuple[str, ...]:
    """Return the cells of a model in the columns of `DESCRIBED`; ``terms`` stands for non-commercial use only."""
    return (
        model.name,
        "–" if model.parameters is None else f"{model.parameters:.1f} M",
        "–" if model.gmacs is None else f"{model.gmacs:.2f}",
        _percent(model.published_eer),
        _licence(model, terms),
    )


def _listed(dims: tuple[int, ...]) -> str:
    return ", ".join(map(str, dims))


def _percent(rates: dict[str, float] | None) -> str:
    """Return the EER on the VoxCeleb1 lists in percent, with a third decimal if one was published."""
    if rates is None or not rates.keys() >= set(VOX1):
        return "–"
    thousandths = [round(100_000 * rates[trials]) for trials in VOX1]
    digits = 3 if any(rate % 10 for rate in thousandths) else 2
    return "/".join(f"{rate / 1000:.{digits}f}" for rate in thousandths)


def _licence(model: "PublishedModel", terms: str) -> str:
    """Return the licence of the weights without that of the corpus."""
    stated = model.licence.partition(";")[0]
    return f"{stated}, {terms}" if model.non_commercial else stated


def _terms(model: "OwnModel") -> str:
    return f"{model.licence}, non-commercial" if model.non_commercial else model.licence

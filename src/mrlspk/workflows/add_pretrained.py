"""Put a model of one's own into the zoo: under a name, without what only its training needed."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from mrlspk.inference.loading import load_located
from mrlspk.inference.locate import ModelFile
from mrlspk.inference.provenance import describe_base, provenance_of_converted
from mrlspk.models.checkpoints import portable_entries, write_entries
from mrlspk.models.checkpoints.model_card import read_card
from mrlspk.pretrained.zoo import ModelFacts, ZooModel, add_to_zoo, check_name, zoo_path


@dataclass(frozen=True)
class AddedModel:
    """A model that the zoo has now, and the file that its name means."""

    model: ZooModel
    path: Path


def add_pretrained(
    file: Path, name: str, *, licence: str | None = None, cache_dir: Path, force: bool = False
) -> AddedModel:
    """Copy the model in ``file`` into the zoo.

    Args:
        file: Any checkpoint that loads whole.
        name: What to call it.
        licence: Terms of its use; None: those that its card or the registry knows.
        cache_dir: Folder of fetched models, in which the zoo is.
        force: Take the place of a model of this name.

    Raises:
        UsageError: If the zoo cannot have the name.
        CheckpointError: If the file is no model, or not a whole one.
        MrlspkError: If there is a model of this name, or a file cannot be written.
    """
    check_name(name, cache_dir, force=force)
    source = ModelFile(file, str(file))
    loaded = load_located(source)
    card = read_card(loaded.contents, file) if loaded.family == "mrlspk" else None
    known = describe_base(source, loaded, cache_dir=cache_dir)
    facts = ModelFacts(
        family=loaded.architecture.family,
        dims=loaded.encoder.dims,
        licence=licence or known.licence,
        non_commercial=known.non_commercial,
        card=card.entry() if card else None,
    )
    provenance = provenance_of_converted(loaded, known)
    entries, added = portable_entries(replace(loaded, provenance=provenance)), datetime.now(UTC).replace(microsecond=0)
    write = partial(write_entries, entries=entries)
    model = add_to_zoo(name, facts, write, cache_dir=cache_dir, added=added, force=force)
    return AddedModel(model, zoo_path(name, cache_dir))

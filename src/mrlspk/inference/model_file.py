"""Resolve a model name or path to a model file."""

from dataclasses import dataclass
from pathlib import Path

from mrlspk.config.sources import no_cache_folder
from mrlspk.errors import CheckpointError
from mrlspk.files import OnProgress
from mrlspk.inference.default_model import DefaultModel, ModelSource
from mrlspk.inference.missing_model import is_path, missing_model
from mrlspk.pretrained.fetch import fetch_model
from mrlspk.pretrained.own_models import OwnModel, find_own_model, list_own_models, verified_path
from mrlspk.pretrained.registry import PublishedModel, find_model, is_published, list_models


@dataclass(frozen=True)
class ModelFile:
    """A model file, and the name or path that was typed for it.

    Attributes:
        path: Of the file.
        typed: The path or name.
        published: Entry of the registry, if a published name was typed.
        own: Entry of the user's own models, if one of their names was typed.
        vectors: File of vectors in place of audio. The model is then a transform or head to apply, or the file itself
            for no model.
        trust_code: Whether the user lets a program in the file run: a TorchScript model.
        source: Who named it.
        default: What is known of it, if nobody did.
    """

    path: Path
    typed: str
    published: PublishedModel | None = None
    own: OwnModel | None = None
    vectors: Path | None = None
    trust_code: bool = False
    source: ModelSource = "argument"
    default: DefaultModel | None = None

    @property
    def is_vectors(self) -> bool:
        """Whether vectors stand in for a model and audio."""
        return self.vectors is not None

    @property
    def is_plain_vectors(self) -> bool:
        """Whether they are scored as they are, without a transform or head."""
        return self.path == self.vectors

    def check_family(self, family: str) -> None:
        """Check that a published model is of the family that the registry says.

        A mirror that is one flat folder can hold the file of another release under the same file name.

        Raises:
            CheckpointError: If it is of another one.
        """
        if self.published is not None and family != self.published.family:
            name = self.published.name
            raise CheckpointError(
                f"expected a {self.published.family} model as the file of {name}, got a {family} one",
                self.path,
                f"Correct MRLSPK_MIRROR, if it is set, then type: mrlspk pretrained fetch {name} --force",
            )


def locate_model(
    model: str, *, cache_dir: Path | None, mirror: str | None = None, on_progress: OnProgress | None = None
) -> ModelFile:
    """Return the model file of a path or a name; a published model is fetched at its first use.

    A file of that path comes first, then a published name, then one of the user's own models. The last two are verified
    each time. Names need ``cache_dir``, the folder of fetched models.

    Raises:
        ConfigError: If it is a name, and ``cache_dir`` is None.
        CheckpointError: If there is no such file, or the entry of an own model is damaged.
        DownloadError: If a published model is absent and cannot be fetched.
    """
    path = Path(model)
    if model and _is_there(path) and path.is_file():
        return ModelFile(path, model)
    if cache_dir is None:
        raise missing_model(model) if is_path(model) or _is_there(path) else no_cache_folder()
    return _by_name(model, cache_dir, mirror, on_progress)


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # such as a name too long for the file system
        return False


def _by_name(name: str, cache_dir: Path, mirror: str | None, on_progress: OnProgress | None) -> ModelFile:
    if is_published(name):
        fetched = fetch_model(name, cache_dir=cache_dir, mirror=mirror, on_progress=on_progress)
        return ModelFile(fetched.path, name, published=find_model(name))
    if own := find_own_model(name, cache_dir):
        return ModelFile(verified_path(own, cache_dir), name, own=own)
    raise missing_model(name, known_model_names(cache_dir))


def known_model_names(cache_dir: Path | None) -> tuple[str, ...]:
    """Return the names of the published models and of the user's own; of damaged entries none.

    Raises:
        CheckpointError: If the folder of the user's own models cannot be read.
    """
    own = list_own_models(cache_dir).models if cache_dir is not None else ()
    return (*(known.name for known in list_models()), *(each.name for each in own))

"""A located checkpoint loaded, once it is the kind of model that its name promises."""

from mrlspk.errors import CheckpointError
from mrlspk.inference.locate import ModelFile
from mrlspk.models.checkpoints import LoadedModel, load_model


def load_located(model: ModelFile) -> LoadedModel:
    """Return the model in a located file, whole.

    A mirror that is one flat folder can hold the file of another release under the same file name.

    Raises:
        CheckpointError: If the file is no checkpoint or does not fit its own configuration, or if it is of another
            family than the published model that it was asked for as.
    """
    loaded, published = load_model(model.path), model.published
    if published is not None and loaded.family != published.family:
        raise CheckpointError(
            f"expected a {published.family} model as the file of {published.name}, got a {loaded.family} one",
            model.path,
            f"Mend MRLSPK_MIRROR, if that is set, then: mrlspk pretrained fetch {published.name} --force",
        )
    return loaded

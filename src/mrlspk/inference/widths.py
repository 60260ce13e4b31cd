"""Which prefix widths may be asked of a model."""

from mrlspk.errors import UsageError


def check_dims(
    trained: tuple[int, ...], dims: tuple[int, ...] | None, *, allow_untrained: bool = False
) -> tuple[int, ...]:
    """Return ``dims``, or all trained widths where it is None.

    Raises:
        UsageError: If a width is wider than the model, or is one that the model was not trained for and
            ``allow_untrained`` is false.
    """
    if dims is None:
        return trained
    known = ", ".join(map(str, trained))
    for dim in dims:
        if not 0 < dim <= trained[-1]:
            raise UsageError(
                f"the model has {trained[-1]} values, so it has no width {dim}",
                fix=f"Its widths: {known}.",
                parameter="dim",
            )
        if dim not in trained and not allow_untrained:
            raise UsageError(
                f"the model was not trained for a width of {dim}",
                fix=f"Its widths: {known}. `allow_untrained_dim=True` takes the first {dim} values anyway.",
                parameter="dim",
            )
    return dims

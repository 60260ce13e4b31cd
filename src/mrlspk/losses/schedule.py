"""How the margin rises over the epochs."""


def margin_at(
    epoch: float, *, start_epoch: float, full_epoch: float, margin: float, start_margin: float = 0.0
) -> float:
    """Return the margin, in radians, at ``epoch`` (0 at the start of training, fractions allowed).

    It is ``start_margin`` until ``start_epoch``, changes linearly, and is ``margin`` from ``full_epoch`` on. Where
    ``full_epoch`` is not after ``start_epoch`` there is no rise: the margin is full from the start.
    """
    if full_epoch <= start_epoch:
        return margin
    share = (epoch - start_epoch) / (full_epoch - start_epoch)
    return start_margin + (margin - start_margin) * min(max(share, 0.0), 1.0)

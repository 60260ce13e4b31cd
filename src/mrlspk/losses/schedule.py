"""How the margin rises over the epochs."""


def margin_at(epoch: float, *, start_epoch: float, full_epoch: float, margin: float) -> float:
    """Return the margin, in radians, at ``epoch`` (0 at the start of training, fractions allowed).

    It is 0 until ``start_epoch``, rises linearly, and is ``margin`` from ``full_epoch`` on. Where ``full_epoch`` is
    not after ``start_epoch`` there is no rise: the margin is full from the start.
    """
    if full_epoch <= start_epoch:
        return margin
    share = (epoch - start_epoch) / (full_epoch - start_epoch)
    return margin * min(max(share, 0.0), 1.0)

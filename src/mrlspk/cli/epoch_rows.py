"""Show a run as one table that grows: what was measured before training once, then a row for every epoch."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from mrlspk.cli.output import percent
from mrlspk.cli.tables import flowing_row

if TYPE_CHECKING:
    from mrlspk.training.records import Baselines, EpochRecord

BESIDE = "loss", "val loss", "time"
EER = "EER %"


class EpochRows:
    """The header, the rows of the baselines and those of the epochs, as lines of aligned columns.

    Args:
        dims: Widths to show, rising.
        num_epochs: Epochs of the run.
        baselines: EERs before training; None if there are none.
    """

    def __init__(self, dims: Sequence[int], num_epochs: int, baselines: "Baselines | None") -> None:
        self._dims, self._num_epochs = tuple(dims), num_epochs
        self._measured = _measured(baselines, self._dims) if baselines else {}
        longest = max(map(len, (EER, self._epoch(num_epochs), *self._measured)))
        self._widths = longest, *(max(len(str(dim)), 6) for dim in self._dims), *(max(len(each), 6) for each in BESIDE)

    def header(self, width: int) -> Iterator[str]:
        """Yield the header and the rows of the baselines."""
        yield from self._lines((EER, *map(str, self._dims), *BESIDE), width)
        for name, eers in self._measured.items():
            yield from self._lines((name, *(percent(eers.get(dim)) for dim in self._dims)), width)

    def row(self, record: "EpochRecord", width: int) -> Iterator[str]:
        """Yield the row of an epoch, and the EER of each corpus if there are several; the best so far is marked."""
        eers = (percent(record.validation.eer.get(dim)) for dim in self._dims)
        figures = f"{record.train_loss:.3f}", f"{record.validation.loss:.3f}", f"{record.seconds:,.0f} s"
        best = ("best",) if record.is_best else ()
        yield from self._lines((self._epoch(record.epoch), *eers, *figures, *best), width)
        for domain, of_domain in record.validation.eer_by_domain.items():
            yield from self._lines((f"  {domain}", *(percent(of_domain.get(dim)) for dim in self._dims)), width)

    def _epoch(self, epoch: int) -> str:
        return f"epoch {epoch}/{self._num_epochs}"

    def _lines(self, cells: Sequence[str], width: int) -> Iterator[str]:
        yield from flowing_row(cells, self._widths, width)


def _measured(baselines: "Baselines", dims: Sequence[int]) -> dict[str, dict[int, float]]:
    """Return the EERs by width of the own embedding, whole in each column and truncated, and of the rotation."""
    return {
        f"own, {baselines.own_dim} values": dict.fromkeys(dims, baselines.own),
        "own, truncated": baselines.truncation,
        "rotation": baselines.rotation,
    }

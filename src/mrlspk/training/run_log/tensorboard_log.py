"""TensorBoard events of a run."""

import json
from pathlib import Path

from mrlspk.errors import MrlspkError
from mrlspk.training.records import RunFacts
from mrlspk.training.run_log.json_log import Entry
from mrlspk.training.run_log.scalars import ScalarLog, scalars_of, summary_of


class TensorBoardLog(ScalarLog):
    """TensorBoard events; each entry is on its way to the disk before training goes on, so that a kill loses none.

    A run that goes on has TensorBoard forget all from its first step on (an epoch may have been logged at it that is
    validated again), and is given what was done of that step once more.
    """

    name = "TensorBoard"
    remedy = "it needs room on the disk"

    def __init__(self, folder: Path, *, metrics: Path, interval: int) -> None:
        super().__init__(metrics=metrics, interval=interval)
        self._folder = folder

    def open(self, facts: RunFacts) -> None:
        """Open the event file, with configuration and summary as text.

        Raises:
            MrlspkError: If it cannot be written: what is wrong before the first step is soon mended.
        """
        from torch.utils.tensorboard import SummaryWriter

        try:
            self._writer = SummaryWriter(str(self._folder), purge_step=facts.first_step)
        except OSError as error:
            raise MrlspkError(
                f"TensorBoard events cannot be written: {error.strerror or error}",
                self._folder,
                "Give logging.log_dir a folder that can be written, or set logging.tensorboard=false.",
            ) from error
        for tag, text in {"configuration": _configuration(facts), "model": _summary(facts)}.items():
            self._writer.add_text(tag, text, facts.first_step)
        self.replay(range(facts.first_step, facts.first_step + 1))
        self._writer.flush()

    def send(self, entry: Entry) -> None:
        """Add the scalars."""
        for name, value in scalars_of(entry).items():
            self._writer.add_scalar(name, value, entry["step"])
        self._writer.flush()

    def close(self) -> None:
        """Write what is buffered."""
        self._writer.close()

    def failures(self) -> tuple[type[Exception], ...]:
        """Return what a full or vanished disk raises."""
        return (OSError,)


def _configuration(facts: RunFacts) -> str:
    return f"```\n{json.dumps(facts.config, indent=2)}\n```"


def _summary(facts: RunFacts) -> str:
    """Return the summary as a table in Markdown."""
    rows = "".join(f"| {name} | {value:,} |\n" for name, value in summary_of(facts).items())
    return f"| | |\n|---|---:|\n{rows}"

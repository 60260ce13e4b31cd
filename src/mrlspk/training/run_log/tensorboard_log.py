"""Log a run to TensorBoard."""

import json
from pathlib import Path

from mrlspk.errors import MrlspkError
from mrlspk.training.records import RunFacts
from mrlspk.training.run_log.json_log import Entry
from mrlspk.training.run_log.scalars import ScalarLog, scalars_of, summary_of


class TensorBoardLog(ScalarLog):
    """Write TensorBoard events; each entry is flushed before training continues, so that a kill loses none.

    A resumed run purges all events from its first step on, because an epoch logged at that step may be validated
    again, and then sends the completed lines of that step once more.
    """

    name = "TensorBoard"
    remedy = "Make room on the disk."

    def __init__(self, folder: Path, *, metrics: Path, interval: int) -> None:
        super().__init__(metrics=metrics, interval=interval)
        self._folder = folder

    def open(self, facts: RunFacts) -> None:
        """Open the event file, with configuration and summary as text.

        Raises:
            MrlspkError: If it cannot be written; before the first step this stops the run.
        """
        from torch.utils.tensorboard import SummaryWriter

        try:
            self._writer = SummaryWriter(str(self._folder), purge_step=facts.first_step)
        except OSError as error:
            raise MrlspkError(
                f"TensorBoard events cannot be written: {error.strerror or error}",
                self._folder,
                "Set logging.log_dir to a folder that is writable, or set logging.tensorboard=false.",
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
        """Flush and close the event file."""
        self._writer.close()

    def failures(self) -> tuple[type[Exception], ...]:
        """Return the exceptions of a full or missing disk."""
        return (OSError,)


def _configuration(facts: RunFacts) -> str:
    return f"```\n{json.dumps(facts.config, indent=2)}\n```"


def _summary(facts: RunFacts) -> str:
    """Return the summary as a Markdown table."""
    rows = "".join(f"| {name} | {value:,} |\n" for name, value in summary_of(facts).items())
    return f"| | |\n|---|---:|\n{rows}"

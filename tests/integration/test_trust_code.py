"""``--trust-code`` runs a TorchScript speaker model, and nothing else does."""

import shutil

import pytest
import torch

pytestmark = pytest.mark.filterwarnings("ignore:.*is deprecated:DeprecationWarning")


class Moments(torch.nn.Module):
    """Mean, deviation and largest value of samples."""

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        """Map (batch, samples) to (batch, 3)."""
        return torch.stack([samples.mean(1), samples.std(1), samples.max(1)[0]], 1)


@pytest.fixture
def program(tmp_path):
    torch.jit.save(torch.jit.script(Moments()), tmp_path / "m.pt")
    (tmp_path / "m.yaml").write_text("front_end: waveform\n")
    return tmp_path / "m.pt"


def test_commands_run_a_trusted_program_only(run, program, tiny_corpus):
    first, second = (tiny_corpus.root / name for name in tiny_corpus.utterance_ids[:2])
    other = program.with_name("n.pt")
    for suffix in (".pt", ".yaml"):
        shutil.copy(program.with_suffix(suffix), other.with_suffix(suffix))
    lists = "--trials", tiny_corpus.trials, "--audio-root", tiny_corpus.root
    swapped = program.with_name("swapped.txt")  # by these three values speakers are less alike than sessions
    lines = tiny_corpus.trials.read_text().splitlines(keepends=True)
    swapped.write_text("".join(f"{1 - int(line[0])}{line[1:]}" for line in lines))
    for words in (
        ("embed", first, "--model", program, "--speech", "all"),
        ("verify", first, second, "--model", program),
        ("eval", program, *lists),
        ("calibrate", program, "--trials", swapped, "--audio-root", tiny_corpus.root),
        ("compare", program, other, *lists),
    ):
        refused = run(*words)
        assert (refused.exit_code, "is a TorchScript program, and no program" in refused.stderr) == (1, True)
        assert (
            "`mrlspk embed|verify|eval|compare|calibrate` run a program that you trust with --trust-code."
            in refused.stderr
        )
        outcome = run(*words, "--trust-code", "--json")
        assert outcome.exit_code == 0, outcome.stderr

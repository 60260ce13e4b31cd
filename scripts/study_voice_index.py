"""Identify real speakers in a voice index: at which rate of false alarms, and whether decisions keep what they tell.

    scripts/study_voice_index.py --shared ../shared --work DIR

100 speakers stay unenrolled, among them those of one recording; of the others half of the sessions are enrolled, and
the rest are queries. Vectors are embedded once and kept in DIR. docs/studies/voice-index.md holds the tables.
"""

import argparse
import shutil
from pathlib import Path

import numpy as np

from mrlspk.index.decisions.fitting import CalibrationReport
from mrlspk.index.evaluating import evaluate_known
from mrlspk.index.shortlist import ShortlistSpec
from voice_index.embeddings import MODELS, TRAIN, Vectors, embed_corpora, with_head
from voice_index.index import build_index, known_recordings, read_sexes, split_speakers
from voice_index.rates import draw_rows, filter_rows, formula_rows, growth_rows
from voice_index.tables import decision_rows, identification_rows, print_table

CANDIDATES = (4000, 256, 128, 64)  # 4,000 is the default: all voices of these indexes are compared


def main() -> None:
    """Build the indexes and print the tables."""
    given = _arguments()
    sets = dict[str, Vectors]()
    for name in given.models:
        vectors = embed_corpora(given.shared, given.work, name)
        mapped = with_head(given.shared, given.work, name, vectors)
        plain, head = given.work / name / f"{TRAIN}.npz", given.work / name / "mapped.npz"
        everyone = ~vectors.is_doubtful
        outside = everyone & (vectors.corpora != TRAIN)
        if name != "small":
            sets[f"{name}, all speakers"] = vectors.take(everyone)
            Study(given, name, "all speakers, as published", vectors, plain, has_model=True).run_decisions()
            Study(given, name, "all speakers", vectors.take(everyone), plain, has_model=True).run(everything=True)
        sets |= {f"{name}, outside": vectors.take(outside), f"{name} head, outside": mapped.take(outside)}
        Study(given, name, "outside train", vectors.take(outside), plain, has_model=True).run()
        Study(given, f"{name} head", "outside train", mapped.take(outside), head).run()
    print()
    for table in draw_rows(sets):
        print_table(*table)


class Study:
    """One index: its speech, its calibration and its queries."""

    def __init__(
        self,
        given: argparse.Namespace,
        name: str,
        speakers: str,
        vectors: Vectors,
        like: Path,
        *,
        has_model: bool = False,
    ) -> None:
        self.title = f"{name}, {speakers}"
        self.vectors, self.split = vectors, split_speakers(vectors, seed=given.seed)
        folder = given.work / "indexes" / self.title.replace(" ", "-")
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(exist_ok=True)
        model = given.shared / "pretrained" / MODELS[name] if has_model else None
        self.index = build_index(folder, given.shared, vectors.take(self.split.enrolled), like=like, model=model)
        self.sexes = read_sexes(given.shared)
        self.known = known_recordings(vectors.take(self.split.queries))

    def run_decisions(self) -> None:
        """Print what the calibration warns of, and the decisions."""
        self._calibrate()
        print_table(*decision_rows(evaluate_known(self.index.store, self.known).report))

    def run(self, *, everything: bool = False) -> None:
        """Print what holds for the index."""
        report = self._calibrate()
        found = evaluate_known(self.index.store, self.known).report
        print(
            f"{found.n_enrolled} queries of {found.n_enrolled_speakers} enrolled speakers, "
            f"{found.n_unknown} of {found.n_unknown_speakers} others"
        )
        print_table(*identification_rows(found))
        print_table(*decision_rows(found))
        if everything:
            print_table(*formula_rows(self.index, self.known, report))
            print_table(*filter_rows(self.index, self.known, report, self.sexes))
            print_table(*growth_rows(self.vectors.take(self.split.enrolled), self.index, self.known))
        self._compare_searches()

    def _calibrate(self) -> CalibrationReport:
        report = self.index.calibrate()
        print(f"\n## {self.title}: {len(self.index)} voices, calibrated on {_trials(report)}\n")
        for warning in report.warnings:
            print(f"warning: {warning}")
        return report

    def _compare_searches(self) -> None:
        """Tell how often the funnel finds the best voice of an exact search, with fewer and fewer candidates."""
        vectors = self.known.vectors
        exact = self.index.search_many(vectors, k=10, exact=True)
        rows = []
        for candidates in CANDIDATES:
            self.index.store.replace_shortlist(ShortlistSpec("bits", vectors.shape[1], candidates))
            found = self.index.search_many(vectors, k=10)
            same = [a.results[0] == b.results[0] for a, b in zip(found, exact, strict=True)]
            ten = [
                len({m.name for m in a.results} & {m.name for m in b.results}) / 10
                for a, b in zip(found, exact, strict=True)
            ]
            rows.append([candidates, f"{100 * np.mean(same):.2f}", f"{100 * np.mean(ten):.2f}"])
        print_table("Funnel against exact search", ["candidates", "same best voice %", "recall@10 %"], rows)


def _trials(report: CalibrationReport) -> str:
    calibration = report.calibration
    cuts = f", cut to {', '.join(f'{each:g}' for each in calibration.cut_seconds)} s" if calibration.cut_seconds else ""
    return f"{calibration.n_target} target and {calibration.n_nontarget} other trials{cuts}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, required=True, help="folder with speech/ and pretrained/")
    parser.add_argument("--work", type=Path, required=True, help="folder for vectors and indexes")
    parser.add_argument("--models", nargs="+", choices=[*MODELS], default=[*MODELS])
    parser.add_argument("--seed", type=int, default=0, help="of the speakers who stay unenrolled")
    given = parser.parse_args()
    given.shared, given.work = given.shared.resolve(), given.work.resolve()
    return given


if __name__ == "__main__":
    main()

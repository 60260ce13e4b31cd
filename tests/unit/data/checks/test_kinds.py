import ast
from pathlib import Path
from typing import get_args

import mrlspk.data
from mrlspk.data.checks.kinds import KINDS, kind_of
from mrlspk.data.left_out import Reason


def problems_in_code():
    """Yield kind and severity of every problem that the code reports."""
    for path in Path(mrlspk.data.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            is_problem = isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
            if is_problem and node.func.id in {"error", "warning"} and isinstance(node.args[0], ast.Constant):
                yield node.args[0].value, node.func.id
    yield from ((reason, "warning") for reason in get_args(Reason.__value__) if reason != "layout")
    yield from ((kind, "warning") for kind in ("channels", "channels_differ", "channels_cancel"))
    yield from ((kind, "warning") for kind in ("two_voices", "one_voice"))  # of workflows/find_wrong_speakers.py


def test_every_problem_of_the_code_is_a_kind_with_its_severity():
    assert set(problems_in_code()) == {(kind.name, kind.severity) for kind in KINDS.values()}


def test_every_threshold_has_a_source_and_every_kind_a_remedy():
    assert [kind.name for kind in KINDS.values() if (kind.threshold is None) != (kind.source is None)] == []
    assert [kind.name for kind in KINDS.values() if not kind.fix.endswith(".") or not kind.meaning.endswith(".")] == []


def test_kind_of_a_plug_in_is_described_too():
    assert (kind_of("silent"), kind_of("of my recipe").name) == (KINDS["silent"], "of my recipe")

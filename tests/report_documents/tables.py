"""The tables of a page as text, and the text they should have for a document, formatted here anew."""

from html.parser import HTMLParser


def page_tables(page):
    """Return the rows of each table of a page, as text cell by cell, under the id of its caption."""
    reader = _TableReader()
    reader.feed(page.replace("<wbr>", ""))  # where a line may break
    return reader.tables


class _TableReader(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tables, self._rows, self._open = {}, [], None

    def handle_starttag(self, tag, attrs):
        if tag == "caption":
            self._rows = self.tables[dict(attrs)["id"]] = []
        elif tag == "tr":
            self._rows.append([])
        elif tag in {"th", "td"}:
            self._rows[-1].append("")
            self._open = tag

    def handle_endtag(self, tag):
        if tag == self._open:
            self._rows[-1][-1] = " ".join(self._rows[-1][-1].split())
            self._open = None

    def handle_data(self, data):
        if self._open:
            self._rows[-1][-1] += f" {data}"


def expected_tables(document):
    """Return what `page_tables` should find on the page of a document; winners and lists have their own tests."""
    tables = {}
    for index, trials in enumerate(document["trials"]):
        of_list = _compare_tables(document, trials) if document["command"] == "compare" else _eval_tables(trials)
        tables |= {name.replace("#", str(index), 1): rows for name, rows in of_list.items()}
    return tables


def _eval_tables(trials):
    rows = trials["results"]
    tables = {"results-#": [_result_head(rows), *map(_result_row, rows)]}
    if rows[0]["false_accepts"]:
        tables["rates-#"] = _rate_table(rows)
    if baselines := trials.get("baselines"):
        tables["baselines-#"] = [
            ["embedding", *_widths(rows)],
            *(_baseline_row(each, rows) for each in baselines),
            ["this model", *(_percent(row["eer"]) for row in rows)],
        ]
    if durations := trials.get("durations"):
        head = ["seconds kept", *_widths(durations[0]["results"]), "target", "non-target", "left out"]
        tables["durations-#"] = [head, *(_group_row(_seconds(each), each) for each in durations)]
    for number, part in enumerate(trials.get("breakdown") or (), start=1):
        head = [part["column"], *_widths(part["groups"][0]["results"]), "target", "non-target"]
        tables[f"breakdown-#-{number}"] = [head, *(_group_row(each["value"], each) for each in part["groups"])]
    if worst := trials.get("worst_speakers"):
        head = ["speaker", "EER %", "misses %", "false accepts %", "target", "non-target"]
        tables["speakers-#"] = [head, *map(_speaker_row, worst["speakers"])]
    for key in ("false_accepts", "misses"):
        if errors := (trials.get("errors") or {}).get(key):
            found = [[_decimals(each["score"]), each["enroll_id"], each["test_id"]] for each in errors]
            tables[f"errors-#-{key}"] = [["score", "enrolment", "test"], *found]
    return tables


def _result_head(rows):
    head = ["width", "EER %"]
    for dcf in rows[0]["dcf"]:
        prior = f"P = {dcf['p_target']}"
        head += [f"minDCF {prior}", f"actDCF {prior}"] if dcf["act_dcf"] is not None else [f"minDCF {prior}"]
    titles = {"cllr": "Cllr", "min_cllr": "minCllr", "accuracy": "accuracy %", "threshold": "threshold of the EER"}
    titles["calibrated_threshold"] = "threshold calibrated"
    return head + [title for key, title in titles.items() if rows[0][key] is not None]


def _result_row(row):
    cells = [str(row["dim"]), _percent(row["eer"]) + _interval(row["eer_ci"], _percent)]
    for dcf in row["dcf"]:
        cells.append(_decimals(dcf["min_dcf"]) + _interval(dcf["min_dcf_ci"], _decimals))
        cells += [_decimals(dcf["act_dcf"])] if dcf["act_dcf"] is not None else []
    shown = {"cllr": _decimals, "min_cllr": _decimals, "accuracy": _percent}
    shown |= {"threshold": _decimals, "calibrated_threshold": _decimals}
    return cells + [form(row[key]) for key, form in shown.items() if row[key] is not None]


def _rate_table(rows):
    rates = [f"at most {100 * rate['p_fa']:g} % false accepts" for rate in rows[0]["false_accepts"]]
    table = [["width", *rates], ["threshold", "misses %"] * len(rates)]
    for row in rows:
        cells = [[_decimals(rate["threshold"]), _percent(rate["p_miss"])] for rate in row["false_accepts"]]
        table.append([str(row["dim"]), *sum(cells, [])])
    return table


def _baseline_row(group, rows):
    found = {each["dim"]: each["eer"] for each in group["results"]}
    if group["name"] == "own":
        ((dim, eer),) = found.items()
        return [f"own, all {dim} values", *[_percent(eer)] * len(rows)]
    name = "own, truncated" if group["name"] == "truncation" else group["name"]
    return [name, *(_percent(found.get(row["dim"])) for row in rows)]


def _group_row(name, group):
    counts = [group[key] for key in ("n_target", "n_nontarget", "n_left_out") if key in group]
    return [name, *(_percent(each["eer"]) for each in group["results"]), *map(_count, counts)]


def _speaker_row(speaker):
    rates = [_percent(speaker[key]) for key in ("eer", "p_miss", "p_fa")]
    return [speaker["speaker"], *rates, _count(speaker["n_target"]), _count(speaker["n_nontarget"])]


def _compare_tables(document, trials):
    results = trials["results"]
    epochs = {each["model"]: [str(each["epoch"])] for each in (document["run"] or {"checkpoints": ()})["checkpoints"]}
    tables = {}
    for key, form in (("eer", _percent), ("min_dcf", _decimals)):
        rows = tables[f"{key}-table-#"] = [[*(["epoch"] if epochs else []), "model", *_widths(results)]]
        for row, model in enumerate(document["models"]):
            found = [result["models"][row] for result in results]
            cells = [form(each[key]) + _interval(each[f"{key}_ci"], form) for each in found]
            rows.append([*epochs.get(model, ()), model, *cells])
    if pairs := results[0]["pairs"]:
        rows = [_pair_row(result["dim"], pair) for result in results for pair in result["pairs"]]
        tables["pairs-#"] = [_pair_head(pairs[0]), *rows]
        with_speakers = [number for number, pair in enumerate(pairs) if pair["speakers"]]
        for place, number in enumerate(with_speakers, start=1):
            tables[f"speakers-#-{place}"] = _speaker_table(results, number)
    return tables


def _pair_head(pair):
    head = ["width", "A", "B", "ΔEER points", "p of ΔEER", "p Holm of ΔEER", "ΔminDCF", "p of ΔminDCF, not corrected"]
    if pair["p_value"] is None:
        head = [title for title in head if not title.startswith("p ")]
    head += ["only A incorrect", "only B incorrect", "p McNemar, too small"]
    return head + (["speakers fewer / more / equal"] if pair["signs"] else [])


def _pair_row(dim, pair):
    tested, mcnemar = pair["p_value"] is not None, pair["mcnemar"]
    row = [str(dim), pair["a"], pair["b"], _points(pair["delta_eer"]) + _interval(pair["delta_ci"], _points)]
    row += [_p(pair["p_value"]), _p(pair["p_holm"])] if tested else []
    row += [_change(pair["delta_min_dcf"]) + _interval(pair["delta_min_dcf_ci"], _change)]
    row += [_p(pair["min_dcf_p_value"])] if tested else []
    row += [_count(mcnemar["only_a_wrong"]), _count(mcnemar["only_b_wrong"]), _p(mcnemar["p_value"])]
    return row + ([" / ".join(str(pair["signs"][key]) for key in ("fewer", "more", "equal"))] if pair["signs"] else [])


def _speaker_table(results, number):
    rows = [["speaker", *_widths(results)], ["A", "B", "B − A"] * len(results)]
    for place, speaker in enumerate(results[0]["pairs"][number]["speakers"]):
        row = [speaker["speaker"]]
        for result in results:
            each = result["pairs"][number]["speakers"][place]
            row += [_percent(each["eer_a"]), _percent(each["eer_b"]), _points(each["delta"])]
        rows.append(row)
    return rows


def _widths(results):
    return [f"width {each['dim']}" for each in results]


def _seconds(group):
    return "whole" if group["seconds"] is None else f"{group['seconds']:g} s"


def _count(value):
    return format(value, ",d")


def _percent(value):
    return "–" if value is None else "%.2f" % (100 * value)  # noqa: UP031 - not as the page formats it


def _decimals(value):
    return "–" if value is None else ("%.4f" % value).replace("-", "−")  # noqa: UP031


def _points(value):
    return _with_sign("%.2f" % (100 * value))  # noqa: UP031


def _change(value):
    return _with_sign("%.4f" % value)  # noqa: UP031


def _p(value):
    return "< 0.001" if value < 0.001 else "%.3f" % value  # noqa: UP031


def _with_sign(text):
    if float(text) == 0:
        return text.lstrip("-")
    return text.replace("-", "−") if text.startswith("-") else f"+{text}"


def _interval(bounds, form):
    return "" if bounds is None else f" [{form(bounds[0])}, {form(bounds[1])}]"

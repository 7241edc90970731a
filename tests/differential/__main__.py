"""`python -m tests.differential [FAMILY ...] [--write DOCS]`: compare our metrics with OSWorld's; exit 1 on errors."""

import argparse
import json
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from deskbench.tasks import registry
from deskbench.tasks.load import load
from deskbench.tasks.metrics.support.differences import BY_KEY, DIFFERENCES, GETTERS, REVISIONS, Difference, Revision
from tests.differential import mainline, reference
from tests.differential.case import Case, Files, Verdict, judge
from tests.differential.families import FAMILIES

# Reasons why a metric has no case.
WITHOUT = {
    "check_python_file_by_gold_file": "OSWorld's function has no body and returns None",
    "check_python_file_by_test_suite": "OSWorld's runs the agent's program on this machine; ours needs a desktop "
    "(tests/tasks/scoring/test_probes.py)",
    "compare_image_text": "OSWorld's needs easyocr, which needs PyTorch and downloads weights",
    "get_unique_train_ids": "a helper that returns a set, not a score",
}


# Reasons why a listed difference has no case: a case calls both functions and compares the results.
NOT_SHOWN = {
    "hostile": "OSWorld's metric would fill this machine's disk; tests/tasks/scoring/test_worker.py tests ours",
    "suffixes": "without a network, OSWorld's uses the list in the package",
    "no-result": "ours decides before it calls the metric; tests/tasks/scoring/test_score.py tests it",
    "pdf-text": "MuPDF is not installed here, so OSWorld's reads with PDFium",
    "empty-archive": "both raise an error; ours gives a reason",
    "ocr": "easyocr is not installed",
    "test-suite": "ours needs a desktop; tests/tasks/scoring/test_probes.py tests it",
    "not-a-score": "they return no score to compare",
    "file-exists": "OSWorld's looks on the controller's disk, at a path that the desktop chooses",
}


def made(names: list[str]) -> Iterator[tuple[Case, Path]]:
    """Every case of some families, each with a folder that exists during the iteration."""
    for name in names:
        with tempfile.TemporaryDirectory(prefix=f"deskbench-{name}-") as folder:
            for case in FAMILIES[name](Files(Path(folder))):
                yield case, Path(folder)


def run(names: list[str], *, take: Callable[[Case], bool] = lambda case: True) -> list[Verdict]:
    """The verdicts on the cases of some families that `take` accepts."""
    return [judge(case, folder) for case, folder in made(names) if take(case)]


PAGE = """# How our metrics compare with OSWorld's

`python -m tests.differential --write docs` runs our metrics and OSWorld's on the same generated inputs, compares the scores, and writes
this page. It uses two revisions of OSWorld's evaluators: `desktop-env` {version} from PyPI, which runs next to ours, and the \
main branch of
spring 2026. The main branch is not a package, so the repository stores its answers (`tests/differential/main.json`).

The test suite takes a third of the cases of the four longest families, and all of the others.

A case agrees if both scores are the same, with and without `--osworld-strict=REVISION`. If the scores differ, the case must
name one of the [listed differences](tables/differences.md). Anything else is wrong, and the command exits with status 1.

**{metrics} metrics, {cases} cases, {wrong} wrong.** Cases show {shown} of the {listed} listed differences.

{revisions}

[The table of metrics](tables/differential.md) has the numbers for each metric, the metrics without a case and why, and the listed
differences that no case shows.

## Try it

`rescore` scores a recorded episode again, here as OSWorld's main branch would:

<!-- tested -->
```sh
deskbench run basics --task terminal-answer-port --agent oracle --out runs/port
deskbench rescore runs/port --osworld-strict=main
```

The output has these lines:

<!-- prints -->
```text
1 episode, 0 scores changed
```

## Store the main branch's answers again

`python -m tests.differential --store-main CHECKOUT` asks a checkout of OSWorld's main branch and writes its answers to the
repository. Another version of LibreOffice or of an image library may write different bytes for the same input. We have no answer of the
main branch for those bytes, so we compare such cases only with the release.
"""
TABLE = """# Every metric compared with OSWorld's

[How our metrics compare with OSWorld's](../differential.md) explains the comparison. `python -m tests.differential --write docs` writes
this table.

- **cases**: generated inputs, including those that only one revision could be asked about.
- **agree with both**: cases in which both revisions give our score.
- **score 1**, **score 0**: cases that our metric scores 1 or 0, so that you can see that both happen.
- **differences shown**: keys of the [listed differences](differences.md) that these cases show.
"""
HEADER = (
    "| metric | cases | agree with both | score 1 | score 0 | differences shown |",
    "|---|---|---|---|---|---|",
)


def report(verdicts: list[Verdict]) -> str:
    """The verdicts as a page: how many cases agree."""
    shown = _shown(verdicts)
    revisions = [
        "| revision | cases | agree | are listed differences |",
        "|---|---|---|---|",
        *(_line(revision, verdicts) for revision in REVISIONS),
    ]
    return PAGE.format(
        version=reference.VERSION,
        metrics=len({one.case.metric for one in verdicts}),
        cases=len(verdicts),
        wrong=sum(bool(one.problem) for one in verdicts),
        shown=len(shown),
        listed=len(BY_KEY),
        revisions="\n".join(revisions),
    )


def metrics_table(verdicts: list[Verdict]) -> str:
    """The detailed page: a line for each metric, metrics without a case, and differences without a case."""
    by_metric: dict[str, list[Verdict]] = defaultdict(list)
    for one in verdicts:
        by_metric[one.case.metric].append(one)
    lines = [TABLE, *HEADER]
    for metric, found in sorted(by_metric.items()):
        agree = sum(not v.case.differs and not v.problem for v in found)
        ones, zeros = (sum(v.ours == score for v in found) for score in (1.0, 0.0))
        lines.append(f"| `{metric}` | {len(found)} | {agree} | {ones} | {zeros} | {', '.join(sorted(_shown(found)))} |")
    ours_only = sorted(set(upstream_names()) - set(by_metric))
    lines += [
        "",
        "## Metrics without a case",
        "",
        *(f"- `{name}`: {WITHOUT.get(name, 'no reason')}" for name in ours_only),
    ]
    unseen = [key for key in BY_KEY if key not in _shown(verdicts)]
    lines += ["", "## Listed differences that no case shows", ""]
    lines += [f"- `{key}`: {NOT_SHOWN.get(key, 'no reason')}" for key in unseen] or ["none"]
    return "\n".join(lines) + "\n"


def _shown(verdicts: Iterable[Verdict]) -> set[str]:
    return {key for one in verdicts for key in one.case.differs.split()}


def _line(revision: Revision, verdicts: list[Verdict]) -> str:
    asked = [v for v in verdicts if revision in v.answers]
    listed = sum(bool(v.case.differences(revision)) for v in asked)
    return f"| {revision} | {len(asked)} | {len(asked) - listed} | {listed} |"


def tables() -> tuple[str, str]:
    """Tables of the listed differences of metrics and of getters, for docs/tables/differences.md."""
    return _table("metrics", DIFFERENCES), _table("getters", GETTERS)


def _table(whose: str, differences: Iterable[Difference]) -> str:
    lines = [f"| key | {whose} | OSWorld | revision | deskbench | switched |", "|---|---|---|---|---|---|"]
    for one in differences:
        metrics = ", ".join("all" if name == "*" else f"`{name}`" for name in one.metrics)
        theirs, ours = (text.replace("|", "\\|").replace("<", "&lt;") for text in (one.upstream, one.ours))
        revisions = "both" if one.revisions == REVISIONS else ", ".join(one.revisions)
        lines.append(
            f"| `{one.key}` | {metrics} | {theirs} | {revisions} | {ours} | {'yes' if one.switched else 'no'} |"
        )
    return "\n".join(lines) + "\n"


def upstream_names() -> list[str]:
    """The metrics that a revision exports and we have."""
    return [name for name in registry.names("metric") if reference.has(name) or mainline.has(name)]


def differing(examples: Path) -> str:
    """A page: how many tasks in a folder of OSWorld's use something in which its two revisions differ."""
    names = json.loads((examples / "test_all.json").read_text(encoding="utf-8"))
    tasks = [load(examples / "examples" / part / f"{one}.json")[0] for part, ids in names.items() for one in ids]
    changed = {name for one in (*DIFFERENCES, *GETTERS) if one.revisions != REVISIONS for name in one.metrics}
    uses: Counter[str] = Counter()
    any_of = 0
    for task in tasks:
        calls = [call.type for check in task.evaluator.checks for call in (check.result, check.expected) if call]
        found = changed & {*calls, *(check.metric for check in task.evaluator.checks)}
        any_of += bool(found)
        uses.update(found)
    lines = [f"| `{name}` | {number} |" for name, number in sorted(uses.items(), key=lambda item: (-item[1], item[0]))]
    return "\n".join([f"{any_of} of {len(tasks)} tasks", "", "| metric or getter | tasks |", "|---|---|", *lines, ""])


def main() -> int:
    """Compare and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.differential", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"any of {', '.join(FAMILIES)} (default: all)")
    parser.add_argument("--write", type=Path, metavar="DOCS", help="write both pages into this folder, too")
    parser.add_argument("--table", action="store_true", help="only print the tables of differences")
    parser.add_argument(
        "--store-main", type=Path, help="ask this checkout of OSWorld's main branch, and store its answers"
    )
    parser.add_argument(
        "--tasks", type=Path, help="only count the tasks of OSWorld's evaluation_examples that it matters to"
    )
    args = parser.parse_args()
    if args.tasks:
        sys.stdout.write(differing(args.tasks))
        return 0
    if args.table:
        sys.stdout.write("\n".join(tables()))
        return 0
    names = args.names or list(FAMILIES)
    if args.store_main:
        number = mainline.store(args.store_main, made(names), add=bool(args.names))
        sys.stdout.write(f"{number} answers in {mainline.STORED}\n")
        return 0
    verdicts = run(names)
    page, table = report(verdicts), metrics_table(verdicts)
    sys.stdout.write(f"{page}\n{table}")
    if args.write:
        (args.write / "differential.md").write_text(page, encoding="utf-8")
        (args.write / "tables" / "differential.md").write_text(table, encoding="utf-8")
    for one in verdicts:
        if one.problem:
            sys.stderr.write(f"{one}: {one.problem}\n")
    return int(any(one.problem for one in verdicts))


if __name__ == "__main__":
    sys.exit(main())

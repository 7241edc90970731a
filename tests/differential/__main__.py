"""`python -m tests.differential [FAMILY ...] [--write FILE]`: compare our metrics with OSWorld's; exit 1 if one is wrong."""

import argparse
import json
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from deskbench.tasks import registry
from deskbench.tasks.load import load
from deskbench.tasks.metrics.support.differences import BY_KEY, DIFFERENCES, GETTERS, REVISIONS, Difference, Revision
from tests.differential import mainline, reference
from tests.differential.case import Case, Files, Verdict, judge
from tests.differential.families import FAMILIES

# Why a metric has no case.
WITHOUT = {
    "check_python_file_by_gold_file": "OSWorld's has no body and gives None",
    "check_python_file_by_test_suite": "OSWorld's runs the agent's program where the comparison runs; ours needs a desktop "
    "(tests/tasks/scoring/test_probes.py)",
    "compare_image_text": "OSWorld's needs easyocr, which needs PyTorch and fetches weights",
    "get_unique_train_ids": "a helper that gives a set, no score",
}


# Why a listed difference has no case: a case calls both functions and compares what they give.
NOT_SHOWN = {
    "hostile": "what OSWorld's does with such an archive would fill this machine's disk; tests/tasks/scoring/test_worker.py has ours",
    "suffixes": "OSWorld's is given the package's list here, for there is no network",
    "no-result": "ours is decided before the metric is called; tests/tasks/scoring/test_score.py has it",
    "pdf-text": "OSWorld's reads by PDFium here, for MuPDF is not there",
    "empty-archive": "both end in an error, ours with a reason",
    "ocr": "easyocr is not there",
    "test-suite": "ours needs a desktop; tests/tasks/scoring/test_probes.py has it",
    "not-a-score": "they have no score to compare",
    "file-exists": "it looks at the controller's disk, by a path that the desktop chooses",
}


def made(names: list[str]) -> Iterator[tuple[Case, Path]]:
    """Every case of some families, each with a folder that is there as long as it is looked at."""
    for name in names:
        with tempfile.TemporaryDirectory(prefix=f"deskbench-{name}-") as folder:
            for case in FAMILIES[name](Files(Path(folder))):
                yield case, Path(folder)


def run(names: list[str]) -> list[Verdict]:
    """The verdicts on every case of some families."""
    return [judge(case, folder) for case, folder in made(names)]


def report(verdicts: list[Verdict]) -> str:
    """The verdicts as a page: one line a metric, and what each listed difference was shown by."""
    by_metric: dict[str, list[Verdict]] = defaultdict(list)
    for one in verdicts:
        by_metric[one.case.metric].append(one)
    shown = {key for v in verdicts for key in v.case.differs.split()}
    wrong = sum(bool(v.problem) for v in verdicts)
    lines = [
        "# Our metrics beside OSWorld's",
        "",
        "Written by `python -m tests.differential`, against two revisions of OSWorld's evaluators: `desktop-env` "
        f"{reference.VERSION} of PyPI, which runs over the same inputs, and the main branch of spring 2026, whose answers to them are "
        "stored (`tests/differential/main.json`), since it is no package. A case agrees when the scores do, with and "
        "without `--osworld-strict=REVISION`, or stands in the table of differences of [osworld.md](osworld.md), by its key.",
        "",
        "`python -m tests.differential --store-main CHECKOUT` asks a checkout of OSWorld's main branch and writes the stored answers "
        "anew. What LibreOffice or a library of pictures makes may be other bytes in another version, about "
        "which main was not asked; such cases are compared with the release alone.",
        "",
        f"**{len(by_metric)} metrics, {len(verdicts)} cases, {wrong} wrong.** {len(shown)} of {len(BY_KEY)} differences "
        "are shown by a case.",
        "",
        "| revision | cases | agree | are listed differences |",
        "|---|---|---|---|",
        *(_line(revision, verdicts) for revision in REVISIONS),
        "",
        "| metric | cases | agree with both | score 1 | score 0 | differences shown |",
        "|---|---|---|---|---|---|",
    ]
    for metric, found in sorted(by_metric.items()):
        agree = sum(not v.case.differs and not v.problem for v in found)
        ones, zeros = (sum(v.ours == score for v in found) for score in (1.0, 0.0))
        keys = ", ".join(sorted({key for v in found for key in v.case.differs.split()}))
        lines.append(f"| `{metric}` | {len(found)} | {agree} | {ones} | {zeros} | {keys} |")
    ours_only = sorted(set(upstream_names()) - set(by_metric))
    lines += ["", "Without a case:", "", *(f"- `{name}`: {WITHOUT.get(name, 'no reason')}" for name in ours_only)]
    unseen = [key for key in BY_KEY if key not in shown]
    lines += ["", "Listed, but shown by no case of this run:", ""]
    lines += [f"- `{key}`: {NOT_SHOWN.get(key, 'no reason')}" for key in unseen] or ["none"]
    return "\n".join(lines) + "\n"


def _line(revision: Revision, verdicts: list[Verdict]) -> str:
    asked = [v for v in verdicts if revision in v.answers]
    listed = sum(bool(v.case.differences(revision)) for v in asked)
    return f"| {revision} | {len(asked)} | {len(asked) - listed} | {listed} |"


def tables() -> tuple[str, str]:
    """The listed differences of metrics and of getters as tables, which docs/osworld.md has."""
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
    """How many of the tasks of a folder of OSWorld's use something in which its two revisions differ, as a page."""
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
    parser.add_argument("--write", type=Path, help="write the report to this file, too")
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
    page = report(verdicts)
    sys.stdout.write(page)
    if args.write:
        args.write.write_text(page, encoding="utf-8")
    for one in verdicts:
        if one.problem:
            sys.stderr.write(f"{one}: {one.problem}\n")
    return int(any(one.problem for one in verdicts))


if __name__ == "__main__":
    sys.exit(main())

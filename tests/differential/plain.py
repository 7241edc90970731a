"""Cases for values, text and data."""

import json
import sqlite3
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.differential.case import Case, Files

USED: dict[str, list[dict[str, Any]]] = json.loads((Path(__file__).parent / "used.json").read_text(encoding="utf-8"))
"""Options and rules in OSWorld's 418 task files, by metric."""


def rules(metric: str) -> Iterator[Any]:
    """Every rule that a task file gives to a metric."""
    yield from (one["rules"] for one in USED[metric] if "rules" in one)


def values(files: Files) -> Iterator[Case]:
    """Metrics that compare values."""
    for rule in rules("exact_match"):
        yield Case("exact_match", "equal", (rule["expected"], rule))
        yield Case("exact_match", "other", (f"{rule['expected']} ", rule))
    for rule in rules("match_in_list"):
        yield from (Case("match_in_list", "each", (value, rule)) for value in rule["expected"])
        yield Case("match_in_list", "none of them", ("x", rule))
    for rule in rules("is_in_list"):
        yield Case("is_in_list", "among others", (["x", rule["expected"]], rule))
        yield Case("is_in_list", "not there", (["x"], rule))
    for rule in rules("check_include_exclude"):
        include, exclude = rule.get("include", []), rule.get("exclude", [])
        text = " ".join(["a", *include, "z"])
        yield Case("check_include_exclude", "as wanted", (text, rule))
        yield from (Case("check_include_exclude", "one lacks", (text.replace(s, "_"), rule)) for s in include)
        yield from (Case("check_include_exclude", "one too many", (f"{text} {s}", rule)) for s in exclude)
    for rule in rules("is_extension_installed"):
        yield Case("is_extension_installed", "there", (f"a\n{rule['expected']}\n", rule))
        yield Case("is_extension_installed", "not there", ("a\nb\n", rule))
        other = {**rule, "type": "not_contain"}
        yield Case("is_extension_installed", "not wanted", (f"a\n{rule['expected']}\n", other))
    for rule in (one["result"] for one in USED["is_in_vm_clickboard"]):
        yield Case("is_in_vm_clickboard", "there", (rule, f"$ {rule['expected']}\n"))
        yield Case("is_in_vm_clickboard", "not there", (rule, "$ \n"))
        yield Case("is_in_vm_clickboard", "list", ({"expected": ["a", "b"]}, "a b"))
        yield Case("is_in_vm_clickboard", "list, one lacks", ({"expected": ["a", "b"]}, "a"))
    for text, wanted in (("abc", "abc"), ("abc", "abd"), ("", "x"), ("Straße", "strasse")):
        yield Case("fuzzy_match", f"{text} {wanted}", (text, {"expected": wanted}))
        yield Case("compare_answer", f"{text} {wanted}", (text, {"expected": wanted}))
    for options in ({}, {"ignore_case": True}, {"type": "list"}, {"type": "list", "ignore_case": True}):
        for found, expected in (
            (["A", "1"], ["a", "1"]),
            (["a"], ["a", "b"]),
            ("A", "a"),
            ("a", "a"),
            (["a", 2], ["a", "2"]),
        ):
            yield Case("literal_match", f"{found} {expected} {options}", (found, expected), options)
    yield Case("literal_match", "a rule", ("a", {"expected": "a"}), differs="rule-value")


def text_files(files: Files) -> Iterator[Case]:
    """Metrics that compare text files."""
    pairs = {
        "equal": ("a\nb\n", "a\nb\n"), "one line differs": ("a\nc\n", "a\nb\n"), "DOS": ("a\r\nb\r\n", "a\nb\n"),
        "blanks": ("a  b\t c\n", "a b c"), "case": ("A b\n", "a b\n"), "empty": ("", ""), "longer": ("a\nb\nc", "a\nb"),
        "not ASCII": ("é 东京\n", "é 东京\n"),
    }  # fmt: skip
    option_sets = [{}, {"ignore_blanks": True}, {"ignore_case": True}, {"ignore_blanks": True, "ignore_case": True}]
    for name, (one, other) in pairs.items():
        found, wanted = files.text("a.txt", one), files.text("b.txt", other)
        for options in option_sets:
            yield Case("compare_text_file", f"{name} {options}", (found, wanted), options)
        for options in ({}, {"strict": False}, {"ignore_case": True}, {"strict": False, "ignore_case": True}):
            yield Case("compare_csv", f"{name} {options}", (found, wanted), options)
        yield Case("compare_csv", f"{name} or another", (found, [files.text("c.csv", "x\n"), wanted]))
        yield Case("diff_text_file", name, (found, wanted))
        yield Case("compare_result_files", name, (found, wanted))
        yield Case("compare_python_pure_text", name, (found, wanted))
        if one:
            yield Case("compare_terminal_and_txt", name, (found, other))
        differs = {"empty": "config-empty", "longer": "containment"}.get(name, "")
        yield Case("compare_config", name, (found, {"expected": other}), differs=differs)
    many = "".join(f"{index % 3}\n" for index in range(600))
    found, wanted = files.text("a.txt", f"{many}x\n"), files.text("b.txt", f"y\n{many}")
    yield Case("diff_text_file", "many lines that are frequent", (found, wanted), differs="autojunk")
    bom = files.text("a.csv", "\ufeffa,b\n"), files.text("b.csv", "a,b\n")
    yield Case("compare_csv", "byte order mark", bom, differs="csv-bom")
    latin = files.text("a.csv", "é\n".encode("latin-1")), files.text("b.csv", "é\n")
    yield Case("compare_csv", "Latin-1", latin)
    for metric in ("compare_text_file", "diff_text_file", "compare_result_files"):
        yield Case(metric, "Latin-1", latin, differs="encoding")
    yield from configurations(files)
    yield from numbers(files)
    yield from python_files(files)


def configurations(files: Files) -> Iterator[Case]:
    """`compare_config`."""
    for rule in rules("compare_config"):
        yield Case("compare_config", "as a task has it", (files.text("a", rule["expected"]), rule))
        larger = files.text("a", f"x\n{rule['expected']}")
        for options in ({}, {"containment_ok": True}):
            yield Case("compare_config", f"longer {options}", (larger, rule), options, "containment")
        yield Case("compare_config", "longer, which is not allowed", (larger, rule), {"containment_ok": False})
    wanted = '{"a": 1, "b": {"c": [1, 2]}}'
    for what, text, within, equal in (
        ("as is", wanted, "", ""),
        ("laid out", '{\n "b": {"c": [1, 2]},\n "a": 1}', "containment", "containment"),
        ("more keys", '{"a": 1, "b": {"c": [1, 2], "d": 0}, "e": 0}', "containment", ""),
        ("another value", '{"a": 2, "b": {"c": [1, 2]}}', "", ""),
        ("a longer list", '{"a": 1, "b": {"c": [1, 2, 3]}}', "", ""),
        ("a key lacks", '{"a": 1, "b": {}}', "", ""),
        ("a list", "[1]", "", ""),
        ("within a text", f"x {wanted}", "containment", ""),
        ("with a comment", f'// x\n{wanted[:-1]}, "e": 0,}}', "containment json-comments", ""),
        ("nothing", "", "", ""),
    ):
        file = files.text("settings.json", text)
        yield Case("compare_config", what, (file, {"expected": wanted}), differs=within)
        yield Case("compare_config", f"{what}, all", (file, {"expected": wanted}), {"containment_ok": False}, equal)
    yield Case("compare_config", "nothing is expected", (files.text("a", "x"), {"expected": ""}))


def numbers(files: Files) -> Iterator[Case]:
    """`compare_result_files` on numbers."""
    wanted = files.text("gold", "5\n")
    for name, text, differs in (
        ("alone", "5", ""), ("in words", "It is 5.", ""), ("near", "5.00001", "number-inside"), ("other", "6", ""),
        ("within another", "15", "number-inside"), ("words", "five", ""), ("4.99999", "4.99999", ""),
    ):  # fmt: skip
        same = name == "near"  # a number that starts with the expected one is within 1e-4 of it anyway
        yield Case("compare_result_files", name, (files.text("result", text), wanted), differs="" if same else differs)


def python_files(files: Files) -> Iterator[Case]:
    """`compare_python_pure_text` on programs."""
    wanted = files.text("gold.py", "#!/usr/bin/python3\n# -*- coding: utf-8 -*-\nx = 1\n\nif x:\n    print(x)\n")
    for name, text in (
        ("no metadata", "x = 1\nif x:\n    print(x)\n"), ("tabs", "x = 1\nif x:\n\tprint(x)  \n"),
        ("fences", "```python\nx = 1\nif x:\n    print(x)\n```\n"), ("other", "x = 2\nif x:\n    print(x)\n"),
        ("blank lines", "\n\nx = 1\n\n\nif x:\n\n    print(x)"), ("three", "#!a\n# coding: b\n# coding=c\nx = 1\nif x:\n    print(x)"),
    ):  # fmt: skip
        yield Case("compare_python_pure_text", name, (files.text("a.py", text), wanted))


def lines(files: Files) -> Iterator[Case]:
    """Metrics that search for lines."""
    for rule in rules("file_contains"):
        wanted = rule["expected"]
        yield Case("file_contains", "all", (files.text("a", "\n".join(wanted)), rule))
        yield from (
            Case("file_contains", "one lacks", (files.text("a", "\n".join(wanted).replace(w, "")), rule))
            for w in wanted
        )
    for rule in rules("check_line_number"):
        for count in (30, 31, 32):
            text = "".join(f"10:{i:02}:00 x\nno time\n" for i in range(count))
            yield Case("check_line_number", f"{count} times", (files.text("a", text), rule))
    samples = {
        "nothing": "", "blank": "\n", "java": "ii  openjdk-17-jre:amd64\n", "orchis": "'Orchis-Dark'\n", "some": "some\n",
        "windows": "0x1 0 org.gnome.Nautilus.Org.gnome.Nautilus host OSWorld\n"
                   "0x2 0 gnome-terminal-server.Gnome-terminal host user@host: ~/Documents/Projects/OSWorld\n",
        "tool": "org.openoffice.languagetool.oxt\n",
    }  # fmt: skip
    for rule in (*rules("check_list"), {"expect": ["^a$", r"b\s"], "unexpect": ["^c"]}):
        for name, text in {**samples, "a b": "a\nb\n", "a b c": "a\nb\nc\n"}.items():
            yield Case("check_list", name, (files.text("a", text), rule))
    for rule in (*rules("check_csv"), {"expect": [{"user": "a"}, {"url": "imap://x", "user": "b"}]}):
        for rows in ("", "url,user\n", "url,user\nimap://x,a\nimap://x,b\n", "url,user\nimap://x,a\n"):
            yield Case("check_csv", rows.replace("\n", " "), (files.text("a.csv", rows), rule))
        for bad in rule.get("unexpect", []):
            text = ",".join(bad) + "\n" + ",".join(bad.values()) + "\n"
            yield Case("check_csv", "what must not be there", (files.text("a.csv", text), rule))


def structures(files: Files) -> Iterator[Case]:
    """JSON, YAML, SQLite, XML."""
    for one in USED["check_json"]:
        rule, options = one["rules"], one.get("options", {})
        good = _structure(rule)
        write = json.dumps  # every JSON text is also YAML
        yield Case("check_json", "as wanted", (files.text("a.json", write(good)), rule), options)
        yield Case("check_json", "empty", (files.text("a.json", "{}"), rule), options)
        yield Case("check_json", "broken", (files.text("a.json", "{]"), rule), options)
        yield Case("check_json", "null", (files.text("a.json", "null"), rule), options)
        for wanted in rule.get("expect", []):
            bad = json.loads(write(good))
            _set(bad, wanted["key"], "something else")
            yield Case("check_json", f"{wanted['key']} differs", (files.text("a.json", write(bad)), rule), options)
    yield from methods(files)
    for unexpected in ({"key": ["a"], "method": "eq", "ref": 1}, {"key": ["b", "c"], "method": "eq", "ref": 1}):
        for text in ('{"a": 1}', '{"a": 2}'):
            yield Case("check_json", f"unexpected {text}", (files.text("a.json", text), {"unexpect": [unexpected]}))
    absent = {"unexpect": [{"key": ["b"], "method": "re", "ref": "x"}]}
    number = files.text("a.json", '{"b": 3}')
    yield Case("check_json", "unexpected, of another type", (number, absent), differs="unexpected-absent")
    yield Case("check_json", "unexpected and absent", (files.text("a.json", "{}"), absent), differs="unexpected-absent")
    small, large = files.text("a.json", '{"a": 1}'), files.text("b.json", '{"a": 1, "b": 2}')
    yield Case("is_included_all_json_objects", "included", (small, large))
    yield Case("is_included_all_json_objects", "not included", (large, small))
    for sql in (*(rule["sql"] for rule in rules("run_sqlite3")), "SELECT 1", "SELECT 0", "SELECT NULL"):
        for starred in (2, 1, 0):
            yield Case("run_sqlite3", f"{starred} of 2 {sql[:12]}", (_mail_index(files, starred), {"sql": sql}))
    yield Case(
        "run_sqlite3", "no database", (files.text("a.sqlite", "text"), {"sql": "SELECT 1 FROM x"}), differs="database"
    )


def _structure(rule: dict[str, Any]) -> dict[str, Any]:
    """A structure that meets a rule's expectations."""
    found: dict[str, Any] = {}
    for wanted in rule.get("expect", []):
        value = "smart" if wanted["method"] == "re" else wanted["ref"]
        _set(found, wanted["key"], value)
    return found


def _set(into: dict[str, Any], path: list[str], value: Any) -> None:
    for key in path[:-1]:
        into = into.setdefault(key, {})
    into[path[-1]] = value


def methods(files: Files) -> Iterator[Case]:
    """Every matching method, with values around its threshold."""
    table: tuple[tuple[str, Any, list[Any]], ...] = (
        *((m, 2, [1, 2, 3]) for m in ("eq", "ne", "le", "lt", "ge", "gt")),
        ("re", "^a.c$", ["abc", "ab", "a\nc"]), ("re.S", "^a.c$", ["a\nc"]), ("re.I.S", "^A.C$", ["a\nc", "b"]),
        ("approx:0.1", 2, [2.05, 2.2, "2.1", "x"]), ("range.te", [0, 2], [0, 1, 2, 3]), ("range.et", [0, 2], [0, 2]),
        ("str_list_eq", ["a", "b"], ['"a,b"', "b,a", "a"]), ("str_set_eq", ["a", "b"], ['"a,b"', "b,a", "a"]),
    )  # fmt: skip
    for method, ref, found in table:
        for value in found:
            rule = {"expect": [{"key": ["v"], "method": method, "ref": ref}]}
            yield Case(
                "check_json", f"{method} {ref} {value!r}", (files.text("a.json", json.dumps({"v": value})), rule)
            )


def _mail_index(files: Files, starred: int) -> Path:
    """The part of Thunderbird's global index that a task's only query needs: two messages, some of them starred."""
    path = files.new("global-messages-db.sqlite")
    connection = sqlite3.connect(path)
    connection.executescript("CREATE TABLE messages (id INTEGER, folderID INTEGER);"
                             "CREATE TABLE messageAttributes (attributeID INTEGER, messageID INTEGER, value);")  # fmt: skip
    for message in (1, 2):
        connection.execute("INSERT INTO messages VALUES (?, 13)", (message,))
        connection.execute("INSERT INTO messageAttributes VALUES (58, ?, ?)", (message, int(message <= starred)))
    connection.commit()
    connection.close()
    return path


def objects(files: Files) -> Iterator[Case]:
    """`check_direct_json_object`."""
    name = "check_direct_json_object"
    for rule in rules(name):
        expected = rule["expected"]
        within = rule.get("expect_in_result")
        good = {k: (v[0] if isinstance(v, list) else f"a {v} b") if within else v for k, v in expected.items()}
        yield Case(name, "as wanted", (good, rule))
        yield Case(name, "as printed", (json.dumps(good), rule))
        yield Case(name, "empty", ({}, rule))
        yield Case(name, "more", ({**good, "zzz": 1}, rule))
        for key in expected:
            yield Case(name, f"{key} differs", ({**good, key: "zzz"}, rule))
            yield Case(name, f"{key} lacks", ({k: v for k, v in good.items() if k != key}, rule))
        if rule.get("ignore_list_order"):
            turned = {k: v[::-1] if isinstance(v, list) else v for k, v in good.items()}
            yield Case(name, "another order", (turned, rule), differs="list-order")
    rule = {"expected": {"name": "it's"}}
    yield Case(name, "an apostrophe", ('{"name": "it\'s"}', rule), differs="apostrophes")
    yield Case(name, "Python's own way", ("{'name': 'a'}", {"expected": {"name": "a"}}))
    yield Case(name, "no JSON", ("no", rule), differs="raises")
    failed = {"expected": {"time": "__EVALUATION_FAILED__"}}
    yield Case(name, "nothing to compare with", ({"time": "1"}, failed), differs="failed-expected")
    for found in (["a", "c"], ["c"], "a", "c"):
        yield Case(
            name, f"in a list {found}", ({"k": found}, {"expected": {"k": ["a", "b"]}, "expect_in_result": True})
        )


TREE = """<desktop-frame xmlns:st="https://accessibility.ubuntu.example.org/ns/state"
 xmlns:attr="https://accessibility.ubuntu.example.org/ns/attributes">
 <application name="Thunderbird"><tool-bar attr:id="MsgHeadersToolbar">
  <label name="To"/><label name="To" attr:class="address-pill"><label attr:class="pill-label"
   name="&quot;x&quot; fox@someuniversity.edu">fox</label></label></tool-bar>
  <page-tab-list attr:id="tabmail-tabs"><page-tab name="About Profiles">text</page-tab></page-tab-list>
  <entry name="password">anonym-x2024@outlook.com</entry><document-frame name="Slides View"/></application>
 </desktop-frame>"""


def trees(files: Files) -> Iterator[Case]:
    """The accessibility tree."""
    own = [
        [{"xpath": "//label[@name='To']"}], [{"xpath": "//no"}], [{"selectors": ["label", "no"]}],
        [{"selectors": ["page-tab"], "text": "text", "exact": True}],
        [{"selectors": ["page-tab"], "text": "test", "exact": True}],
        [{"selectors": ["page-tab"], "text": "test", "exact": False}],
        [{"selectors": ["label[attr|class=pill-label]"], "text": "fox", "exact": False}, {"xpath": "//entry"}],
    ]  # fmt: skip
    for rule in (
        *rules("check_accessibility_tree"),
        *(one["result"] for one in USED["check_accessibility_tree"] if "result" in one),
        *own,
    ):
        yield Case("check_accessibility_tree", str(rule)[:60], (TREE, rule))
        yield Case("check_accessibility_tree", f"empty {str(rule)[:50]}", ("<desktop-frame/>", rule))
    default = [{"selectors": ["page-tab"], "text": "text"}]
    yield Case("check_accessibility_tree", "exact is not given", (TREE, default), differs="exact-default")
    yield Case("check_left_panel", "there", (TREE,))
    yield Case("check_left_panel", "not there", ("<desktop-frame><document-frame name='x'/></desktop-frame>",))


CLOCK = """               Local time: Thu 2024-01-25 12:56:06 {0}
           Universal time: Thu 2024-01-25 12:56:06 UTC
                 RTC time: Thu 2024-01-25 12:56:05
                Time zone: {1}
System clock synchronized: yes
"""


def system(files: Files) -> Iterator[Case]:
    """The session's settings."""
    for short, zone in (
        ("UTC", "Etc/UTC (UTC, +0000)"),
        ("WET", "Atlantic/Faroe (WET, +0000)"),
        ("CET", "Europe/Paris (CET, +0100)"),
    ):
        yield Case("is_utc_0", zone, (CLOCK.format(short, zone),))
    moved = CLOCK.format("UTC", "Etc/UTC (UTC, +0000)").replace(
        "                 RTC", "a line more\n                 RTC"
    )
    yield Case("is_utc_0", "a line more", (moved,), differs="utc-line")
    for factor in ("1.25\n", "1.0\n", "0.9"):
        yield Case("check_text_enlarged", factor.strip(), (factor,))
    for rule in rules("check_gnome_favorite_apps"):
        apps = rule["expected"]
        for name, found in (
            ("equal", apps),
            ("turned", apps[::-1]),
            ("one lacks", apps[1:]),
            ("more", [*apps, "x.desktop"]),
        ):
            yield Case("check_gnome_favorite_apps", name, (f"{found}\n", rule))
        yield Case("check_gnome_favorite_apps", "none", ("@as []\n", rule), differs="eval")
    for rule in rules("check_moved_jpgs"):
        names = rule["expected"]
        for name, found in (
            ("equal", names),
            ("turned", names[::-1]),
            ("one lacks", names[1:]),
            ("more", [*names, "x.jpg"]),
        ):
            tree = {"type": "directory", "name": "d", "children": [{"type": "file", "name": n} for n in found]}
            yield Case("check_moved_jpgs", name, (tree, rule))
    folder = files.text("here.txt", "x").parent
    for name in ("here.txt", "no.txt"):
        yield Case("check_file_exists", name, (folder, name))
    now = datetime.now()
    away = 1 if now.hour < 12 else -1  # from midnight, across which the two differ
    for offset in (0, 30, 90):
        minute = now.hour * 60 + now.minute + away * offset
        text = f"a,b\n1,2024-01-01 {minute // 60:02}:{minute % 60:02},x\n"
        yield Case("compare_time_in_speedtest_results", f"{offset} minutes", (files.text("a.csv", text), "60"))
    written, clock = (0, "00:00") if now.hour >= 12 else (24 * 60 - 1, "23:59")
    apart = abs(written - now.hour * 60 - now.minute)
    if 12 * 60 + 20 < apart < 24 * 60 - 10:  # the clock advances between the two calls
        file = files.text("a.csv", f"a,b\n1,2024-01-01 {clock},x\n")
        yield Case("compare_time_in_speedtest_results", "midnight", (file, str(apart - 5)), differs="midnight")


def places(files: Files) -> Iterator[Case]:
    """`fuzzy_place_math`, whose inputs are documents."""
    from docx import Document

    for rule in rules("fuzzy_place_math"):
        known = rule["expected"]
        for name, texts, differs in (
            ("3 words", known[:3], "five-places"), ("5 words", known[:5], "five-places"), ("1 word", known[:1], ""),
            ("none", [], ""), ("5, some wrong", [*known[:3], "x", "y"], "five-places"),
        ):  # fmt: skip
            path = files.new("AllLocations.docx")
            document = Document()
            for text in texts:
                document.add_paragraph(text)
            document.save(str(path))
            yield Case("fuzzy_place_math", name, (path, rule), differs=differs)
        three = {**rule, "count": 3}
        yield Case("fuzzy_place_math", "3 are asked for", (_document(files, known[:3]), three))


def _document(files: Files, texts: list[str]) -> Path:
    from docx import Document

    path = files.new("a.docx")
    document = Document()
    for text in texts:
        document.add_paragraph(text)
    document.save(str(path))
    return path


FAMILIES = {"values": values, "text": text_files, "lines": lines, "structures": structures, "objects": objects,
            "trees": trees, "system": system, "places": places}  # fmt: skip

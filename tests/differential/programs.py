"""Cases for programs' settings, mail and the browser."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.differential.case import Case, Files
from tests.differential.plain import USED, rules


def vscode(files: Files) -> Iterator[Case]:
    """VS Code's settings and key bindings."""
    name = "check_json_settings"
    for rule in rules(name):
        wanted = rule["expected"]
        for what, value in (
            ("equal", wanted),
            ("more", {"a": 1, **wanted}),
            ("none", {}),
            ("other", dict.fromkeys(wanted, "z")),
        ):
            yield Case(name, what, (files.text("settings.json", json.dumps(value)), rule))
        text = f"// mine\n{json.dumps(wanted)[:-1]},\n}}\n"
        yield Case(name, "with a comment", (files.text("settings.json", text), rule), differs="json-comments")
        yield Case(name, "broken", (files.text("settings.json", "{"), rule))
    name = "check_json_keybindings"
    for rule in rules(name):
        wanted = rule["expected"]
        for what, value in (("equal", [wanted]), ("more", [{"key": "a"}, wanted]), ("none", []), ("no list", {"a": 1})):
            yield Case(name, what, (files.text("keybindings.json", json.dumps(value)), rule))
        head = f"// Place your key bindings in this file\n{json.dumps([wanted], indent=4)}"
        yield Case(name, "as VS Code begins it", (files.text("keybindings.json", head), rule))
        inner = f"[\n// mine\n{json.dumps(wanted)},\n]"
        yield Case(name, "a comment inside", (files.text("keybindings.json", inner), rule), differs="json-comments")
    rule = {"value": "a.png"}
    for name, style in (("there", "background-image: url('a.png')"), ("other", "background-image: url('b.png')")):
        page = f"<html><head><style>body {{ {style}; }}</style></head></html>"
        yield Case("check_html_background_image", name, (files.text("a.html", page), rule))


VLC = {
    "check_qt_bgcone": ("qt-bgcone", "expected_qt_bgcone", "1"),
    "check_qt_max_volume": ("qt-max-volume", "expected_qt_max_volume", "125"),
    "check_qt_minimal_view": ("qt-minimal-view", "expected_qt_minimal_view", "0"),
    "check_play_and_exit": ("play-and-exit", "expected_play_and_exit", "0"),
    "check_one_instance_when_started_from_file": (
        "one-instance-when-started-from-file", "expected_one_instance_when_started_from_file", "1"),
}  # fmt: skip


def vlc(files: Files) -> Iterator[Case]:
    """VLC's settings and status."""
    for metric, (key, name, default) in VLC.items():
        for rule in (*rules(metric), {name: default}, {name: "77"}):
            for text in (
                "",
                f"{key}=77\n",
                f"{key}={rule[name]}\n",
                f"a=1\n{key}=5\n{key}={rule[name]}\n",
                f"#{key}={default}\n",
            ):
                yield Case(metric, f"{text!r} for {rule[name]}", (files.text("vlcrc", text), rule))
            blanks = files.text("vlcrc", f"{key} = {77 if str(rule[name]) == default else rule[name]}\n")
            yield Case(metric, f"blanks before =, for {rule[name]}", (blanks, rule))
            hidden = f"#{key}={rule[name]}\n" if str(rule[name]) != default else f"#{key}=99\n"
            yield Case(metric, f"hidden, for {rule[name]}", (files.text("vlcrc", hidden), rule), differs="vlc-comments")
    metric = "check_global_key_play_pause"
    for rule in (*rules(metric), {"expected_global_key_play_pause": 0}):
        for text in ("", "global-key-play-pause=\n", "global-key-play-pause=Space\n", "#global-key-play-pause=\n"):
            yield Case(metric, f"{text!r} {rule}", (files.text("vlcrc", text), rule))
        commented = files.text("vlcrc", "#global-key-play-pause=Space\n")
        yield Case(metric, f"hidden {rule}", (commented, rule), differs="vlc-comments")
    metric = "is_vlc_recordings_folder"
    for rule in rules(metric):
        for text in (
            "",
            f"input-record-path={rule['recording_file_path']}\n",
            "input-record-path=/tmp\n",
            "#input-record-path=\n",
        ):
            yield Case(metric, repr(text), (files.text("vlcrc", text), rule))
    odd = files.text("vlcrc", "input-record-path=/a=b\n")
    yield Case(metric, "a folder with =", (odd, {"recording_file_path": "/a=b"}), differs="record-path")
    metric = "check_qt_slider_colours"
    for rule in (*rules(metric), {"type": "match", "expected_qt_slider_colours": "1;2;3"}):
        for colours in ("1;2;3", "1;2;3;99;99;99", "1;2;100", "153;210;153"):
            yield Case(metric, f"{colours} {rule}", (files.text("vlcrc", f"qt-slider-colours={colours}\n"), rule))
        yield Case(metric, f"as it comes {rule}", (files.text("vlcrc", ""), rule))
        commented = files.text("vlcrc", "#qt-slider-colours=1;2;3\n")
        yield Case(metric, f"hidden {rule}", (commented, rule), differs="vlc-comments")
    sizes = ({"width": 1920, "height": 1080}, {"width": 1920, "height": 1000}, None)
    for size in sizes:
        yield Case("is_vlc_fullscreen", str(size), (sizes[0], size))
    yield from status(files)


def status(files: Files) -> Iterator[Case]:
    """VLC's report of what it plays."""
    for rule in rules("is_vlc_playing"):
        wanted = rule.get("file_name") or rule["url"]
        infos = {
            "its name": ("filename", wanted), "another": ("filename", "other.mp4"), "by title": ("title", wanted),
            "the last part": ("filename", Path(wanted).name), "longer": ("url", f"{wanted}?x=1"), "nothing": ("artist", "x"),
            "a path": ("uri", f"file:///a/{wanted}"),
        }  # fmt: skip
        for state in ("playing", "paused"):
            for name, (key, text) in infos.items():
                xml = (f"<root><state>{state}</state><information><category name='meta'>"
                       f"<info name='{key}'>{text.replace('&', '&amp;')}</info></category></information></root>")  # fmt: skip
                yield Case("is_vlc_playing", f"{state}, {name}", (files.text("status.xml", xml), rule))


OFFICE = """<?xml version="1.0" encoding="UTF-8"?>
<oor:items xmlns:oor="http://openoffice.org/2001/registry">
<item oor:path="/org.openoffice.Office.Common/Misc"><prop oor:name="FirstRun"><value>false</value></prop></item>
{items}</oor:items>"""


def _office(files: Files, path: str, prop: str, *values: str) -> Path:
    items = "".join(
        f'<item oor:path="{path}"><prop oor:name="{prop}" oor:op="fuse"><value>{v}</value></prop></item>\n'
        for v in values
    )
    return files.text("registrymodifications.xcu", OFFICE.format(items=items))


def office(files: Files) -> Iterator[Case]:
    """LibreOffice's and GIMP's settings."""
    place = "/org.openoffice.Office.Writer/DefaultFont", "Standard"
    for rule in rules("find_default_font"):
        for fonts in ((), (rule["font_name"],), ("Arial",), ("Arial", rule["font_name"])):
            yield Case("find_default_font", str(fonts), (_office(files, *place, *fonts), rule))
    place = "/org.openoffice.Office.Impress/Misc/Start", "EnablePresenterScreen"
    for values in ((), ("false",), ("true",), ("false", "true")):
        yield Case("check_presenter_console_disable", str(values), (_office(files, *place, *values),))
    place = "/org.openoffice.Office.Common/Save/Document", "AutoSaveTimeIntervall"
    for rule in rules("check_auto_saving_time"):
        for values in ((), ("3",), ("10",), ("10", "3")):
            yield Case("check_auto_saving_time", str(values), (_office(files, *place, *values), rule))
        broken = files.text("registrymodifications.xcu", "<no")
        yield Case("check_auto_saving_time", "no XML", (broken, rule), differs="office-empty")
    rule = {"locale_set": ["en-*", "de-DE"]}
    for prop in ("ooSetupSystemLocale", "ooLocale"):
        for value in ("en-US", "de-DE", "fr-FR"):
            file = _office(files, "/org.openoffice.Setup/L10N", prop, value)
            yield Case("check_libre_locale", f"{prop} {value}", (file, rule))
    for rule in (*rules("check_config_status"), {"key": ["a", "b"], "value": "c"}):
        key = rule["key"] if isinstance(rule["key"], str) else " ".join(rule["key"])
        for name, text in (
            ("set", f"# GIMP gimprc\n\n({key} {rule['value']})\n"), ("other", f"({key} zzz)\n"), ("hidden", f"# ({key} {rule['value']})\n"),
            ("empty", ""), ("longer key", f"({key}-x {rule['value']})\n"), ("later", f"({key} zzz)\n({key} {rule['value']})\n"),
        ):  # fmt: skip
            yield Case("check_config_status", f"{key} {name}", (files.text("gimprc", text), rule))
    yield Case(
        "check_config_status",
        "a bracket alone",
        (files.text("gimprc", ")\n(a b)\n"), {"key": "a", "value": "b"}),
        differs="blank-line",
    )


def mail(files: Files) -> Iterator[Case]:
    """Thunderbird's preferences, filters and folders."""
    name = "check_thunderbird_prefs"
    for rule in rules(name):
        good = {k: _fitting(m) for k, m in rule.get("expect", {}).items()}
        yield Case(name, "as wanted", (_prefs(files, good), rule))
        yield Case(name, "more", (_prefs(files, {"a.b": 1, **good, "c": "x\ny"}), rule))
        for key in good:
            yield Case(name, f"{key} lacks", (_prefs(files, {k: v for k, v in good.items() if k != key}), rule))
            yield Case(name, f"{key} differs", (_prefs(files, {**good, key: "zzz"}), rule))
        for key, match in rule.get("unexpect", {}).items():
            yield Case(name, f"{key} is so", (_prefs(files, {**good, key: _fitting(match)}), rule))
    odd = files.text("prefs.js", 'user_pref("a", nothing);\n')
    yield Case(
        name,
        "a value that is no JSON",
        (odd, {"unexpect": {"a": {"method": "eq", "ref": 1}}}),
        differs="preference-value",
    )
    name = "check_thunderbird_filter"
    for rule in rules(name):
        for wanted in rule["expect"]:
            yield Case(name, "as wanted", (_filter(files, wanted), rule))
            yield Case(name, "unexpected", (_filter(files, wanted), {"unexpect": rule["expect"]}))
            yield Case(name, "none", (files.text("f.dat", 'version="9"\nlogging="no"\n'), rule))
            for key in wanted:
                other = {**wanted, key: ["ALL x"] if key == "condition" else "zzz"}
                yield Case(name, f"{key} differs", (_filter(files, other), rule))
    quoted = {"name": "n", "enabled": "yes", "condition": ['AND (subject,contains,"a b")', 'AND (from,is,"c d")']}
    rule = {"expect": [{"condition": quoted["condition"]}]}
    yield Case(name, "two in quotation marks", (_filter(files, quoted), rule), differs="mail-conditions")
    whole = _filter(files, {"name": "n", "enabled": "yes", "condition": ["ALL"]})
    cut = files.text("f.dat", whole.read_text().rstrip("\n"))
    rule = {"expect": [{"name": "n", "condition": ["ALL"]}]}
    yield Case(name, "an end of the last line", (whole, rule))
    yield Case(name, "no end of the last line", (cut, rule), differs="mail-end")
    yield from folders(files)


def _fitting(match: dict[str, Any]) -> Any:
    """A value that a match accepts."""
    return match["ref"].replace("\\n", "\n") if match["method"].startswith("re") else match["ref"]


def _prefs(files: Files, values: dict[str, Any]) -> Path:
    lines = [f'user_pref("{k}", {json.dumps(v)});' for k, v in values.items()]
    return files.text("prefs.js", "// Mozilla User Preferences\n" + "\n".join(lines) + "\n")


def _filter(files: Files, fields: dict[str, Any]) -> Path:
    fields = {"name": "n", "enabled": "yes", "type": "17", **fields}
    condition = fields.pop("condition", ["ALL"])
    lines = [f'{k}="{v}"' for k, v in fields.items()] + ['condition="' + " ".join(condition).replace('"', '\\"') + '"']
    return files.text("msgFilterRules.dat", 'version="9"\nlogging="no"\n' + "\n".join(lines) + "\n")


def _mbox(files: Files, *mails: tuple[str, str]) -> Path:
    return files.text("Inbox", "".join(f"From - Thu Jan 25 12:00:00 2024\nX-Mozilla-Status: {status}\nX-Mozilla-Keys:  \n"
                                       f"Subject: {text}\n\nbody of {text}\n\n" for status, text in mails))  # fmt: skip


def folders(files: Files) -> Iterator[Case]:
    """Mail folders; OSWorld considers all of them equal."""
    name = "check_thunderbird_folder"
    wanted = _mbox(files, ("0001", "one"), ("0001", "two"))
    for what, found, differs in (
        ("equal", _mbox(files, ("0001", "one"), ("0001", "two")), ""), ("unread", _mbox(files, ("0000", "one"), ("0001", "two")), ""),
        ("turned", _mbox(files, ("0001", "two"), ("0001", "one")), ""), ("one lacks", _mbox(files, ("0001", "one")), "mail-folder"),
        ("one deleted", _mbox(files, ("0001", "one"), ("0009", "two")), "mail-folder"), ("none", files.text("Inbox", ""), ""),
        ("twice", _mbox(files, ("0001", "one"), ("0001", "two"), ("0001", "two")), ""),
    ):  # fmt: skip
        yield Case(name, what, (found, wanted), differs=differs)
        options = next(one["options"] for one in USED[name] if "options" in one)
        yield Case(name, f"lists, {what}", ([found, wanted], [wanted, wanted]), options, differs=differs)
    yield Case(name, "nothing", ([None, wanted], [wanted, wanted]))


def pages(files: Files) -> Iterator[Case]:
    """Tabs and addresses."""
    for metric in ("is_expected_active_tab", "is_expected_active_tab_approximate"):
        for rule in rules(metric):
            url = rule["url"]
            for other in (url, f"{url}/", f"{url}?a=1", url.replace("www.", ""), url.replace("https", "http"), "https://no.example/",
                          url.replace(".com/", ".org/"), url.replace(".com/", ".com.sg/")):  # fmt: skip
                for found in (other, {"url": other, "title": "t"}):
                    yield Case(metric, f"{other} {type(found).__name__}", (found, rule))
            yield Case(metric, "nothing", ({}, rule))
    for rule in rules("is_expected_url_pattern_match"):
        samples = ["https://www.example.com/", "chrome://settings/appearance", "https://forms?title=&field_component_target_id=431",
                   "https://scholar.google.com/citations?hl=en&user=qRAQ5BsAAAAJ", "https://www.united.com/en/us/checked-bag-fee-calculator",
                   *(p.replace("\\", "").strip("^$") for p in rule["expected"])]  # fmt: skip
        for url in samples:
            yield Case("is_expected_url_pattern_match", url, (url, rule))
            yield Case("is_expected_url_pattern_match", f"tab {url}", ({"url": url}, rule))
    for rule in rules("is_expected_search_query"):
        for url in (
            "https://www.google.com/search?q=nereida",
            "https://www.google.com/search?q=nereida&x=1",
            "https://bing.com/search?q=nereida",
        ):
            yield Case("is_expected_search_query", url, ({"url": url}, rule))
    for rule in rules("is_expected_tabs"):
        tabs = [{"title": "t", "url": url} for url in rule["urls"]]
        for name, found in (("equal", tabs), ("turned", tabs[::-1]), ("one lacks", tabs[1:]), ("more", [*tabs, tabs[0]]), ("none", []),
                            ("another", [*tabs[1:], {"title": "", "url": "https://no.example"}])):  # fmt: skip
            yield Case("is_expected_tabs", name, (found, rule))
    for rule in rules("is_added_to_steam_cart"):
        yield Case("is_added_to_steam_cart", "there", ({"content": f"<p>{rule['items'][0]}</p>"}, rule))
        yield Case("is_added_to_steam_cart", "not there", ({"content": "<p></p>"}, rule))


def shortcuts() -> Iterator[Case]:
    """`is_shortcut_on_desktop`."""
    metric = "is_shortcut_on_desktop"
    for rule in (*rules(metric), {"type": "exec", "exec": "/opt/chrome x"}):
        for content in (
            "[Desktop Entry]\nName=Play Puzzle Game 2048\nExec=/opt/chrome x\n",
            "[Desktop Entry]\nName=Other\nExec=/opt/other\n",
            "[Desktop Entry]\nType=Link\n",
        ):
            yield Case(metric, content[16:30], ({"a.desktop": content}, rule))
        yield Case(metric, "none", ({}, rule))
    name, command = {"type": "name", "name": "Play 2048"}, {"type": "exec", "exec": "/opt/chrome x"}
    for rule, line, differs in (
        (name, "Name=Play 2048", "shortcut-line"), (name, "Name=play 2048\n", "shortcut-line"),
        (name, "Name=Play 2048 now\n", "shortcut-line"), (name, "Name=2048\n", "shortcut-line"),
        (name, "GenericName=Play 2048\n", "shortcut-line shortcut-part"), (name, "Name=\n", "shortcut-part"),
        (name, "Name=P\n", "shortcut-part"), (name, "Name=Display 2048\n", "shortcut-part"), (name, "Name=2 Play\n", ""),
        (command, "Exec=/opt/chrome x", "shortcut-line"), (command, "Exec=env /opt/chrome x --new\n", "shortcut-line"),
        (command, "Exec=\n", "shortcut-part"), (command, "Exec=/opt/chrome\n", "shortcut-part"),
        (command, "Exec=/opt/chrome xyz\n", "shortcut-part"), (command, "Exec=/OPT/chrome x\n", ""),
    ):  # fmt: skip
        yield Case(
            metric, f"{rule['type']}, {line!r}", ({"a.desktop": f"[Desktop Entry]\n{line}"}, rule), differs=differs
        )


def profile(files: Files) -> Iterator[Case]:
    """Bookmarks, cookies, history, extensions, sizes, shortcuts."""
    for rule in rules("is_expected_bookmarks"):
        yield from bookmarks(rule)
    for rule in rules("is_cookie_deleted"):
        for hosts in (
            (),
            (".amazon.com",),
            ("www.amazon.com",),
            ("aws.amazon.com",),
            ("google.com",),
            (".amazon.co.uk",),
        ):
            yield Case("is_cookie_deleted", str(hosts), ([(1, host, "", "n", "v") for host in hosts], rule))
    for rule in rules("check_history_deleted"):
        for urls in ((), ("https://www.youtube.com/x",), ("https://a.example/",)):
            yield Case("check_history_deleted", str(urls), ([(url, "t", 1) for url in urls], rule))
    for rule in rules("is_expected_installed_extensions"):
        names = rule["expected"]
        for name, found in (("all", names), ("more", [*names, "x"]), ("one lacks", names[1:]), ("none", [])):
            yield Case("is_expected_installed_extensions", name, (found, rule))
        renamed = ["Zoom Chrome Extension" if name == "Zoom for Google Chrome" else name for name in names]
        yield Case("is_expected_installed_extensions", "renamed", (renamed, rule), differs="extension-names")
    for found in (["a@1", "b@2"], ["b@2", "a@1"], ["a@1"], []):
        yield Case("check_enabled_experiments", str(found), (found, {"type": "names", "names": ["a", "b"]}))
    for rule in (*rules("check_font_size"), {"type": "value", "value": 20}):
        for size in (15, 16, 17, 20, 99999):
            yield Case("check_font_size", f"{size} {rule['type']}", ({"default_font_size": size}, rule))
    yield from shortcuts()


def bookmarks(rule: dict[str, Any]) -> Iterator[Case]:
    """Bookmark bars close to what a rule expects."""
    name = "is_expected_bookmarks"

    def bar(children: list[dict[str, Any]]) -> dict[str, Any]:
        return {"bookmark_bar": {"children": children, "name": "Bookmarks bar", "type": "folder"}}

    def pages_of(urls: list[str]) -> list[dict[str, Any]]:
        return [{"type": "url", "name": url, "url": url} for url in urls]

    yield Case(name, "nothing", ({}, rule))
    if rule["type"] == "bookmark_bar_folders_names":
        for names in (rule["names"], [*rule["names"], "x"], []):
            yield Case(
                name, f"folders {names}", (bar([{"type": "folder", "name": n, "children": []} for n in names]), rule)
            )
        return
    firsts = [url if isinstance(url, str) else url[0] for url in rule["urls"]]
    lasts = [url if isinstance(url, str) else url[-1] for url in rule["urls"]]
    for what, urls in (
        ("first", firsts),
        ("last", lasts),
        ("one lacks", firsts[1:]),
        ("more", [*firsts, "https://x.example"]),
        ("none", []),
    ):
        children = pages_of(urls)
        if rule["type"] == "liked_authors_websites_urls":
            children = [{"type": "folder", "name": "Liked Authors", "children": children}]
            yield Case(name, f"another folder, {what}", (bar([{**children[0], "name": "Authors"}]), rule))
        yield Case(name, what, (bar(children), rule))


def htmls(files: Files) -> Iterator[Case]:
    """Pages."""
    name = "compare_htmls"
    table = '<html><body><table><tr><td sdnum="1033;0;0.00">1</td><td class="a">b</td></tr></table>{0}</body></html>'
    wanted = files.text("gold.html", table.format(""))
    for what, text, differs in (
        ("equal", table.format(""), ""), ("another number's format", table.format("").replace("0.00", "0"), ""),
        ("another text", table.format("").replace(">b<", ">c<"), ""), ("another class", table.format("").replace('"a"', '"c"'), ""),
        ("another element", table.format("").replace("table", "div"), ""), ("more text", table.format("<p>x</p>"), ""),
        ("more at the end", table.format("<img>"), "html-length"),
    ):  # fmt: skip
        for options in ({}, {"ignore_sdnum": True}):
            yield Case(name, f"{what} {options}", (files.text("a.html", text), wanted), options, differs=differs)


FAMILIES = {"vscode": vscode, "vlc": vlc, "office": office, "mail": mail, "pages": pages, "profile": profile,
            "htmls": htmls}  # fmt: skip

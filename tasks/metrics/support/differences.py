"""Every way in which our metrics and getters differ from OSWorld's: data for the docs and the differential test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Revision = Literal["1.0.2", "main"]
"""OSWorld's evaluators: release 1.0.2 on PyPI (October 2025), or the main branch of spring 2026."""
REVISIONS: tuple[Revision, ...] = get_args(Revision)


@dataclass(frozen=True)
class Difference:
    """One difference.

    Attributes:
        key: its name, for `fidelity.as_upstream`.
        metrics: whose it is, metrics of `DIFFERENCES` and getters of `GETTERS`; `*` for all.
        upstream: what OSWorld's function does.
        ours: what ours does, unless OSWorld's mistakes are asked for.
        switched: whether `--osworld-strict` brings OSWorld's way back.
        revisions: those of OSWorld's that do so.
    """

    key: str
    metrics: tuple[str, ...]
    upstream: str
    ours: str
    switched: bool = True
    revisions: tuple[Revision, ...] = REVISIONS


def _d(
    key: str, metrics: str, upstream: str, ours: str, *, switched: bool = True, only: Revision | None = None
) -> Difference:
    return Difference(key, tuple(metrics.split()), upstream, ours, switched, REVISIONS if only is None else (only,))


DIFFERENCES: tuple[Difference, ...] = (
    # All metrics.
    _d("raises", "*", "an exception leaves the task without a score, or is caught and becomes 0, as it happens",
       "a result that cannot be read is 0; a fault of the check or of what is expected is an error with its cause, "
       "never a score", switched=False),
    _d("encoding", "*", "a text that is not UTF-8 raises", "what is not UTF-8 is replaced", switched=False),
    _d("range", "compare_images check_tabstops compare_audios", "scores below 0 or above 1 are possible",
       "scores are held within 0 and 1", switched=False),
    _d("hostile", "compare_archive compare_epub compare_zip_files compare_table compare_docx_files compare_pptx_files",
       "archives are unpacked beside the file, without bounds", "in a scratch folder, within bounds; what is larger "
       "cannot be read", switched=False),
    # Text and data.
    _d("number-inside", "compare_result_files", "a number that is wanted may be part of a longer one: 15 holds 5",
       "it stands alone"),
    _d("autojunk", "diff_text_file compare_epub", "in texts of 200 lines or more, lines that are frequent do not "
       "count (difflib's heuristic for speed)", "all lines count"),
    _d("five-places", "fuzzy_place_math", "exactly 3 words are demanded where the one task asks for 5 addresses, so "
       "that a right answer scores 0", "as many lines as the rule's `count`, by default 5, blanks within a line apart"),
    _d("midnight", "compare_time_in_speedtest_results", "23:59 and 00:01 are 1438 minutes apart", "2 minutes"),
    _d("containment", "compare_config", "a file must be the text, to the letter, and the option containment_ok is not "
       "read", "unless it is off, a file that holds the text passes, and of two JSON objects one with the keys and "
       "values that are expected", only="1.0.2"),
    _d("config-empty", "compare_config", "where nothing is expected nothing passes", "an empty file does",
       only="main"),
    _d("utc-line", "is_utc_0", "the fourth line of timedatectl must end in +0000", "the line of the time zone says so"),
    _d("eval", "check_gnome_favorite_apps", "what the desktop prints is evaluated as Python on the controller",
       "it is read as a list of strings; gsettings' `@as []` is one, too", switched=False),
    _d("apostrophes", "check_direct_json_object", "every ' becomes \" before JSON is read: values with apostrophes "
       "break", "JSON is read as it is, and so changed only when it is none"),
    _d("list-order", "check_direct_json_object", "ignore_list_order is looked for among the expected values, and so "
       "has no effect where task files have it", "it is read where task files have it"),
    _d("failed-expected", "check_direct_json_object", "what is expected could not be read: 0",
       "an error of the check: not scored"),
    _d("unexpected-absent", "check_json", "a key of `unexpect` that is not there, or has a value of "
       "another type, makes some methods raise, and so 0", "what is not there, or of another type, is not unexpected",
       switched=False),
    _d("csv-bom", "compare_csv", "a byte order mark is part of the first cell", "it is none", only="1.0.2"),
    _d("exact-default", "check_accessibility_tree", "a rule with `text` and without `exact` raises",
       "`exact` is true by default, as OSWorld's documentation says", switched=False),
    _d("rule-value", "literal_match", "a rule is compared as it prints", "its `expected` is compared", switched=False),
    _d("database", "run_sqlite3", "a file that is no database raises; the file may be written to",
       "0; it is opened read-only", switched=False),
    # Browser.
    _d("html-length", "compare_htmls", "what one page has more at its end does not count", "it does"),
    _d("suffixes", "is_expected_active_tab is_expected_tabs is_cookie_deleted", "the list of public suffixes is "
       "fetched from the network", "the one that the package carries is used", switched=False),
    _d("extension-names", "is_expected_installed_extensions", "an extension that Chrome's shop has renamed is another "
       "one", "it is the same", only="1.0.2"),
    _d("shortcut-line", "is_shortcut_on_desktop", "the line must be that name or command, with a line's end, and any "
       "key that ends in Name will do", "case does not count; a name may have more words, or fewer, and a command more "
       "arguments", only="1.0.2"),
    _d("shortcut-part", "is_shortcut_on_desktop", "any part of a name or command will do, even an empty one",
       "whole words", only="main"),
    _d("no-result", "is_cookie_deleted check_history_deleted check_enabled_experiments is_shortcut_on_desktop",
       "a value that could not be read raises",
       "0, given before the metric is called", switched=False),
    # PDF, archives.
    _d("pdf-text", "compare_pdfs compare_zip_files", "text is extracted by MuPDF and PyPDF2",
       "by PDFium; a text's order can differ, and so its likeness by a few hundredths", switched=False),
    _d("pdf-names", "compare_pdf_images", "two files of one name are the same file, since one is copied over the other",
       "they are two", switched=False),
    _d("epub-names", "compare_epub", "files are paired by their place, and those that one book has more do not count",
       "files are paired by name, and one that is missing counts as 0"),
    _d("archive-folders", "compare_archive", "a folder within raises", "the files in it count, by their paths",
       switched=False),
    _d("empty-archive", "compare_archive", "archives without files raise", "an error of the check", switched=False),
    # Pictures, sound, film.
    _d("truncated", "check_image_size", "a picture that breaks off has the size that its beginning says", "it is no "
       "picture"),
    _d("transparent-size", "check_image_size", "of a picture with a transparent colour, only what is visible is "
       "measured, whether the rule asks for that or not", "only where it asks"),
    _d("rounding", "check_contrast_increase_and_structure_sim check_saturation_increase_and_structure_sim "
       "check_brightness_decrease_and_structure_sim increase_saturation decrease_brightness",
       "any difference counts, so that a picture which is opened and saved again passes by rounding",
       "half a level of 255 at least"),
    _d("contrast-alpha", "check_contrast_increase_and_structure_sim", "transparency, and a palette's numbers, count as "
       "contrast", "colours count"),
    _d("palette-brightness", "check_brightness_decrease_and_structure_sim", "in a picture with a palette, numbers of "
       "colours are brightened; a black picture raises", "colours are; a black picture stays as it is", switched=False),
    _d("green-axes", "check_green_background", "rows and columns are mixed up: pictures that are not square raise",
       "every pixel is looked at; pictures of two sizes are 0", switched=False),
    _d("triangle-colour", "check_triangle_position", "the second rarest colour is taken for the triangle's, which "
       "of two colours is the background",
       "the second most frequent"),
    _d("grey", "check_sharper", "colours are made grey by OpenCV", "by Pillow, which rounds otherwise: of two pictures "
       "that are equally sharp, the other may win", switched=False),
    _d("yellow", "compare_triangle_positions", "always raises (a mask with too few channels)",
       "looks for yellow, as its name for it says", switched=False),
    _d("list-lengths", "compare_image_list compare_pdfs check_thunderbird_folder", "lists are compared up to the end "
       "of the shorter", "lists of pictures and folders must be equally long; a PDF that is missing counts as 0",
       switched=False),
    _d("tiny", "compare_images", "pictures below 7 pixels a side raise", "they are compared pixel by pixel",
       switched=False),
    _d("ocr", "compare_image_text", "easyocr reads the picture", "rapidocr does: no PyTorch, no download of weights",
       switched=False),
    _d("audio-broken", "compare_audios", "two files that are no sound are alike: 1", "an error of the check"),
    _d("film-broken", "compare_videos", "two files that are no films are alike: 1", "0"),
    _d("tags", "check_mp3_meta", "a file without tags raises", "0", switched=False),
    # Documents.
    _d("page-break-before", "contains_page_break", "only breaks that are marks in the text count",
       "those that are a property of a paragraph, too; LibreOffice writes either"),
    _d("font-of-style", "compare_font_names is_first_line_centered", "a font or alignment that comes from a style is "
       "none", "styles are followed, as in what a person sees"),
    _d("footer-digit", "has_page_numbers_in_footers", "a digit in the footer's first paragraph is a page number",
       "the field PAGE is, wherever it stands in the footer"),
    _d("black-words", "evaluate_colored_words_in_tables", "text without a colour raises", "it is black",
       switched=False),
    _d("short-document", "evaluate_spacing evaluate_strike_through_last_paragraph check_tabstops compare_references "
       "is_first_line_centered", "documents with fewer paragraphs than are looked at raise", "0; an expected document "
       "without text is an error of the check", switched=False),
    # Sheets.
    _d("sheet-part", "compare_table", "a sheet's file is guessed from its number, which is wrong once sheets were "
       "deleted or moved", "the workbook's own directory is used"),
    _d("cell-kinds", "compare_table", "true and false read as empty", "they are values"),
    _d("cell-values", "compare_table", "a text within its cell that has outer blanks is read as a structure, and a "
       "formula that was never worked out raises", "the text, and nothing", switched=False),
    _d("data-case", "compare_table", "`ignore_case` of sheet_data is not read", "it is, as six tasks expect"),
    _d("chart-title", "compare_table", "a title's first run of letters is the title", "all of it"),
    _d("chart-anchor", "compare_table", "a chart's upper row is not compared (its lower is, twice), and one that is "
       "held by one corner raises", "it is; by that corner"),
    _d("row-defaults", "compare_table", "a row or column that one file describes and the other does not differs",
       "one that is not described is as by default"),
    _d("no-font-colour", "compare_table", "letters without a colour of their own, as LibreOffice writes them, raise",
       "they have none", switched=False),
    _d("colours", "compare_table", "all colours of the theme are equal", "each is itself"),
    _d("hyperlink", "compare_table", "a hyperlink is compared as an object and is never a text", "by its target"),
    _d("missing-sheet", "compare_table", "a sheet that both workbooks lack is equal in both, or raises",
       "one that the result lacks is 0, one that the expected lacks an error of the check", switched=False),
    _d("conditional-cells", "compare_table", "a conditional format's formula that names one fixed cell raises, as does "
       "a number format that it leaves as it was", "they are worked out", switched=False),
    _d("conditional-kinds", "compare_table", "a conditional format of a kind that is not worked out is active "
       "where the rule before it is", "it changes nothing", switched=False),
    _d("freeze-corner", "compare_table", "the cell to which the sheet is scrolled counts, not what is frozen",
       "how many rows and columns are frozen counts", only="1.0.2"),
    _d("city-spelling", "compare_conference_city_in_order", "case, accents and punctuation count",
       "letters and digits do", only="1.0.2"),
    _d("city-letters", "compare_conference_city_in_order", "a name that is not in Latin letters is empty, and never "
       "found", "it is itself", only="main"),
    _d("cities-length", "compare_conference_city_in_order", "fewer cities than rows: 0", "an error of the check",
       switched=False),
    # Slides.
    _d("run-count", "compare_pptx_files", "examine_run_count is not read: runs are always counted",
       "where it is off, letters are compared one by one, wherever their runs begin", only="1.0.2"),
    _d("run-pairs", "compare_pptx_files", "where runs are not counted, the first is compared with the first and so on, "
       "whatever letters are in them", "letters are compared one by one", only="main"),
    _d("blank-runs", "compare_pptx_files", "runs of blank paragraphs count", "they do not: nobody sees them",
       only="1.0.2"),
    _d("empty-placeholder", "compare_pptx_files", "the place of a placeholder without text counts",
       "it does not: nobody sees it", only="1.0.2"),
    _d("picture-place", "compare_pptx_files", "the place of whatever has no text, pictures among it, does not count",
       "only that of empty placeholders does not", only="main"),
    _d("level-one", "compare_pptx_files", "the levels 0 and 1 are one", "they are two", only="main"),
    _d("position-zero", "compare_pptx_files", "0 and anything else differ, were it by LibreOffice's rounding",
       "1/100 mm is no difference"),
    _d("table-cells", "compare_pptx_files", "tables are compared without their text, and in bold, italic and underline "
       "whatever the options say", "text and the options count"),
    _d("underline-kinds", "compare_pptx_files", "no underline and a double one are equal", "they are not"),
    _d("colour-none", "compare_pptx_files", "letters with a colour and letters without one are equal", "they are not"),
    _d("groups", "compare_pptx_files", "of text within groups only its alignment counts", "all that is examined"),
    _d("bullet-levels", "compare_pptx_files", "levels count where there is no bullet, too, and a paragraph without "
       "properties may differ from one at level 0", "only a bullet's level counts as its own", only="1.0.2"),
    _d("bullet-numbers", "compare_pptx_files", "numbers are no bullets", "they are"),
    _d("theme-fill", "compare_pptx_files evaluate_presentation_fill_to_rgb_distance", "a background in a colour of the "
       "theme raises", "it is compared by the colour's name, or counts as far away", switched=False),
    _d("strike-none", "check_strikethrough", "letters marked as not struck through are struck through", "they are not"),
    _d("transition-first", "check_transition", "a slide's file is guessed from its place; only its first transition "
       "counts, though there are two, for old and new programs", "the slide at that place; either"),
    _d("number-colour", "check_page_number_colors", "the second last colour of the first master, read from the second "
       "letter of RRGGBB on, is that of the numbers", "the colour of the fields that show a number", only="1.0.2"),
    _d("number-guess", "check_page_number_colors", "the last colour of letters in the first master, black ones left "
       "out, is that of the numbers", "the colour of the fields that show a number", only="main"),
    _d("no-number", "check_slide_numbers_color", "without a number, or a colour of it, None", "0", switched=False),
    _d("no-colour", "check_page_number_colors", "a master without colours raises", "0", switched=False, only="1.0.2"),
    # Settings, mail.
    _d("json-comments", "check_json_settings check_json_keybindings compare_config",
       "VS Code's files with comments are unreadable, but for one line before the key bindings", "comments and "
       "trailing commas are read, as VS Code does"),
    _d("vlc-comments", "check_qt_bgcone check_qt_max_volume check_qt_minimal_view check_qt_slider_colours "
       "check_global_key_play_pause check_one_instance_when_started_from_file check_play_and_exit",
       "what is commented out counts as set", "it is VLC's default, not a setting"),
    _d("record-path", "is_vlc_recordings_folder", "of a folder with = in its name only the end is read", "all of it",
       switched=False),
    _d("office-empty", "check_auto_saving_time find_default_font check_libre_locale", "a file that is no XML gives "
       "None, or raises", "0", switched=False),
    _d("blank-line", "check_config_status", "a line of brackets only raises", "it has no key", switched=False),
    _d("preference-value", "check_thunderbird_prefs", "a value that is no JSON raises", "it is left out",
       switched=False),
    _d("mail-conditions", "check_thunderbird_filter", "two conditions in quotation marks are one", "they are two"),
    _d("mail-end", "check_thunderbird_filter", "a file without an end of its last line lacks that line's last letter",
       "it does not"),
    _d("mail-folder", "check_thunderbird_folder", "every message is dropped before folders are compared, so that all "
       "that are not empty are equal", "messages are compared; Thunderbird's marks of reading and its labels do not "
       "count unless ignore_status and ignore_keys are off"),
    # Programs.
    _d("test-suite", "check_python_file_by_test_suite", "the agent's program is run on the controller",
       "it is run in the desktop", switched=False),
    _d("not-a-score", "check_python_file_by_gold_file get_unique_train_ids", "give None and a set",
       "an error of the check", switched=False),
    _d("file-exists", "check_file_exists", "looks for a file on the controller, by a path of the desktop's choice",
       "looks in a folder that a getter read", switched=False),
)  # fmt: skip

GETTERS: tuple[Difference, ...] = (
    _d("getter-fails", "*", "None, or what stands for a failure, whoever's it is, and so 0", "what the desktop "
       "holds and is not what was asked for is 0; what failed otherwise is an error, and the task is not scored",
       switched=False),
    _d("browser-arch", "bookmarks chrome_font_size chrome_language cookie_data data_delete_automacally "
       "default_search_engine enable_do_not_track enable_enhanced_safety_browsing enable_safe_browsing "
       "enabled_experiments find_installed_extension_name find_unpacked_extension_path history new_startup_page "
       "profile_name", "the profile's folder goes by the processor: the controller's in 1.0.2, the desktop's in main",
       "by which browser is there", switched=False),
    _d("page-cookies", "page_info", "a page is opened in a window of its own, without the person's cookies",
       "beside the others, with their cookies", switched=False, only="1.0.2"),
    _d("page-quiet", "page_info", "a page whose network is never quiet is an error", "what has come is looked at",
       switched=False),
    _d("tab-again", "active_tab_info", "the page at the active tab's address is loaded anew; main waits until it is "
       "loaded, 1.0.2 until its network is quiet", "the tab itself is looked at", switched=False),
    _d("recreation", "gotoRecreationPage_and_get_html_content", "waits that are fixed, and that main made longer",
       "as long as the page needs", switched=False),
    _d("time-zone", "rule_relativeTime", "without a time zone in the rule, that of the controller's address on the "
       "web counts", "the desktop's", switched=False, only="1.0.2"),
    _d("time-lists", "rule_relativeTime", "a list of times raises", "each of them is written", switched=False,
       only="1.0.2"),
    _d("month-zero", "rule_relativeTime", "`first monday four months later` raises in August, and `eight` in April",
       "it is a Monday of December", switched=False),
    _d("system-theme", "chrome_color_scheme", "`extensions.theme.system_theme` 0 is light, whatever Chrome's mode",
       "Chrome's mode counts", only="main"),
    _d("theme-words", "chrome_appearance_mode_ui", "the mode is guessed from words that stand on the page of settings",
       "Chrome is asked", switched=False, only="main"),
    _d("opened-once", "vscode_config", "where VS Code's command has written no file, every folder that it ever opened "
       "counts", "nothing was written: 0", switched=False, only="main"),
    _d("vscode-window", "vscode_config", "the command is typed to whatever window is active",
       "VS Code's window is made active first", switched=False, only="1.0.2"),
)  # fmt: skip

BY_KEY = {d.key: d for d in DIFFERENCES}
EVERY = BY_KEY | {d.key: d for d in GETTERS}

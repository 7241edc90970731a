"""All differences between our metrics and getters and OSWorld's: data for the docs and the differential test."""

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
        metrics: the metrics (in `DIFFERENCES`) or getters (in `GETTERS`) that it affects; `*` for all.
        upstream: what OSWorld's function does.
        ours: what our function does by default.
        switched: whether `--osworld-strict` restores OSWorld's behaviour.
        revisions: the revisions of OSWorld with this behaviour.
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
    _d("raises", "*", "an exception leaves the task without a score, or OSWorld catches it and it becomes 0",
       "a result that deskbench cannot read is 0; if the check or the expected value is at fault, the task has an "
       "error with its cause, never a score", switched=False),
    _d("encoding", "*", "text that is not UTF-8 raises", "deskbench replaces bytes that are not UTF-8", switched=False),
    _d("range", "compare_images check_tabstops compare_audios", "scores below 0 or above 1 are possible",
       "scores stay between 0 and 1", switched=False),
    _d("hostile", "compare_archive compare_epub compare_zip_files compare_table compare_docx_files compare_pptx_files",
       "archives are unpacked next to the file, without limits", "archives are unpacked in a scratch folder, within "
       "limits; a larger one cannot be read", switched=False),
    # Text and data.
    _d("number-inside", "compare_result_files", "the expected number may be part of a longer one: 15 contains 5",
       "the number must stand alone"),
    _d("autojunk", "diff_text_file compare_epub", "in texts of 200 lines or more, frequent lines do not count "
       "(difflib's heuristic for speed)", "all lines count"),
    _d("five-places", "fuzzy_place_math", "the metric demands exactly 3 words, but the only task that uses it asks "
       "for 5 addresses, so a right answer scores 0", "the metric demands as many lines as the rule's `count` "
       "(default 5); blanks within a line do not count"),
    _d("midnight", "compare_time_in_speedtest_results", "23:59 and 00:01 are 1438 minutes apart", "23:59 and 00:01 "
       "are 2 minutes apart"),
    _d("containment", "compare_config", "the file must be exactly the expected text; OSWorld does not read the "
       "option containment_ok", "unless containment_ok is off, a file passes if it contains the text; a JSON object "
       "passes if it has the expected keys and values", only="1.0.2"),
    _d("config-empty", "compare_config", "if nothing is expected, nothing passes", "if nothing is expected, an empty "
       "file passes", only="main"),
    _d("utc-line", "is_utc_0", "the fourth line of timedatectl must end in +0000", "the line about the time zone must "
       "say so"),
    _d("eval", "check_gnome_favorite_apps", "OSWorld evaluates the desktop's output as Python on the controller",
       "deskbench reads it as a list of strings, including gsettings' `@as []`", switched=False),
    _d("apostrophes", "check_direct_json_object", "every ' becomes \" before JSON is read, which breaks values with "
       "apostrophes", "deskbench reads the text as it is, and replaces apostrophes only if it is not valid JSON"),
    _d("list-order", "check_direct_json_object", "OSWorld looks for ignore_list_order among the expected values, so "
       "it has no effect where task files have it", "deskbench reads it where task files have it"),
    _d("failed-expected", "check_direct_json_object", "if the expected value could not be read, the score is 0",
       "an error of the check: no score"),
    _d("unexpected-absent", "check_json", "if a key of `unexpect` is missing or has a value of another type, some "
       "methods raise, which becomes 0", "a missing key, or one of another type, does not count as unexpected",
       switched=False),
    _d("csv-bom", "compare_csv", "a byte order mark is part of the first cell", "deskbench ignores the byte order "
       "mark", only="1.0.2"),
    _d("exact-default", "check_accessibility_tree", "a rule with `text` and without `exact` raises",
       "`exact` is true by default, as OSWorld's documentation says", switched=False),
    _d("rule-value", "literal_match", "the metric compares with the rule as it prints", "the metric compares with "
       "the rule's `expected`", switched=False),
    _d("database", "run_sqlite3", "a file that is not a database raises, and OSWorld may write to the file",
       "the score is 0; deskbench opens the file read-only", switched=False),
    # Browser.
    _d("html-length", "compare_htmls", "if one page is longer, the rest does not count", "the rest counts"),
    _d("suffixes", "is_expected_active_tab is_expected_tabs is_cookie_deleted", "OSWorld downloads the list of "
       "public suffixes", "deskbench uses the list that the package contains", switched=False),
    _d("extension-names", "is_expected_installed_extensions", "an extension that Chrome's store has renamed is "
       "another extension", "it is the same extension", only="1.0.2"),
    _d("shortcut-line", "is_shortcut_on_desktop", "the line must be exactly that name or command with its line end, "
       "and any key that ends in Name will do", "case does not count; a name may have more words or fewer, and a "
       "command may have more arguments", only="1.0.2"),
    _d("shortcut-part", "is_shortcut_on_desktop", "any part of a name or command will do, even an empty one",
       "whole words must match", only="main"),
    _d("no-result", "is_cookie_deleted check_history_deleted check_enabled_experiments is_shortcut_on_desktop",
       "a value that could not be read raises", "the score is 0, and deskbench does not call the metric",
       switched=False),
    # PDF, archives.
    _d("pdf-text", "compare_pdfs compare_zip_files", "MuPDF and PyPDF2 extract the text", "PDFium extracts the text; "
       "its order can differ, so the similarity may differ by a few hundredths", switched=False),
    _d("pdf-names", "compare_pdf_images", "two files of the same name are the same file, because one overwrites the "
       "other", "they are two files", switched=False),
    _d("epub-names", "compare_epub", "files are paired by position, and the extra files of one book do not count",
       "files are paired by name, and a missing one counts as 0"),
    _d("archive-folders", "compare_archive", "a folder in the archive raises", "the files in it count, by their paths",
       switched=False),
    _d("empty-archive", "compare_archive", "archives without files raise", "an error of the check", switched=False),
    # Pictures, sound, film.
    _d("truncated", "check_image_size", "a truncated picture has the size that its header says", "a truncated picture "
       "is not a picture"),
    _d("transparent-size", "check_image_size", "for a picture with a transparent colour, OSWorld measures only the "
       "visible part, whether or not the rule asks for it", "deskbench does so only if the rule asks for it"),
    _d("rounding", "check_contrast_increase_and_structure_sim check_saturation_increase_and_structure_sim "
       "check_brightness_decrease_and_structure_sim increase_saturation decrease_brightness", "any difference "
       "counts, so a picture that was only opened and saved again passes because of rounding", "the difference must "
       "be at least half a level of 255"),
    _d("contrast-alpha", "check_contrast_increase_and_structure_sim", "transparency and palette indices count as "
       "contrast", "colours count"),
    _d("palette-brightness", "check_brightness_decrease_and_structure_sim", "for a picture with a palette, OSWorld "
       "brightens the palette indices; a black picture raises", "deskbench brightens the colours; a black picture "
       "stays as it is", switched=False),
    _d("green-axes", "check_green_background", "rows and columns are swapped: pictures that are not square raise",
       "deskbench looks at every pixel; pictures of different sizes score 0", switched=False),
    _d("triangle-colour", "check_triangle_position", "the second rarest colour counts as the triangle's; if there "
       "are two colours, that is the background", "the second most frequent colour counts as the triangle's"),
    _d("grey", "check_sharper", "OpenCV converts colours to grey", "Pillow does, with other rounding: of two equally "
       "sharp pictures, the other one may win", switched=False),
    _d("yellow", "compare_triangle_positions", "always raises (a mask has too few channels)", "looks for yellow, as "
       "OSWorld's name for it says", switched=False),
    _d("list-lengths", "compare_image_list compare_pdfs check_thunderbird_folder", "lists are compared up to the end "
       "of the shorter one", "lists of pictures and folders must have the same length; a missing PDF counts as 0",
       switched=False),
    _d("tiny", "compare_images", "pictures with a side below 7 pixels raise", "deskbench compares them pixel by pixel",
       switched=False),
    _d("ocr", "compare_image_text", "easyocr reads the picture", "rapidocr reads it: no PyTorch, no downloaded "
       "weights", switched=False),
    _d("audio-broken", "compare_audios", "two files that are not sound are equal: 1", "an error of the check"),
    _d("film-broken", "compare_videos", "two files that are not films are equal: 1", "the score is 0"),
    _d("tags", "check_mp3_meta", "a file without tags raises", "the score is 0", switched=False),
    # Documents.
    _d("page-break-before", "contains_page_break", "only breaks that are marks in the text count",
       "breaks that are a paragraph property count too, because LibreOffice writes both kinds"),
    _d("font-of-style", "compare_font_names is_first_line_centered", "a font or alignment from a style does not count",
       "styles count, because a person sees their effect"),
    _d("footer-digit", "has_page_numbers_in_footers", "a digit in the footer's first paragraph is a page number",
       "the field PAGE is a page number, anywhere in the footer"),
    _d("black-words", "evaluate_colored_words_in_tables", "text without a colour raises", "text without a colour is "
       "black", switched=False),
    _d("short-document", "evaluate_spacing evaluate_strike_through_last_paragraph check_tabstops compare_references "
       "is_first_line_centered", "documents with fewer paragraphs than the metric looks at raise",
       "the score is 0; an expected document without text is an error of the check", switched=False),
    # Sheets.
    _d("sheet-part", "compare_table", "OSWorld guesses a sheet's file from its number, which is wrong after sheets "
       "were deleted or moved", "deskbench uses the workbook's own directory"),
    _d("cell-kinds", "compare_table", "true and false read as empty", "they are values"),
    _d("cell-values", "compare_table", "text with leading or trailing blanks in its cell reads as a structure, and a "
       "formula without a stored value raises", "the cell reads as the text, and the formula as empty", switched=False),
    _d("data-case", "compare_table", "`ignore_case` of sheet_data is not read", "it is read, as six tasks expect"),
    _d("chart-title", "compare_table", "only the first run of a title counts", "the whole title counts"),
    _d("chart-anchor", "compare_table", "a chart's upper row is not compared (its lower row is, twice), and a chart "
       "anchored at one corner raises", "the upper row is compared, and such a chart by its corner"),
    _d("row-defaults", "compare_table", "a row or column that only one file describes is different",
       "a row or column that a file does not describe has the defaults"),
    _d("no-font-colour", "compare_table", "text without a colour of its own, as LibreOffice writes it, raises",
       "it has no colour", switched=False),
    _d("colours", "compare_table", "all theme colours are equal", "each theme colour equals only itself"),
    _d("hyperlink", "compare_table", "a hyperlink is compared as an object and never equals a text",
       "a hyperlink is compared by its target"),
    _d("missing-sheet", "compare_table", "a sheet that both workbooks lack is equal in both, or raises",
       "0 if the result lacks it; an error of the check if the expected workbook lacks it", switched=False),
    _d("conditional-cells", "compare_table", "a conditional format raises if its formula names one fixed cell, or if "
       "it does not change the number format", "deskbench evaluates both", switched=False),
    _d("conditional-kinds", "compare_table", "a conditional format of a kind that OSWorld does not evaluate is "
       "active wherever the rule before it is", "it changes nothing", switched=False),
    _d("freeze-corner", "compare_table", "the cell to which the sheet is scrolled counts, not what is frozen",
       "the number of frozen rows and columns counts", only="1.0.2"),
    _d("city-spelling", "compare_conference_city_in_order", "case, accents and punctuation count",
       "only letters and digits count", only="1.0.2"),
    _d("city-letters", "compare_conference_city_in_order", "a name that is not in Latin letters becomes empty and "
       "never matches", "the name stays as it is", only="main"),
    _d("cities-length", "compare_conference_city_in_order", "with fewer cities than rows, the score is 0",
       "an error of the check", switched=False),
    # Slides.
    _d("run-count", "compare_pptx_files", "examine_run_count is not read: runs are always counted",
       "if it is off, deskbench compares letter by letter, wherever runs begin", only="1.0.2"),
    _d("run-pairs", "compare_pptx_files", "if runs are not counted, the first is compared with the first and so on, "
       "whatever letters they hold", "deskbench compares letter by letter", only="main"),
    _d("blank-runs", "compare_pptx_files", "runs of blank paragraphs count", "they do not count, because nobody sees "
       "them", only="1.0.2"),
    _d("empty-placeholder", "compare_pptx_files", "the position of a placeholder without text counts",
       "it does not count, because nobody sees it", only="1.0.2"),
    _d("picture-place", "compare_pptx_files", "the position of anything without text, including pictures, does not "
       "count", "only the position of empty placeholders does not count", only="main"),
    _d("level-one", "compare_pptx_files", "levels 0 and 1 are equal", "they are different", only="main"),
    _d("position-zero", "compare_pptx_files", "0 differs from any other number, even if LibreOffice's rounding made "
       "the difference", "a difference of 1/100 mm does not count"),
    _d("table-cells", "compare_pptx_files", "tables are compared without their text; bold, italic and underline "
       "count whatever the options say", "the text and the options count"),
    _d("underline-kinds", "compare_pptx_files", "no underline equals a double underline", "they are different"),
    _d("colour-none", "compare_pptx_files", "text with a colour equals text without one", "they are different"),
    _d("groups", "compare_pptx_files", "in groups, only the alignment of text counts", "everything that the options "
       "examine counts"),
    _d("bullet-levels", "compare_pptx_files", "levels count even without a bullet, and a paragraph without "
       "properties may differ from one at level 0", "only the level of a bullet counts", only="1.0.2"),
    _d("bullet-numbers", "compare_pptx_files", "numbers are not bullets", "numbers are bullets"),
    _d("theme-fill", "compare_pptx_files evaluate_presentation_fill_to_rgb_distance", "a background in a theme "
       "colour raises", "deskbench compares it by the colour's name, or counts it as far away", switched=False),
    _d("strike-none", "check_strikethrough", "text marked as not struck through counts as struck through",
       "it does not"),
    _d("transition-first", "check_transition", "OSWorld guesses a slide's file from its position, and counts only "
       "its first transition, though there are two, for old and new programs", "deskbench takes the slide at that "
       "position, and either transition counts"),
    _d("number-colour", "check_page_number_colors", "the colour of the numbers is the second last colour of the "
       "first master, read from the second letter of RRGGBB on", "it is the colour of the fields that show a number",
       only="1.0.2"),
    _d("number-guess", "check_page_number_colors", "the colour of the numbers is the last text colour in the first "
       "master that is not black", "it is the colour of the fields that show a number", only="main"),
    _d("no-number", "check_slide_numbers_color", "without a number, or without its colour, the score is None",
       "the score is 0", switched=False),
    _d("no-colour", "check_page_number_colors", "a master without colours raises", "the score is 0",
       switched=False, only="1.0.2"),
    # Settings, mail.
    _d("json-comments", "check_json_settings check_json_keybindings compare_config", "VS Code's files with comments "
       "cannot be read, except for one line before the key bindings", "deskbench reads comments and trailing commas, "
       "as VS Code does"),
    _d("vlc-comments", "check_qt_bgcone check_qt_max_volume check_qt_minimal_view check_qt_slider_colours "
       "check_global_key_play_pause check_one_instance_when_started_from_file check_play_and_exit",
       "a commented-out line counts as set", "it is VLC's default, not a setting"),
    _d("record-path", "is_vlc_recordings_folder", "for a folder with = in its name, only the end of the name counts",
       "the whole name counts", switched=False),
    _d("office-empty", "check_auto_saving_time find_default_font check_libre_locale", "a file that is not XML gives "
       "None, or raises", "the score is 0", switched=False),
    _d("blank-line", "check_config_status", "a line that consists of brackets raises", "the line has no key",
       switched=False),
    _d("preference-value", "check_thunderbird_prefs", "a value that is not JSON raises", "deskbench leaves it out",
       switched=False),
    _d("mail-conditions", "check_thunderbird_filter", "two conditions in quotation marks are one", "they are two"),
    _d("mail-end", "check_thunderbird_filter", "a file whose last line has no line end loses that line's last letter",
       "it does not"),
    _d("mail-folder", "check_thunderbird_folder", "every message is dropped before folders are compared, so all "
       "folders that are not empty are equal", "messages are compared; Thunderbird's read marks and labels count only "
       "if ignore_status and ignore_keys are off"),
    # Programs.
    _d("test-suite", "check_python_file_by_test_suite", "the agent's program runs on the controller",
       "it runs in the desktop", switched=False),
    _d("not-a-score", "check_python_file_by_gold_file get_unique_train_ids", "the functions return None and a set",
       "an error of the check", switched=False),
    _d("file-exists", "check_file_exists", "looks for a file on the controller, at a path that the desktop chooses",
       "looks in a folder that a getter read", switched=False),
)  # fmt: skip

GETTERS: tuple[Difference, ...] = (
    _d("getter-fails", "*", "None or another placeholder for a failure, whoever caused it, which becomes 0",
       "0 if the desktop holds something other than the getter asks for; any other failure is an error, and the task "
       "has no score", switched=False),
    _d("browser-arch", "bookmarks chrome_font_size chrome_language cookie_data data_delete_automacally "
       "default_search_engine enable_do_not_track enable_enhanced_safety_browsing enable_safe_browsing "
       "enabled_experiments find_installed_extension_name find_unpacked_extension_path history new_startup_page "
       "profile_name", "the profile's folder depends on the processor: the controller's in 1.0.2, the desktop's in "
       "main", "it depends on which browser is there", switched=False),
    _d("page-cookies", "page_info", "OSWorld opens the page in a window of its own, without the person's cookies",
       "deskbench opens it next to the others, with their cookies", switched=False, only="1.0.2"),
    _d("page-quiet", "page_info", "a page whose network never goes quiet is an error", "deskbench looks at what has "
       "arrived", switched=False),
    _d("tab-again", "active_tab_info", "OSWorld loads the page at the active tab's address again; main waits until "
       "it has loaded, 1.0.2 until its network is quiet", "deskbench looks at the tab itself", switched=False),
    _d("recreation", "gotoRecreationPage_and_get_html_content", "fixed waits, which main made longer",
       "deskbench waits as long as the page needs", switched=False),
    _d("time-zone", "rule_relativeTime", "if the rule has no time zone, the zone of the controller's web address "
       "counts", "the desktop's time zone counts", switched=False, only="1.0.2"),
    _d("time-lists", "rule_relativeTime", "a list of times raises", "deskbench writes each of them",
       switched=False, only="1.0.2"),
    _d("month-zero", "rule_relativeTime", "`first monday four months later` raises in August, and `eight` in April",
       "it is a Monday in December", switched=False),
    _d("system-theme", "chrome_color_scheme", "`extensions.theme.system_theme` 0 is light, whatever Chrome's mode",
       "Chrome's mode counts", only="main"),
    _d("theme-words", "chrome_appearance_mode_ui", "OSWorld guesses the mode from words on the settings page",
       "deskbench asks Chrome", switched=False, only="main"),
    _d("opened-once", "vscode_config", "if VS Code's command wrote no file, every folder that it ever opened counts",
       "the command wrote nothing: 0", switched=False, only="main"),
    _d("vscode-window", "vscode_config", "OSWorld types the command into whatever window is active",
       "deskbench first activates VS Code's window", switched=False, only="1.0.2"),
)  # fmt: skip

BY_KEY = {d.key: d for d in DIFFERENCES}
EVERY = BY_KEY | {d.key: d for d in GETTERS}

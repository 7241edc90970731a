"""A GTK window with one of everything that an accessibility tree describes. Arguments: a name; `hostile`; `huge`."""

import sys

import gi

gi.require_version("Gtk", "3.0")
from gi.repository import Gtk  # noqa: E402

HOSTILE = "\x01\x1b[31m <b>&amp;\"' \ufffe\uffff ]]> \r\n\t \U0001f600 \u202e end"


def table() -> Gtk.Widget:
    store = Gtk.TreeStore(str, int, bool)
    for row in range(4):
        parent = store.append(None, [f"row {row}", row, row % 2 == 0])
        store.append(parent, [f"child {row}", 10 * row, True])
    view = Gtk.TreeView(model=store)
    for index, title in enumerate(("Name", "Count")):
        view.append_column(Gtk.TreeViewColumn(title, Gtk.CellRendererText(), text=index))
    view.append_column(Gtk.TreeViewColumn("Done", Gtk.CellRendererToggle(), active=2))
    view.expand_all()
    view.get_selection().select_path(Gtk.TreePath.new_from_indices([1]))
    return view


def menus() -> Gtk.Widget:
    bar = Gtk.MenuBar()
    for title in ("_File", "_Edit"):
        menu = Gtk.Menu()
        menu.append(Gtk.MenuItem(label="Open"))
        menu.append(Gtk.CheckMenuItem(label="Wrap lines", active=True))
        menu.append(Gtk.SeparatorMenuItem())
        top = Gtk.MenuItem(label=title, use_underline=True, submenu=menu)
        bar.append(top)
    return bar


def controls() -> list[Gtk.Widget]:
    slider = Gtk.Scale.new_with_range(Gtk.Orientation.HORIZONTAL, 0, 10, 0.5)
    slider.set_value(3.5)
    combo = Gtk.ComboBoxText()
    for text in ("one", "two"):
        combo.append_text(text)
    combo.set_active(1)
    password = Gtk.Entry(text="secret", visibility=False)
    switch = Gtk.CheckButton(label="Agree", active=True, tooltip_text="a hint")
    off = Gtk.Button(label="Not now", sensitive=False)
    notebook = Gtk.Notebook()
    notebook.append_page(Gtk.Label(label="first page"), Gtk.Label(label="First"))
    notebook.append_page(Gtk.Label(label="hidden page"), Gtk.Label(label="Second"))
    level = Gtk.ProgressBar(fraction=0.25)
    spin = Gtk.SpinButton.new_with_range(0, 99, 1)
    image = Gtk.Image.new_from_icon_name("edit-copy", Gtk.IconSize.BUTTON)
    link = Gtk.LinkButton(uri="https://example.org", label="a link")
    return [slider, combo, password, switch, off, notebook, level, spin, image, link, Gtk.Entry(text="naïve ‹日本›")]


def hostile() -> list[Gtk.Widget]:
    button = Gtk.Button(label="plain")
    button.get_accessible().set_name(HOSTILE)
    button.get_accessible().set_description(HOSTILE)
    text = Gtk.TextView()
    text.get_buffer().set_text(HOSTILE + "x" * 2_000_000 + "END")
    scrolled = Gtk.ScrolledWindow(max_content_height=100)
    scrolled.add(text)
    return [button, scrolled]


def huge() -> list[Gtk.Widget]:
    """More than a tree should hold: a hundred megabytes of characters that take six times as much space in XML."""
    buttons = [Gtk.Button(label="plain") for _ in range(20)]
    for button in buttons:
        button.get_accessible().set_name('"' * 5_000_000)
    return list(buttons)


def main() -> None:
    window = Gtk.Window(title=sys.argv[1])
    window.connect("destroy", Gtk.main_quit)
    column = Gtk.Box(orientation=Gtk.Orientation.VERTICAL)
    special = [make for make in (hostile, huge) if make.__name__ in sys.argv]
    for widget in special[0]() if special else [menus(), table(), *controls()]:
        column.pack_start(widget, False, False, 0)
    window.add(column)
    window.show_all()
    Gtk.main()


main()

"""A small registration form. Only Save writes its data, to ~/Documents/registration.json."""

import json
import re
from pathlib import Path

import gi

gi.require_version("Gtk", "3.0")
from gi.repository import Gtk  # noqa: E402

TARGET = Path.home() / "Documents" / "registration.json"
COUNTRIES = ("Argentina", "Canada", "Egypt", "France", "Japan", "Kenya", "Norway", "Portugal")
PLANS = ("Basic", "Standard", "Premium")


class Form(Gtk.Window):
    """Two pages: the person and the order."""

    def __init__(self) -> None:
        super().__init__(title="Registration")
        self.set_default_size(560, 460)
        self.set_border_width(12)
        self.book = Gtk.Notebook()
        self.book.append_page(self.person(), Gtk.Label(label="Person"))
        self.book.append_page(self.order(), Gtk.Label(label="Order"))
        self.status = Gtk.Label(label="Not saved", xalign=0)
        save = Gtk.Button(label="Save")
        save.connect("clicked", self.save)
        clear = Gtk.Button(label="Clear")
        clear.connect("clicked", self.clear)
        row = Gtk.Box(spacing=8)
        row.pack_start(self.status, True, True, 0)
        row.pack_start(clear, False, False, 0)
        row.pack_start(save, False, False, 0)
        box = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=10)
        box.pack_start(self.book, True, True, 0)
        box.pack_start(row, False, False, 0)
        self.add(box)

    def named(self, widget: Gtk.Widget, name: str) -> Gtk.Widget:
        """Give a widget the name that its label shows."""
        widget.get_accessible().set_name(name)
        return widget

    def page(self, rows: list[tuple[str, Gtk.Widget]]) -> Gtk.Grid:
        """Labels on the left, widgets on the right."""
        grid = Gtk.Grid(row_spacing=10, column_spacing=12, border_width=12)
        for index, (label, widget) in enumerate(rows):
            grid.attach(Gtk.Label(label=label, xalign=0), 0, index, 1, 1)
            widget.set_hexpand(True)
            grid.attach(self.named(widget, label), 1, index, 1, 1)
        return grid

    def person(self) -> Gtk.Grid:
        """The first page."""
        self.name, self.email, self.city = Gtk.Entry(), Gtk.Entry(), Gtk.Entry()
        self.country = Gtk.ComboBoxText()
        for country in COUNTRIES:
            self.country.append_text(country)
        self.news = Gtk.CheckButton(label="Send me the newsletter")
        return self.page(
            [
                ("Full name", self.name),
                ("E-mail", self.email),
                ("City", self.city),
                ("Country", self.country),
                ("Newsletter", self.news),
            ]
        )

    def order(self) -> Gtk.Grid:
        """The second page."""
        self.plans = [Gtk.RadioButton(label=PLANS[0])]
        self.plans += [Gtk.RadioButton.new_with_label_from_widget(self.plans[0], plan) for plan in PLANS[1:]]
        plans = Gtk.Box(spacing=12)
        for plan in self.plans:
            plans.pack_start(plan, False, False, 0)
        self.seats = Gtk.SpinButton.new_with_range(1, 99, 1)
        self.express = Gtk.CheckButton(label="Express delivery")
        self.notes = Gtk.TextView()
        frame = Gtk.ScrolledWindow(min_content_height=120, shadow_type=Gtk.ShadowType.IN)
        frame.add(self.notes)
        self.named(self.notes, "Notes")
        return self.page([("Plan", plans), ("Seats", self.seats), ("Delivery", self.express), ("Notes", frame)])

    def problem(self) -> str:
        """The first error in the form; empty if there is none."""
        if not self.name.get_text().strip():
            return "The full name is missing."
        if not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", self.email.get_text().strip()):
            return "The e-mail address is not valid."
        if self.country.get_active_text() is None:
            return "Choose a country."
        return ""

    def save(self, button: Gtk.Button) -> None:
        """Write the file, or show the error."""
        problem = self.problem()
        if problem:
            self.tell(Gtk.MessageType.ERROR, problem)
            return
        buffer = self.notes.get_buffer()
        record = {
            "name": self.name.get_text().strip(),
            "email": self.email.get_text().strip(),
            "city": self.city.get_text().strip(),
            "country": self.country.get_active_text(),
            "newsletter": self.news.get_active(),
            "plan": next(p.get_label() for p in self.plans if p.get_active()),
            "seats": self.seats.get_value_as_int(),
            "express": self.express.get_active(),
            "notes": buffer.get_text(buffer.get_start_iter(), buffer.get_end_iter(), False),
        }
        TARGET.parent.mkdir(exist_ok=True)
        TARGET.write_text(json.dumps(record, ensure_ascii=False, indent=1))
        self.status.set_text("Saved")
        self.tell(Gtk.MessageType.INFO, "The registration has been saved.")

    def clear(self, button: Gtk.Button) -> None:
        """Empty the first page."""
        for entry in (self.name, self.email, self.city):
            entry.set_text("")
        self.country.set_active(-1)
        self.news.set_active(False)

    def tell(self, kind: Gtk.MessageType, text: str) -> None:
        """Show a message until it is closed."""
        dialog = Gtk.MessageDialog(
            transient_for=self, modal=True, message_type=kind, buttons=Gtk.ButtonsType.OK, text=text
        )
        dialog.connect("response", lambda d, r: d.destroy())
        dialog.show()


form = Form()
form.connect("destroy", Gtk.main_quit)
form.show_all()
Gtk.main()

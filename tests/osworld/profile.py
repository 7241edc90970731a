"""A Thunderbird profile with the account from OSWorld's tasks, no password, and a mail of our own."""

import json

ACCOUNT = "anonym-x2024@outlook.com"
FOLDER = ".thunderbird/t5q2a5hp.default-release"
"""The tasks' checks name this folder."""
INSTALL = "FDC34C9F024745EB"
"""Thunderbird's hash of `/usr/lib/thunderbird`, which links an installation to its profile."""
PREFS = {
    "mail.account.account1.identities": "id1",
    "mail.account.account1.server": "server1",
    "mail.account.account2.server": "server2",
    "mail.accountmanager.accounts": "account1,account2",
    "mail.accountmanager.defaultaccount": "account1",
    "mail.accountmanager.localfoldersserver": "server2",
    "mail.identity.id1.fullName": "Anonym Tester",
    "mail.identity.id1.useremail": ACCOUNT,
    "mail.identity.id1.valid": True,
    "mail.identity.id1.smtpServer": "smtp1",
    "mail.server.server1.hostname": "outlook.office365.com",
    "mail.server.server1.name": ACCOUNT,
    "mail.server.server1.type": "imap",
    "mail.server.server1.userName": ACCOUNT,
    "mail.server.server1.directory-rel": "[ProfD]ImapMail/outlook.office365.com",
    "mail.server.server1.login_at_startup": False,
    "mail.server.server1.check_new_mail": False,
    "mail.server.server2.hostname": "Local Folders",
    "mail.server.server2.name": "Local Folders",
    "mail.server.server2.type": "none",
    "mail.server.server2.userName": "nobody",
    "mail.server.server2.directory-rel": "[ProfD]Mail/Local Folders",
    "mail.smtpserver.smtp1.hostname": "smtp.office365.com",
    "mail.smtpserver.smtp1.username": ACCOUNT,
    "mail.smtpservers": "smtp1",
    "mail.root.imap-rel": "[ProfD]ImapMail",
    "mail.root.none-rel": "[ProfD]Mail",
    "mail.spotlight.firstRunDone": True,
    "app.donation.eoy.version.viewed": 999,
    "mail.rights.version": 1,
}
MAIL = """From - Mon Jan 01 00:00:00 2024
From: Ann <ann@example.org>
To: Anonym Tester <anonym-x2024@outlook.com>
Subject: A Test E-mail
Date: Mon, 01 Jan 2024 10:00:00 +0000
Message-ID: <1@example.org>
Content-Type: text/plain; charset=UTF-8

A text.

"""


def thunderbird_profile() -> dict[str, bytes]:
    """The files of the profile, by path in the home folder."""
    name = FOLDER.rpartition("/")[2]
    profiles = (
        f"[Install{INSTALL}]\nDefault={name}\nLocked=1\n\n[Profile0]\nName=default-release\nIsRelative=1\n"
        f"Path={name}\nDefault=1\n\n[General]\nStartWithLastProfile=1\nVersion=2\n"
    )
    return {
        ".thunderbird/profiles.ini": profiles.encode(),
        ".thunderbird/installs.ini": f"[{INSTALL}]\nDefault={name}\nLocked=1\n".encode(),
        f"{FOLDER}/prefs.js": "".join(f"user_pref({_js(k)}, {_js(v)});\n" for k, v in PREFS.items()).encode(),
        f"{FOLDER}/Mail/Local Folders/Inbox": MAIL.encode(),
        f"{FOLDER}/Mail/Local Folders/Bills": MAIL.encode(),
        f"{FOLDER}/ImapMail/outlook.office365.com/msgFilterRules.dat": b'version="9"\nlogging="no"\n',
    }


def _js(value: object) -> str:
    return json.dumps(value)

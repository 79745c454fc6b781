"""Write an example WhiteBalloon instance: app.db and comment_llm_insights.db, as WhiteBalloon itself would.

Usage: python examples/make_whiteballoon.py FOLDER

The same bytes each time. Every counting rule of docs/rules.md is at work in it.
"""

import json
import math
import random
import sqlite3
import sys
from datetime import datetime, timedelta
from pathlib import Path

APP_SCHEMA = """
create table users (
    id integer primary key, username varchar not null unique, contact_email varchar,
    is_admin boolean not null, created_at datetime not null
);
create table user_attributes (
    id integer primary key, user_id integer not null, key varchar not null, value varchar,
    created_at datetime not null, updated_at datetime not null
);
create table help_requests (
    id integer primary key, title varchar, description varchar not null, status varchar not null,
    created_by_user_id integer, sync_scope varchar not null, created_at datetime not null
);
create table request_comments (
    id integer primary key, help_request_id integer not null, user_id integer not null, body varchar not null,
    sync_scope varchar not null, created_at datetime not null, deleted_at datetime
);
create index ix_request_comments_help_request_id on request_comments (help_request_id);
create table user_profile_highlights (
    user_id integer primary key, bio_text varchar not null, source_group varchar, snapshot_hash varchar,
    snapshot_last_seen_at datetime, generated_at datetime not null, stale_after datetime,
    is_stale boolean not null, stale_reason varchar, manual_override boolean not null
);
"""

ANALYSES_SCHEMA = """
create table comment_llm_analyses (
    comment_id integer primary key, run_id varchar not null, help_request_id integer not null, summary varchar,
    resource_tags varchar, request_tags varchar, audience varchar, residency_stage varchar, location varchar,
    location_precision varchar, urgency varchar, sentiment varchar, tags varchar, notes varchar,
    recorded_at varchar not null
);
"""

# Slug, name in the members' attributes, titles of the requests that hold the chat, members.
GROUPS = [
    ("harvardstcommons", "Harvard St Commons", ["[Signal] Harvard St Commons"], range(1, 25)),
    ("tool-library", "Tool Library", ["[Signal] Tool Library", "  [Signal] Tool Library\n"], range(10, 30)),
    ("cafe-fête", "Café Fête: Küche & Kinder", ["[Signal] Café Fête: Küche & Kinder"], range(20, 45)),
    ("rides:north", " Rides North ", ["[Signal] Rides North"], range(1, 49, 3)),
    ("unnamed-circle", None, ["[Signal] unnamed-circle"], range(5, 48, 6)),
]
NAMES = [
    "Lucas", "Ana María", "Jo", "Priya Sharma", "Åsa", "李雷", "Mateo", "Zoë", "O'Neill", "Fatima", "Ren", "Ingrid",
    "Kofi", "Lupe", "Sam 7", "Noor", "Elif", "Tomás", "Wren", "Yuki", "Dana", "Bo", "Chidi", "Marta",
]  # fmt: skip
EMOJI = ["❤️", "😂", "👍", "👍🏽", "🙏", "🎉", "👩‍👩‍👧", "🇵🇷", "1️⃣", "🏴󠁧󠁢󠁳󠁣󠁴󠁿", "☺", "🔥"]
ODD_REACTIONS = ["Smith, Jr. 👍", "Agent 7, Max 🎉", "Ana +1", "Bo ok", "😂", "Lee, Ana, Jo ❤️"]
FILES = [
    "flyer.png", "IMG_0042.HEIC", "clip.mp4", "voice note.m4a", "lease.final.PDF", "budget.xlsx", "README",
    "archive.tar.gz", ".png", "map.svg", "talk.OGG", "menu.docx", "photo.jpeg", "data.csv", "strange.xyz",
]  # fmt: skip
LINKS = [
    "https://partiful.com/e/demo", "https://partiful.com/e/demo.", "(https://partiful.com/e/demo)",
    "https://www.example.org/a_(b)", "HTTPS://WWW.Example.ORG:443/a_(b)#part", "http://example.org:80",
    "https://example.org/?utm_source=signal&id=7&&UTM_Medium=chat&fbclid=x", "https://example.org/?utm_campaign=only",
    "https://user:secret@example.org/private", "https://example.org/~ana/@home+1,2;v=3", "https://münchen.example/straße",
    "https://xn--mnchen-3ya.example/%7eA/../b/", "http://localhost:8080/path?q=a=b&igsh=1", "https://example.org/wow!",
    "https://example.org/list…", "**https://example.org/bold**", "<https://example.org/angle>", "https://example.org/a'b",
    "http://192.168.1.20/admin", "https://maps.example/@42.3,-71.1,15z", "https://mail.example@", "https://",
    "www.not-a-link.example", "ana@example.org", "ftp://example.org/file", "xhttps://example.org/no",
    "https://forms.example/d/1?entry.1=a%20b", "https://example.org:99999/", "[text](https://example.org/markdown)",
]  # fmt: skip
SENTENCES = [
    "Does anybody have a ladder I could borrow this weekend?", "Dinner at mine on Friday, bring chairs.",
    "I can give a lift to the clinic at 9.", "Merci ! À bientôt", "谢谢大家", "(no text)", "Who has the keys?",
    "The landlord answered. See below.", "We have soup left over: first come, first served.",
    "(Reactions: this line is text, not reactions 👍)\nas more follows it", "[attachments: nor.png]\nis this one",
]  # fmt: skip
TAGS = ["housing", "food", "rides", "childcare", "Tools", "tools", "translation", "legal aid", "été", "mutual aid"]
ODD_TAGS = [
    "housing, food , ,rides", '["housing", 7, null, " ", "food"]', '["unterminated', '{"housing": 1}', "", None, "[]",
    '["nul \\u0000", "half \\ud83d"]', '"quoted"', "null", '["a, b"]', "[NaN]", " rides ",
]  # fmt: skip
TWO_YEARS = 2 * 365 * 86400


def body(rng: random.Random) -> str:
    """Compose one comment body as WhiteBalloon's importer does."""
    parts = []
    if rng.random() < 0.15:
        parts.append(f"> {rng.choice(SENTENCES).splitlines()[0]} {rng.choice(LINKS)}\n> — {rng.choice(NAMES)}\n")
    text = rng.choice(SENTENCES)
    if rng.random() < 0.2:
        text += " " + " and ".join(rng.choices(LINKS, k=rng.randint(1, 3)))
    parts.append(text)
    closing = []
    if rng.random() < 0.12:
        closing.append(f"[attachments: {', '.join(rng.choices(FILES, k=rng.randint(1, 4)))}]")
    if rng.random() < 0.25:
        entries = [f"{rng.choice(NAMES)} {rng.choice(EMOJI)}" for _ in range(rng.randint(1, 5))]
        if rng.random() < 0.2:
            entries.append(rng.choice(ODD_REACTIONS))
        closing.append(f"(Reactions: {', '.join(entries)})")
    if closing:
        parts.append("\n" + "\n".join(closing))
    return "\n".join(parts) + rng.choice(["", "", "", "\n", "  "])


def busy_and_quiet(share: float) -> float:
    """Shift a share of the time, from 0 to 1, so that there are busy and quiet months."""
    return share + 0.055 * (math.sin(4 * math.pi * share + 2) - math.sin(2))


def stamp(moment: datetime) -> str:
    """Give a timestamp as SQLAlchemy stores it in SQLite, or in the older form without a fraction."""
    form = "%Y-%m-%d %H:%M:%S.%f" if moment.microsecond or moment.minute % 2 else "%Y-%m-%d %H:%M:%S"
    return moment.strftime(form)


def fresh_database(path: Path, schema: str, journal_mode: str) -> sqlite3.Connection:
    """Make an empty database in the place of what is there."""
    for suffix in ("", "-wal", "-shm", "-journal"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    connection = sqlite3.connect(path)
    connection.execute(f"pragma journal_mode={journal_mode}")
    connection.executescript(schema)
    return connection


def main(folder: Path) -> None:
    """Write the two files into the folder."""
    rng = random.Random(1848)
    start = datetime(2024, 3, 18, 12)
    folder.mkdir(parents=True, exist_ok=True)
    members = sorted({user for *_, users in GROUPS for user in users})
    comments: list[tuple[object, ...]] = []

    app = fresh_database(folder / "app.db", APP_SCHEMA, "delete")
    app.executemany(
        "insert into users values (?, ?, ?, 0, ?)",
        # The last member has a membership but no row here: the account was removed.
        [(user, f"member{user}", None, stamp(start)) for user in members[:-1]],
    )
    attributes = [(user, f"signal_import_group:{slug}", name) for slug, name, _, users in GROUPS for user in users] + [
        (3, "signal_import_group:harvardstcommons", "A later duplicate that does not count"),
        (4, "signal_import_group:", "an empty slug is not a membership"),
        (5, "Signal_import_group:tool-library", "the key counts as written"),
        (6, "phone", "none"),
    ]
    app.executemany(
        "insert into user_attributes (user_id, key, value, created_at, updated_at) values (?, ?, ?, ?, ?)",
        [(*attribute, stamp(start), stamp(start)) for attribute in attributes],
    )
    request_id = 100
    for _, _, titles, users in GROUPS:
        request_ids = []
        for title in titles:
            request_id += 1
            request_ids.append(request_id)
            app.execute(
                "insert into help_requests values (?, ?, '', 'open', null, 'private', ?)",
                (request_id, title, stamp(start)),
            )
        # The last member of each group never wrote anything there.
        for _ in range(700):
            share = busy_and_quiet(rng.randrange(TWO_YEARS) / TWO_YEARS)
            moment = start + timedelta(seconds=round(TWO_YEARS * share), microseconds=rng.choice([0, 0, 123000]))
            deleted = stamp(moment + timedelta(hours=1)) if rng.random() < 0.03 else None
            comments.append(
                (rng.choice(request_ids), rng.choice(list(users)[:-1]), body(rng), "private", stamp(moment), deleted)
            )
    # An ordinary request and a title that differs inside: neither is an imported chat.
    for title in ("Need a ladder", "[Signal] harvard st commons"):
        request_id += 1
        app.execute(
            "insert into help_requests values (?, ?, '', 'open', null, 'private', ?)", (request_id, title, stamp(start))
        )
        comments.append((request_id, 1, "https://example.org/elsewhere", "private", stamp(start), None))
    comments.sort(key=lambda comment: str(comment[4]))
    app.executemany(
        "insert into request_comments (help_request_id, user_id, body, sync_scope, created_at, deleted_at) "
        "values (?, ?, ?, ?, ?, ?)",
        comments,
    )
    app.executemany(
        "insert into user_profile_highlights values (?, 'A bio.', ?, ?, ?, ?, ?, ?, null, ?)",
        [
            (1, "harvardstcommons", "0" * 64, stamp(start), stamp(start), None, 0, 0),
            (10, None, None, None, stamp(start), stamp(start + timedelta(days=90)), 1, 0),
            (20, "cafe-fête", None, None, stamp(start), None, 0, 1),
        ],
    )
    app.commit()
    app.close()

    insights = fresh_database(folder / "comment_llm_insights.db", ANALYSES_SCHEMA, "wal")
    for comment_id, comment in enumerate(comments, start=1):
        if rng.random() < 0.6:
            columns = [
                rng.choice(ODD_TAGS) if rng.random() < 0.08 else json.dumps(rng.choices(TAGS, k=rng.randint(0, 3)))
                for _ in range(3)
            ]
            insights.execute(
                "insert into comment_llm_analyses values (?, 'run-1', ?, 'A summary.', ?, ?, null, null, null, null, "
                "'low', 'neutral', ?, null, ?)",
                (comment_id, comment[0], columns[0], columns[1], columns[2], stamp(start)),
            )
    insights.commit()
    insights.close()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python examples/make_whiteballoon.py FOLDER")
    main(Path(sys.argv[1]))

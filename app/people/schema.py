"""The tables of people, as an ordered list of steps; a file says how many it has taken and takes the rest when opened.

Ids are random words that tell nothing. Tokens are kept as sha256 alone. What belongs to one person goes with that
person by the foreign keys; what others still need (an audit entry, an example made of feedback) loses who it was.
"""

from __future__ import annotations

_ACCOUNTS = """
CREATE TABLE persons (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    name_key TEXT NOT NULL UNIQUE,
    role TEXT NOT NULL CHECK (role IN ('admin', 'editor', 'reader')),
    disabled INTEGER NOT NULL DEFAULT 0,
    password TEXT NOT NULL,
    created REAL NOT NULL
) STRICT;
CREATE TABLE groups (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    name_key TEXT NOT NULL UNIQUE,
    created REAL NOT NULL
) STRICT;
CREATE TABLE members (
    team TEXT NOT NULL REFERENCES groups (id) ON DELETE CASCADE,
    person TEXT NOT NULL REFERENCES persons (id) ON DELETE CASCADE,
    PRIMARY KEY (team, person)
) STRICT, WITHOUT ROWID;
CREATE INDEX members_by_person ON members (person);
CREATE TABLE sessions (
    id TEXT PRIMARY KEY,
    token BLOB NOT NULL UNIQUE,
    person TEXT NOT NULL REFERENCES persons (id) ON DELETE CASCADE,
    created REAL NOT NULL,
    seen REAL NOT NULL,
    user_agent TEXT NOT NULL,
    address TEXT NOT NULL
) STRICT;
CREATE INDEX sessions_by_person ON sessions (person, seen);
CREATE TABLE invitations (
    id TEXT PRIMARY KEY,
    token BLOB NOT NULL UNIQUE,
    role TEXT NOT NULL CHECK (role IN ('admin', 'editor', 'reader')),
    person TEXT REFERENCES persons (id) ON DELETE CASCADE,
    made_by TEXT REFERENCES persons (id) ON DELETE SET NULL,
    created REAL NOT NULL,
    expires REAL NOT NULL,
    used REAL
) STRICT;
CREATE INDEX invitations_by_person ON invitations (person);
CREATE INDEX invitations_by_maker ON invitations (made_by);
CREATE TABLE tries (
    key BLOB PRIMARY KEY,
    failures INTEGER NOT NULL,
    last REAL NOT NULL,
    until REAL NOT NULL
) STRICT;
CREATE INDEX tries_by_age ON tries (last);
"""

_ACCESS = """
CREATE TABLE collections (
    name ANY PRIMARY KEY,
    label ANY NOT NULL,
    owner TEXT REFERENCES persons (id) ON DELETE SET NULL,
    public INTEGER NOT NULL DEFAULT 0,
    created REAL NOT NULL
) STRICT;
CREATE INDEX collections_by_owner ON collections (owner);
CREATE TABLE grants (
    collection ANY NOT NULL REFERENCES collections (name) ON DELETE CASCADE,
    person TEXT REFERENCES persons (id) ON DELETE CASCADE,
    team TEXT REFERENCES groups (id) ON DELETE CASCADE,
    level TEXT NOT NULL CHECK (level IN ('read', 'write')),
    CHECK ((person IS NULL) <> (team IS NULL)),
    UNIQUE (collection, person),
    UNIQUE (collection, team)
) STRICT;
CREATE INDEX grants_by_person ON grants (person);
CREATE INDEX grants_by_team ON grants (team);
"""

_HISTORY = """
CREATE TABLE conversations (
    id TEXT PRIMARY KEY,
    person TEXT NOT NULL REFERENCES persons (id) ON DELETE CASCADE,
    title ANY NOT NULL,
    searched TEXT NOT NULL,
    scope ANY NOT NULL,
    created REAL NOT NULL,
    updated REAL NOT NULL
) STRICT;
CREATE INDEX conversations_newest ON conversations (person, updated DESC, id DESC);
CREATE TABLE turns (
    id TEXT PRIMARY KEY,
    conversation TEXT NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    place INTEGER NOT NULL,
    question ANY NOT NULL,
    text ANY NOT NULL,
    searched TEXT NOT NULL,
    stage TEXT NOT NULL,
    runner TEXT NOT NULL,
    error TEXT NOT NULL,
    scope ANY NOT NULL,
    started REAL NOT NULL,
    ended REAL,
    abstained INTEGER NOT NULL DEFAULT 0,
    n_sentences INTEGER NOT NULL DEFAULT 0,
    n_unsupported INTEGER NOT NULL DEFAULT 0,
    first_token_ms REAL,
    total_ms REAL,
    UNIQUE (conversation, place)
) STRICT;
CREATE INDEX turns_measured ON turns (started, stage, abstained, n_sentences, n_unsupported, first_token_ms, total_ms);
CREATE TABLE answers (
    turn TEXT PRIMARY KEY REFERENCES turns (id) ON DELETE CASCADE,
    answer ANY NOT NULL
) STRICT;
CREATE TABLE feedback (
    id TEXT PRIMARY KEY,
    person TEXT REFERENCES persons (id) ON DELETE SET NULL,
    conversation TEXT REFERENCES conversations (id) ON DELETE SET NULL,
    turn TEXT REFERENCES turns (id) ON DELETE SET NULL,
    question ANY NOT NULL,
    history ANY NOT NULL,
    answer ANY NOT NULL,
    verdict TEXT NOT NULL CHECK (verdict IN ('up', 'down')),
    reason TEXT NOT NULL,
    corrected ANY NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('open', 'example', 'case', 'dismissed')),
    decided_by TEXT REFERENCES persons (id) ON DELETE SET NULL,
    decided REAL,
    created REAL NOT NULL,
    UNIQUE (turn, person)
) STRICT;
CREATE INDEX feedback_queue ON feedback (state, created DESC, id DESC);
CREATE INDEX feedback_by_time ON feedback (created, verdict);
CREATE INDEX feedback_by_person ON feedback (person);
CREATE INDEX feedback_by_conversation ON feedback (conversation);
CREATE INDEX feedback_by_decider ON feedback (decided_by);
CREATE TABLE audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at REAL NOT NULL,
    person TEXT NOT NULL,
    action TEXT NOT NULL,
    target ANY NOT NULL,
    address TEXT NOT NULL
) STRICT;
CREATE INDEX audit_by_person ON audit (person, id DESC);
CREATE TRIGGER audit_stays BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log only grows'); END;
CREATE TRIGGER audit_is_not_rewritten BEFORE UPDATE ON audit
WHEN new.address <> '' OR (new.id, new.at, new.person, new.action, new.target)
     IS NOT (old.id, old.at, old.person, old.action, old.target)
BEGIN SELECT RAISE(ABORT, 'the audit log only grows'); END;
"""

# Raters have numbers, so that they can still be counted when one of them is gone.
_TRIALS = """
CREATE TABLE trials (
    id TEXT PRIMARY KEY,
    name ANY NOT NULL,
    made_by TEXT REFERENCES persons (id) ON DELETE SET NULL,
    scope ANY NOT NULL,
    sides ANY NOT NULL,
    created REAL NOT NULL,
    ended REAL
) STRICT;
CREATE INDEX trials_by_maker ON trials (made_by);
CREATE TABLE trial_questions (
    trial TEXT NOT NULL REFERENCES trials (id) ON DELETE CASCADE,
    place INTEGER NOT NULL,
    question ANY NOT NULL,
    swapped INTEGER NOT NULL,
    first ANY,
    second ANY,
    PRIMARY KEY (trial, place)
) STRICT;
CREATE TABLE trial_raters (
    trial TEXT NOT NULL REFERENCES trials (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    person TEXT REFERENCES persons (id) ON DELETE SET NULL,
    PRIMARY KEY (trial, number),
    UNIQUE (trial, person)
) STRICT;
CREATE INDEX trial_raters_by_person ON trial_raters (person);
CREATE TABLE trial_votes (
    trial TEXT NOT NULL,
    place INTEGER NOT NULL,
    rater INTEGER NOT NULL,
    choice TEXT NOT NULL CHECK (choice IN ('first', 'second', 'same', 'both_bad')),
    created REAL NOT NULL,
    PRIMARY KEY (trial, place, rater),
    FOREIGN KEY (trial, place) REFERENCES trial_questions (trial, place) ON DELETE CASCADE,
    FOREIGN KEY (trial, rater) REFERENCES trial_raters (trial, number) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
"""

# `uploads` says whose the files of collections are; what is attached to a conversation goes with that.
_ATTACHMENTS = """
CREATE TABLE attaching (
    conversation TEXT PRIMARY KEY REFERENCES conversations (id) ON DELETE CASCADE,
    only_files INTEGER NOT NULL DEFAULT 0,
    named_by_file INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE attachments (
    id TEXT PRIMARY KEY,
    conversation TEXT NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    place INTEGER NOT NULL,
    name ANY NOT NULL,
    size_bytes INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('uploading', 'reading', 'ready', 'failed')),
    code TEXT NOT NULL DEFAULT '',
    said ANY NOT NULL DEFAULT '',
    added REAL NOT NULL,
    UNIQUE (conversation, name)
) STRICT;
CREATE TABLE uploads (
    place ANY PRIMARY KEY,
    person TEXT NOT NULL REFERENCES persons (id) ON DELETE CASCADE,
    size_bytes INTEGER NOT NULL
) STRICT;
CREATE INDEX uploads_by_person ON uploads (person, size_bytes);
"""

# Append only: a step that has been released is never edited.
MIGRATIONS: tuple[str, ...] = (_ACCOUNTS + _ACCESS + _HISTORY, _TRIALS, _ATTACHMENTS)

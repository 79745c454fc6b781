#!/bin/sh
# The same rows by `sqlite3 .dump | psql`, as one would do it by hand: only the tables that count, SQLite's own words
# taken out. Usage: dump_and_psql.sh FOLDER, with libpq's variables set.
set -eu
psql -X -q -v ON_ERROR_STOP=1 >/dev/null <<'SQL'
drop schema if exists dumped cascade;
create schema dumped;
create table dumped.user_attributes (
    id bigint primary key, user_id bigint, key text, value text, created_at timestamp, updated_at timestamp
);
create table dumped.help_requests (
    id bigint primary key, title text, description text, status text, created_by_user_id bigint, sync_scope text,
    created_at timestamp
);
create table dumped.request_comments (
    id bigint primary key, help_request_id bigint, user_id bigint, body text, sync_scope text, created_at timestamp,
    deleted_at timestamp
);
create table dumped.comment_llm_analyses (
    comment_id bigint primary key, run_id text, help_request_id bigint, summary text, resource_tags text,
    request_tags text, audience text, residency_stage text, location text, location_precision text, urgency text,
    sentiment text, tags text, notes text, recorded_at text
);
SQL
{
    # In one transaction, as a whole .dump is.
    echo 'begin; set search_path = dumped;'
    sqlite3 "$1/app.db" '.dump --data-only user_attributes help_requests request_comments'
    sqlite3 "$1/comment_llm_insights.db" '.dump --data-only comment_llm_analyses'
    echo 'commit;'
} | sed -e '/^PRAGMA/d' -e 's/char(10)/chr(10)/g' | psql -X -q -v ON_ERROR_STOP=1 >/dev/null

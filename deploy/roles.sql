-- Three roles, each with no more than its work needs. For a WhiteBalloon on Postgres, as an administrator:
--
--     psql --dbname=whiteballoon --file=deploy/roles.sql
--     psql --dbname=whiteballoon --command='\password signal_profiles_runner'
--
-- Apply it again after the first run, so that analysts may read what it published (or name them in the dbt var
-- analyst_roles), and after WhiteBalloon has re-created one of its tables, which removes its grants. It changes nothing
-- that is right already. Other names: --set=runner=… and so on, as below.

\set ON_ERROR_STOP on

-- Runs `wrapper`: put it into WAREHOUSE_URL, and WhiteBalloon's own role stays where it is.
\if :{?runner}
\else
    \set runner signal_profiles_runner
\endif
-- Query the published rows: people and BI tools.
\if :{?analyst}
\else
    \set analyst signal_profiles_analyst
\endif
-- Writes bios from the published rows.
\if :{?bio_generator}
\else
    \set bio_generator signal_profiles_bio_generator
\endif
-- WB_SCHEMA and WAREHOUSE_SCHEMA.
\if :{?wb_schema}
\else
    \set wb_schema public
\endif
\if :{?schema}
\else
    \set schema signal_profiles
\endif
\set source :schema _source
\set intermediate :schema _intermediate
-- Published for the bio generator and not for analysts.
\set withheld signal_profile_bio_inputs

begin;

-- Without a password, so that no password is written down here; without one nobody logs in over a network.
select format('create role %I login', role)
from unnest(array[:'runner', :'analyst', :'bio_generator']) as role
where not exists (select from pg_roles where rolname = role)
\gexec

select format('grant connect on database %I to %I, %I, %I', current_database(), :'runner', :'analyst', :'bio_generator')
\gexec
-- Hashes are compared in temporary tables.
select format('grant temporary on database %I to %I', current_database(), :'runner')
\gexec

-- The runner reads the tables of WhiteBalloon's that the project reads, and of users the ids and names, not the passwords.
-- Those that this WhiteBalloon does not have (yet) are passed over.
grant usage on schema :"wb_schema" to :"runner";
select format('grant select on %I.%I to %I', schemaname, tablename, :'runner')
from pg_tables
where
    schemaname = :'wb_schema'
    and tablename in ('user_attributes', 'help_requests', 'request_comments', 'user_profile_highlights')
\gexec
select format('grant select (id, username) on %I.%I to %I', schemaname, tablename, :'runner')
from pg_tables
where schemaname = :'wb_schema' and tablename = 'users'
\gexec

-- It owns the project's schemas and so needs no right to create others.
create schema if not exists :"schema";
create schema if not exists :"source";
create schema if not exists :"intermediate";
alter schema :"schema" owner to :"runner";
alter schema :"source" owner to :"runner";
alter schema :"intermediate" owner to :"runner";
-- What another role built there before would not be the runner's to write to.
select format('alter table %I.%I owner to %I', nspname, relname, :'runner')
from pg_class
inner join pg_namespace on pg_namespace.oid = relnamespace
where nspname in (:'schema', :'source', :'intermediate') and relkind in ('r', 'p', 'v', 'm')
\gexec

-- Message texts are in the two other schemas, which nobody else may enter.
revoke all on schema :"source", :"intermediate" from public, :"analyst", :"bio_generator";

-- The readers: what is published. Only the bio generator may by default read whatever will be: an analyst's default
-- right would hold for what is withheld too, from the moment it is made.
grant usage on schema :"schema" to :"analyst", :"bio_generator";
alter default privileges for role :"runner" in schema :"schema"
grant select on tables to :"bio_generator";
grant select on all tables in schema :"schema" to :"bio_generator";
select format('grant select on %I.%I to %I', nspname, relname, :'analyst')
from pg_class
inner join pg_namespace on pg_namespace.oid = relnamespace
where nspname = :'schema' and relkind in ('r', 'p', 'v', 'm') and relname <> :'withheld'
\gexec

commit;

-- A database that began before PostgreSQL 15 lets everybody create in its schema public. Whether WhiteBalloon counts on
-- that is not known here, so it is only said.
select has_schema_privilege(:'runner', :'wb_schema', 'create') as may_create \gset
\if :may_create
    \warn 'warning: everybody may create in WhiteBalloon''s schema: consider `revoke create on schema … from public`'
\endif

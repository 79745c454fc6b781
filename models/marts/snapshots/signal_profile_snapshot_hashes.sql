{{ readable_by(var('analyst_roles'), var('bio_roles')) }}
{{ config(incremental_strategy='append', indexes=[{'columns': ['changed_at']}]) }}

-- Created here and filled by `wrapper snapshot`, which alone computes hashes: dbt never adds a row.
-- depends_on: {{ ref('signal_profile_snapshots') }}

with final as (

    select
        null::bigint as user_id,
        null::text as group_slug,
        null::text as snapshot_hash,
        null::timestamptz as changed_at,
        null::text as run_id
    where false

)

select * from final

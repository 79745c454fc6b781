{{ readable_by(var('analyst_roles'), var('bio_roles')) }}
{{ config(incremental_strategy='replace_all') }}

-- After the snapshots, whose version it names.
-- depends_on: {{ ref('signal_profile_snapshots') }}

with final as (

    select {{ var('contract_version') }} as contract_version

)

select * from final

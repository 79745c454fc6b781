with attributes as (

    select * from {{ ref('stg_whiteballoon__user_attributes') }}

),

memberships as (

    -- Of several memberships of one user with one slug, the one with the lowest id counts.
    select distinct on (user_id, group_slug)
        user_id,
        {{ slug_of_key('attribute_key') }} as group_slug,
        user_attribute_id as membership_id,
        attribute_value
    from attributes
    where {{ is_membership_key('attribute_key') }}
    order by user_id, group_slug, user_attribute_id

),

final as (

    select
        membership_id,
        user_id,
        group_slug,
        -- Trimmed as a whole, like titles, so a blank name leaves no blank after the bracket.
        {{ trimmed(
            "'[Signal] ' || coalesce(nullif(" ~ trimmed('attribute_value') ~ ", ''), " ~ trimmed('group_slug') ~ ")"
        ) }} as request_title
    from memberships
    where {{ scope_filter('user_id', 'group_slug') }}

)

select * from final

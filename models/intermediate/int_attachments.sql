with messages as (

    select * from {{ ref('int_messages') }} where {{ may_hold_attachments('body') }}

),

kinds as (

    select * from {{ ref('attachment_kinds') }}

),

names as (

    select
        messages.membership_id,
        {{ trimmed('entry.entry') }} as attachment_name
    from messages
    cross join lateral string_to_table({{ closing_attachments('messages.body') }}, ',') as entry (entry)

),

extensions as (

    select
        membership_id,
        -- A name without a dot has no extension, even where it reads like one.
        case when attachment_name like '%.%' then {{ ascii_lower("split_part(attachment_name, '.', -1)") }} end
            as extension
    from names
    where attachment_name <> ''

),

final as (

    select
        extensions.membership_id,
        coalesce(kinds.kind, 'other') as kind,
        count(*) as attachment_count
    from extensions
    left join kinds on extensions.extension = kinds.extension
    group by extensions.membership_id, coalesce(kinds.kind, 'other')

)

select * from final

with messages as (

    select * from {{ ref('int_messages') }} where {{ may_hold_links('body') }}

),

tokens as (

    select
        messages.membership_id,
        messages.created_at,
        messages.comment_id,
        token.token_position,
        token.token
    from messages
    cross join lateral {{ tokens_in('messages.body') }} as token (token, token_position)

),

links as (

    select
        tokens.membership_id,
        tokens.created_at,
        tokens.comment_id,
        tokens.token_position,
        found.match_position,
        -- Split by RFC 3986, appendix B, in two steps. This one drops the fragment.
        split_part(found.groups[1], ':', 1) as scheme,
        split_part(split_part(found.groups[1], '#', 1), '?', 1) as scheme_to_path,
        substring(split_part(found.groups[1], '#', 1) from '\?(.*)') as query
    from tokens
    cross join lateral {{ links_in('tokens.token') }} with ordinality as found (groups, match_position)
    where found.groups[1] is not null

),

split as (

    select
        membership_id,
        created_at,
        comment_id,
        token_position,
        match_position,
        {{ ascii_lower('scheme') }} as scheme,
        -- Drop user info, which ends at the last @.
        {{ ascii_lower("split_part(split_part(scheme_to_path, '/', 3), '@', -1)") }} as host_and_port,
        substr(scheme_to_path, length(scheme || '://' || split_part(scheme_to_path, '/', 3)) + 1) as path,
        query
    from links

),

normalized as (

    select
        membership_id,
        created_at,
        comment_id,
        token_position,
        match_position,
        scheme,
        split_part(host_and_port, ':', 1) as host,
        nullif(split_part(host_and_port, ':', 2), case scheme when 'http' then '80' else '443' end) as port,
        coalesce(nullif(path, ''), '/') as path,
        {{ without_tracking_parameters('query') }} as query
    from split
    where host_and_port ~ '^[^:@]+(:[0-9]+)?$'

),

canonical as (

    select
        membership_id,
        scheme || '://' || host || coalesce(':' || nullif(port, ''), '') || path
        || coalesce('?' || nullif(query, ''), '') as url,
        case when starts_with(host, 'www.') then substr(host, 5) else host end as domain,
        -- Not numbered by a window function here, which would prevent a parallel plan for everything above.
        array[
            (extract(epoch from created_at) * 1000000)::bigint, comment_id, token_position, match_position
        ] as appearance
    from normalized

),

final as (

    select
        membership_id,
        url,
        domain,
        count(*) as link_count,
        row_number() over (partition by membership_id order by min(appearance)) as first_appearance
    from canonical
    group by membership_id, url, domain

)

select * from final

with messages as (

    -- A plain filter first: most bodies hold no link, and a regular expression costs far more.
    select * from {{ ref('int_messages') }} where body like '%://%'

),

tokens as (

    select
        messages.user_id,
        messages.group_slug,
        messages.created_at,
        messages.comment_id,
        token.token_position,
        token.token
    from messages
    cross join lateral {{ tokens_in('messages.body') }} as token (token, token_position)

),

links as (

    select
        tokens.user_id,
        tokens.group_slug,
        tokens.created_at,
        tokens.comment_id,
        tokens.token_position,
        found.match_position,
        found.groups[1] as link
    from tokens
    cross join lateral {{ links_in('tokens.token') }}
        with ordinality as found (groups, match_position)
    where found.groups[1] is not null

),

split as (

    -- By RFC 3986, appendix B; user info, up to the last @, goes here and never comes back.
    select
        user_id,
        group_slug,
        created_at,
        comment_id,
        token_position,
        match_position,
        {{ ascii_lower("split_part(link, ':', 1)") }} as scheme,
        {{ ascii_lower("regexp_replace(substring(link from '^[^:]+://([^/?#]*)'), '^.*@', '')") }} as host_and_port,
        substring(link from '^[^:]+://[^/?#]*([^?#]*)') as path,
        substring(link from '^[^?#]*\?([^#]*)') as query
    from links

),

normalized as (

    select
        split.user_id,
        split.group_slug,
        split.created_at,
        split.comment_id,
        split.token_position,
        split.match_position,
        split.scheme,
        regexp_replace(
            split.host_and_port, case split.scheme when 'http' then ':80$' else ':443$' end, ''
        ) as host_and_port,
        coalesce(nullif(split.path, ''), '/') as path,
        kept.query
    from split
    cross join lateral (
        select string_agg(parameter, '&' order by parameter_position) as query
        from string_to_table(split.query, '&') with ordinality as parameters (parameter, parameter_position)
        where not {{ is_tracking_parameter("split_part(parameter, '=', 1)") }}
    ) as kept
    where split.host_and_port ~ '^[^:@]+(:[0-9]+)?$'

),

canonical as (

    select
        user_id,
        group_slug,
        scheme || '://' || host_and_port || path || coalesce('?' || nullif(query, ''), '') as url,
        regexp_replace(split_part(host_and_port, ':', 1), '^www\.', '') as domain,
        row_number() over (
            partition by user_id, group_slug
            order by created_at, comment_id, token_position, match_position
        ) as appearance
    from normalized

),

final as (

    select
        user_id,
        group_slug,
        url,
        domain,
        count(*) as link_count,
        min(appearance) as first_appearance
    from canonical
    group by user_id, group_slug, url, domain

)

select * from final

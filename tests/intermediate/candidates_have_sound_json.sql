-- JSON of the types that the columns' descriptions promise, down to every element.

with candidates as (

    select * from {{ ref('int_snapshot_candidates') }}

),

wrong_containers as (

    select
        user_id,
        group_slug
    from candidates
    where
        jsonb_typeof(top_links) <> 'array'
        or jsonb_typeof(top_tags) <> 'array'
        or jsonb_typeof(reaction_counts) <> 'object'
        or jsonb_typeof(attachment_counts) <> 'object'
        or jsonb_typeof(request_ids) <> 'array'
        or request_ids = '[]'

),

wrong_links as (

    select
        user_id,
        group_slug
    from candidates
    where jsonb_path_exists(
        top_links,
        'strict $[*] ? (
            @.url.type() != "string" || @.domain.type() != "string" || @.domain == ""
            || !(@.url like_regex "^https?://[^/?#@]+/[^#]*$")
            || @.count.type() != "number" || @.count < 1 || @.count != @.count.floor()
        )'
    )

),

wrong_tags as (

    select
        user_id,
        group_slug
    from candidates
    where jsonb_path_exists(
        top_tags,
        'strict $[*] ? (
            @.label.type() != "string" || @.label like_regex "^[ \t\n\r\f\u000b]*$"
            || @.count.type() != "number" || @.count < 1 || @.count != @.count.floor()
        )'
    )

),

wrong_counts as (

    select
        user_id,
        group_slug
    from candidates
    where
        jsonb_path_exists(reaction_counts, '$.* ? (@.type() != "number" || @ < 1 || @ != @.floor())')
        or jsonb_path_exists(attachment_counts, '$.* ? (@.type() != "number" || @ < 1 || @ != @.floor())')

),

wrong_request_ids as (

    select
        user_id,
        group_slug
    from candidates
    where request_ids <> (
        select coalesce(to_jsonb(array_agg(distinct request_id::bigint order by request_id::bigint)), '[]')
        from jsonb_array_elements_text(request_ids) as request_id
    )

)

select * from wrong_containers
union all
select * from wrong_links
union all
select * from wrong_tags
union all
select * from wrong_counts
union all
select * from wrong_request_ids

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
        candidates.user_id,
        candidates.group_slug
    from candidates
    cross join lateral jsonb_array_elements(candidates.top_links) as link
    where (
        jsonb_typeof(link) = 'object'
        and link - array['url', 'domain', 'count'] = '{}'
        and jsonb_typeof(link -> 'domain') = 'string'
        and link ->> 'domain' <> ''
        and jsonb_typeof(link -> 'url') = 'string'
        and link ->> 'url' ~ '^https?://[^/?#@]+/[^#]*$'
        and jsonb_typeof(link -> 'count') = 'number'
        and link ->> 'count' ~ '^[1-9][0-9]*$'
    ) is not true

),

wrong_tags as (

    select
        candidates.user_id,
        candidates.group_slug
    from candidates
    cross join lateral jsonb_array_elements(candidates.top_tags) as tag
    where (
        jsonb_typeof(tag) = 'object'
        and tag - array['label', 'count'] = '{}'
        and jsonb_typeof(tag -> 'label') = 'string'
        and {{ trimmed("(tag ->> 'label')") }} <> ''
        and jsonb_typeof(tag -> 'count') = 'number'
        and tag ->> 'count' ~ '^[1-9][0-9]*$'
    ) is not true

),

wrong_counts as (

    select
        candidates.user_id,
        candidates.group_slug
    from candidates
    cross join lateral jsonb_each(candidates.reaction_counts || candidates.attachment_counts) as entry (name, amount)
    where (
        entry.name <> ''
        and jsonb_typeof(entry.amount) = 'number'
        and entry.amount::text ~ '^[1-9][0-9]*$'
    ) is not true

),

wrong_kinds as (

    select
        user_id,
        group_slug
    from candidates
    where attachment_counts - array(
        select kind from {{ ref('attachment_kinds') }}
        union all
        select 'other'
    ) <> '{}'

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
select * from wrong_kinds
union all
select * from wrong_request_ids

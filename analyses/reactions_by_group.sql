-- How does each group react? Each emoji's part of all reactions.

with reactions as (

    select * from {{ ref('signal_profile_reactions') }}

),

totals as (

    select
        group_slug,
        emoji,
        sum(reaction_count) as reaction_count
    from reactions
    group by group_slug, emoji

),

final as (

    select
        group_slug,
        emoji,
        reaction_count,
        round(100.0 * reaction_count / sum(reaction_count) over (partition by group_slug), 1) as percent_of_reactions
    from totals
    order by group_slug, reaction_count desc, emoji

)

select * from final

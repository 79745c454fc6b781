{#-
    The entries of one tag column with their positions, as a derived table: the strings of the array, or, where the text
    is no array (then `tags_json` is null), the trimmed pieces between commas.
    Usage: cross join lateral {{ tag_entries('tags', 'tags_json') }} as entry (label, entry_position)
-#}
{%- macro tag_entries(tags, tags_json) -%}
    (
        select
            element #>> '{}' as label,
            element_position as entry_position
        from jsonb_array_elements({{ tags_json }}) with ordinality as elements (element, element_position)
        where jsonb_typeof(element) = 'string'
        union all
        select
            {{ trimmed('piece') }},
            piece_position
        from string_to_table(case when {{ tags_json }} is null then {{ tags }} end, ',')
            with ordinality as pieces (piece, piece_position)
    )
{%- endmacro -%}

{#- The labels of one tag column as a JSON array, in their order, blank ones left out; `[]` where there are none. -#}
{%- macro tag_labels(tags, tags_json) -%}
    (
        -- entry_position is another one for each entry.
        select coalesce(jsonb_agg(label order by entry_position), '[]')
        from {{ tag_entries(tags, tags_json) }} as entry
        where {{ trimmed('label') }} <> ''
    )
{%- endmacro -%}

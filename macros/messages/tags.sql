{#-
    The entries of one tag column as a JSON array: `tags_json`, in which null replaces entries that are not strings. If the
    text is not an array, its trimmed pieces between commas. A subquery would prevent parallel workers.
-#}
{%- macro tag_array(tags, tags_json) -%}
    {%- set between = "[" ~ white_space_class() ~ "]*,[" ~ white_space_class() ~ "]*" -%}
    coalesce(
        {{ tags_json }},
        to_jsonb(string_to_array(regexp_replace({{ trimmed(tags) }} collate "C", '{{ between }}', ',', 'g'), ',')),
        '[]'
    )
{%- endmacro -%}

{#- The labels in an array of tags, in their order, blank ones left out; `[]` where there are none. -#}
{%- macro tag_labels(tags) -%}
    (
        -- entry_position breaks ties: it is unique within the array.
        select coalesce(jsonb_agg(label order by entry_position), '[]')
        from jsonb_array_elements_text({{ tags }}) with ordinality as entries (label, entry_position)
        where {{ trimmed('label') }} <> ''
    )
{%- endmacro -%}

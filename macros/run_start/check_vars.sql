{#-
    Refuse a var that is unknown or has a value it cannot have, by its name; dbt itself takes anything.
    Called before every run, and by the macros that put a var into SQL. Beside another package an unknown var may be one of
    that package's; a run then names it if `say_unknown`.
-#}
{%- macro check_vars(say_unknown=false) -%}
    {%- set checks = {
        'user_ids': _is_scope_of_users,
        'group_slugs': _is_scope_of_groups,
        'top_links_limit': _is_limit,
        'top_tags_limit': _is_limit,
        'bio_messages_limit': _is_limit,
        'tracking_parameters': _is_list_of_parameters,
        'whiteballoon_schema': _is_schema,
        'contract_version': _is_limit,
        'make_missing_sources': _is_switch,
        'accept_losses': _is_switch,
        'losses_checked_from': _is_limit,
        'analyst_roles': _is_list_of_names,
        'bio_roles': _is_list_of_names,
        'highlights_schema': _is_schema,
        'analyses_schema': _is_schema,
        'membership_key_prefix': _is_name,
        'distributed': _is_switch,
        'body_markers': _is_markers,
        'threads': _is_count,
        'work_mem': _is_memory,
        'parallel_workers': _is_count_or_null,
    } -%}
    {#- What other packages there are is known only once dbt has parsed all of them. -#}
    {%- for name in invocation_args_dict.get('vars') or {} if execute and name not in checks -%}
        {%- if _is_alone() -%}
            {%- set names = checks | join(", ") -%}
            {%- do exceptions.raise_compiler_error("Unknown var '" ~ name ~ "'; the project has: " ~ names) -%}
        {%- elif say_unknown -%}
            {%- do log("signal_profiles has no var '" ~ name ~ "': another package must have it", info=true) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- for name, check in checks.items() -%}
        {%- set complaint = check(var(name)) -%}
        {%- if complaint -%}
            {%- do exceptions.raise_compiler_error("The var '" ~ name ~ "' must be " ~ complaint) -%}
        {%- endif -%}
    {%- endfor -%}
{%- endmacro -%}

{#- Whether no other project has nodes that could read a var. -#}
{%- macro _is_alone() -%}
    {%- set is_root = project_name == 'signal_profiles' -%}
    {{- return(is_root and own_nodes(graph.nodes.values()) | length == graph.nodes | length) -}}
{%- endmacro -%}

{#- Each of these returns what the value must be, where it is not. -#}

{%- macro _is_scope_of_users(value) -%}
    {%- set complaint = "null or a list of one or more whole numbers of 64 bits" -%}
    {%- if value is none -%}{{ return(none) }}{%- endif -%}
    {%- if value is string or value is mapping or value is not sequence or value | length == 0 -%}
        {{ return(complaint) }}
    {%- endif -%}
    {%- for item in value -%}
        {%- if item is not integer or item < -(2 ** 63) or item >= 2 ** 63 -%}{{ return(complaint) }}{%- endif -%}
    {%- endfor -%}
{%- endmacro -%}

{%- macro _is_scope_of_groups(value) -%}
    {%- if value is not none and (_is_list_of_names(value) or value | length == 0) -%}
        {{ return("null or a list of one or more slugs, each a text that is not empty") }}
    {%- endif -%}
{%- endmacro -%}

{%- macro _is_list_of_names(value) -%}
    {%- set complaint = "a list of texts, none of them empty" -%}
    {%- if value is string or value is mapping or value is not sequence -%}{{ return(complaint) }}{%- endif -%}
    {%- for item in value -%}
        {%- if _is_name(item) -%}{{ return(complaint) }}{%- endif -%}
    {%- endfor -%}
{%- endmacro -%}

{%- macro _is_list_of_parameters(value) -%}
    {%- if _is_list_of_names(value) or "=" in (value | join) or "&" in (value | join) -%}
        {{ return("a list of names of query parameters, none of them empty or with = or & in it") }}
    {%- endif -%}
{%- endmacro -%}

{%- macro _is_name(value) -%}
    {%- if value is not string or value == "" or "\x00" in value -%}
        {{ return("a text that is not empty and holds no NUL") }}
    {%- endif -%}
{%- endmacro -%}

{%- macro _is_markers(value) -%}
    {%- if value is not mapping or value | sort != ['attachments', 'links', 'reactions']
        or _is_list_of_names(value.values() | list) or "%" in (value.values() | join) or "_" in (value.values() | join) -%}
        {{ return("a mapping of links, reactions and attachments to texts, none of them empty or with % or _ in it") }}
    {%- endif -%}
{%- endmacro -%}

{%- macro _is_schema(value) -%}
    {%- if value is not none and _is_name(value) -%}{{ return("null or the name of a schema") }}{%- endif -%}
{%- endmacro -%}

{%- macro _is_count(value) -%}
    {%- if value is not integer or value < 1 or value > 64 -%}
        {{ return("a whole number from 1 to 64") }}
    {%- endif -%}
{%- endmacro -%}

{%- macro _is_count_or_null(value) -%}
    {%- if value is not none and (value is not integer or value < 0 or value > 64) -%}
        {{ return("null or a whole number from 0 to 64") }}
    {%- endif -%}
{%- endmacro -%}

{%- macro _is_memory(value) -%}
    {%- if value is not string or not modules.re.fullmatch("[1-9][0-9]{0,3}MB", value) -%}
        {{ return("an amount of memory from 1MB to 9999MB") }}
    {%- endif -%}
{%- endmacro -%}

{%- macro _is_switch(value) -%}
    {%- if value is not boolean -%}{{ return("true or false") }}{%- endif -%}
{%- endmacro -%}

{%- macro _is_limit(value) -%}
    {%- if value is not integer or value < 0 or value > 1000 -%}
        {{ return("a whole number from 0 to 1000") }}
    {%- endif -%}
{%- endmacro -%}

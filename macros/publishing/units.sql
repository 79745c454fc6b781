{#- Which nodes are published together, and what they are built from. -#}

{#- Those of `nodes` that belong to this project, not to one that is installed beside it or that has it installed. -#}
{%- macro own_nodes(nodes) -%}
    {{- return(nodes | selectattr('package_name', 'equalto', 'signal_profiles') | list) -}}
{%- endmacro -%}

{#-
    `unique_ids` and the ids of all that they are built from, sources included. What another unit publishes is not
    followed further: it only has to be there.
-#}
{%- macro with_ancestors(unique_ids, unit=none) -%}
    {%- set found = unique_ids | list -%}
    {#- The list grows while it is walked. -#}
    {%- for unique_id in found -%}
        {%- for parent in graph.nodes.get(unique_id, {}).get('depends_on', {}).get('nodes', []) -%}
            {%- if parent not in found and publication_unit(graph.nodes.get(parent)) in [none, unit] -%}
                {%- do found.append(parent) -%}
            {%- endif -%}
        {%- endfor -%}
    {%- endfor -%}
    {{- return(found) -}}
{%- endmacro -%}

{#- The unit that a node of this project is published with, as its meta names it; none for what is not published. -#}
{%- macro publication_unit(node) -%}
    {{- return(node.config.meta.get('unit') if node and own_nodes([node]) else none) -}}
{%- endmacro -%}

{#- The nodes that must be part of an invocation that publishes this unit: its models, what they are built from,
    and the data tests of all these but those for pull requests. -#}
{%- macro _nodes_of_unit(unit) -%}
    {%- set own = own_nodes(graph.nodes.values()) -%}
    {%- set published = [] -%}
    {%- for node in own if publication_unit(node) == unit -%}
        {%- do published.append(node.unique_id) -%}
    {%- endfor -%}
    {%- set built = with_ancestors(published, unit) -%}
    {%- set nodes = [] -%}
    {%- for node in own -%}
        {%- set is_test_of_unit = node.resource_type == 'test' and 'pull_request' not in node.tags
            and node.depends_on.nodes | select('in', built) | list -%}
        {%- if is_test_of_unit or (node.unique_id in built and node.config.materialized != 'ephemeral') -%}
            {%- do nodes.append(node) -%}
        {%- endif -%}
    {%- endfor -%}
    {{- return(nodes) -}}
{%- endmacro -%}

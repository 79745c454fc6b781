{#- Which nodes are published together, and what they are built from. -#}

{#- Those of `nodes` that belong to this project, not to one that is installed beside it or that has it installed. -#}
{%- macro own_nodes(nodes) -%}
    {{- return(nodes | selectattr('package_name', 'equalto', 'signal_profiles') | list) -}}
{%- endmacro -%}

{#- The unit that each node of this project is published with, as its meta names it, by the node's id. -#}
{%- macro publication_units() -%}
    {%- set units = {} -%}
    {%- for node in own_nodes(graph.nodes.values()) if node.config.meta.get('unit') -%}
        {%- do units.update({node.unique_id: node.config.meta.unit}) -%}
    {%- endfor -%}
    {{- return(units) -}}
{%- endmacro -%}

{#- The units of which this invocation publishes something. -#}
{%- macro selected_units() -%}
    {%- set units = [] -%}
    {%- for unique_id, unit in publication_units().items() if unique_id in selected_resources -%}
        {%- do units.append(unit) -%}
    {%- endfor -%}
    {{- return(units | unique | list) -}}
{%- endmacro -%}

{#-
    `unique_ids` and the ids of all that they are built from, sources included. What another unit publishes is not
    followed further: it only has to be there.
-#}
{%- macro with_ancestors(unique_ids, unit=none) -%}
    {%- set units = publication_units() -%}
    {%- set found = unique_ids | list -%}
    {#- The list grows while it is walked. -#}
    {%- for unique_id in found -%}
        {%- for parent in graph.nodes.get(unique_id, {}).get('depends_on', {}).get('nodes', []) -%}
            {%- if parent not in found and units.get(parent, unit) == unit -%}
                {%- do found.append(parent) -%}
            {%- endif -%}
        {%- endfor -%}
    {%- endfor -%}
    {{- return(found) -}}
{%- endmacro -%}

{#- The nodes that must be part of an invocation that publishes this unit: its models, what they are built from,
    and the data tests of all these but those for pull requests. -#}
{%- macro _nodes_of_unit(unit) -%}
    {%- set published = [] -%}
    {%- for unique_id, its_unit in publication_units().items() if its_unit == unit -%}
        {%- do published.append(unique_id) -%}
    {%- endfor -%}
    {%- set built = with_ancestors(published, unit) -%}
    {%- set nodes = [] -%}
    {%- for node in own_nodes(graph.nodes.values()) -%}
        {%- set is_test_of_unit = node.resource_type == 'test' and 'pull_request' not in node.tags
            and node.depends_on.nodes | select('in', built) | list -%}
        {%- if is_test_of_unit or (node.unique_id in built and node.config.materialized != 'ephemeral') -%}
            {%- do nodes.append(node) -%}
        {%- endif -%}
    {%- endfor -%}
    {{- return(nodes) -}}
{%- endmacro -%}

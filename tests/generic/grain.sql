{#- At most one row for each combination of `columns`; none of these, nor of `never_null`, is ever null. One scan. -#}
{% test grain(model, columns, never_null=[]) %}

select {{ columns | join(", ") }}
from {{ model }}
group by {{ columns | join(", ") }}
having count(*) > 1 or bool_or({{ (columns + never_null) | join(" is null or ") }} is null)

{% endtest %}

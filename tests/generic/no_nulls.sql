{#- None of `columns` is ever null: one scan for all of them. -#}
{% test no_nulls(model, columns) %}

select {{ columns | join(", ") }}
from {{ model }}
where {{ columns | join(" is null or ") }} is null

{% endtest %}

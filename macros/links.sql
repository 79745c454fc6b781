{#-
    What linkify-it-py 2.2 finds with the schemas http: and https: alone, as one pattern of Postgres's, for a text
    without white space. Use it with the flag g; group 1 is a link, or null where only the search goes on.

    The library tries its alternatives in order and Postgres takes the longest match, so where two alternatives can
    begin alike, one of them says that the other does not apply. It matches without case, which for [a-z] includes four
    letters outside ASCII. Usage: regexp_matches(token collate "C", {{ link_pattern() }}, 'g')
-#}
{%- macro link_pattern() -%}
    {%- set control = unicode_separators() ~ unicode_controls() -%}
    {%- set separator = "><\\uFF5C" -%}
    {%- set punctuation = control ~ unicode_punctuation() -%}
    {%- set letter = "[^" ~ separator ~ punctuation ~ "_]" -%}
    {%- set ascii_letters = "a-zA-Z\\u0130\\u0131\\u017F\\u212A" -%}
    {%- set digit = "[" ~ unicode_digits() ~ "]" -%}
    {%- set authority =
        "(?:[^" ~ control ~ "@/\\[\\]()]{1,50}@)?"
    -%}
    {%- set label =
        "(?:[xX][nN]--[" ~ ascii_letters ~ "0-9-]{1,59}"
        ~ "|" ~ letter ~ "|" ~ letter ~ "(?:-|" ~ letter ~ "){0,61}" ~ letter ~ ")"
    -%}
    {%- set host = "(?:" ~ label ~ "\\.)*" ~ label -%}
    {%- set port =
        "(?::(?:6(?:[0-4]" ~ digit ~ "{3}|5(?:[0-4]" ~ digit ~ "{2}|5(?:[0-2]" ~ digit ~ "|3[0-5])))"
        ~ "|[1-5]?" ~ digit ~ "{1,4}))?"
    -%}
    {#- A host directly followed by @ is a user name; the @ is the one thing here that is not the library's. -#}
    {%- set host_end =
        "(?=$|[" ~ separator ~ punctuation ~ "_])"
        ~ "(?!-|_|@|:" ~ digit ~ "|\\.-|\\.[^" ~ punctuation ~ "_])"
    -%}
    {%- set path =
        "(?:[/?#](?:"
        ~ "[^" ~ control ~ separator ~ "()\\[\\]{}.,\"\\'?!;-]"
        ~ "|\\[[^" ~ control ~ "\\]]*\\]"
        ~ "|\\([^" ~ control ~ ")]*\\)"
        ~ "|\\{[^" ~ control ~ "}]*\\}"
        ~ "|\"[^" ~ control ~ "\"]+\""
        ~ "|\\'[^" ~ control ~ "\\']+\\'"
        ~ "|\\'(?=" ~ letter ~ "|-)(?![^" ~ control ~ "\\']+\\')"
        ~ "|\\.{2,}[" ~ ascii_letters ~ "0-9%/&]"
        ~ "|\\.(?=[^" ~ control ~ ".])"
        ~ "|-+"
        ~ "|[,;](?=[^" ~ control ~ "])"
        ~ "|!+(?=[^" ~ control ~ "!])"
        ~ "|\\?(?=[^" ~ control ~ "?])"
        ~ ")+|/)?"
    -%}
    {%- set link = "[hH][tT][tT][pP][sS]?://" ~ authority ~ host ~ port ~ host_end ~ path -%}
    {#-
        The library looks for `http:` first and never reads the same `:` twice, so a `:` that could belong to a schema
        inside the host is passed over with the link, and a schema with nothing valid behind it is passed over alone.
    -#}
    {%- set schema_in_host = "(?:(?<=[/@.-][hH][tT][tT][pP][sS\\u017F]?):)?" -%}
    {%- set pattern =
        "(?:^|[" ~ separator ~ punctuation ~ "])"
        ~ "(?:(" ~ link ~ ")" ~ schema_in_host ~ "|[hH][tT][tT][pP][sS\\u017F]?:)"
    -%}
    '{{ pattern | replace("'", "''") }}'
{%- endmacro -%}

{#- Whether a query parameter called `name` is on the list of the var tracking_parameters. -#}
{%- macro is_tracking_parameter(name) -%}
    {%- set name = ascii_lower(name) -%}
    {%- set tests = [] -%}
    {%- for parameter in var('tracking_parameters') -%}
        {%- if parameter.endswith('*') -%}
            {%- do tests.append("starts_with(" ~ name ~ ", " ~ ascii_lower(text_literal(parameter[:-1])) ~ ")") -%}
        {%- else -%}
            {%- do tests.append(name ~ " = " ~ ascii_lower(text_literal(parameter))) -%}
        {%- endif -%}
    {%- endfor -%}
    ({{ tests | join(" or ") if tests else "false" }})
{%- endmacro -%}

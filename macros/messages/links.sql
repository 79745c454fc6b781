{#- Whether `body` may hold a link: a plain filter, since most bodies hold none and a regular expression costs more. -#}
{%- macro may_hold_links(body) -%}
    {{ body }} like {{ text_literal('%' ~ var('body_markers')['links'] ~ '%') }}
{%- endmacro -%}

{#-
    The stretches of `body` without white space that may hold a link, with their positions, as a derived table. Longer
    ones than 8,192 characters hold none, so that no body costs more than linear time.
    Usage: cross join lateral {{ tokens_in('body') }} as token (token, token_position)
-#}
{%- macro tokens_in(body) -%}
    (
        select
            stretch[1],
            stretch_position
        from regexp_matches({{ body }} collate "C", '[^{{ white_space_class() }}]*://[^{{ white_space_class() }}]*', 'g')
            with ordinality as stretches (stretch, stretch_position)
        where length(stretch[1]) <= 8192
    )
{%- endmacro -%}

{#-
    What linkify-it-py 2.2 finds with the schemas http: and https: alone, in a text without white space: a set of text
    arrays whose first element is a link, or null where only the search went on. One function and no subquery, which
    would keep workers away.
    Usage: cross join lateral {{ links_in('token') }} with ordinality as found (groups, match_position)
-#}
{%- macro links_in(token) -%}
    {#- Up to here user info and host can reach. -#}
    {%- set authority = "split_part(split_part(" ~ token ~ ", '://', 2), '/', 1)" -%}
    regexp_matches(
        {{ token }} collate "C",
        case
            -- Limits on lengths, user info and a second link cost ten times the rest of the pattern.
            when {{ token }} like '%://%://%' or {{ authority }} like '%@%' or length({{ authority }}) > 63
                then {{ _link_pattern(true) }}
            -- A plain token needs no pattern: the link extends from its first h to its last plain character.
            when {{ _is_plain(token) }} then '[hH].*{{ _plain_character() }}'
            else {{ _link_pattern(false) }}
        end,
        'g'
    )
{%- endmacro -%}

{#-
    Whether a token is one link of ASCII letters, digits and such characters as need no look at what follows them, with
    at most one mark before it and one after it. Most are.
-#}
{%- macro _is_plain(token) -%}
    {%- set label = "[a-zA-Z0-9]+(?:-+[a-zA-Z0-9]+)*" -%}
    {%- set character = _plain_character() -%}
    {{ token }} collate "C" ~ (
        '^[<({["'']?'
        '[hH][tT][tT][pP][sS]?://(?:{{ label }}\.)*{{ label }}(?::[0-9]{1,4})?'
        '(?:[/?#](?:{{ character }}|[.,;!?]{{ character }})+|/)?'
        '[]>)}"''.,;!?]?$'
    )
{%- endmacro -%}

{%- macro _plain_character() -%}
    [a-zA-Z0-9/_~%=&@:+$*#-]
{%- endmacro -%}

{#-
    The library's rules as one pattern, whose first group is a link, or null where only the search went on; unless
    `complete`, for a token with one `://` and no user info, whose labels are too short to have too many characters.

    The library tries its alternatives in order and Postgres takes the longest match, so where two alternatives can
    begin alike, one of them says that the other does not apply. The library matches without case, which for [a-z]
    includes four letters outside ASCII.
-#}
{%- macro _link_pattern(complete) -%}
    {%- set control = unicode_separators() ~ unicode_controls() -%}
    {%- set separator = "><\\uFF5C" -%}
    {%- set punctuation = control ~ unicode_punctuation() -%}
    {%- set letter = "[^" ~ separator ~ punctuation ~ "_]" -%}
    {%- set ascii_letters = "a-zA-Z\\u0130\\u0131\\u017F\\u212A" -%}
    {%- set digit = "[" ~ unicode_digits() ~ "]" -%}
    {%- set user_info = "[^" ~ control ~ "@/\\[\\]()]{1,50}@" -%}
    {%- set label =
        "(?:[xX][nN]--[" ~ ascii_letters ~ "0-9-]" ~ ("{1,59}" if complete else "+")
        ~ "|" ~ letter ~ "(?:(?:-|" ~ letter ~ ")" ~ ("{0,61}" if complete else "*") ~ letter ~ ")?)"
    -%}
    {%- set port =
        "(?::(?:6(?:[0-4]" ~ digit ~ "{3}|5(?:[0-4]" ~ digit ~ "{2}|5(?:[0-2]" ~ digit ~ "|3[0-5])))"
        ~ "|[1-5]?" ~ digit ~ "{1,4}))?"
    -%}
    {%- set host_end =
        "(?=$|[" ~ separator ~ punctuation ~ "_])"
        ~ "(?!-|_|:" ~ digit ~ "|\\.-|\\.[^" ~ punctuation ~ "_])"
    -%}
    {%- set host = "(?:" ~ label ~ "\\.)*" ~ label ~ port ~ host_end -%}
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
    {#- What can be user info is user info. A link directly followed by @ does not count, whatever the library says. -#}
    {%- set authority = "(?:" ~ user_info ~ "|(?!" ~ user_info ~ host ~ "))" ~ host ~ "(?!@)" if complete else host -%}
    {#-
        The library looks for `http:` first and never reads the same `:` twice, so a `:` that could belong to a schema
        inside the host is passed over with the link, and a schema with nothing valid behind it is passed over alone.
    -#}
    {%- set schema_in_host = "(?:(?<=[/@.-][hH][tT][tT][pP][sS\\u017F]?):)?" if complete else "" -%}
    {%- set pattern =
        "(?:^|[" ~ separator ~ punctuation ~ "])"
        ~ "(?:([hH][tT][tT][pP][sS]?://" ~ authority ~ path ~ ")" ~ schema_in_host
        ~ "|[hH][tT][tT][pP][sS\\u017F]?:)"
    -%}
    '{{ pattern | replace("'", "''") }}'
{%- endmacro -%}

{#-
    `query` without the parameters on the list of the var tracking_parameters: what stands between `&`, by the name before
    the first `=`. A pattern rather than a subquery over the parameters, which would keep workers away.
-#}
{%- macro without_tracking_parameters(query) -%}
    {%- do check_vars() -%}
    {%- set names = [] -%}
    {%- for parameter in var('tracking_parameters') -%}
        {%- if parameter.endswith('*') -%}
            {%- do names.append(modules.re.escape(parameter[:-1]) ~ "[^&=]*") -%}
        {%- else -%}
            {%- do names.append(modules.re.escape(parameter)) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- if names -%}
        substr(
            regexp_replace(
                '&' || {{ query }} collate "C",
                {{ text_literal("&(?:" ~ (names | join("|")) ~ ")(?:=[^&]*)?(?=&|$)") }},
                '',
                'gi'
            ),
            2
        )
    {%- else -%}
        {{ query }}
    {%- endif -%}
{%- endmacro -%}

{#-
    Whether `word` is an emoji: only code points with Unicode's property Emoji, ZWJ, variation selectors, tag characters
    and keycap marks, and not ASCII alone, as `7` would be.
-#}
{%- macro is_emoji(word) -%}
    (
        {{ word }} collate "C" ~ '^[{{ unicode_emoji() }}\u200D\uFE00-\uFE0F\U000E0020-\U000E007F\u20E3]+$'
        and {{ word }} collate "C" ~ '[^\u0001-\u007F]'
    )
{%- endmacro -%}

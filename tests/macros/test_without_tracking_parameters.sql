with cases (query, expected) as (

    values
    ('utm_source=a', ''),
    ('UTM_Source=a&b=1', 'b=1'),
    ('a=1&fbclid=x&&b=2&utm_', 'a=1&&b=2'),
    ('fbclid', ''),
    ('fbclid2=1&xfbclid=1&utm=1', 'fbclid2=1&xfbclid=1&utm=1'),
    ('a=utm_b&c=1=fbclid', 'a=utm_b&c=1=fbclid'),
    ('utm_a=b=c&utm%5Fa=1', 'utm%5Fa=1'),
    ('&', '&'),
    ('_hsenc=1&_hsenc=2&', ''),
    (null, null)

)

select *
from cases
where {{ without_tracking_parameters('query') }} is distinct from expected

with cases (name, expected) as (

    values
    ('utm_source', true), ('UTM_Medium', true), ('utm_', true), ('utmx', false), ('xutm_source', false),
    ('fbclid', true), ('FbClId', true), ('fbclid2', false), ('mc_cid', true), ('mcxcid', false), ('_hsenc', true),
    ('', false), ('utm%5Fsource', false)

)

select * from cases where {{ is_tracking_parameter('name') }} is distinct from expected

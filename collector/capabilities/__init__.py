"""What an AWS account can give: one question a file, each asked only by reading.

`asking` turns answers and refusals into capabilities; `access`, `enrichment`, `metrics`,
`weights`, `captures`, `traces`, `prices` and `bills` ask; `source` is the plug-in.
Source: nibai's aws.md, 16.
"""

"""SageMaker's configuration: what serves an endpoint, what changed, since when and why.

`describe` asks, `facts` makes plain words of the answers, `snapshot` holds them, `diff` compares
two, `kinds` says what a difference is, `jobs` what AWS's own jobs did to the model, `dating` when
traffic moved, `changes` tells it, `source` is the plug-in. Source: nibai's aws.md, sections 8, 9.
"""

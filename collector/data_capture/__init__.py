"""SageMaker Data Capture: what endpoints were asked and answered, from S3.

Captures hold predictions, not latency. Of a payload nothing is kept but what the configuration asks
for: label, score, segment, and a digest of the input. Source: nibai's aws.md, sections 7, 8 and 14.
"""

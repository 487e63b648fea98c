"""Amazon Bedrock: latency from CloudWatch, answers and segments from its invocation logs.

Source: nibai's aws.md, sections 2.4 and 10.
"""

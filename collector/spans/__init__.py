"""Requests one by one from traces: the log group aws/spans, or X-Ray where spans are not there.

SageMaker and Bedrock write no spans of their own: these are the callers'. Source: aws.md, 10.
"""

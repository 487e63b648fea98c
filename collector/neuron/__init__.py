"""Inferentia and Trainium: what neuron-monitor reports, as JSON lines or for Prometheus.

It tells percentiles only, of executions rather than requests, in seconds, and nothing while idle.
https://awsdocs-neuron.readthedocs-hosted.com/en/latest/tools/neuron-sys-tools/neuron-monitor-user-guide.html
"""

"""Histograms of a Prometheus, or of anything that answers like one (CloudWatch)."""

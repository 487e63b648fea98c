"""Classic CloudWatch: what GetMetricData gives every account, planned by its price.

`grid` writes histograms as statistics, `series` says what exists, `plan` turns series and a window
into calls and a bill, `execute` makes the calls, `rebuild` makes minutes of the answers.
Source: nibai's aws.md, sections 4 to 6.
"""

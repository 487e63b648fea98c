"""OTLP: spans and histograms that instrumented services push, over HTTP or gRPC.

`receiver` and `over_grpc` answer requests; `decode` reads their bytes (`json_form`; `wire` and
`span_columns` where there are many spans), `attributes` and `names` say what a span is about,
`rows` makes measurements of them, `columns` a batch for the log.
"""

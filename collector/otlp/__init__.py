"""OTLP: spans and histograms that instrumented services push, over HTTP or gRPC.

`receiver` and `over_grpc` answer requests; `decode` reads their bytes (`json_form`; `wire` and
`span_columns` where there are many spans), `attributes`, `names` and `outcomes` say what a span is,
`rows` makes measurements of them, `columns` a batch for the log.
"""

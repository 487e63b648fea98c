"""Grafana: dashboards as code, their lint, and the way to a server.

`fleet`, `change_audit` and `drift` define the dashboards, `build` writes `dashboards/json`, `lint`
judges it without a Grafana, `push` brings it to one; only `transport` knows the HTTP library.
"""

"""Logs Insights over spans and GetTraceSummaries over traces of known truth.

Shapes: botocore's service models of CloudWatch Logs and X-Ray. Only what nibai asks is understood:
named fields, a limit, pages; the filter is not evaluated (its text is kept in `queries`).
"""

import json
import re
from datetime import UTC, datetime

from fakeaws.metrics import ServiceError

MAX_ROWS = 100_000


class Logs:
    """Spans as dictionaries of fields with `at` (seconds); answers after `polls` looks."""

    def __init__(self, spans=(), *, page=10_000, polls=1, status="Complete", most=MAX_ROWS,
                 scanned=1000.0):  # fmt: skip
        self.spans = sorted(spans, key=lambda span: span["at"])
        self.page, self.polls, self.status, self.most = page, polls, status, most
        self.scanned = scanned  # bytes a row
        self.queries, self.errors = [], []
        self._looks = {}

    def start_query(self, **request):
        if self.errors:
            raise self.errors.pop(0)
        assert 1 <= request["limit"] <= MAX_ROWS
        if len(self.queries) > 10_000:
            raise ServiceError(400, "LimitExceededException", "too many queries")
        self.queries.append(request)
        self._looks[str(len(self.queries) - 1)] = 0
        return {"queryId": str(len(self.queries) - 1)}

    def get_query_results(self, **request):
        query, number = self.queries[int(request["queryId"])], request["queryId"]
        self._looks[number] += 1
        if self._looks[number] <= self.polls:
            return {"status": "Running", "results": [], "statistics": {}}
        if self.status != "Complete":
            return {"status": self.status, "results": []}
        rows = self._rows(query)
        first = int(request.get("nextToken", 0))
        last = first + min(self.page, request["maxItems"])
        found = {
            "status": "Complete",
            "results": rows[first:last],
            "statistics": {
                "bytesScanned": self.scanned * len(rows),
                "recordsMatched": float(len(self._inside(query))),
            },
        }
        return found | ({"nextToken": str(last)} if last < len(rows) else {})

    def _rows(self, query):
        named = re.findall(r"([@\w.]+) as (\w+)", query["queryString"])
        inside = self._inside(query)
        return [self._row(span, named) for span in inside[: min(self.most, query["limit"])]]

    def _inside(self, query):
        start, end = query["startTime"], query["endTime"]
        return [span for span in self.spans if start <= span["at"] < end + 1]

    def _row(self, span, named):
        moment = datetime.fromtimestamp(span["at"], UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
        values = {**span, "@timestamp": moment}
        row = [{"field": to, "value": str(values[of])} for of, to in named if of in values]
        return [*row, {"field": "@ptr", "value": "p"}]


class XRay:
    """Traces as summaries; `destination` says where segments go."""

    def __init__(self, traces=(), *, destination="XRay", page=100):
        self.traces, self.destination, self.page = list(traces), destination, page
        self.error = None
        self.requests = 0
        self.indexed, self.polls, self.retrieval_status = 1.0, 1, "COMPLETE"
        self.retrievals = []

    def get_indexing_rules(self, **_):
        if self.indexed is None:
            raise ServiceError(403, "AccessDeniedException", "no")
        rule = {"Probabilistic": {"DesiredSamplingPercentage": self.indexed}}
        return {"IndexingRules": [{"Name": "Default", "Rule": rule}]}

    def start_trace_retrieval(self, **request):
        """Of traces with `spans`, which lie in CloudWatch Logs only with Transaction Search."""
        if self.destination != "CloudWatchLogs":
            raise ServiceError(400, "InvalidRequestException", "Transaction Search is not enabled")
        assert len(request["TraceIds"]) <= 100
        self.retrievals.append([set(request["TraceIds"]), self.polls])
        return {"RetrievalToken": str(len(self.retrievals) - 1)}

    def list_retrieved_traces(self, **request):
        """Nothing until the retrieval is over, then five traces a page."""
        wanted = self.retrievals[int(request["RetrievalToken"])]
        if self.retrieval_status != "COMPLETE" or wanted[1]:
            wanted[1] -= 1
            status = "RUNNING" if wanted[1] >= 0 else self.retrieval_status
            return {"RetrievalStatus": status, "TraceFormat": "OTEL", "Traces": []}
        found = [one for one in self.traces if one["Id"] in wanted[0]]
        first = int(request.get("NextToken", 0))
        documents = [
            {"Id": one["Id"], "Spans": [
                {"Id": f"s{i}", "Document": json.dumps(span)} for i, span in enumerate(one["spans"])
            ]} for one in found[first : first + 5]
        ]  # fmt: skip
        page = {"RetrievalStatus": "COMPLETE", "TraceFormat": "OTEL", "Traces": documents}
        return page | ({"NextToken": str(first + 5)} if first + 5 < len(found) else {})

    def get_trace_segment_destination(self):
        if self.error is not None:
            raise self.error
        return {"Destination": self.destination, "Status": "ACTIVE"}

    def get_trace_summaries(self, **request):
        self.requests += 1
        start, end = request["StartTime"], request["EndTime"]
        found = [one for one in self.traces if start <= one["StartTime"] <= end]
        first = int(request.get("NextToken", 0))
        told = [{k: v for k, v in one.items() if k != "spans"} for one in found]
        page = {"TraceSummaries": told[first : first + self.page]}
        more = first + self.page < len(found)
        return page | ({"NextToken": str(first + self.page)} if more else {})

"""CloudTrail's LookupEvents: one attribute a call, pages of at most 50, newest first.

Shapes: botocore's service model; the document of an event: "CloudTrail record contents". Requests
are recorded with small first letters.
"""

import json
from datetime import UTC, datetime

from fakeaws.metrics import ServiceError

PAGE = 50
REACH = 90 * 86_400


class CloudTrail:
    """Recorded calls; `calls` counts the look-ups."""

    def __init__(self, now):
        self.now = now
        self.events = []
        self.calls = 0
        self.denied = False

    def record(self, name, moment, request, *, who="arn:aws:iam::123456789012:user/ada", **more):
        """A call that somebody made."""
        when = datetime.fromtimestamp(moment, UTC)
        document = {
            "eventName": name, "eventTime": when.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "userIdentity": {"arn": who}, "requestParameters": request, **more,
        }  # fmt: skip
        self.events.append((moment, name, document))

    def lookup_events(self, **request):
        self.calls += 1
        if self.denied:
            raise ServiceError(400, "AccessDeniedException", "no cloudtrail:LookupEvents")
        attributes = request.get("LookupAttributes", [])
        if len(attributes) > 1:
            raise ServiceError(400, "InvalidLookupAttributesException", "one attribute a call")
        start, end = (request[key].timestamp() for key in ("StartTime", "EndTime"))
        start = max(start, self.now - REACH)
        found = [
            {"EventName": name, "EventTime": datetime.fromtimestamp(moment, UTC),
             "CloudTrailEvent": json.dumps(document)}
            for moment, name, document in sorted(self.events, key=lambda one: -one[0])
            if start <= moment <= end and all(one["AttributeValue"] == name for one in attributes)
        ]  # fmt: skip
        first = int(request.get("NextToken", "0"))
        size = min(request.get("MaxResults", PAGE), PAGE)
        page = {"Events": found[first : first + size]}
        return page if first + size >= len(found) else {**page, "NextToken": str(first + size)}

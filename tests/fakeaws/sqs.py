"""One SQS queue: messages stay until they are deleted (the visibility time-out is over at once).

Shapes: botocore's service model of SQS (ReceiveMessage, DeleteMessageBatch).
"""

import json
from itertools import count

from fakeaws.metrics import ServiceError

MOST = 10


class Queue:
    """Bodies of messages by receipt."""

    def __init__(self):
        self.messages = {}
        self.denied = set()
        self._numbers = count()
        self._handed_out = set()

    def put(self, body):
        """A message of EventBridge (or anything else) arrives."""
        text = body if isinstance(body, str) else json.dumps(body)
        self.messages[f"receipt-{next(self._numbers)}"] = text

    def appear_again(self):
        """The visibility time-out of undeleted messages is over."""
        self._handed_out.clear()

    def receive_message(self, QueueUrl, MaxNumberOfMessages=1, **_):
        del QueueUrl
        self._asked("ReceiveMessage")
        waiting = [one for one in self.messages if one not in self._handed_out]
        chosen = waiting[: min(MaxNumberOfMessages, MOST)]
        self._handed_out |= set(chosen)
        found = [
            {"MessageId": one, "ReceiptHandle": one, "Body": self.messages[one]} for one in chosen
        ]
        return {"Messages": found} if found else {}

    def delete_message_batch(self, QueueUrl, Entries):
        del QueueUrl
        self._asked("DeleteMessage")
        for one in Entries:
            self.messages.pop(one["ReceiptHandle"], None)
        return {"Successful": [{"Id": one["Id"]} for one in Entries], "Failed": []}

    def _asked(self, operation):
        if operation in self.denied:
            raise ServiceError(400, "AccessDenied", f"no access to sqs:{operation}")


def endpoint_event(name, status, moment, *, pending=None):
    """EventBridge's event about an endpoint; with `pending` (variant statuses) of its deployment.

    Form: "Automating Amazon SageMaker with Amazon EventBridge" in its developer guide; statuses are
    written IN_SERVICE there, InService in the API.
    """
    detail = {"EndpointName": name, "EndpointStatus": status, "LastModifiedTime": moment * 1e3}
    kind = "SageMaker Endpoint State Change"
    if pending is not None:
        kind = "SageMaker Endpoint Deployment State Change"
        variants = [
            {"VariantName": variant, "VariantStatus": [{"Status": state}]}
            for variant, state in pending.items()
        ]
        detail["PendingDeploymentSummary"] = {"ProductionVariants": variants}
    return {
        "version": "0", "detail-type": kind, "source": "aws.sagemaker",
        "time": moment * 1e3, "detail": detail,
    }  # fmt: skip

"""AWS services in one process: answers by operation, each checked against botocore's model."""

from botocore import xform_name
from botocore.validate import validate_parameters
from fakeaws.metrics import ServiceError
from fakeaws.server import service_model

from collector.aws.errors import DeniedError, action, translated


class Scripted:
    """A service whose answers the test says; operations without one are refused.

    An answer is a mapping, an error to raise, or a function of the request.
    """

    def __init__(self, service, **answers):
        self.service, self.answers = service, answers
        self.asked = []

    def call(self, operation, **request):
        model = service_model(self.service).operation_model(operation)
        if model.input_shape is not None:
            validate_parameters(request, model.input_shape)
        self.asked.append((operation, request))
        answer = self.answers.get(operation)
        if answer is None:
            needed = action(self.service, operation)
            raise DeniedError(f"{needed} in eu-west-1: refused", needed)
        if isinstance(answer, Exception):
            raise answer
        found = answer(**request) if callable(answer) else answer
        validate_parameters(found, model.output_shape)
        return found


class InProcess(Scripted):
    """A fake's backend asked directly."""

    def __init__(self, service, backend):
        super().__init__(service)
        self.backend = backend

    def call(self, operation, **request):
        self.asked.append((operation, request))
        try:
            return getattr(self.backend, xform_name(operation))(**request)
        except ServiceError as error:
            response = {"Error": {"Code": error.code, "Message": error.message}}
            raise translated(
                f"{self.service}:{operation}", response, action(self.service, operation)
            ) from None

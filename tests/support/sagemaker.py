"""An account whose endpoints are looked at through a real boto3 client."""

from dataclasses import replace

from fakeaws.sagemaker import ACCOUNT, REGION, SageMaker

from collector.sagemaker.source import SageMakerSource

NOW = 1_764_000_000.0 // 3600 * 3600
SCOPE = f"sagemaker/{ACCOUNT}.{REGION}/"


class Account:
    """The fake behind the client, a source that looks at it, and what it saw last."""

    def __init__(self, fake, client, **options):
        self.aws = SageMaker(NOW)
        fake.backends["sagemaker"] = self.aws
        self.source = SageMakerSource(
            client, f"{ACCOUNT}.{REGION}", options.pop("patterns", ("*",)), salt="salt",
            clock=lambda: self.aws.now, **options,
        )  # fmt: skip
        self.known = {}

    def look(self, after=60.0, **options):
        """Sightings of one look, `after` seconds later; what they say is remembered."""
        self.aws.now += after
        found = list(self.source.discover(self.known, **options))
        for sighting in found:
            seen = sighting.deployment
            before = self.known.get(seen.endpoint)
            same = before is not None and before.document == seen.document
            self.known[seen.endpoint] = (
                replace(seen, first_seen=before.first_seen) if same else seen
            )
        self.source.settle()
        return found

    def changes(self, **options):
        """Changes of one look."""
        return [change for sighting in self.look(**options) for change in sighting.changes]

"""The seams of nibai: each a protocol with one method, met by plug-ins through entry points.

A plug-in is a module that exports `build(options: Mapping[str, object])` returning the protocol.
"""

from __future__ import annotations

from nibai.protocols.analysis import (
    Analyzer,
    Describer,
    History,
    PredictionWindows,
    Scanner,
    Windows,
)
from nibai.protocols.checks import Capability, Effort, Examiner, Standing
from nibai.protocols.discovery import Deployment, Discoverer, Sighting, Survey, Surveyor
from nibai.protocols.files import (
    FileReader,
    FileRequest,
    FileWindows,
    OutputsReader,
    OutputsRequest,
    PairsReader,
    PairsRequest,
)
from nibai.protocols.prices import ListedPrice, PriceList
from nibai.protocols.replays import (
    Answer,
    CaptureReader,
    CaptureRequest,
    Captures,
    ReplayInput,
    Target,
)
from nibai.protocols.showing import (
    AuditLine,
    AuditsPage,
    EndpointPage,
    MissingPage,
    Page,
    PageMaker,
    SeriesLine,
)
from nibai.protocols.sources import (
    Allowed,
    Attentive,
    Listener,
    Preview,
    Pulled,
    Puller,
    PushRequest,
    PushResponse,
    Receiver,
    Sink,
)
from nibai.protocols.telling import (
    Addressee,
    Alerting,
    Annotator,
    Illustrator,
    Notifier,
    Renderer,
    Repeating,
    RuleBook,
    SegmentValues,
    Surroundings,
)

__all__ = [
    "Addressee",
    "Alerting",
    "Allowed",
    "Analyzer",
    "Annotator",
    "Answer",
    "Attentive",
    "AuditLine",
    "AuditsPage",
    "Capability",
    "CaptureReader",
    "CaptureRequest",
    "Captures",
    "Deployment",
    "Describer",
    "Discoverer",
    "Effort",
    "EndpointPage",
    "Examiner",
    "FileReader",
    "FileRequest",
    "FileWindows",
    "History",
    "Illustrator",
    "ListedPrice",
    "Listener",
    "MissingPage",
    "Notifier",
    "OutputsReader",
    "OutputsRequest",
    "Page",
    "PageMaker",
    "PairsReader",
    "PairsRequest",
    "PredictionWindows",
    "Preview",
    "PriceList",
    "Pulled",
    "Puller",
    "PushRequest",
    "PushResponse",
    "Receiver",
    "Renderer",
    "Repeating",
    "ReplayInput",
    "RuleBook",
    "Scanner",
    "SegmentValues",
    "SeriesLine",
    "Sighting",
    "Sink",
    "Standing",
    "Surroundings",
    "Survey",
    "Surveyor",
    "Target",
    "Windows",
]

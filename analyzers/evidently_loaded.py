"""Evidently itself: what is used of it, loaded when first asked for and told to send nothing."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np

from nibai.answer_rows import RowKind


@contextmanager
def quiet() -> Iterator[None]:
    """Warnings of the vendor's own code are not for the reader of an audit."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


@cache
def evidently() -> SimpleNamespace:
    """Everything of Evidently that is used; most of it lives under `legacy` and will move."""
    os.environ.setdefault("DO_NOT_TRACK", "1")  # read at import: any value switches tracking off
    with quiet():
        import pandas as pd  # noqa: PLC0415
        from evidently import DataDefinition, Dataset, Report, descriptors  # noqa: PLC0415
        from evidently.legacy.calculations.stattests import (  # noqa: PLC0415
            StatTest,
            register_stattest,
        )
        from evidently.legacy.calculations.stattests.registry import (  # noqa: PLC0415
            get_registered_stattest,
        )
        from evidently.legacy.core import ColumnType  # noqa: PLC0415
        from evidently.metrics import ValueDrift  # noqa: PLC0415
        from evidently.presets import DataDriftPreset  # noqa: PLC0415
    return SimpleNamespace(
        pandas=pd,
        Dataset=Dataset,
        DataDefinition=DataDefinition,
        Report=Report,
        descriptors=descriptors,
        DataDriftPreset=DataDriftPreset,
        ValueDrift=ValueDrift,
        StatTest=StatTest,
        register_stattest=register_stattest,
        NibaiNumber=_own_metric(),
        get_registered_stattest=get_registered_stattest,
        kinds={
            RowKind.LABEL: ColumnType.Categorical,
            RowKind.NUMBER: ColumnType.Numerical,
            RowKind.TEXT: ColumnType.Numerical,  # its length
        },
    )


def _own_metric() -> Any:  # noqa: ANN401 - a class of Evidently's
    """A metric whose number comes from nibai: Evidently shows it and computes nothing."""
    from evidently.core.metric_types import (  # noqa: PLC0415
        SingleValueCalculation,
        SingleValueMetric,
    )
    from evidently.legacy.renderers.html_widgets import (  # noqa: PLC0415
        CounterData,
        counter,
        table_data,
    )

    class NibaiNumber(SingleValueMetric):  # type: ignore[misc] # Evidently has no types
        title: str
        number: float
        shown: str
        said: str
        tables: dict[str, list[list[str]]] = {}  # noqa: RUF012 - a field, copied by pydantic

    class NibaiNumberShown(SingleValueCalculation[NibaiNumber]):  # type: ignore[misc] # same
        def calculate(self, *_: Any) -> Any:  # noqa: ANN401
            mine = self.metric
            result = self.result(mine.number)
            result.widget = [
                counter(title=self.display_name(), counters=[CounterData(mine.said, mine.shown)]),
                *(
                    table_data(title=title, column_names=rows[0], data=rows[1:])
                    for title, rows in mine.tables.items()
                ),
            ]
            return result

        def display_name(self) -> str:
            return f"nibai: {self.metric.title}"

    return NibaiNumber

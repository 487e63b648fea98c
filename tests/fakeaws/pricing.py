"""The price list. Entries of PriceList are JSON texts, as the API documents (pricing GetProducts).

The attributes are those that the bulk price list of AmazonSageMaker shows for hosting instances;
spellings of usagetype and component vary there, and so they do here. Models of AmazonBedrock have
`model`, `feature` and `inferenceType` ("Input tokens flex") and are priced per "1K tokens", as
published readers of that list parse them.
"""

import json

from fakeaws.metrics import ServiceError


class Pricing:
    """Products by (instance, region, component, USD per unit, unit); `fails` answers an error.

    `models` by (model, region, inferenceType, USD per unit, unit, feature).
    """

    def __init__(self, *products, page=100, fails=None, models=()):
        self._models = [(model, region, _tokens(model, region, *rest))
                        for model, region, *rest in models]  # fmt: skip
        self._texts = [(instance, region, _product(instance, region, *rest))
                       for instance, region, *rest in products]  # fmt: skip
        self._page = page
        self.fails = fails
        self.asked = 0

    def get_products(self, ServiceCode, Filters=(), NextToken="0", **_):
        self.asked += 1
        if self.fails is not None:
            raise ServiceError(*self.fails)
        listed = {
            "AmazonSageMaker": ("instanceName", self._texts),
            "AmazonBedrock": ("model", self._models),
        }
        named, texts = listed[ServiceCode]
        wanted = {one["Field"]: one["Value"] for one in Filters}
        assert {one["Type"] for one in Filters} == {"TERM_MATCH"}
        found = [
            text for name, region, text in texts
            if wanted.get(named, name) == name
            and wanted.get("regionCode", region) == region
        ]  # fmt: skip
        start = int(NextToken)
        answer = {"FormatVersion": "aws_v1", "PriceList": found[start : start + self._page]}
        if start + self._page < len(found):
            answer["NextToken"] = str(start + self._page)
        return answer


def _tokens(model, region, kind, usd, *rest):
    unit, feature = (*rest, *("1K tokens", "On-demand Inference")[len(rest) :])
    attributes = {
        "model": model, "regionCode": region, "inferenceType": kind, "feature": feature,
        "usagetype": f"USE1-{model.replace(' ', '')}-{kind.lower().replace(' ', '-')}",
    }  # fmt: skip
    price = {"unit": unit, "pricePerUnit": {"USD": f"{usd:.10f}"}}
    return json.dumps(
        {
            "product": {"productFamily": "Amazon Bedrock", "attributes": attributes, "sku": "S"},
            "serviceCode": "AmazonBedrock",
            "terms": {"OnDemand": {"S.T": {"priceDimensions": {"S.T.P": price}}}},
        }
    )


def _product(instance, region, component, usd, unit="Hrs"):
    return json.dumps(
        {
            "product": {
                "productFamily": "ML Instance",
                "attributes": {
                    "instanceName": instance,
                    "instanceType": f"{instance}-Hosting",
                    "component": component,
                    "regionCode": region,
                    "usagetype": f"EUW1-Host:{instance}",
                },
                "sku": "ABCDEF",
            },
            "serviceCode": "AmazonSageMaker",
            "terms": {
                "OnDemand": {
                    "ABCDEF.JRTCKXETXF": {
                        "priceDimensions": {
                            "ABCDEF.JRTCKXETXF.6YS6EN2CT7": {
                                "unit": unit,
                                "pricePerUnit": {"USD": f"{usd:.10f}"},
                            }
                        }
                    }
                }
            },
        }
    )

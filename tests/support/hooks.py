"""A webhook that takes in what it is told, and rules that lead there."""

from contextlib import contextmanager

import yaml

from support import replay_server
from support.replay_server import Reply


def rules_to_hook(folder, url):
    """The path of rules that tell every declared claim to a webhook."""
    route = {"default": "hook", "receivers": {"hook": [{"webhook": {"url": url}}]}}
    document = {
        "apiVersion": "nibai.dev/v1alpha1", "kind": "RuleSet", "route": route,
        "groups": [{"name": "g", "rules": [{"claim": "declared"}]}],
    }  # fmt: skip
    path = folder / "rules.yaml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return path


@contextmanager
def hooked(folder):
    """(path of the rules, documents that were told), while the hook listens."""
    told = []

    def answer(request):
        told.append(request.body)
        return Reply(200, {})

    with replay_server.serve(answer) as service:
        (folder / "hook").write_text(service.url)
        yield rules_to_hook(folder, f"file:{folder / 'hook'}"), told

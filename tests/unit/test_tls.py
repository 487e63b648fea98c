"""TLS with client certificates: who is let in to what, and what is wrong with files, in words."""

import http.client
import json
import socket
import ssl
import threading
import time
from pathlib import Path

import grpc
import pytest
import uvicorn
from support.certificates import Authority
from support.otlp import Memory, request

from collector.otlp import over_grpc as otlp_grpc
from collector.otlp import receiver as otlp
from nibai.app.onwatch.serving import configured
from nibai.config import Config
from nibai.errors import ConfigError
from nibai.server import Access, Certificates, Renewal, Site, make_app

SENDERS = ("otel-*", "127.9.9.9")
FACTS = {"status": "failing", "problem": "/var/lib/nibai: disk is full"}
BODY = request([{}], nibai_endpoint="onprem/tokyo/ocr").SerializeToString()
METHOD = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tls")


@pytest.fixture(scope="module")
def authority(folder):
    return Authority(folder)


@pytest.fixture(scope="module")
def pairs(authority):
    names = ("server", "otel-agent", "prometheus")
    return {name: authority.issue(name) for name in names}


@pytest.fixture(scope="module")
def certificates(pairs, authority):
    server = pairs["server"]
    return Certificates(Path(server.certificate), Path(server.key), Path(authority.file))


# -- over HTTP --------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=[None, "secret"], ids=["certificates", "and a token"])
def served(request, certificates):
    """The application behind TLS; (port, token)."""
    sink = Memory()
    app = make_app(
        [otlp.build({})], sink, lambda: (False, FACTS), max_body=10_000,
        access=Access(request.param, None, SENDERS),
        site=Site(lambda _accept: ("text/plain", b"metrics"), lambda _path, _query: (200, "page")),
    )  # fmt: skip
    server = uvicorn.Server(configured(app, "127.0.0.1:0", certificates.context()))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1], request.param
    server.should_exit = True
    thread.join()


def ask(port, authority, pair=None, method="GET", path="/metrics", **headers):
    context = ssl.create_default_context(cafile=authority.file)
    if pair is not None:
        context.load_cert_chain(*pair.files)
    connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=10)
    try:
        connection.request(method, path, BODY if method == "POST" else None, headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def send(port, authority, pair=None, **headers):
    kind = {"content-type": otlp.PROTOBUF}
    return ask(port, authority, pair, "POST", "/v1/traces", **kind, **headers)


def test_a_senders_certificate_opens_everything_another_one_what_is_shown(served, authority, pairs):
    port, _ = served
    assert send(port, authority, pairs["otel-agent"])[0] == 200
    for name in ("otel-agent", "prometheus"):
        assert ask(port, authority, pairs[name]) == (200, "metrics")
        assert ask(port, authority, pairs[name], path="/audits") == (200, "page")
    status, said = send(port, authority, pairs["prometheus"])
    assert status == 403
    assert json.loads(said) == {
        "message": "this client certificate may read, not send: it is not in otlp.tls.senders"
    }


def test_without_a_certificate_only_the_token_opens(served, authority):
    port, token = served
    wanted = "a client certificate is required"
    if token is not None:
        wanted = f"a valid bearer token or {wanted}"
        assert ask(port, authority, authorization=f"Bearer {token}") == (200, "metrics")
        assert send(port, authority, authorization=f"Bearer {token}")[0] == 200
    hint = "" if token is None else "; in a browser any user name, and the token as password"
    assert ask(port, authority, authorization="Bearer other") == (401, f"{wanted}{hint}\n")
    assert send(port, authority) == (401, json.dumps({"message": wanted}, separators=(",", ":")))


def test_health_tells_strangers_the_status_only(served, authority, pairs):
    port, _ = served
    status, said = ask(port, authority, path="/healthz")
    assert (status, json.loads(said)) == (503, {"status": "failing"})
    status, said = ask(port, authority, pairs["prometheus"], path="/healthz")
    assert (status, json.loads(said)) == (503, FACTS)


def test_a_strangers_certificate_is_refused(served, authority, tmp_path):
    port, _ = served
    stranger = Authority(tmp_path, "stranger").issue("otel-agent")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        ask(port, authority, stranger)


# -- over gRPC --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def call(certificates, authority):
    sink = Memory()
    options = {"address": "127.0.0.1:0", "max_body": 10_000, "certificates": certificates.read}
    address, stop = otlp_grpc.build(options).listen(
        otlp.build({}), sink, Access(None, None, SENDERS).may_send
    )

    def export(pair=None):
        own = [None, None] if pair is None else [Path(f).read_bytes() for f in pair.files]
        trusted = Path(authority.file).read_bytes()
        shown = grpc.ssl_channel_credentials(trusted, own[1], own[0])
        with grpc.secure_channel(address, shown) as channel:
            channel.unary_unary(METHOD)(BODY, timeout=10)
        return len(sink.rows())

    yield export
    stop()


def test_grpc_takes_a_senders_certificate_only(call, pairs):
    assert call(pairs["otel-agent"]) == 1
    with pytest.raises(grpc.RpcError) as raised:
        call(pairs["prometheus"])
    assert raised.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert raised.value.details() == (
        "this client certificate may not send: it is not in otlp.tls.senders"
    )
    with pytest.raises(grpc.RpcError) as raised:
        call()
    assert raised.value.code() is grpc.StatusCode.UNAVAILABLE


# -- certificates that are renewed ---------------------------------------------------------------


def put(pair, where):
    for source, target in zip(pair.files, (where.certificate, where.key), strict=True):
        # As a volume or certbot does: another file is put in its place.
        fresh = target.with_suffix(".new")
        fresh.write_bytes(Path(source).read_bytes())
        fresh.rename(target)


def shown_to(port, *trusted, pair=None):
    """The certificate that a client is shown who trusts these authorities."""
    context = ssl.create_default_context()
    for one in trusted:
        context.load_verify_locations(one.file)
    if pair is not None:
        context.load_cert_chain(*pair.files)
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as greeted,
    ):
        names = dict(part[0] for part in greeted.getpeercert()["subject"])
        greeted.sendall(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        answer = greeted.recv(12).decode()
        if not answer:
            raise ConnectionError
        return names["commonName"], answer.rpartition(" ")[2]


def test_a_renewed_certificate_is_shown_without_a_restart(tmp_path, caplog):
    first, second = Authority(tmp_path, "first"), Authority(tmp_path, "second")
    clients = tmp_path / "clients.pem"
    clients.write_bytes(Path(first.file).read_bytes())
    files = Certificates(tmp_path / "tls.crt", tmp_path / "tls.key", clients)
    put(first.issue("old"), files)
    renewal, sink = Renewal(files), Memory()
    app = make_app(
        [otlp.build({})], sink, lambda: (True, FACTS), access=Access(None, None, SENDERS),
        max_body=10, site=Site(lambda _accept: ("text/plain", b"all"), lambda _a, _b: (200, "")),
    )  # fmt: skip
    server = uvicorn.Server(configured(app, "127.0.0.1:0", renewal.context()))
    thread = threading.Thread(target=server.run)
    thread.start()
    options = {"address": "127.0.0.1:0", "max_body": 1000, "certificates": renewal.contents}
    address, stop = otlp_grpc.build(options).listen(
        otlp.build({}), sink, Access(None, None, SENDERS).may_send
    )

    def over_grpc(pair, authority):
        own = [Path(f).read_bytes() for f in pair.files]
        shown = grpc.ssl_channel_credentials(Path(authority.file).read_bytes(), own[1], own[0])
        with grpc.secure_channel(address, shown) as channel:
            channel.unary_unary(METHOD)(BODY, timeout=10)

    try:
        while not server.started:
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        agent = first.issue("otel-agent")
        assert shown_to(port, first, pair=agent) == ("old", "200")
        unfit = f"is not the key of {files.certificate}: give the one it was made with"
        # What does not fit is not used, and said once.
        files.key.write_bytes(Path(second.issue("other").key).read_bytes())
        with caplog.at_level("INFO", logger="nibai.tls"):
            assert shown_to(port, first, pair=agent) == ("old", "200")
            assert shown_to(port, first, pair=agent) == ("old", "200")
            put(second.issue("new"), files)
            clients.write_bytes(Path(second.file).read_bytes())
            assert shown_to(port, second, pair=second.issue("otel-b")) == ("new", "200")
        assert [record.getMessage() for record in caplog.records] == [
            f"otlp.tls.key: {files.key} {unfit}; the certificate of before goes on",
            f"otlp.tls: {files.certificate} was renewed",
        ]
        with pytest.raises((ssl.SSLError, ConnectionError)):
            shown_to(port, second, pair=agent)
        over_grpc(second.issue("otel-b"), second)
        put(second.issue("newest"), files)
        put(first.issue("again"), files)
        clients.write_bytes(Path(first.file).read_bytes())
        over_grpc(agent, first)
        with pytest.raises(grpc.RpcError):
            over_grpc(second.issue("otel-b"), first)
        files.certificate.unlink()
        assert shown_to(port, first, pair=agent) == ("again", "200")
    finally:
        server.should_exit = True
        thread.join()
        stop()


# -- files and settings that are wrong ---------------------------------------------------------


def problem(pair, clients=None):
    files = [*map(Path, pair.files), None if clients is None else Path(clients)]
    with pytest.raises(ConfigError) as raised:
        Certificates(*files).context()
    return str(raised.value)


def test_every_file_that_is_wrong_is_said_with_its_setting(folder, authority, pairs):
    server, other = pairs["server"], pairs["prometheus"]
    texts = folder / "notes.pem"
    texts.write_text("no certificate")
    broken = folder / "broken.pem"
    broken.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    missing = str(folder / "missing.pem")

    def pair(certificate=server.certificate, key=server.key):
        return type(server)(str(certificate), str(key))

    assert problem(pair(missing)) == (
        f"otlp.tls.certificate: {missing} cannot be read (No such file or directory): "
        "check the path"
    )
    assert problem(pair(key=missing)) == (
        f"otlp.tls.key: {missing} cannot be read (No such file or directory): check the path"
    )
    assert problem(pair(texts)) == (
        f"otlp.tls.certificate: {texts} holds no certificate in PEM form"
    )
    assert problem(pair(key=texts)) == f"otlp.tls.key: {texts} holds no private key in PEM form"
    assert problem(pair(key=other.key)) == (
        f"otlp.tls.key: {other.key} is not the key of {server.certificate}: "
        "give the one it was made with"
    )
    locked = authority.issue("locked", password=b"x")
    assert problem(locked) == (
        f"otlp.tls.key: {locked.key} is encrypted: give it without a password"
    )
    old, young = (
        authority.issue("old", until_days=-1),
        authority.issue("young", since_days=1, until_days=2),
    )
    assert problem(old) == f"otlp.tls.certificate: {old.certificate} has expired: renew it"
    assert problem(young) == (
        f"otlp.tls.certificate: {young.certificate} is not valid yet: check it, and the clock of "
        "this machine"
    )
    assert problem(pair(broken)).startswith(
        f"otlp.tls.certificate: {broken} is no certificate and key that OpenSSL takes ("
    )
    assert problem(server, texts) == (f"otlp.tls.clients: {texts} holds no certificate in PEM form")
    assert problem(server, broken).startswith(
        f"otlp.tls.clients: {broken} holds no authority that OpenSSL takes ("
    )


def test_certificates_of_clients_stand_for_a_token_off_loopback():
    files = {"certificate": "a.pem", "key": "a.key"}

    def otlp_of(**tls):
        return Config.model_validate({"otlp": {"listen": "0.0.0.0:4318", "tls": files | tls}}).otlp

    assert otlp_of(clients="ca.pem").tls.senders == ("*",)
    with pytest.raises(ValueError, match=r"needs a token .* or client certificates"):
        otlp_of()
    with pytest.raises(ValueError, match="set clients, the file of their authority"):
        otlp_of(senders=["otel"])

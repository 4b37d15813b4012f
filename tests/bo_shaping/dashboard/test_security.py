import pytest

pytest.importorskip("starlette", reason="needs starlette (extra dashboard)")
pytest.importorskip("httpx2", reason="needs httpx2, the test client of starlette (extra dev)")

from starlette.testclient import TestClient

from bo_shaping.dashboard.security import is_loopback
from bo_shaping.dashboard.server import make_app

PAGES = ("/", "/study/toy/", "/study/toy/events", "/study/toy/picture/kl.csv", "/static/dashboard.css", "/nowhere")


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8421", "127.0.0.1.evil.example", "", "localhost.", "::2"]
)
@pytest.mark.parametrize("address", PAGES)
def test_a_name_that_was_rebound_to_this_machine_is_refused(client, toy, host, address):
    answer = client.get(address, headers={"Host": host})
    assert answer.status_code == 421
    assert "toy" not in answer.text


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:8421", "localhost:1", "LOCALHOST", "[::1]:8421"])
def test_names_of_this_machine_are_answered(client, toy, host):
    assert client.get("/", headers={"Host": host}).status_code == 200


def test_every_answer_forbids_scripts_that_are_not_ours(client, toy):
    for address in ("/", "/study/toy/", "/study/toy/picture/kl.svg", "/nowhere", "/static/dashboard.js"):
        headers = client.get(address).headers
        policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
        assert policy["script-src"] == "'self'"
        assert policy["default-src"] == "'none'"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"


@pytest.mark.parametrize("headers", [
    {"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"},
    {"Origin": "http://127.0.0.1:9999"},
])  # fmt: skip
def test_forms_of_other_sites_are_refused(client, headers):
    assert client.post("/explorer/", content="response=a&method=shapley", headers=headers).status_code == 403


def test_with_a_token_only_who_carries_it_sees_anything(shelf, toy):
    with TestClient(make_app(shelf, token="s3cret"), base_url="http://studies.example") as client:
        for address in (*PAGES, "/?token=wrong", "/?token=", "/?token=S3CRET"):
            answer = client.get(address)
            assert answer.status_code == 401
            assert "toy" not in answer.text
        assert client.get("/", headers={"Authorization": "Bearer s3cret"}).status_code == 200
        assert client.get("/", headers={"Authorization": "Bearer s3cre"}).status_code == 401
        assert client.get("/", headers={"Cookie": "bo_shaping_token=\u00e9".encode("latin-1")}).status_code == 401


def test_the_token_leaves_the_address_and_stays_in_a_cookie_that_no_script_reads(shelf, toy):
    with TestClient(make_app(shelf, token="s3cret"), base_url="http://studies.example") as client:
        answer = client.get("/study/toy/?status=failed&token=s3cret", follow_redirects=False)
        assert answer.status_code == 303
        assert answer.headers["location"] == "./?status=failed"
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "samesite=strict" in cookie.lower()
        assert client.get("/study/toy/").status_code == 200


def test_the_redirect_never_leads_to_another_site(shelf):
    with TestClient(make_app(shelf, token="s3cret"), base_url="http://studies.example") as client:
        for path in ("//evil.example", "//evil.example/", "/http://evil.example"):
            answer = client.get(f"http://studies.example{path}?token=s3cret", follow_redirects=False)
            assert not answer.headers["location"].startswith(("//", "http"))


@pytest.mark.parametrize(("host", "expected"), [
    ("127.0.0.1", True), ("127.3.2.1", True), ("::1", True), ("localhost", True), ("::", False),
    ("0.0.0.0", False),  # noqa: S104 (asked about, not bound)

    ("192.168.1.4", False), ("somewhere", False),
])  # fmt: skip
def test_which_addresses_only_this_machine_reaches(host, expected):
    assert is_loopback(host) is expected

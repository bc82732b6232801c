"""What the fuzzer sends, and what it demands of every answer.

A generated header has characters above U+00FF for what only a running site knows, such as its
cookies, so that a case stays the same from run to run and reads well where it fails.
"""

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import html5lib
from hypothesis import strategies as st

from sessionsite.request import FORM_BYTES
from sessionsite.sessions.memory import MemoryStore
from sessionsite.sessions.server.factory import ServerSessionFactory
from sessionsite.sessions.server.token_cookie import Credentials
from tests.harness.sites import Site
from tests.security.wsgi import environ_of

MARK = "<fuzz'\">"
OTHER = "the-other-visitor"
NAME, MINE, THEIRS, HALF, REST, TOKEN, SIGNED = "①②③④⑤⑥⑦"
PAGES = ["/", "/about", "/contact"]
PATHS = [*PAGES, "/forget", "/healthz", "/favicon.ico", "/static/site.css", "/nothing", "//"]
HEADERS = {
    "Content-Security-Policy", "Cross-Origin-Opener-Policy", "Referrer-Policy",
    "X-Content-Type-Options",
}  # fmt: skip
SAFE_LINK = re.compile(r"https?://|mailto:|/(?!/)|#")


@dataclass(frozen=True)
class Answer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def values(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]


class Target:
    """A site with two visitors; `fill` puts their cookies in the place of the characters."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.name = "sessionsite" if site.name == "development" else "__Host-sessionsite"
        self.secret = ""
        self.row: dict[str, Any] = {}
        self.values: dict[str, str] = {NAME: self.name}
        self.values[THEIRS], _ = self._visitor(f"?{OTHER}")
        self.values[MINE], self.values[TOKEN] = self._visitor("?mine")
        cut = len(self.values[MINE]) // 2
        self.values |= {HALF: self.values[MINE][:cut], REST: self.values[MINE][cut:]}
        self.values[SIGNED] = self._signed()
        self.store: Any = getattr(site.factory, "store", None)
        self.records = dict(self.store._records) if isinstance(self.store, MemoryStore) else {}

    def _visitor(self, query: str) -> tuple[str, str]:
        visitor = self.site.visitor()
        page = visitor.get(f"/about{query}")
        return visitor.cookies[self.name], page.forms[0]["csrf_token"].value

    def _signed(self) -> str:
        """A cookie that is signed as it should be, with a token that the site did not issue."""
        if not isinstance(self.site.factory, ServerSessionFactory):
            return self.values[MINE][::-1]
        signer = self.site.factory.cookie._signer
        theirs = signer.loads(self.values[THEIRS].encode())
        signed: bytes = signer.dumps(Credentials(theirs.id, bytes(32)))
        return signed.decode()

    def reset(self) -> None:
        """Undo what the case before has done to the store."""
        if isinstance(self.store, MemoryStore):
            self.store._records = dict(self.records)

    def fill(self, text: str) -> str:
        return re.sub("[①-⑦]", lambda match: self.values[match[0]], text)

    def opens(self, header: str) -> str:
        """Return which of the two sessions a Cookie header opens: MINE, THEIRS or "".

        That is RFC 6265 once more, by itself; a comma ends a value.
        """
        values = set()
        for pair in self.fill(header).split(";"):
            name, _, value = pair.partition(",")[0].partition("=")
            if name.strip(" \t") == self.name:
                values.add(re.sub('^"(.*)"$', r"\1", value.strip(" \t")))
        live = [each for each in (MINE, THEIRS) if self.values[each] in values]
        return live[0] if len(live) == 1 else ""

    def send(self, method: str, path: str, body: bytes = b"", **environ: Any) -> Answer:
        """Send one request to the WSGI app; a value of None leaves its key out.

        Asserts that of a body no more is read than the bound, and only at the form's address.
        """
        sent = environ_of(self.site, method, path, body)
        for key, value in environ.items():
            sent[key] = self.fill(value) if isinstance(value, str) else value
        sent = {key: value for key, value in sent.items() if value is not None}
        stream = sent["wsgi.input"]
        started: list[tuple[str, list[tuple[str, str]]]] = []
        chunks = self.site.app(
            sent, lambda status, headers, _=None: started.append((status, headers))
        )
        body = b"".join(chunks)
        if close := getattr(chunks, "close", None):
            close()
        ((status, headers),) = started
        assert stream.tell() <= (FORM_BYTES + 1 if path == "/forget" else 0)
        return Answer(int(status.split()[0]), headers, body)

    def check(self, answer: Answer, theirs: bool = False) -> None:
        """Assert what holds for every answer; `theirs`: the request opens the other's session."""
        assert 200 <= answer.status < 500
        wanted = HEADERS | ({"Strict-Transport-Security"} if self.site.scheme == "https" else set())
        assert wanted <= {name for name, _ in answer.headers}
        for name, value in answer.headers:
            assert re.fullmatch(r"[\x20-\x7e]*", name + value), (name, value)
            # not just "fuzz", which is in one random token out of some hundred thousand
            assert not re.search("fuzz['%=]", value), (name, value)
        assert all(len(cookie) <= 4096 for cookie in answer.values("Set-Cookie"))
        assert {f"{self.site.url}/"} >= set(answer.values("Location"))
        text = answer.body.decode("latin-1")
        assert not re.search("<fuzz|fuzz['\"]", text)
        if not theirs:
            assert OTHER not in text
        # Pyramid's own text of a redirect has no doctype, and no browser shows it.
        is_page = answer.body and answer.status != 303
        if is_page and answer.values("Content-Type")[0].startswith("text/html"):
            check_html(answer.body.decode())


@lru_cache(maxsize=64)
def check_html(text: str) -> None:
    """Assert that a page is valid, runs nothing, and links to nothing that runs."""
    tree = html5lib.HTMLParser(strict=True).parse(text)
    for element in tree.iter():
        tag = str(element.tag).partition("}")[2]
        assert tag not in {"script", "iframe", "object", "embed", "base", "svg", "math", "style"}
        for name, value in element.attrib.items():
            assert not name.lower().startswith("on"), (tag, name)
            assert name != "style", tag
            if name in {"href", "src", "action", "formaction"}:
                assert SAFE_LINK.match(value), value


def texts(pieces: list[str], size: int = 20) -> st.SearchStrategy[str]:
    """Text of these pieces and of any byte, so that it often comes close to an attack."""
    piece = st.sampled_from(pieces) | st.characters(max_codepoint=255)
    return st.lists(piece, max_size=size).map("".join)


def optional(strategy: st.SearchStrategy[str]) -> st.SearchStrategy[str | None]:
    return st.none() | strategy


SPACES = ["", "", "", " ", "\t", "\xa0", "\x85", "\x1c", "\x1f", "\v", "\f", "\r", "\n", "\x00"]
NAMES = [
    NAME, NAME, NAME, f"a=b,{NAME}", f"{NAME}.", f"${NAME}", f'"{NAME}"', "__Secure-x", "path",
    f"%5F{NAME}", f"a=[{NAME}", f"a=b {NAME}", "sessionsite", "__host-sessionsite", "", "$Version",
    f'a="{NAME}', f"a=\\{NAME}", f"{NAME}[a]", "__HOST-SESSIONSITE", f"{NAME}{NAME}", "expires",
    f"a=b%3B{NAME}", f"a%3Db%3B%20{NAME}", "%73essionsite", "SESSIONSITE",
]  # fmt: skip
VALUES = [
    MINE, MINE, THEIRS, THEIRS, SIGNED, f'"{MINE}"', f'"{THEIRS}"', f"'{THEIRS}'", f"{THEIRS}=",
    HALF, REST, f"{HALF}{REST}", TOKEN, f"{THEIRS},{NAME}={MINE}", f"{THEIRS}, a=b", f'"{THEIRS}',
    f"\\{THEIRS}", "1", "",
]  # fmt: skip
PAIRS = st.builds(
    lambda name, value, spaces: "{}{name}{}={}{value}{}".format(*spaces, name=name, value=value),
    st.sampled_from(NAMES),
    st.sampled_from(VALUES) | texts([MARK, MINE, THEIRS, '"', "\\377", "["], 4),
    st.lists(st.sampled_from(SPACES), min_size=4, max_size=4),
)
# The very name, as often as not, and a live value, with any space around them.
SPACED = st.builds(
    lambda name, value, spaces: "{}{name}{}={}{value}{}".format(*spaces, name=name, value=value),
    st.sampled_from([*[NAME] * 20, *NAMES]),
    st.sampled_from([THEIRS, THEIRS, MINE, SIGNED]),
    st.lists(st.sampled_from(SPACES), min_size=4, max_size=4),
)
JOINED = st.tuples(PAIRS | SPACED, st.sampled_from([";", "; ", "; ", ",", ", ", "\n"])).map("".join)
COOKIES = (
    st.sampled_from(
        [
            f"{NAME}={MINE}",
            f"{NAME}={THEIRS}",
            f"{NAME}={THEIRS}; {NAME}={MINE}",
            f"{NAME}={SIGNED}",
        ]
    )
    # The own one, and one that a neighbour may have set, in either order.
    | st.tuples(PAIRS | SPACED, st.just(f"{NAME}={MINE}")).map("; ".join)
    | st.tuples(st.just(f"{NAME}={MINE}"), PAIRS | SPACED).map("; ".join)
    | SPACED
    | st.lists(JOINED, min_size=1, max_size=4).map("".join)
    | texts([NAME, MINE, THEIRS, HALF, "=", ";", "; ", ",", " ", '"', "$Version", "path", MARK])
)
METHODS = st.sampled_from(["GET"] * 8 + ["HEAD", "POST", "PUT", "OPTIONS", "get", "\xff", ""])
URL_PIECES = [
    "a", "=", "&", "?", "%", "%ff", "%00", "%E2%82%AC", "/", "..", "#", "javascript:", "\xc3\xa9",
    "\xff", "\x00", "{{7*7}}", "%s", "{0}", "fuzz=1&" * 99, "x" * 3000, MARK, MARK,
]  # fmt: skip
QUERIES = texts(URL_PIECES)
ANY_PATH = st.sampled_from(PATHS) | st.builds("".join, st.tuples(st.sampled_from(PATHS), QUERIES))
SERVED = re.compile(r"(localhost|127\.0\.0\.1|\[::1\]|\[(0+:){7}0*1\])\.?(:\d{1,5})?", re.I | re.A)
HOSTS = st.sampled_from(
    [
        "localhost",
        "localhost:1",
        "[::1]",
        "LOCALHOST.",
        "127.0.0.1:65535",
        "localhost.evil.example",
        "evil.example",
        "localhost@evil.example",
        "[0:0:0:0:0:0:0:1]",
        "notlocalhost",
        "localhost,x",
    ]
) | (texts(["localhost", "[", "]", ":", "::1", ".", "@", "/", "127.0.0.1", "99999", MARK], 5))
TYPES = st.sampled_from(
    ["application/x-www-form-urlencoded"] * 4
    + ["", "multipart/form-data; boundary=b", "multipart/form-data", "text/plain", "*/*;q=\xff",
       "application/x-www-form-urlencoded; charset=x", f"a/b; boundary={MARK}",
     "application/x-www-form-urlencoded; charset=utf-16", "application/X-WWW-form-urlencoded",
     "application/x-www-form-urlencoded, text/plain", "multipart/mixed; boundary=b"]
)  # fmt: skip
BODIES = texts(
    [
        "csrf_token",
        "=",
        "&",
        ";",
        TOKEN,
        "%",
        "%ff",
        "%E2%82%AC",
        "%00",
        "a=1&" * 30,
        MARK,
        "--b",
        "\r\n",
        '\r\nContent-Disposition: form-data; name="csrf_token"\r\n\r\n',
        "\xe2\x82\xac",
    ]
) | st.sampled_from(
    [
        f"csrf_token={TOKEN}",
        "csrf_token=%E2%82%AC",
        "x" * 16385,
        "x" * 20000,
        f"csrf_token={TOKEN}&a={16384 * 'x'}",
        f"csrf_token={TOKEN}{'&a' * 20}",
        f"{'a&' * 8000}csrf_token={TOKEN}",
        f"csrf_token={TOKEN}&csrf_token=",
        "a" * 16384,
    ]
)
PART_HEADERS = (
    st.sampled_from(
        [
            'form-data; name="csrf_token"',
            'form-data; name="a"; filename=""',
            "form-data",
            "x; y=z",
            'form-data; name="a"; filename="b"',
            "attachment",
        ]
    ).map("Content-Disposition: {}\r\n".format)
    | st.sampled_from(["base64", "quoted-printable", "binary", "8bit", "x-uuencode", "\xff"]).map(
        "Content-Transfer-Encoding: {}\r\n".format
    )
    | st.sampled_from(
        [
            "multipart/mixed; boundary=b",
            "text/plain; charset=utf-16",
            "text/plain; charset=x",
            "\xff",
        ]
    ).map("Content-Type: {}\r\n".format)
)
PARTS = st.tuples(
    st.just("--b\r\n"),
    st.lists(PART_HEADERS, max_size=3).map("".join),
    st.just("\r\n"),
    st.sampled_from([TOKEN, "", "x", "=\xff", "AAA", "--b", "begin 644"]),
    st.just("\r\n"),
).map("".join)
MULTIPARTS = st.tuples(
    st.lists(PARTS, min_size=1, max_size=4).map("".join), st.sampled_from(["--b--\r\n", "--b", ""])
).map("".join)
# Each body with its content type, as often as not the one that it has.
FORMS = st.tuples(BODIES, TYPES) | st.tuples(
    MULTIPARTS, st.just("multipart/form-data; boundary=b") | TYPES
)  # fmt: skip
LENGTHS = st.sampled_from(["0", "1", "7", "16384", "16385", "99999999999", "-1", "", "x", "\xb2"])
HEADER_NAMES = st.sampled_from(
    ["REFERER", "REFERER", "ORIGIN", "USER_AGENT",
     "ACCEPT", "ACCEPT_CHARSET", "ACCEPT_ENCODING", "ACCEPT_LANGUAGE",
     "AUTHORIZATION", "CACHE_CONTROL", "CONNECTION", "DATE", "EXPECT", "FORWARDED", "IF_MATCH",
     "IF_MODIFIED_SINCE", "IF_NONE_MATCH", "IF_RANGE", "IF_UNMODIFIED_SINCE", "MAX_FORWARDS",
     "ORIGIN", "PRAGMA", "RANGE", "REFERER", "SEC_FETCH_DEST", "SEC_PURPOSE", "TE",
     "TRANSFER_ENCODING", "UPGRADE", "USER_AGENT", "X_CSRF_TOKEN", "X_FORWARDED_FOR",
     "X_FORWARDED_HOST", "X_FORWARDED_PROTO", "X_HTTP_METHOD", "X_HTTP_METHOD_OVERRIDE",
     "X_REQUESTED_WITH", "X_SCRIPT_NAME"]
).map("HTTP_{}".format)  # fmt: skip
HEADER_VALUES = texts(
    ["https://", "http://", "localhost", "[", "]", ":", "::1", "/", "null", "bytes=", "0-", "-1",
     "Mon, 01 Jan 2030 00:00:00 GMT", "W/", '"', "*", ",", ";q=", "document", "prefetch", "gzip",
     "POST", "9" * 30, TOKEN, "\xe2\x82\xac", MARK], 6
)  # fmt: skip
REQUEST_HEADERS = st.dictionaries(HEADER_NAMES, HEADER_VALUES, max_size=5)

# Stored data: JSON of any shape under the names that the site reads, and text that is none.
STORED_TEXTS = st.sampled_from(
    [MARK, "javascript:alert(1)", "http://x/" + MARK, "https://é", "//x", "\ud800", "\x00", "€",
     "\uffff", "http://\ud800", "x" * 300, "\U0001f600", " http://x"]
) | st.text(max_size=9)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | STORED_TEXTS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["a", "history", MARK]), inner, max_size=3)
    ),
    max_leaves=6,
)
DEEP = st.sampled_from([50, 199, 201, 300, 500, 700, 850, 900, 925, 950, 975, 990, 100_000])
# Mostly what a session can hold: one wrong key, and none of the others is looked at.
DATA = st.fixed_dictionaries(
    {},
    optional={
        "history": STORED_TEXTS | st.lists(STORED_TEXTS, max_size=25) | JSON,
        "_csrft_": st.sampled_from(["x" * 64, "x" * 64, "x" * 64, MARK]) | STORED_TEXTS | JSON,
        "_f_": st.sampled_from([2, 2, 1, 0]).flatmap(
            lambda kind: (
                st.lists(STORED_TEXTS, max_size=4)
                if kind == 2
                else st.lists(JSON, max_size=4)
                if kind
                else JSON
            )
        ),
        "_f_x": st.lists(JSON, max_size=2) | st.lists(STORED_TEXTS, max_size=2) | JSON,
        MARK: JSON,
    },
)
PAYLOADS = (
    st.builds(
        lambda text, end: text[:end],
        DATA.map(json.dumps) | JSON.map(json.dumps) | st.text(max_size=9),
        st.none() | st.integers(0, 60),
    )
    | st.builds(
        lambda key, depth: f'{{"{key}": {"[" * depth}{"]" * depth}}}',
        st.sampled_from(["a", "_f_", "history", "_csrft_"]),
        DEEP,
    )
    | st.builds(
        '{{"{}": {}}}'.format,
        st.sampled_from(["a", "_f_", "history"]),
        st.sampled_from(
            ["1e400", "-1e400", "NaN", "Infinity", "9" * 4000, "9" * 5000, "1e-400", "[1e400]"]
        ),
    )
    | st.builds('{{"{}": 1, "{}": 2}}'.format, *2 * [st.sampled_from(["a", "_f_", "_csrft_"])])
)
# The two times in a signed cookie; "now" is its second.
TIMES = st.sampled_from(["now"] * 30 + ["0", "-1", "9" * 11, "9" * 10, "1e9", "", "x", "true",
                         "9" * 30, "34359738368", "34359738367", "+1", "\u0661"])  # fmt: skip
COLUMNS = [
    "token_hash", "payload", "version", "created_at", "created_at", "seen_at", "seen_at",
    "expires_at", "old_token_hash", "old_token_valid", "rotated_at", "rotated_at",
    "token_confirmed",
]  # fmt: skip
ODD = st.sampled_from(
    ["9999-12-31 23:59:59.999999", "0001-01-01 00:00:00", "2030-02-30", 0, 1, 2**31 - 1, -1]
)
CELLS = (
    ODD | ODD | st.none() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.binary(max_size=9)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=9) | DATA.map(json.dumps)
)  # fmt: skip

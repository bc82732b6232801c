"""What JSON would change or lose is refused or translated, with every factory alike."""

from collections.abc import Iterator
from enum import Enum, IntEnum, StrEnum
from typing import Any

import pytest
from markupsafe import Markup
from pyramid import testing
from pyramid.i18n import TranslationStringFactory
from pyramid.threadlocal import manager

from sessionsite.sessions import stored_as
from sessionsite.sessions.ini import ConfigurationError
from sessionsite.sessions.payload import PayloadError
from tests.contract.kit import Kit, data_of

_ = TranslationStringFactory("shop")


class Colour(str, Enum):  # noqa: UP042  # which str() does not show as its value
    RED = "red"


class Size(StrEnum):
    LARGE = "large"


class Level(IntEnum):
    HIGH = 3


class Plain(Enum):
    ONE = "one"


class Slug(str):
    """Text with a method or two."""


class LateText(str):
    """A text that looks itself up when it is shown."""

    def __str__(self) -> str:
        return f"<{super().__str__()}>"


class LazyString:
    """A text that waits for its language, and is no str: speaklater's, flask-babel's."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __str__(self) -> str:
        return self.text


class Snippet:
    def __html__(self) -> str:
        return "<b>"


def refusal(kit: Kit, change: Any, **settings: str) -> str:
    """The message of the error at the response."""
    request = kit.visitor(**settings).open()
    change(request.session)
    with pytest.raises(PayloadError) as caught:
        request.session.save_for_response(request)
    return str(caught.value)


class TestKeys:
    @pytest.mark.parametrize(
        ("key", "kind"),
        [(7, "int"), (None, "NoneType"), (True, "bool"), (0.5, "float"), ((1, 2), "tuple"),
         (b"x", "bytes"), (Level.HIGH, "Level"), (Plain.ONE, "Plain"), (10**5000, "int")],
        ids=lambda value: type(value).__name__,
    )  # fmt: skip
    @pytest.mark.parametrize(
        ("put", "path"),
        [
            (lambda s, key: s.__setitem__("d", {key: 1}), "session['d']"),
            (lambda s, key: s.__setitem__("d", [0, {"x": ({key: 1},)}]), "session['d'][1]['x'][0]"),
            (lambda s, key: s.__setitem__(key, 1), "session"),
            (lambda s, key: s.flash({key: 1}), "session['_f_'][0]"),
        ],
        ids=["inside", "deep", "outside", "flash"],
    )
    def test_one_that_is_no_text_names_its_path(
        self, kit: Kit, key: Any, kind: str, put: Any, path: str
    ) -> None:
        message = refusal(kit, lambda s: put(s, key))
        assert f"{path}: a key of type {kind}; use str" in message

    def test_a_counter_by_number_is_refused_and_does_not_stand_still(self, kit: Kit) -> None:
        """`{"7": 1, "7": 1}`: JSON writes both, and reads the last."""
        visitor = kit.visitor()
        with visitor.request() as session:
            session["views"] = {"7": 1}
        request = visitor.open()
        views = request.session["views"]
        views[7] = views.get(7, 0) + 1
        request.session.changed()
        with pytest.raises(PayloadError, match=r"session\['views'\]: a key of type int; use str"):
            request.session.save_for_response(request)
        assert data_of(visitor) == {"views": {"7": 1}}

    def test_transact_refuses_them_too_and_changes_nothing(self, kit: Kit) -> None:
        visitor = kit.visitor()
        with visitor.request() as session:
            session["d"] = {}
        with visitor.request() as session:
            with pytest.raises(PayloadError, match=r"session\['d'\]: a key of type int"):
                session.transact(lambda s: s["d"].update({7: 1}))
            assert session == {"d": {}}
        assert data_of(visitor) == {"d": {}}

    @pytest.mark.parametrize("key", [Colour.RED, Size.LARGE, Slug("red")])
    def test_a_subclass_of_str_is_the_text_that_it_is(self, kit: Kit, key: Any) -> None:
        visitor = kit.visitor()
        with visitor.request() as session:
            session[key] = {key: key}
        with visitor.request() as session:
            assert session[key][key] == key
            ((outer, inner),) = session.items()
        assert {type(outer), type(*inner), type(inner[key])} == {str}


class TestCoercedKeys:
    def test_json_makes_them_text(self, kit: Kit) -> None:
        visitor = kit.visitor(coerce_keys="true")
        with visitor.request() as session:
            session["d"] = {1: "a", None: "b", False: "c", 0.5: "d"}
        assert data_of(visitor) == {"d": {"1": "a", "null": "b", "false": "c", "0.5": "d"}}

    def test_of_two_keys_that_become_one_the_last_is_stored(self, kit: Kit) -> None:
        visitor = kit.visitor(coerce_keys="true")
        with visitor.request() as session:
            session["d"] = {"7": 1, 7: 2}
            session.flash({1: "x"})
            session.flash({"1": "x"}, allow_duplicate=False)
        assert data_of(visitor) == {"d": {"7": 2}, "_f_": [{"1": "x"}]}

    @pytest.mark.parametrize(
        "key", [(1, 2), b"x", float("nan"), 10**5000], ids=lambda k: type(k).__name__
    )
    def test_what_json_knows_no_text_for_is_refused(self, kit: Kit, key: Any) -> None:
        message = refusal(kit, lambda s: s.__setitem__("d", {key: 1}), coerce_keys="true")
        assert message.startswith("session['d']: ")

    def test_a_session_that_is_too_large_names_its_key(self, kit: Kit) -> None:
        settings = {"max_bytes": "5000"} if kit.on_a_server else {}
        message = refusal(
            kit, lambda s: s.update({"small": 1, "large": {7: "x" * 6000}}),
            coerce_keys="true", **settings,
        )  # fmt: skip
        assert "session['large'] is its largest part" in message

    def test_it_is_a_boolean(self, kit: Kit) -> None:
        with pytest.raises(ConfigurationError, match=r"session\.coerce_keys = 'yess'"):
            kit.factory(coerce_keys="yess")


class TestValues:
    @pytest.mark.parametrize("value", [Colour.RED, Size.LARGE, Slug("x"), Level.HIGH])
    def test_one_that_equals_what_json_holds_is_that(self, kit: Kit, value: Any) -> None:
        visitor = kit.visitor()
        with visitor.request() as session:
            session["v"] = [value]
        (stored,) = data_of(visitor)["v"]
        assert stored == value
        assert type(stored) in (str, int)

    def test_a_text_that_looks_itself_up_is_stored_as_it_is_shown(self, kit: Kit) -> None:
        visitor = kit.visitor()
        with visitor.request() as session:
            session["v"] = LateText("hello")
        assert data_of(visitor) == {"v": "<hello>"}

    @pytest.mark.parametrize("value", [Markup("<b>"), Snippet()], ids=["Markup", "object"])
    def test_markup_is_refused_rather_than_escaped(self, kit: Kit, value: Any) -> None:
        message = refusal(kit, lambda s: s.flash(value))
        assert "would come back as text to escape" in message
        assert type(value).__name__ in message

    def test_an_enumeration_that_is_no_text_is_refused(self, kit: Kit) -> None:
        message = refusal(kit, lambda s: s.__setitem__("v", Plain.ONE))
        assert message == "session['v'] can't be stored as JSON: a value of type Plain"


@pytest.fixture
def german() -> Iterator[None]:
    """A request of a visitor who reads German."""

    class Localizer:
        def translate(self, text: Any) -> str:
            return {"saved": "Gespeichert", "hello": "Hallo ${name}"}[text].replace(
                "${name}", (text.mapping or {}).get("name", "")
            )

    request = testing.DummyRequest()
    request.localizer = Localizer()
    manager.push({"request": request, "registry": None})
    yield
    manager.pop()


class TestTranslations:
    @pytest.mark.usefixtures("german")
    def test_a_translation_is_stored_as_its_text_in_the_visitors_language(self, kit: Kit) -> None:
        visitor = kit.visitor()
        with visitor.request() as session:
            session.flash(_("saved", default="Saved"))
            session["greeting"] = {"text": _("hello", mapping={"name": "Ann"})}
        with visitor.request() as session:
            assert session.pop_flash() == ["Gespeichert"]
            assert session["greeting"] == {"text": "Hallo Ann"}

    def test_with_no_request_it_is_stored_as_its_default(self, kit: Kit) -> None:
        visitor = kit.visitor()
        with visitor.request() as session:
            session.flash(_("hello", default="Hello ${name}", mapping={"name": "Ann"}))
        assert data_of(visitor) == {"_f_": ["Hello Ann"]}

    @pytest.mark.usefixtures("german")
    def test_it_is_the_same_message_as_its_text(self, kit: Kit) -> None:
        visitor = kit.visitor()
        for message in (_("saved"), "Gespeichert", _("saved")):
            with visitor.request() as session:
                session.flash(message, allow_duplicate=False)
        assert data_of(visitor) == {"_f_": ["Gespeichert"]}

    def test_another_package_s_is_refused_until_the_app_registers_it(
        self, kit: Kit, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Lazy(LazyString):
            pass

        message = refusal(kit, lambda s: s.flash(Lazy("hi")))
        assert message == "session['_f_'][0] can't be stored as JSON: a value of type Lazy"
        stored_as.register(Lazy, str)
        visitor = kit.visitor()
        with visitor.request() as session:
            session.flash(Lazy("hi"))
            session["v"] = (Lazy("a"), {"b": Lazy("c")})
        assert data_of(visitor) == {"_f_": ["hi"], "v": ["a", {"b": "c"}]}

    def test_what_a_registered_function_gives_is_looked_at_as_well(self, kit: Kit) -> None:
        class Odd:
            pass

        stored_as.register(Odd, lambda odd: {7: odd})
        assert "session['v']: a key of type int" in refusal(kit, lambda s: s.update(v=Odd()))

        class Endless:
            pass

        stored_as.register(Endless, lambda value: value)
        assert "contains itself" in refusal(kit, lambda s: s.update(v=Endless()))

    def test_a_type_that_nothing_is_registered_for_raises(self) -> None:
        with pytest.raises(TypeError, match="a value of type object"):
            stored_as(object())


class TestFlash:
    @pytest.mark.parametrize(
        "message", [("saved", "info"), {"text": ("a", "b")}, Colour.RED, 1, [None]], ids=repr
    )
    def test_a_duplicate_is_known_after_it_was_stored(self, kit: Kit, message: Any) -> None:
        visitor = kit.visitor()
        for _request in range(3):
            with visitor.request() as session:
                session.flash(message, allow_duplicate=False)
                session.flash(message, allow_duplicate=False)
        assert len(data_of(visitor)["_f_"]) == 1

    @pytest.mark.parametrize(("one", "other"), [(1, True), (0, False), (1, 1.0), ("1", 1)])
    def test_what_json_tells_apart_is_no_duplicate(self, kit: Kit, one: Any, other: Any) -> None:
        session = kit.visitor().open().session
        session.flash(one)
        session.flash(other, allow_duplicate=False)
        assert len(session.pop_flash()) == 2

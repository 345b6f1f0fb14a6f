"""One example for each limit of Discord's: what is sent, and words of the complaint about it."""

from typing import Any

from tests.platforms.discord_model import COMPONENTS_V2, EPHEMERAL

Case = tuple[dict[str, Any], str]


def row(*inner: dict[str, Any]) -> dict[str, Any]:
    return {"type": 1, "components": list(inner)}


def button(**more: Any) -> dict[str, Any]:
    return {"type": 2, "style": 1, "label": "Good", "custom_id": "good"} | more


def buttons(count: int, *, start: int = 0) -> list[dict[str, Any]]:
    return [button(custom_id=f"id{number}") for number in range(start, start + count)]


def menu(**more: Any) -> dict[str, Any]:
    return {"type": 3, "custom_id": "menu", "options": [{"label": "A", "value": "a"}]} | more


def text(content: str) -> dict[str, Any]:
    return {"type": 10, "content": content}


def new(*components: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"flags": COMPONENTS_V2, "components": list(components)} | more


LINK = {"type": 2, "style": 5, "label": "Open"}
OPTIONS = [{"label": str(n), "value": str(n)} for n in range(26)]
LONG_EMBED = {"description": "x" * 3001}

MESSAGES: list[Case] = [
    ({"content": "x" * 2001}, "content: 2001 characters, 2000 allowed"),
    ({"content": 5}, "content: text expected"),
    ({"contents": "hello"}, "contents: unknown field"),
    ({"content": "x", "nonce": "n" * 26}, "nonce: 26 characters, 25 allowed"),
    ({"content": "x", "flags": EPHEMERAL}, "flags: 64 cannot be set here"),
    ({"embeds": [{"title": "x"}] * 11}, "embeds: 11 items, 0 to 10 allowed"),
    ({"embeds": [{"title": "x" * 257}]}, "embeds[0].title: 257 characters"),
    ({"embeds": [{"description": "x" * 4097}]}, "embeds[0].description: 4097 characters"),
    ({"embeds": [{"footer": {"text": "x" * 2049}}]}, "embeds[0].footer.text: 2049 characters"),
    ({"embeds": [{"author": {"name": "x" * 257}}]}, "embeds[0].author.name: 257 characters"),
    ({"embeds": [{"fields": [{"name": "x", "value": "y"}] * 26}]}, "embeds[0].fields: 26 items"),
    ({"embeds": [{"fields": [{"name": "x" * 257, "value": "y"}]}]}, "fields[0].name: 257 characters"),
    ({"embeds": [{"fields": [{"name": "x", "value": "y" * 1025}]}]}, "fields[0].value: 1025 characters"),
    ({"embeds": [LONG_EMBED, LONG_EMBED]}, "embeds: 6002 characters in all embeds"),
    ({"content": "x", "allowed_mentions": {"parse": ["all"]}}, "'all' is not a kind of mention"),
    ({"content": "x", "allowed_mentions": {"users": ["ann"]}}, "allowed_mentions.users[0]"),
    ({"content": "x", "allowed_mentions": {"parse": ["users"], "users": ["1"]}}, "both listed and parsed"),
    ({"components": [row(*buttons(1, start=n)) for n in range(6)]}, "components: 6 items, 0 to 5 allowed"),
    ({"components": [row(*buttons(6))]}, "components[0].components: 6 items"),
    ({"components": [row()]}, "components[0].components: 0 items"),
    ({"components": [button()]}, "components[0].type: 2 is not a component allowed here"),
    ({"components": [row(button(), button())]}, "custom_id 'good' is used twice"),
    ({"components": [row(button(custom_id="x" * 101))]}, "custom_id: 101 characters"),
    ({"components": [row(button(label="x" * 81))]}, "label: 81 characters"),
    ({"components": [row(button(label=None))]}, "a button needs a label or an emoji"),
    ({"components": [row(button(style=9))]}, "9 is not a style"),
    ({"components": [row({"type": 2, "style": 1, "label": "x"})]}, "custom_id: required"),
    ({"components": [row(button(url="https://example.com"))]}, "only a link button has one"),
    ({"components": [row(LINK)]}, "url: required for a link button"),
    (
        {"components": [row(LINK | {"url": "https://e.com", "custom_id": "x"})]},
        "a link button cannot have one",
    ),
    ({"components": [row(menu(), *buttons(1))]}, "a menu stands alone in its row"),
    ({"components": [row(menu(options=OPTIONS))]}, "options: 26 items, 1 to 25 allowed"),
    ({"components": [row(menu(placeholder="x" * 151))]}, "placeholder: 151 characters"),
    ({"components": [row(menu(min_values=2, max_values=1))]}, "min_values: more than max_values"),
    ({"components": [row(menu(max_values=2))]}, "max_values: 2 of 1 options"),
    ({"components": [row(menu(options=[OPTIONS[0]] * 2))]}, "two options have the same value"),
    ({"components": [text("hello")]}, "components[0].type: 10 is not a component allowed here"),
    (new(text("hello"), content="x"), "a message of Components V2 has no content and no embeds"),
    (new(*[text("x")] * 41), "components: 41 items"),
    (new({"type": 17, "components": [text("x")] * 40}), "components: 41 components, 40 allowed"),
    (new(text("x" * 2001), text("y" * 2000)), "components: 4001 characters of text"),
    (new({"type": 9, "components": [text("x")]}), "accessory: required"),
    (new({"type": 14, "spacing": 3}), "spacing: 3, 1 to 2 allowed"),
]

GOOD_MESSAGES: list[dict[str, Any]] = [
    {"content": "x" * 2000, "components": [row(*buttons(5, start=5 * n)) for n in range(5)]},
    {"embeds": [{"title": "x" * 256, "description": "y" * 4096, "color": 5}]},
    {"components": [row(LINK | {"url": "https://example.com"}), row(menu())]},
    new({"type": 17, "accent_color": 5, "components": [text("x" * 4000), {"type": 14}, row(*buttons(2))]}),
    new({"type": 9, "components": [text("x")], "accessory": button()}),
]


def label(inner: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": 18, "label": "Why?", "component": inner} | more


def field(**more: Any) -> dict[str, Any]:
    return {"type": 4, "custom_id": "text", "style": 1} | more


def modal(*components: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"custom_id": "form", "title": "Form", "components": list(components)} | more


RADIO = {"type": 21, "custom_id": "radio", "options": OPTIONS[:2]}
BOXES = {"type": 22, "custom_id": "boxes", "options": OPTIONS[:2]}

MODALS: list[Case] = [
    (modal(label(field()), title="x" * 46), "data.title: 46 characters, 45 allowed"),
    (modal(label(field()), custom_id="x" * 101), "data.custom_id: 101 characters"),
    (modal(), "data.components: 0 items, 1 to 5 allowed"),
    (modal(*[text("x")] * 6), "data.components: 6 items, 1 to 5 allowed"),
    (modal(field()), "data.components[0].type: 4 is not a component allowed here"),
    (modal(label(field(), label="x" * 46)), "label: 46 characters"),
    (modal(label(field(), description="x" * 101)), "description: 101 characters"),
    (modal(label(field(placeholder="x" * 101))), "placeholder: 101 characters"),
    (modal(label(field(style=3))), "style: 3, 1 to 2 allowed"),
    (modal(label(field(max_length=4001))), "max_length: 4001, 1 to 4000 allowed"),
    (modal(label(field(min_length=5, max_length=4))), "min_length: more than max_length"),
    (modal(row(field())), "label: required"),
    (modal(row(field(label="x"), field(label="y"))), "components: 2 items, 1 to 1 allowed"),
    (modal(label(field()), label(field())), "custom_id 'text' is used twice"),
    (modal(label(RADIO | {"options": OPTIONS[:1]})), "options: 1 items, 2 to 10 allowed"),
    (modal(label(BOXES | {"options": OPTIONS[:11]})), "options: 11 items, 1 to 10 allowed"),
    (modal(label(BOXES | {"max_values": 3})), "max_values: 3 of 2 options"),
    (modal(label(button())), "component.type: 2 is not a component allowed here"),
]


def command(**more: Any) -> dict[str, Any]:
    return {"name": "ask", "description": "Ask", "type": 1} | more


def option(**more: Any) -> dict[str, Any]:
    return {"name": "question", "description": "What", "type": 3} | more


COMMANDS: list[tuple[list[dict[str, Any]], str]] = [
    ([command(name="Ask")], "commands[0].name: 'Ask'"),
    ([command(name="x" * 33)], "commands[0].name"),
    ([command(description="x" * 101)], "commands[0].description: 101 characters"),
    ([command(description="")], "commands[0].description: 0 characters"),
    ([command(options=[option(name=f"o{n}") for n in range(26)])], "options: 26 items"),
    ([command(options=[option(), option()])], "two options have the same name"),
    ([command(options=[option(), option(name="b", required=True)])], "required options come first"),
    ([command(options=[option(type=99)])], "type: 99 is not a option allowed here"),
    ([command(options=[option(choices=[{"name": "x" * 101, "value": 1}])])], "name: 101 characters"),
    ([command(options=[option(choices=[{"name": str(n), "value": n} for n in range(26)])])], "26 items"),
    ([command(name="Ask about this", type=3, description="x")], "description: 1 characters"),
    ([command(), command()], "is there twice"),
    ([command(name=f"c{n}") for n in range(101)], "101 of type 1, 100 allowed"),
    ([command(name=f"M{n}", type=3, description="") for n in range(16)], "16 of type 3, 15 allowed"),
]

"""What only the asker sees: private answers, and what commands have to tell."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.slack.events import Place, place_of
from adapters.slack.whispers import WHISPERED
from bot.errors import PlatformError
from bot.messages import Progress
from tests.adapters.slack.bench import Bench, bench, final

ANSWER = "The limit in Munich is 160 EUR. [1]"


@pytest.fixture
async def at(tmp_path: Path) -> AsyncIterator[Bench]:
    async with bench(tmp_path) as made:
        yield made


async def test_a_private_answer_is_told_to_its_asker_and_can_be_shared(at: Bench) -> None:
    message = at.command()
    reply = at.reply(message)
    await reply.progress(Progress("searching", "Searching the documents"))
    await reply.text(ANSWER)
    await reply.finish(final(message, ANSWER))

    (whisper,) = at.whispers()
    assert whisper.text.startswith(ANSWER)
    assert [button["action_id"] for button in whisper.buttons] == ["parley_share", "parley_vote"]
    assert at.slack.answers(at.channel) == []
    assert at.slack.calls == []


async def test_a_private_answer_in_a_direct_conversation_has_nobody_to_be_shared_with(at: Bench) -> None:
    message = replace(at.command(), conversation_id=at.slack.direct_channel(at.asker).id)
    await at.reply(message).finish(final(message, ANSWER))
    whisper = at.slack.messages(at.channel)[-1]
    assert [button["action_id"] for button in whisper.buttons] == ["parley_vote"]


async def test_who_waits_for_a_private_answer_can_stop_it(at: Bench) -> None:
    message = at.command()
    reply = at.reply(message)
    await reply.progress(Progress("waiting", "2nd in line, about 20 s"))
    await reply.progress(Progress("waiting", "Next in line"))
    (whisper,) = at.whispers()
    assert whisper.text == "2nd in line, about 20 s"
    assert [(button["action_id"], button["value"]) for button in whisper.buttons] == [
        ("parley_stop", message.turn_id)
    ]


async def test_a_spent_response_address_is_no_reason_for_silence(at: Bench) -> None:
    gone = Place(response_url=f"{at.slack.api.base_url}/response/gone")
    message = replace(at.command(), reply_to=str(gone))
    await at.reply(message).finish(final(message, ANSWER))
    (whisper,) = at.whispers()
    assert whisper.text.startswith(ANSWER)
    assert at.called("chat.postEphemeral") == 1


async def test_a_restart_tells_again_only_what_was_not_told(at: Bench) -> None:
    message = at.command()
    await at.reply(message).finish(final(message, ANSWER))
    await at.reply(message).finish(final(message, ANSWER))
    assert len(at.whispers()) == 1

    other = at.command()
    at.outbox.intend(other, WHISPERED)
    await at.reply(other).finish(final(other, ANSWER))
    assert len(at.whispers()) == 2


async def test_a_long_private_answer_comes_in_order(at: Bench) -> None:
    answer = "\n\n".join(f"Paragraph {n}: " + "word " * 300 for n in range(60))
    message = at.command()
    await at.reply(message).finish(final(message, answer))
    whispers = at.whispers()
    assert len(whispers) > 5  # more than a response address takes
    shown = "\n".join(whisper.text for whisper in whispers)
    places = [shown.index(f"Paragraph {n}:") for n in range(60)]
    assert places == sorted(places)
    assert [bool(whisper.buttons) for whisper in whispers] == [False] * (len(whispers) - 1) + [True]


async def test_a_private_answer_that_fails_or_is_stopped_says_so(at: Bench) -> None:
    await at.reply(at.command()).fail("The question is too long; ask in fewer words.")
    await at.reply(at.command()).stopped()
    await at.reply(at.command()).withdraw()
    assert [whisper.text for whisper in at.whispers()] == [
        "The question is too long; ask in fewer words.",
        "Stopped.",
    ]


async def test_a_command_tells_its_giver_alone(at: Bench) -> None:
    await at.reply(replace(at.command("status"), addressed="command")).say("**Parley** is ready.")
    mentioned = await at.ask("status")
    await at.reply(mentioned).say("**Parley** is ready.")
    assert [(whisper.text, whisper.thread_ts) for whisper in at.whispers()] == [
        ("**Parley** is ready.", None),
        ("**Parley** is ready.", None),
    ]


async def test_a_command_in_a_thread_tells_it_there(at: Bench) -> None:
    root = await at.slack.post(at.channel, at.asker, "Hello")
    await at.reply(await at.ask("status", in_thread=root)).say("Ready.")
    assert [whisper.thread_ts for whisper in at.whispers()] == [root]


async def test_in_a_thread_it_is_told_there_and_where_that_is_not_possible_it_is_told_all_the_same(
    at: Bench,
) -> None:
    root = await at.slack.post(at.channel, at.asker, "Hello")
    url = place_of(at.command()).response_url
    place = Place(thread_ts=root, message_ts="9999999999.000000", response_url=url)
    message = replace(at.command("status"), addressed="command", reply_to=str(place))
    await at.reply(message).say("Ready.")
    at.channel.members.remove(at.slack.bot.id)
    await at.reply(replace(message, event_id="another")).say("Ready.")
    assert [whisper.thread_ts for whisper in at.whispers()] == [root, None]


async def test_a_command_in_a_direct_message_is_answered_like_a_question(at: Bench) -> None:
    message = await at.ask_directly("status")
    await at.reply(message).say("Ready.")
    await at.reply(message).say("Ready.")
    (answer,) = at.answers(message)
    assert (answer.text, answer.ephemeral_to) == ("Ready.", None)


async def test_who_cannot_be_told_where_they_asked_is_told_directly(at: Bench) -> None:
    message = replace(at.command(), reply_to="")
    at.channel.members.remove(at.slack.bot.id)
    for _ in range(2):  # as after a restart
        await at.reply(message).finish(final(message, ANSWER))
    (told,) = at.slack.answers(at.slack.direct_channel(at.asker))
    assert told.text.startswith("About your question in #general")
    assert ANSWER in told.text
    assert at.whispers() == []


async def test_who_cannot_be_told_at_all_is_an_error_with_its_fix(at: Bench) -> None:
    message = replace(at.command(), reply_to="")
    at.channel.members.remove(at.slack.bot.id)
    at.slack.fail("chat.postMessage", "messages_tab_disabled")
    with pytest.raises(PlatformError, match="/invite @Parley"):
        await at.reply(message).finish(final(message, ANSWER))


async def test_after_an_answer_that_slack_refused_its_asker_is_told_why(at: Bench) -> None:
    message = await at.ask()
    reply = at.reply(message)
    await reply.text(ANSWER)
    await at.sees(message, ANSWER)
    at.slack.without("chat.stopStream", "chat.update")
    with pytest.raises(PlatformError, match="parley doctor"):
        await reply.finish(final(message, ANSWER))
    await reply.say("Slack does not take the rest of it.")
    assert [whisper.text for whisper in at.whispers()] == ["Slack does not take the rest of it."]


@pytest.mark.parametrize("error", ["invalid_blocks", "msg_too_long"])
async def test_what_slack_finds_too_much_is_told_plainer(at: Bench, error: str) -> None:
    at.slack.fail("chat.postEphemeral", error, times=2)
    message = replace(at.command(), reply_to="")
    await at.reply(message).finish(final(message, ANSWER))
    (whisper,) = at.whispers()
    assert ANSWER in whisper.text
    assert "Travel policy" in whisper.text

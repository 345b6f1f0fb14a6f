"""Settings are checked as a whole; what is wrong is said with the key and what is allowed."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bot.config import (
    KnowledgeSettings,
    Settings,
    load_settings,
    new_settings_text,
    parse_settings,
    set_key,
)
from bot.errors import SettingsError

HUSH = "correct-horse"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "parley.toml"


def _load(file: Path, text: str, environ: Mapping[str, str] | None = None) -> Settings:
    file.write_text(text)
    return load_settings(file, environ or {})


def _complaint(file: Path, text: str, environ: Mapping[str, str] | None = None) -> str:
    with pytest.raises(SettingsError) as caught:
        _load(file, text, environ)
    assert HUSH not in str(caught.value)
    return str(caught.value)


def test_defaults(file: Path) -> None:
    settings = _load(file, "")
    assert settings.file == file
    assert settings.data_dir == file.parent / ".parley"
    assert settings.database_url.get_secret_value() == f"sqlite:///{file.parent}/.parley/parley.db"
    assert settings.llm.model == "starter"
    assert (settings.llm.context, settings.llm.gpu_layers, settings.llm.api_key) == (4096, -1, None)
    assert settings.knowledge == KnowledgeSettings()
    assert settings.sources == ()
    assert (settings.web.host, settings.web.port, settings.web.token) == ("127.0.0.1", None, None)
    with pytest.raises(ValidationError):
        settings.data_dir = file


def test_paths_are_relative_to_the_file(file: Path) -> None:
    (file.parent / "e").mkdir()
    settings = _load(
        file,
        'data_dir = "data"\ndatabase_url = "sqlite:///x/y.db"\n[llm]\nmodel = "m.gguf"\ntemperature = 1\n'
        '[knowledge]\nembedding_model = "e"\n[[sources]]\nname = "a"\npath = "../docs"\n',
    )
    here = file.parent
    assert settings.data_dir == here / "data"
    assert settings.database_url.get_secret_value() == f"sqlite:///{here}/x/y.db"
    assert settings.llm.model == here / "m.gguf"
    assert settings.knowledge.embedding_model == str(here / "e")
    assert settings.sources[0].path == here.parent / "docs"
    assert settings.sources[0].visible_to == ("everyone",)


def test_environment(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file.write_text("")
    (tmp_path / "key").write_text(f"{HUSH}\n")
    url = f"postgresql+psycopg://ann:{HUSH}@host/db"
    settings = load_settings(
        environ={
            "PARLEY_CONFIG": str(file),
            "PARLEY_DATA_DIR": "elsewhere",
            "PARLEY_DATABASE_URL": url,
            "PARLEY_LLM_API_KEY_FILE": "key",
        }
    )
    assert settings.data_dir == tmp_path / "elsewhere"
    assert settings.database_url.get_secret_value() == url
    assert settings.llm.api_key is not None
    assert settings.llm.api_key.get_secret_value() == HUSH
    assert HUSH not in repr(settings) + str(settings)


def test_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    expected = f"No parley.toml in {tmp_path}; run `parley init` to write one, or set PARLEY_CONFIG."
    with pytest.raises(SettingsError) as caught:
        load_settings(environ={})
    assert str(caught.value) == expected
    with pytest.raises(SettingsError, match=r"other\.toml does not exist"):
        load_settings(environ={"PARLEY_CONFIG": "other.toml"})
    with pytest.raises(SettingsError, match="cannot be read"):
        load_settings(tmp_path, {})


GIT = "[[sources]]\nname = 'a'\nkind = 'git'\n"
SITE = "[[sources]]\nname = 'a'\nkind = 'website'\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a b", "line 1"),
        ("[llm]\ncontext = 3", "`llm.context` is 3; it must be a whole number from 512 to 1048576."),
        ("[llm]\ncontext = true", "`llm.context` is true; it must be a whole number"),
        ("[llm]\ntemperature = 3", "`llm.temperature` is 3; it must be a number from 0 to 2."),
        ("[llm]\nthreads = 'all'", '`llm.threads` is "all"; it must be a whole number from 1 to 1024.'),
        ("[llm]\nenabled = 1", "`llm.enabled` is 1; it must be true or false."),
        ("[llm]\nmodel = 4", '`llm.model` is 4; it must be "starter" or the path of a GGUF file.'),
        ("[llm]\nurl = 'x'", '`llm.url` is "x"; it must be an address such as'),
        ("[llm]\nurl = []", "`llm.url` is an empty list; it must be an address such as"),
        ("[llm]\nurl = ['http://h/v1', 3]", "`llm.url` is a list; it must be an address such as"),
        (
            "[llm]\nlora = ['style.gguf=strong']",
            "`llm.lora` is a list; it must be a list of paths, each with a",
        ),
        ("[llm]\nparallel = 0", "`llm.parallel` is 0; it must be a whole number from 1 to 64."),
        (f"[llm]\nurl = 'http://a:{HUSH}@h/'", "put the key into PARLEY_LLM_API_KEY"),
        (f"[llm]\napi_key = '{HUSH}'", "set PARLEY_LLM_API_KEY instead"),
        (f"[web]\ntoken = '{HUSH}'", "set PARLEY_WEB_TOKEN instead"),
        (f"[knowledge]\nchroma_token = '{HUSH}'", "set PARLEY_CHROMA_TOKEN instead"),
        (f"[knowledge]\nchroma_url = 'http://a:{HUSH}@h/'", "put the token into PARLEY_CHROMA_TOKEN"),
        ("[knowledge]\nchroma_url = 'h'", 'must be an address such as "http://localhost:8000"'),
        (
            "[knowledge]\nchroma_database = 'x'",
            '`knowledge.chroma_database` is "x"; it must be 3 to 63 letters',
        ),
        ("[knowledge]\nembedding_device = 'gpu'", '`knowledge.embedding_device` is "gpu"; it must be "auto"'),
        ("[web]\nport = 0", "`web.port` is 0; it must be a whole number from 1 to 65535."),
        ("data_dir = '~nobody-of-this-name/x'", "it must be a path that leads somewhere"),
        (f"[llm]\napikey = '{HUSH}'", "`llm.apikey` is not a setting"),
        ("[llm]\nmodle = 'x'", "`llm.modle` is not a setting; did you mean `model`?"),
        ("[chat]\ntop_k = 3", "`chat.top_k` is not a setting; did you mean `knowledge.top_k`?"),
        ("[knowlege]", "`knowlege` is not a setting; did you mean `knowledge`?"),
        ("zzz = 1", "`zzz` is not a setting; settings here are `data_dir`"),
        ("file = 'x'", "`file` is not a setting"),
        ("llm = 3", "`llm` is 3; it must be a table with `enabled`"),
        ("data_dir = ''", '`data_dir` is ""; it must be a path.'),
        ("[[sources]]\nname = 'a'", "`sources[0].path` is missing; it must be a path."),
        ("sources = 'x'", "each begun by [[sources]]"),
        (
            f"database_url = 'postgresql://ann:{HUSH}@h/x'",
            "`database_url` holds a password; set PARLEY_DATABASE_URL",
        ),
        (f"database_url = 'postgresql://h/x?password={HUSH}'", "`database_url` holds a password"),
        (
            "[[sources]]\nname = 'a'\npath = 'x'\nschedule = 'hourly'",
            '`sources[0].schedule` is "hourly"; it must be an interval such as "15m", "6h" or "1d", or a line of cron',
        ),
        (
            "[[sources]]\nname = 'a'\npath = 'x'\nschedule = '30s'",
            '"30s"; it must be an interval such as "15m"',
        ),
        ("[[sources]]\nname = 'a'\npath = 'x'\nschedule = 5", "is 5; it must be an interval such as"),
        ("[schedules]\ncollect = '0m'", '`schedules.collect` is "0m"; it must be an interval from "1m"'),
        ("[schedules]\ndigest = '0 9 30 2 *'", "it must be a time that comes"),
        (
            "[schedules]\ntimezone = 'Europe/Belrin'",
            '`schedules.timezone` is "Europe/Belrin"; it must be the name of a time zone, such as "Europe/Berlin".',
        ),
        ("database_url = 'mysql://h/x'", "`database_url` must begin with sqlite:///"),
        (f"{GIT}", "`sources[0].url` is missing; it must be an address."),
        (f"{GIT}url = 'https://ann:{HUSH}@h/x'", "use a credential helper, an SSH key or `token_file`"),
        (
            f"{GIT}url = 'https://{HUSH}@h/x'",
            "`sources[0].url` is not understood; it must be an address without a",
        ),
        (f"{GIT}url = 'ssh://git:{HUSH}@h/x'", "an address without a password"),
        (f"{GIT}url = 'git:{HUSH}@h:x'", "an address without a password"),
        (f"{GIT}url = '--upload-pack=x'", 'it must be an address or a path, such as "https://github.com/'),
        (f"{GIT}url = 'ext::sh -c x'", "it must be an address of https, ssh or git, or a path."),
        (
            f"{GIT}url = 'x'\nbranch = '-x'",
            '`sources[0].branch` is "-x"; it must be the name of a branch or tag',
        ),
        (f"{GIT}url = 'x'\nbranch = 'a..b'", "it must be the name of a branch or tag"),
        (
            f"{GIT}url = 'x'\npath = 'x'",
            '`sources[0].path` is "x"; it must be left out: it belongs to sources of',
        ),
        (f"{GIT}url = 'x'\ndepth = 2", 'it must be left out: it belongs to sources of kind "website".'),
        (
            f"{GIT}url = 'git@h:x'\ntoken_file = 'x'",
            "only addresses of https need it; for ssh there are keys",
        ),
        (
            f"{SITE}url = 'docs.example.org'",
            'it must be an address such as "https://docs.example.org/guide/".',
        ),
        (f"{SITE}url = 'ftp://h/'", "`sources[0].url` is not understood; it must be an address such as"),
        (f"{SITE}url = 'https://a:{HUSH}@h/'", "pages that need a login are not read"),
        (
            f"{SITE}url = 'https://h/'\nrate = 0",
            "`sources[0].rate` is 0; it must be a number from 0.01 to 100.",
        ),
        (f"{SITE}url = 'https://h/'\nsettings = {{ a = 1 }}", "it belongs to sources of plugins"),
    ],
)
def test_complaints(file: Path, text: str, expected: str) -> None:
    message = _complaint(file, text)
    assert expected in message
    assert str(file) in message


def test_every_complaint_is_made_at_once(file: Path) -> None:
    source = "[[sources]]\nname = 'a'\npath = 'x'\n"
    bad = "[[sources]]\nname = 'A B'\nkind = 'wiki'\npath = 'x'\nvisible_to = []\n"
    message = _complaint(file, f"[llm]\ncontext = 3\n{source}{bad}")
    assert message.splitlines()[1:] == [
        "  `llm.context` is 3; it must be a whole number from 512 to 1048576.",
        '  `sources[1].kind` is "wiki"; it must be "folder", "git", "website", "slack" or "discord".',
        '  `sources[1].name` is "A B"; it must be up to 64 of a-z, 0-9, "-" and "_", such as "handbook".',
        '  `sources[1].visible_to` is an empty list; it must be a list such as ["everyone"].',
    ]
    assert "`sources[1].name` is 'a', as is `sources[0].name`" in _complaint(file, source + source)


def test_tags_and_how_questions_are_searched(file: Path) -> None:
    source = "[[sources]]\nname = 'a'\npath = 'x'\n"
    loaded = _load(
        file, f"[knowledge]\nrewrite = 'model'\nrecency = 90.0\n{source}tags = ['HR', 'human resources']\n"
    )
    assert loaded.sources[0].tags == ("HR", "human resources")
    assert (loaded.knowledge.rewrite, loaded.knowledge.recency) == ("model", 90)
    for wrong in ("'a,b'", "'say \"x\"'", "' '", "'`x`'"):
        complaint = _complaint(file, f"{source}tags = [{wrong}]\n")
        assert 'it must be a list of words such as ["policy", "hr"], without commas' in complaint
    assert "`knowledge.rewrite`" in _complaint(file, "[knowledge]\nrewrite = 'always'\n")
    assert "`knowledge.recency` is -1" in _complaint(file, "[knowledge]\nrecency = -1\n")


def test_complaints_about_the_environment(file: Path, tmp_path: Path) -> None:
    key, holder = "PARLEY_LLM_API_KEY", "PARLEY_LLM_API_KEY_FILE"
    assert "keep one of them" in _complaint(file, "", {key: HUSH, holder: "x"})
    assert "cannot be read" in _complaint(file, "", {holder: str(tmp_path / "none")})
    (tmp_path / "empty").write_text("\n")
    assert "is empty" in _complaint(file, "", {holder: str(tmp_path / "empty")})
    message = _complaint(file, "", {"PARLEY_DATABASE_URL": f"mysql://a:{HUSH}@h"})
    assert message.startswith("PARLEY_DATABASE_URL must begin with")


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
keys = st.sampled_from(
    ["llm", "knowledge", "chat", "sources", "data_dir", "database_url", "model", "name", "path", "x"]
)


@given(
    st.dictionaries(keys, scalars | st.dictionaries(keys, scalars) | st.lists(st.dictionaries(keys, scalars)))
)
def test_any_toml_gives_settings_or_a_sentence(raw: dict[str, object]) -> None:
    import tomlkit

    text = tomlkit.dumps(_without_none(raw))
    try:
        parse_settings(text, file=Path("/nowhere/parley.toml"), environ={})
    except SettingsError as error:
        assert str(error).startswith("/nowhere/parley.toml")  # noqa: PT017 - either outcome is right


def _without_none(value: object) -> dict[str, object]:
    assert isinstance(value, dict)
    clean = {
        key: _without_none(one) if isinstance(one, dict) else one
        for key, one in value.items()
        if one is not None
    }
    return {
        key: [_without_none(item) for item in one] if isinstance(one, list) else one
        for key, one in clean.items()
    }


@pytest.mark.parametrize("model", ["starter", 'models/"a".gguf', "https://host/v1"])
def test_first_file_is_valid(file: Path, model: str) -> None:
    path = 'docs/"a"\\b{c}'
    settings = _load(file, new_settings_text(name="handbook", path=path, model=model))
    assert settings.sources[0].path == file.parent / path
    expected = {"starter": ("starter", None), "https://host/v1": ("starter", model)}
    assert (settings.llm.model, settings.llm.url) == expected.get(model, (file.parent / model, None))
    with pytest.raises(SettingsError, match="`sources"):
        new_settings_text(name="A B", path="docs", model=model)


def test_schedules(file: Path) -> None:
    settings = _load(
        file,
        "[[sources]]\nname = 'a'\npath = 'x'\nschedule = '0 3 * * Mon-Fri'\n"
        "[schedules]\ntimezone = 'Europe/Berlin'\nevaluate = ''\ncollect = '1d'\n",
    )
    assert settings.sources[0].schedule == "0 3 * * Mon-Fri"
    assert (settings.schedules.evaluate, settings.schedules.collect) == ("", "1d")


def test_set_key_keeps_the_rest(file: Path) -> None:
    file.write_text("# mine\n[llm]\nmodel = 'a.gguf'  # the small one\n")
    file.chmod(0o640)
    set_key(file, ("llm", "model"), "b.gguf")
    set_key(file, ("knowledge", "top_k"), 9)
    set_key(file, ("llm", "threads"), None)
    text = file.read_text()
    assert text.startswith('# mine\n[llm]\nmodel = "b.gguf"')
    assert "# the small one" in text
    assert load_settings(file, {}).knowledge.top_k == 9
    assert file.stat().st_mode & 0o777 == 0o640
    set_key(file, ("knowledge", "top_k"), None)
    assert "top_k" not in file.read_text()
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_set_key_follows_links(file: Path, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    real = tmp_path / "real" / "settings.toml"
    real.write_text("")
    file.symlink_to(real)
    set_key(file, ("chat", "assistant_name"), "Polly")
    assert file.is_symlink()
    assert load_settings(file, {}).chat.assistant_name == "Polly"


@pytest.mark.parametrize(
    ("text", "key", "value", "message"),
    [
        ("[llm]\n", ("llm", "context"), 3, "`llm.context` is 3"),
        ("[llm]\n", ("llm", "modle"), "x", "did you mean `model`?"),
        ("llm = 3\n", ("llm", "model"), "x", "edit the file by hand"),
        ("a b\n", ("llm", "model"), "x", "edit the file by hand"),
    ],
)
def test_set_key_refuses(file: Path, text: str, key: tuple[str, ...], value: str | int, message: str) -> None:
    file.write_text(text)
    with pytest.raises(SettingsError) as caught:
        set_key(file, key, value)
    assert message in str(caught.value)
    assert file.read_text() == text
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_set_key_needs_a_file(file: Path) -> None:
    with pytest.raises(SettingsError, match="parley init"):
        set_key(file, ("llm", "model"), "x")


def test_a_source_leaves_the_name_of_attached_files(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="another name"):
        parse_settings('[[sources]]\nname = "attachment"\npath = "."\n', file=tmp_path / "p.toml", environ={})


@pytest.mark.parametrize(
    ("text", "urls"),
    [
        ("", ()),
        ("[llm]\nurl = 'http://a:1/v1'", ("http://a:1/v1",)),
        ("[llm]\nurl = ['http://a:1/v1', 'https://b/v1']", ("http://a:1/v1", "https://b/v1")),
    ],
)
def test_a_server_or_several(file: Path, text: str, urls: tuple[str, ...]) -> None:
    assert _load(file, text).llm.urls == urls


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://github.com/acme/docs.git", None),
        ("ssh://git@host:22/docs", None),
        ("git@host:acme/docs.git", None),
        ("codecommit::eu-west-1://docs", None),
        ("../docs.git", "/docs.git"),
        ("/srv/git/a:b", "/srv/git/a:b"),
    ],
)
def test_addresses_of_repositories(tmp_path: Path, url: str, expected: str | None) -> None:
    file = tmp_path / "here" / "parley.toml"
    (source,) = parse_settings(f"{GIT}url = '{url}'", file=file, environ={}).sources
    assert source.url == (url if expected is None else str((file.parent / url).resolve()))
    assert source.place == source.url


def test_keys_of_kinds(file: Path) -> None:
    settings = _load(
        file,
        f"{GIT}url = 'https://h/x'\nbranch = 'a/b'\ntoken_file = 'secrets/git'\nweb = 'https://h/x/src'\n"
        "[[sources]]\nname = 'b'\nkind = 'website'\nurl = 'https://docs.example.org/guide/'\nsitemap = false\n"
        "depth = 0\npages = 9\nrate = 1\nallow_private = true\n",
    )
    git, site = settings.sources
    assert (git.branch, git.token_file, git.place) == (
        "a/b",
        file.parent / "secrets/git",
        "https://h/x (a/b)",
    )
    assert (site.sitemap, site.depth, site.pages, site.rate, site.allow_private) == (False, 0, 9, 1.0, True)
    assert site.place == "https://docs.example.org/guide/"


CHATS = "[[sources]]\nname = 'chat'\nkind = "


def test_channels_are_seen_by_those_in_them_unless_told_otherwise(file: Path) -> None:
    def seen(text: str) -> tuple[str, ...]:
        return _load(file, f"{CHATS}{text}").sources[0].visible_to

    assert seen("'slack'\nchannels = ['C024BE7LH']") == ("slack:C024BE7LH",)
    assert seen("'discord'\nchannels = ['112233445566778899']") == ("discord:112233445566778899",)
    assert seen("'slack'\nchannels = ['C1A']\nvisible_to = ['everyone']") == ("everyone",)
    assert seen("'slack'\nchannels = ['C1A', 'C2A']\nvisible_to = ['slack:T1']") == ("slack:T1",)
    several = _complaint(file, f"{CHATS}'slack'\nchannels = ['C1A', 'C2A']")
    assert "`sources[0].visible_to`" in several
    assert "say who may see all of it, or make each channel a source of its own" in several


def test_settings_of_channels(file: Path) -> None:
    (source,) = _load(
        file, f"{CHATS}'slack'\nchannels = ['C1A']\ndays = 30\nbots = true\nleave_out = ['U1']"
    ).sources
    assert (source.channels, source.days, source.bots, source.leave_out) == (("C1A",), 30, True, ("U1",))
    assert source.place == "slack C1A"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("'slack'", "`sources[0].channels` is missing; it must be a list of the ids of channels"),
        ("'slack'\nchannels = ['#general']", 'a list of the ids of channels, such as ["C024BE7LH"]'),
        ("'slack'\nchannels = ['D024BE7LH']", 'a list of the ids of channels, such as ["C024BE7LH"]'),
        ("'discord'\nchannels = ['C024BE7LH']", 'such as ["112233445566778899"]'),
        ("'slack'\nchannels = 'C1A'", "a list of the ids of channels"),
        (
            "'slack'\nchannels = ['C1A']\nurl = 'https://h/'",
            'it belongs to sources of kind "git" and "website"',
        ),
        (
            "'git'\nurl = 'https://h/x'\nchannels = ['C1A']",
            'it belongs to sources of kind "slack" and "discord"',
        ),
        ("'git'\nurl = 'https://h/x'\nbots = true", 'it belongs to sources of kind "slack" and "discord"'),
    ],
)
def test_complaints_about_channels(file: Path, text: str, expected: str) -> None:
    complaint = _complaint(file, f"{CHATS}{text}")
    assert expected in complaint
    assert complaint.count("sources[0]") == 1


def test_kinds_of_plugins(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("knowledge.sources.plugins.installed_kinds", lambda: ["wiki"])
    text = "[[sources]]\nname = 'a'\nkind = 'wiki'\nsettings = { space = 'HR', deep = { x = 1 } }\n"
    (source,) = _load(file, text).sources
    assert source.settings == {"space": "HR", "deep": {"x": 1}}
    assert source.place == "wiki"
    assert '"website", "slack", "discord" or "wiki"' in _complaint(
        file, "[[sources]]\nname = 'a'\nkind = 'x'"
    )

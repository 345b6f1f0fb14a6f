import pytest

from knowledge.sources.forges import file_address, folder_address

MAIN, TAG = "refs/heads/main", "refs/tags/v1"


@pytest.mark.parametrize(
    ("url", "ref", "expected"),
    [
        ("https://github.com/acme/docs.git", MAIN, "https://github.com/acme/docs/blob/main/"),
        ("https://github.com/acme/docs/", "refs/heads/a/b#c", "https://github.com/acme/docs/blob/a/b%23c/"),
        ("git@github.com:acme/docs.git", MAIN, "https://github.com/acme/docs/blob/main/"),
        (
            "ssh://git@github.example.org:2222/acme/docs",
            MAIN,
            "https://github.example.org/acme/docs/blob/main/",
        ),
        ("https://gitlab.com/a/b/c.git", MAIN, "https://gitlab.com/a/b/c/-/blob/main/"),
        ("https://gitlab.example.org:8443/a/b", TAG, "https://gitlab.example.org:8443/a/b/-/blob/v1/"),
        ("https://codeberg.org/a/b.git", MAIN, "https://codeberg.org/a/b/src/branch/main/"),
        ("https://gitea.example.org/a/b.git", TAG, "https://gitea.example.org/a/b/src/tag/v1/"),
        ("git@bitbucket.org:a/b.git", MAIN, "https://bitbucket.org/a/b/src/main/"),
        ("https://ann:hush@github.com/a/b", MAIN, "https://github.com/a/b/blob/main/"),
        ("https://git.example.org/a/b.git", MAIN, None),
        ("https://github.com/", MAIN, None),
        ("/srv/git/github.com/docs.git", MAIN, None),
        ("file:///srv/github/docs.git", MAIN, None),
    ],
)
def test_folder_addresses(url: str, ref: str, expected: str | None) -> None:
    assert folder_address(url, ref) == expected


def test_file_addresses() -> None:
    assert file_address("https://h/", "a b/ü#1.md") == "https://h/a%20b/%C3%BC%231.md"
    assert file_address("https://h/", "caf\udce9.md") == "https://h/caf%E9.md"

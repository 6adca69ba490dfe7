from pathlib import Path

import pytest
from pydantic import ValidationError

from shared.settings import settings_of


def test_a_services_own_database_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUNLI_DATABASE_URL", "postgresql://a")
    monkeypatch.setenv("QUNLI_DATABASE_URL_CONTENT", "postgresql://b")
    assert settings_of("content").database_url.get_secret_value() == "postgresql://b"
    assert settings_of("scoring").database_url.get_secret_value() == "postgresql://a"


def test_a_missing_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("QUNLI_DATABASE_URL", raising=False)
    with pytest.raises(ValidationError, match="database_url"):
        settings_of("content")


def test_a_malformed_setting_is_named_and_its_value_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUNLI_DATABASE_URL", "postgresql://user:hunter2@host/db")
    monkeypatch.setenv("QUNLI_PARTITIONS", "many-secret")
    with pytest.raises(ValidationError) as caught:
        settings_of("content")
    assert "partitions" in str(caught.value)
    assert "many-secret" not in str(caught.value)
    assert "hunter2" not in repr(caught.value)


def test_the_default_is_made_for_production(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUNLI_DATABASE_URL", "postgresql://a")
    settings = settings_of("content")
    assert (settings.mode, settings.log, settings.partitions) == ("production", "kafka", 12)


def test_a_secret_may_be_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "qunli_database_url").write_text("postgresql://from-a-file\n")
    monkeypatch.delenv("QUNLI_DATABASE_URL", raising=False)
    monkeypatch.setenv("QUNLI_SECRETS_DIR", str(tmp_path))
    assert settings_of("content").database_url.get_secret_value() == "postgresql://from-a-file"

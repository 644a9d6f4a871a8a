"""The encryption key changes while daemons work, and a daemon with the wrong one takes nothing down."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from tests.house import KEY, eventually
from tests.listener.daemons import Daemon, ask, daemon, environment, process, refuse, settings_for
from tests.listener.shop import Shop

NEW_KEY = "the-new-key-that-is-long-enough-0123456789-abcdef"
BOTH = {"INTEGRATION_ENCRYPTION_KEY": NEW_KEY, "INTEGRATION_ENCRYPTION_KEY_OLD": KEY}


def rotate(database: str, **environ: str) -> Any:
    done = ask(environment(database, **{**BOTH, **environ}), "rotate-key")
    for secret in (KEY, NEW_KEY):
        assert secret not in done.output
    return done


def test_a_rotation_goes_from_one_key_to_the_other_while_daemons_work(
    shop: Shop, database: str, tmp_path: Path
) -> None:
    tenants = [shop.tenant(oauth=True, expires_at=time.time() - 10) for _ in range(3)]
    gone = shop.tenant(oauth=True)
    with process(tmp_path, database) as first:
        shop.reply(tenants[0])
        shop.wait_until_settled()
        with process(tmp_path, database, **BOTH):
            first.end()
            shop.house.value("select crm_sync.disconnect(%s)", gone.integration)
            eventually(lambda: not shop.house.value("select count(*) from crm_sync.revocations"), "a revocation")
            shop.replies(tenants[1], 50)
            done = rotate(database)
            assert done.exit_code == 0, done.output
            assert "3 connections, 0 waiting" in done.stdout
            assert "OLD can go" in done.stdout
            shop.reply(tenants[2])
            shop.wait_until_settled()
    with process(tmp_path, database, INTEGRATION_ENCRYPTION_KEY=NEW_KEY):
        for tenant in tenants:
            tenant.portal.expire_tokens()
            shop.reply(tenant)
        shop.wait_until_settled()
    for tenant in tenants:
        shop.assert_exact(tenant)
    assert shop.house.rows("select distinct status from user_integrations where credentials is not null") == [
        ("connected",)
    ]
    refused = refuse(environment(database))
    assert refused.returncode == 78
    assert "INTEGRATION_ENCRYPTION_KEY_OLD" in refused.stderr
    assert rotate(database).stdout.startswith("sealed anew: 0\n")


def test_what_was_sealed_with_a_lost_key_is_named_and_fails_the_command(shop: Shop, database: str) -> None:
    shop.tenant()
    done = rotate(database, INTEGRATION_ENCRYPTION_KEY_OLD="some other key that is long enough 0123")
    assert done.exit_code == 1
    assert "NOT sealed anew" in done.output
    assert "1 connections" in done.output
    assert rotate(database).exit_code == 0


def test_a_daemon_that_lacks_the_key_parks_nobody(shop: Shop, database: str) -> None:
    tenant = shop.tenant(oauth=True, expires_at=time.time() - 10)
    late = Daemon(settings_for(database))
    late.start()
    try:
        assert rotate(database).exit_code == 0
        shop.reply(tenant)
        words = eventually(
            lambda: shop.house.value("select last_error from sync_queue where last_error is not null"), "words"
        )
        assert "our own encryption key" in words
    finally:
        late.stop()
    assert shop.house.rows("select status, attempts from sync_queue") == [("retry", 0)]
    assert shop.house.rows("select status from user_integrations") == [("connected",)]
    with daemon(database, encryption_key=SecretStr(NEW_KEY)):
        shop.hurry_until_settled()
    shop.assert_exact(tenant)


def test_an_old_key_may_come_from_a_file_or_systemd(shop: Shop, database: str, tmp_path: Path) -> None:
    shop.tenant()
    (tmp_path / "old").write_text(f"another-key-that-was-used-before-that-one\n{KEY}\n")
    environ = {"INTEGRATION_ENCRYPTION_KEY_OLD": "", "INTEGRATION_ENCRYPTION_KEY_OLD_FILE": str(tmp_path / "old")}
    done = rotate(database, **environ)
    assert done.exit_code == 0, done.output
    assert json.dumps(shop.house.rows("select credentials from user_integrations")).count(
        shop.house.value("select crm_sync.key_id(%s)", NEW_KEY)
    )


def test_without_old_credentials_there_is_nothing_to_rotate(database: str) -> None:
    done = rotate(database)
    assert (done.exit_code, done.stdout.splitlines()[0]) == (0, "sealed anew: 0")

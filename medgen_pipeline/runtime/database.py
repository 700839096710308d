"""The Postgres server of a deployment: where it is, opening a session, and what is wrong with it.

An address is read by libpq itself, so what it knows (TLS, several hosts, a socket) can be set. No
message of this module holds a password.
"""

import math
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import psycopg2
from psycopg2.extensions import parse_dsn

from medgen_pipeline.errors import SettingError
from medgen_pipeline.runtime.parts import COMMAND, most_connections
from medgen_pipeline.settings import Settings

VARIABLE: Final = "MEDGEN_DATABASE_URL"
CONNECT_SECONDS: Final = 10  # as the predecessor; the URL may set connect_timeout
STATEMENT_SECONDS: Final = 30  # the same; the URL may set options=-c statement_timeout=...
# A host that vanishes sends nothing: without these a statement waits for 2 hours.
ALIVE: Final = {
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
APPLICATION: Final = "medgen"
WORDS_OF_DRIVERS: Final = ("postgresql+psycopg2://", "postgresql://")
# Of the sessions of a server, those that are there already and are not this deployment's.
OTHERS: Final = """
    select count(*) from pg_stat_activity where backend_type = 'client backend'
    and not (datname = current_database() and application_name like %s)
    """
# Of PostgreSQL 16 and later, so asked for as a setting that may be missing.
ROOM: Final = """
    select current_setting('max_connections')::int
    - current_setting('superuser_reserved_connections')::int
    - coalesce(current_setting('reserved_connections', true), '0')::int,
    (select rolconnlimit from pg_roles where rolname = current_user),
    (select datconnlimit from pg_database where datname = current_database())
    """
RIGHTS: Final = """
    select pg_is_in_recovery(), current_schema(),
    has_schema_privilege(current_schema(), 'CREATE'), to_regclass('runs') is not null
    """


@dataclass(frozen=True)
class Address:
    """A server, a database on it, and who one is there."""

    url: str = field(repr=False)

    @cached_property
    def parts(self) -> dict[str, str]:
        """What the URL says, as libpq reads it; raises SettingError."""
        scheme = next((each for each in WORDS_OF_DRIVERS if self.url.startswith(each)), None)
        if scheme is None:
            raise _not_a_url()
        try:
            found: dict[str, str] = parse_dsn(f"postgresql://{self.url.removeprefix(scheme)}")
        except psycopg2.ProgrammingError as error:
            unknown = re.search(r"invalid URI query parameter: \"[^\"]*\"", str(error))
            # from None: any other message may hold the password
            raise _not_a_url(f" ({unknown[0]})" if unknown else "") from None
        if "@" in found.get("host", ""):  # of a password that was not encoded
            raise _not_a_url()
        return found

    def __str__(self) -> str:
        """Return it as one may read it."""
        parts = self.parts
        user = f"{parts['user']}@" if "user" in parts else ""
        port = f":{parts['port']}" if "port" in parts else ""
        return f"{user}{parts.get('host', 'local socket')}{port}/{parts.get('dbname', '')}"

    def application(self, part: str) -> str:
        """Return how sessions of a part are called: after the URL's own name, if it has one."""
        return f"{self.parts.get('application_name', APPLICATION)} {part}"

    def connect(self, part: str, connect_seconds: int = CONNECT_SECONDS) -> Any:  # noqa: ANN401
        """Open a session of psycopg2; raises its OperationalError."""
        defaults = {**ALIVE, "connect_timeout": connect_seconds}
        name = {"application_name": self.application(part)}
        opened = psycopg2.connect(**{**defaults, **self.parts, **name})
        # Of tools, `dagster instance migrate` takes as long as it takes.
        if part != COMMAND and "statement_timeout" not in self.parts.get("options", ""):
            with opened.cursor() as cursor:
                # Not among the options of the connection, which a pooler in between refuses.
                cursor.execute(f"set statement_timeout = {STATEMENT_SECONDS * 1000}")
            opened.commit()
        return opened


def _not_a_url(why: str = "") -> SettingError:
    return SettingError(
        f"{VARIABLE} is '(hidden)'; must be postgresql://user:password@host:port/database, "
        f"with %40 for @, %2F for / and so on in user and password{why}"
    )


def hindrances(settings: Settings, connections: int) -> Iterator[str]:
    """Yield why the database cannot be used by someone who opens so many connections."""
    address = Address(settings.database_url or "")
    try:
        opened = address.connect(COMMAND)
    except SettingError as error:
        yield str(error)
    except psycopg2.Error as error:
        yield in_words(str(error), address)
    else:
        with closing(opened):
            yield from _lacks(opened, address, settings, connections)


def needed_by_all(settings: Settings) -> int:
    """Return how many connections a whole deployment may open."""
    return sum(most_connections(settings).values())


def needed_by_a_command(settings: Settings) -> int:
    """Return how many a process may open that executes its runs itself."""
    return most_connections(settings)[COMMAND]


def _lacks(
    opened: Any,  # noqa: ANN401  psycopg2 has no types
    address: Address,
    settings: Settings,
    connections: int,
) -> Iterator[str]:
    """Yield what a server that answers does not grant."""
    with opened.cursor() as cursor:
        cursor.execute(RIGHTS)
        is_standby, schema, may_create, has_tables = cursor.fetchone()
        if is_standby:
            yield f"{VARIABLE}: {address} is a standby, which takes no writes; name the primary"
        elif not has_tables and not may_create:
            yield (
                f"{VARIABLE}: {address} lets you create no tables"
                f" (schema {schema or 'none: search_path'}); as its owner: "
                f"grant create on schema {schema or 'public'} to {_user(cursor)}"
            )
        cursor.execute(ROOM)
        most, *limits = cursor.fetchone()
        cursor.execute(OTHERS, (f"{address.parts.get('application_name', APPLICATION)} %",))
        (others,) = cursor.fetchone()
    free = min(most - others, *(limit for limit in limits if limit >= 0), math.inf)
    if free < connections:
        yield (
            f"{VARIABLE}: {address} has room for {free:g} connections (of max_connections and the "
            f"limits of user and database, less {others} in use by others) and this may open "
            f"{connections}; lower DB_POOL_SIZE ({settings.db_pool_size}) or DB_MAX_OVERFLOW "
            f"({settings.db_max_overflow}), or raise max_connections"
        )


def _user(cursor: Any) -> str:  # noqa: ANN401  psycopg2 has no types
    cursor.execute("select quote_ident(current_user)")
    return str(cursor.fetchone()[0])


# What libpq and the server say, and what to change. A server that speaks another language than
# English is quoted.
ADVICE: Final = (
    (
        r"password authentication failed|no password supplied|role \"[^\"]*\" does not exist",
        "refuses the user or the password; mend them in the URL",
    ),
    (
        r"database \"[^\"]*\" does not exist",
        "has no such database; create it (createdb) or name another",
    ),
    (
        r"too many clients|too many connections|connection slots are reserved",
        "has no connection left; raise max_connections, or lower DB_POOL_SIZE where it is used",
    ),
    (r"could not translate host name", "names a host that nobody knows; mend it in the URL"),
    (
        r"Connection refused|No such file or directory",
        "has nobody who listens; start the server, or mend host and port in the URL",
    ),
    (
        r"timeout expired|timed out|No route to host|Network is unreachable",
        "cannot be reached; mend host and port in the URL, or the network between",
    ),
    (r"starting up|shutting down|recovery mode", "is starting or stopping; try again"),
    (
        r"certificate|SSL|TLS",
        "agrees to no TLS as the URL wants it; mend sslmode, sslrootcert, sslcert or sslkey in it",
    ),
    (r"pg_hba.conf", "does not let this host in; add it to pg_hba.conf, or mend sslmode"),
    (r"invalid|integer value|must be", "is no URL that libpq can use; mend it"),
)


def in_words(message: str, address: Address) -> str:
    """Return on one line why a session could not be opened, and what to change."""
    text = " ".join(message.split())
    said = re.sub(r"^\(psycopg2\.\w+\) | \(Background on this error at: [^)]*\)$", "", text)
    what = next((advice for words, advice in ADVICE if re.search(words, said)), "cannot be used")
    password = address.parts.get("password")
    if password:
        said = said.replace(password, "(hidden)")
    return f"{VARIABLE}: {address} {what} ({said})"

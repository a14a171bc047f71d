"""How much each person may upload: the files of collections, which are written down here, and what is attached."""

from __future__ import annotations

from collections.abc import Sequence

import apsw

from app.people.database import People, all_rows
from core.errors import QuotaReached
from indexes.database import from_sql, to_sql

_MIB = 2**20
# What was attached and could not be read takes no room: its bytes are gone.
_USED = """
SELECT person, sum(size_bytes) FROM (
    SELECT person, size_bytes FROM uploads
    UNION ALL
    SELECT c.person, a.size_bytes FROM attachments AS a JOIN conversations AS c ON c.id = a.conversation
    WHERE a.state <> 'failed'
) WHERE :person IS NULL OR person = :person GROUP BY person
"""


class Quota:
    """What people have uploaded, and the most that each may keep.

    Args:
        people: The file of people.
        quota_mb: The most of each person, in MiB; 0: any amount.
    """

    def __init__(self, people: People, *, quota_mb: int) -> None:
        self._people, self.quota_mb = people, quota_mb

    def used(self, person_id: str) -> int:
        """Return the bytes of all that a person has uploaded and that is still kept."""
        return self._used(person_id).get(person_id, 0)

    def used_by_all(self) -> dict[str, int]:
        """Return the bytes of everybody who has uploaded something."""
        return self._used(None)

    def noted(self) -> dict[str, list[str]]:
        """Return the places of the collections' files, by person."""
        with self._people.reading() as connection:
            rows = all_rows(connection, "SELECT person, place FROM uploads ORDER BY person, place")
        found: dict[str, list[str]] = {}
        for person, place in rows:
            found.setdefault(person, []).append(from_sql(place))
        return found

    def require_room(self, person_id: str, size_bytes: int, *, where: str = "", freed: int = 0) -> None:
        """See that so many bytes more may be kept, while ``freed`` ones go.

        Raises:
            QuotaReached: They may not; it says how much is used.
        """
        used, most = self.used(person_id), self.quota_mb * _MIB
        if not most or used - freed + size_bytes <= most:
            return
        raise QuotaReached(
            f"your uploads take {used / _MIB:,.1f} of {self.quota_mb:,} MiB, and this file needs "
            f"{size_bytes / _MIB:,.1f} more",
            where=where,
            remedy="Delete documents or conversations with files that you no longer need, or ask an administrator",
            used_mb=used / _MIB,
            quota_mb=self.quota_mb,
        )

    def note(self, place: str, *, person_id: str, size_bytes: int) -> None:
        """Write down that a file of a collection is this person's; it replaces the one that was there.

        Raises:
            QuotaReached: There is no room for it.
        """
        with self._people.writing() as connection:
            query = "SELECT size_bytes FROM uploads WHERE place = ? AND person = ?"
            freed: int = connection.execute(query, (to_sql(place), person_id)).get or 0
            self.require_room(person_id, size_bytes, where=place.rpartition("/")[2], freed=freed)
            try:
                row = (to_sql(place), person_id, size_bytes)
                connection.execute("INSERT OR REPLACE INTO uploads VALUES (?, ?, ?)", row)
            except apsw.ConstraintError:  # the person is being deleted
                return

    def forget(self, places: Sequence[str]) -> None:
        """Forget files that are gone."""
        if not places:
            return
        with self._people.writing() as connection:
            connection.executemany("DELETE FROM uploads WHERE place = ?", [(to_sql(place),) for place in places])

    def _used(self, person_id: str | None) -> dict[str, int]:
        with self._people.reading() as connection:
            return {person: int(used) for person, used in all_rows(connection, _USED, {"person": person_id})}

"""What is known of a request that creates an object, whether or not it was answered."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum

from bootstrap.model.errors import PullkeyError
from bootstrap.plugin.errors import ApiError


class Attempt:
    """What is known of this run's creation of one object."""

    class State(StrEnum):
        """The outcome of the latest request."""

        NOT_SENT = "not sent"
        REFUSED = "refused"
        UNANSWERED = "unanswered"
        CREATED = "created"
        FOUND = "found"  # the object exists, and another run created it

    def __init__(self) -> None:
        self.state = Attempt.State.NOT_SENT
        self.unanswered = 0
        """The number of requests without an answer. Each may have been carried out."""
        self.exists = False
        """Whether the cloud answered that the object already exists; reads may not yet show whose it is."""

    @property
    def sent(self) -> bool:
        return self.state is not Attempt.State.NOT_SENT

    @property
    def created(self) -> bool:
        return self.state is Attempt.State.CREATED

    @property
    def may_exist(self) -> bool:
        """Whether this run may have created the object."""
        unknown = self.unanswered > 0 or self.exists
        return self.created or (unknown and self.state is not Attempt.State.FOUND)

    @contextmanager
    def sending(self, is_unanswered: Callable[[ApiError], bool] | None = None) -> Iterator[None]:
        """Record the outcome of the one request that is sent in this context.

        Args:
            is_unanswered: whether the request may have been carried out despite an error; by default
                `ApiError.unanswered`.
        """
        try:
            yield
        except ApiError as error:
            if is_unanswered(error) if is_unanswered is not None else error.unanswered:
                self._lose()
            elif self.state is Attempt.State.NOT_SENT:
                self.state = Attempt.State.REFUSED
            raise
        except PullkeyError:
            raise  # said before the request was sent: there is no login
        except BaseException:
            # Cut off, or not foreseen: the request may have been sent.
            self._lose()
            raise
        self.state = Attempt.State.CREATED

    def _lose(self) -> None:
        self.unanswered += 1
        self.state = Attempt.State.UNANSWERED

    def conclude(self, *, ours: bool) -> None:
        """Record that the object was found afterwards, and whether its mark is this run's."""
        self.state = Attempt.State.CREATED if ours else Attempt.State.FOUND

"""What the read path needs of the decoder; app/decoder/service.py implements it."""

from collections.abc import AsyncGenerator
from typing import Protocol

from app.decoder.types import DecodeEvent, DecodeRequest


class Decoder(Protocol):
    @property
    def name(self) -> str: ...

    def check_fits(self, request: DecodeRequest) -> None:
        """Raises `QuestionTooLong` where even without passages there is no room."""
        ...

    def trim_passages(self, request: DecodeRequest) -> DecodeRequest:
        """Leave out the last passages until the prompt and the answer fit the context."""
        ...

    def answer(self, request: DecodeRequest) -> AsyncGenerator[DecodeEvent, None]:
        """Prefilled, then texts, then Finished. `aclose` stops the model."""
        ...

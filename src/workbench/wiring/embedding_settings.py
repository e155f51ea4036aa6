"""Settings of what sessions are compared by."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, SecretStr, model_validator

from workbench.wiring.setting_names import MisfitError, environment_name
from workbench.wiring.setting_values import Group, list_from_text


class Embeddings(Group):
    """Vectors, by which sessions are compared: by their words, or by a model where workspaces opted in."""

    provider: Literal["hashed", "openai"] = Field(
        default="hashed",
        description=(
            "What makes vectors: `hashed` sees common words, needs no model and leaves no text out of the machine; "
            "`openai` is every service that speaks the language of OpenAI's embeddings."
        ),
    )
    workspaces: Annotated[tuple[str, ...], BeforeValidator(list_from_text)] = Field(
        default=(),
        description=(
            "Workspaces whose texts may be sent to the model, as far as they have not decided otherwise by `workbench "
            "workspaces set`; `*` is all of them. The others keep `hashed`. Given with commas or as a JSON list."
        ),
        examples=["support,network", "*"],
    )
    model: str | None = Field(
        default=None, min_length=1, description="The model's name.", examples=["text-embedding-3-small"]
    )
    base_url: str = Field(
        default="https://api.openai.com/v1",
        pattern=r"^https?://",
        description="Where the interface of the model begins.",
        examples=["http://127.0.0.1:11434/v1"],
    )
    api_key: SecretStr | None = Field(
        default=None, min_length=1, description="Key for the model. Some servers need none."
    )
    dimensions: int | None = Field(
        default=None,
        ge=1,
        le=4096,
        description="How many numbers a vector of the model has. Another number makes all vectors anew.",
        examples=[1536],
    )
    send_dimensions: bool = Field(
        default=False, description="Whether the model is asked to shorten its vectors to that many numbers."
    )
    min_cosine: float = Field(
        default=0.35, ge=0, lt=1, description="How near two texts must be by the model's vectors to be called similar."
    )
    timeout_seconds: float = Field(default=20, gt=0, le=50, description="Seconds that an answer of the model may take.")
    index: Literal["auto", "scan"] = Field(
        default="auto",
        description=(
            "What compares vectors: on PostgreSQL its extension pgvector, where it is there; with `scan`, and on "
            "SQLite, the service itself."
        ),
    )
    memory_mib: int = Field(
        default=512,
        ge=1,
        description=(
            "Memory for vectors that the service compares itself, in MiB for each process: 50,000 sessions take 200 to "
            "250. What does not fit is read anew each time, which takes longer."
        ),
    )

    @model_validator(mode="after")
    def _is_complete(self) -> "Embeddings":
        if self.provider == "openai":
            for name in ("model", "dimensions"):
                if getattr(self, name) is None:
                    raise MisfitError(environment_name("embeddings", name), "is needed with the provider openai")
        return self

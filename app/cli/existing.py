"""Settings for commands that look at what is there: they make no data directory."""

from app.errors import InvalidSettings
from app.settings import Settings, load_settings


def load_existing() -> Settings:
    """Raises `InvalidSettings` where nothing was ever stored: a mistyped name is told, not made.

    With PostgreSQL the documents lie elsewhere, and a new directory is as good as another.
    """
    settings = load_settings()
    if settings.database_url is None and not settings.data_dir.exists():
        raise InvalidSettings(
            f"there is no data directory {settings.data_dir.absolute()}; `larder ingest` and "
            "`larder serve` make it, and LARDER_DATA_DIR names another one"
        )
    return settings
